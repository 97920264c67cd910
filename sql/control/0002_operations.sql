-- What operators do to generations: pause, go back, drop; who did it; and a gate for the swap.

alter table hooklog.generations add column paused_at timestamptz, add column tables text[];
comment on column hooklog.generations.paused_at is
	'Since when its projector waits (hooklog project pause); null: it works.';
comment on column hooklog.generations.tables is
	'The tables that the views of the same position show.';

create table hooklog.audit (
	id          bigint generated always as identity primary key,
	at          timestamptz not null default clock_timestamp(),
	action      text not null,
	generation  integer not null,
	from_seq    bigint,
	to_seq      bigint,
	note        text,
	role_name   text not null default session_user,
	application text not null default current_setting('application_name'),
	client_addr inet default inet_client_addr()
);
comment on table hooklog.audit is
	'Every change of a checkpoint or of the live generation that was not plain projecting, and by whom.';

-- As in step 1, and: a rebuild that is about to swap holds the gate (1751870568, generation) alone, so the
-- checkpoint it compares with stands still. HL003: the generation is paused.
create or replace function hooklog.advance(p_generation integer, p_from bigint, p_to bigint, p_chain bytea)
returns void language plpgsql as $$
declare
	v_row hooklog.generations;
begin
	perform pg_advisory_xact_lock_shared(1751870568, p_generation);
	update hooklog.generations
		set seq = p_to, chain = p_chain, updated_at = now()
		where id = p_generation and seq = p_from and status <> 'retired' and paused_at is null;
	if not found then
		select * into v_row from hooklog.generations where id = p_generation;
		if v_row.status = 'retired' then
			raise exception 'generation % was retired', p_generation using errcode = 'HL002';
		end if;
		if v_row.paused_at is not null then
			raise exception 'generation % is paused', p_generation using errcode = 'HL003';
		end if;
		raise exception 'checkpoint of generation % is not at %', p_generation, p_from
			using errcode = 'HL001';
	end if;
end
$$;

-- Points a stable view at a table. A view of the same shape is replaced in place; one whose columns
-- changed is made anew, with its owner, its comment and the grants on it and on the columns that are left.
create function hooklog.show_table(p_view regclass, p_view_name text, p_table_name text)
returns void language plpgsql as $$
declare
	v_again text[];
	v_statement text;
begin
	if p_view is null then
		execute format('create view %s as select * from %s', p_view_name, p_table_name);
		return;
	end if;
	begin
		execute format('create or replace view %s as select * from %s', p_view_name, p_table_name);
		return;
	exception when invalid_table_definition then
		null;
	end;
	select array_agg(statement order by place) into v_again from (
		select 1 as place, format('alter view %s owner to %I', p_view_name, pg_get_userbyid(c.relowner)) as statement
			from pg_class c where c.oid = p_view and c.relowner <> (select oid from pg_roles where rolname = current_user)
		union all
		select 2, format('comment on view %s is %L', p_view_name, obj_description(p_view, 'pg_class'))
			where obj_description(p_view, 'pg_class') is not null
		union all
		select 3, format('grant %s on %s to %s%s', a.privilege_type, p_view_name,
				case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
				case when a.is_grantable then ' with grant option' else '' end)
			from pg_class c cross join aclexplode(c.relacl) a
			where c.oid = p_view and a.grantee <> c.relowner
		union all
		select 3, format('grant %s (%I) on %s to %s%s', a.privilege_type, t.attname, p_view_name,
				case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
				case when a.is_grantable then ' with grant option' else '' end)
			from pg_attribute t cross join aclexplode(t.attacl) a
			where t.attrelid = p_view and t.attnum > 0 and not t.attisdropped and exists (
				select from pg_attribute n where n.attrelid = p_table_name::regclass and n.attnum > 0
					and n.attname = t.attname and not n.attisdropped)
	) s;
	execute format('drop view %s', p_view_name);
	execute format('create view %s as select * from %s', p_view_name, p_table_name);
	foreach v_statement in array coalesce(v_again, '{}') loop
		execute v_statement;
	end loop;
end
$$;

-- Which views of others stand on stable views that cannot be replaced in place, by the pairs of names of
-- the swap to come; a view without a table is one that goes away.
create function hooklog.views_in_the_way(p_views text[], p_tables text[])
returns table (dependent text, kind text, stands_on text) language sql stable as $$
	with recursive swap as (
		select to_regclass(v) as view, to_regclass(t) as target, v as name
		from unnest(p_views, p_tables) as x (v, t)
	), changed as (
		select s.view, s.name from swap s
		where s.view is not null and (s.target is null or exists (
			select from pg_attribute o
			left join (
				-- attnum of a table has holes; what counts is the order.
				select attname, atttypid, atttypmod, attcollation,
					row_number() over (order by attnum) as place
				from pg_attribute where attrelid = s.target and attnum > 0 and not attisdropped
			) n on n.place = o.attnum
			where o.attrelid = s.view and o.attnum > 0
				and (n.attname, n.atttypid, n.atttypmod, n.attcollation)
					is distinct from (o.attname, o.atttypid, o.atttypmod, o.attcollation)))
	), standing (oid, stands_on) as (
		select r.ev_class, c.name from changed c
		join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = c.view
			and d.classid = 'pg_rewrite'::regclass
		join pg_rewrite r on r.oid = d.objid and r.ev_class <> c.view
		union
		select r.ev_class, s.stands_on from standing s
		join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = s.oid
			and d.classid = 'pg_rewrite'::regclass
		join pg_rewrite r on r.oid = d.objid and r.ev_class <> s.oid
	)
	select distinct format('%I.%I', n.nspname, c.relname),
		case c.relkind when 'm' then 'materialized view' else 'view' end, s.stands_on
	from standing s join pg_class c on c.oid = s.oid join pg_namespace n on n.oid = c.relnamespace
	where c.oid not in (select view from swap where view is not null)
	order by 1, 3
$$;
