-- Views on top for each host, what operators say of accounts on several hosts, and parked events in the audit.

alter table hooklog.generations add column hosts text not null default '';
comment on column hooklog.generations.hosts is
	'which sources have tables of their own (projector.hosts) in this generation';

alter table hooklog.user_overrides drop constraint user_overrides_pkey,
	add column host text not null default '';
alter table hooklog.user_overrides add primary key (host, user_id);
comment on column hooklog.user_overrides.host is 'host of the account, as in projector.hosts; empty: that of all other sources';

alter table hooklog.identities drop constraint identities_pkey,
	add column host text not null default '';
alter table hooklog.identities add primary key (host, email);
comment on column hooklog.identities.host is 'host of the account, as in projector.hosts; empty: that of all other sources';

comment on column hooklog.audit.action is 'pause, resume, promote, rollback, drop, reset, or drop parked: an event was taken off the list';

-- What makes the grants of others on these views again once they were dropped and made anew.
create function hooklog.grants_on(p_views text[]) returns text[] language sql stable as $$
	select coalesce(array_agg(statement), '{}') from (
		select format('grant %s on %s to %s%s', a.privilege_type, v.name,
				case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
				case when a.is_grantable then ' with grant option' else '' end) as statement
			from unnest(p_views) as v (name) join pg_class c on c.oid = to_regclass(v.name)
			cross join aclexplode(c.relacl) a
			where a.grantee <> c.relowner
		union all
		select format('grant %s (%I) on %s to %s%s', a.privilege_type, t.attname, v.name,
				case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
				case when a.is_grantable then ' with grant option' else '' end)
			from unnest(p_views) as v (name) join pg_attribute t on t.attrelid = to_regclass(v.name)
			cross join aclexplode(t.attacl) a
			where t.attnum > 0 and not t.attisdropped
	) s
$$;

-- Runs them, but for those on a view or a column that is gone.
create function hooklog.grant_again(p_statements text[]) returns void language plpgsql as $$
declare
	v_statement text;
begin
	foreach v_statement in array p_statements loop
		begin
			execute v_statement;
		exception when undefined_table or undefined_column or undefined_object or invalid_schema_name then
			null;
		end;
	end loop;
end
$$;
