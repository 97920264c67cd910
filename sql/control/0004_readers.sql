-- Roles that may read what consumers read, and nothing else; granted again with every swap.

create table hooklog.readers (
	role_name name primary key
);
comment on table hooklog.readers is
	'Roles that may read the stable views; yours to write. Granted when a projector starts and with every swap.';
comment on column hooklog.readers.role_name is 'the role; one that does not exist is left out';
insert into hooklog.readers values ('hooklog_reader');

-- Makes the role hooklog_reader if it is wanted and we may.
create function hooklog.make_reader() returns void language plpgsql as $$
begin
	if exists (select from hooklog.readers where role_name = 'hooklog_reader')
		and not exists (select from pg_roles where rolname = 'hooklog_reader')
		and (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) then
		create role hooklog_reader nologin;
		comment on role hooklog_reader is 'May read the views of hooklog.';
	end if;
exception when duplicate_object or unique_violation or insufficient_privilege then
	null; -- made at the same time for another database, or forbidden in a way of its own
end
$$;

-- Grants the readers what is missing on the stable views, on p_views, and on the control tables that tell how
-- far the tables are. Names of roles that do not exist are returned.
create function hooklog.grant_readers(p_views text[]) returns text[] language plpgsql as $$
declare
	v_role name;
	v_view text;
	v_missing text[];
begin
	perform hooklog.make_reader();
	for v_role in select role_name from hooklog.readers order by 1 loop
		if not exists (select from pg_roles where rolname = v_role) then
			v_missing := v_missing || v_role::text;
			continue;
		end if;
		for v_view in
			select unnest(views) from hooklog.generations where status = 'live'
			union select unnest(p_views || array['hooklog.generations', 'hooklog.parked_events',
				'hooklog.user_overrides', 'hooklog.identities'])
		loop
			continue when to_regclass(v_view) is null;
			if not has_schema_privilege(v_role, split_part(v_view, '.', 1), 'usage') then
				execute format('grant usage on schema %I to %I', split_part(v_view, '.', 1), v_role);
			end if;
			if not has_table_privilege(v_role, v_view, 'select') then
				execute format('grant select on %s to %I', v_view::regclass, v_role);
			end if;
		end loop;
	end loop;
	return v_missing;
end
$$;

-- The same on all tables of a schema that was made for somebody to look at.
create function hooklog.grant_readers_on(p_schema name) returns void language plpgsql as $$
declare
	v_role name;
begin
	for v_role in select r.role_name from hooklog.readers r join pg_roles x on x.rolname = r.role_name loop
		execute format('grant usage on schema %I to %I', p_schema, v_role);
		execute format('grant select on all tables in schema %I to %I', p_schema, v_role);
	end loop;
end
$$;
