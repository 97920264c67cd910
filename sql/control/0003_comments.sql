-- What the tables and columns are, in words; and what operators say of accounts.

comment on column hooklog.generations.id is 'number; the higher, the younger';
comment on column hooklog.generations.schema_name is 'schema of its tables';
comment on column hooklog.generations.status is 'building, live or retired; one is live';
comment on column hooklog.generations.log_id is 'the log it was made from';
comment on column hooklog.generations.seq is 'checkpoint: all events up to this number are in its tables';
comment on column hooklog.generations.chain is 'the log''s chain hash at seq';
comment on column hooklog.generations.definition_hash is 'of the projection files it was made from';
comment on column hooklog.generations.views is 'the stable views that show it while it is live';
comment on column hooklog.generations.created_at is 'when it was begun';
comment on column hooklog.generations.updated_at is 'when seq or status last changed';
comment on column hooklog.generations.live_at is 'when it last became live; null: never';

comment on column hooklog.parked_events.generation is 'whose tables miss the event: hooklog.generations.id';
comment on column hooklog.parked_events.seq is 'number of the event in the log';
comment on column hooklog.parked_events.sqlstate is 'error of PostgreSQL; null: it was found before';
comment on column hooklog.parked_events.reason is 'why it could not be projected';
comment on column hooklog.parked_events.parked_at is 'when it was parked';
comment on column hooklog.parked_events.tries is 'how often it was tried';

comment on column hooklog.audit.id is 'number of the entry';
comment on column hooklog.audit.at is 'when';
comment on column hooklog.audit.action is 'pause, resume, promote, rollback, drop or reset';
comment on column hooklog.audit.generation is 'of which generation: hooklog.generations.id';
comment on column hooklog.audit.from_seq is 'checkpoint before';
comment on column hooklog.audit.to_seq is 'checkpoint after';
comment on column hooklog.audit.note is 'what else there is to say';
comment on column hooklog.audit.role_name is 'the role in PostgreSQL that did it';
comment on column hooklog.audit.application is 'the program that did it';
comment on column hooklog.audit.client_addr is 'from where; null: the same machine';

comment on table hooklog.schema_steps is 'The files of sql/control/ that were applied to this database.';
comment on column hooklog.schema_steps.step is 'number of the file';
comment on column hooklog.schema_steps.sha256 is 'of the file as it was then';
comment on column hooklog.schema_steps.applied_at is 'when';

create table hooklog.user_overrides (
	user_id bigint primary key,
	is_bot  boolean,
	person  text,
	team    text
);
comment on table hooklog.user_overrides is
	'What you know of accounts and the forge does not; yours to write, and kept by every rebuild. gh.people reads it.';
comment on column hooklog.user_overrides.user_id is 'the account: gh.users.id';
comment on column hooklog.user_overrides.is_bot is 'metrics leave it out or not; null: as gh.users says';
comment on column hooklog.user_overrides.person is 'one name for all accounts of one person; null: the login';
comment on column hooklog.user_overrides.team is 'the team the person works in';

create table hooklog.identities (
	email   text primary key,
	user_id bigint not null
);
comment on table hooklog.identities is
	'Accounts of addresses in commits that the forge does not know; yours to write, and kept by every rebuild.';
comment on column hooklog.identities.email is 'address as in the commit';
comment on column hooklog.identities.user_id is 'the account: gh.users.id';

-- Gives a stable view the comments of the table it shows; what the table says nothing of stays.
create function hooklog.copy_comments(p_view text, p_table text) returns void language plpgsql as $$
declare
	v_statement text;
begin
	for v_statement in
		select format('comment on view %s is %L', p_view, obj_description(p_table::regclass, 'pg_class'))
			where obj_description(p_table::regclass, 'pg_class')
				is distinct from obj_description(p_view::regclass, 'pg_class')
				and obj_description(p_table::regclass, 'pg_class') is not null
		union all
		select format('comment on column %s.%I is %L', p_view, a.attname, d.description)
			from pg_attribute a join pg_description d on d.objoid = a.attrelid and d.objsubid = a.attnum
				and d.classoid = 'pg_class'::regclass
			join pg_attribute v on v.attrelid = p_view::regclass and v.attname = a.attname
			where a.attrelid = p_table::regclass and a.attnum > 0 and not a.attisdropped
				and col_description(v.attrelid, v.attnum) is distinct from d.description
	loop
		execute v_statement;
	end loop;
end
$$;
