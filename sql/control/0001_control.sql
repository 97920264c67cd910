-- The control schema: what hooklog itself needs to know in the database. Numbered files are applied
-- once, in order, in one transaction each, and never edited after a release.

create table hooklog.generations (
	id              integer primary key,
	schema_name     text not null unique,
	status          text not null check (status in ('building', 'live', 'retired')),
	log_id          bytea not null,
	seq             bigint not null,  -- checkpoint: every event up to here is in the tables
	chain           bytea not null,   -- the log's chain hash at seq
	definition_hash bytea not null,   -- of the projection files the tables were made from
	views           text[] not null,  -- the stable views that show the tables while they are live
	created_at      timestamptz not null default now(),
	updated_at      timestamptz not null default now(),
	live_at         timestamptz
);
comment on table hooklog.generations is
	'One row per set of tables. The views in gh and hooklog show the live one.';

create unique index generations_one_live on hooklog.generations (status) where status = 'live';

create table hooklog.parked_events (
	generation integer not null references hooklog.generations (id) on delete cascade,
	seq        bigint not null,
	sqlstate   text,
	reason     text not null,
	parked_at  timestamptz not null default now(),
	tries      integer not null default 1,
	primary key (generation, seq)
);
comment on table hooklog.parked_events is
	'Events that could not be projected, by number. The log keeps the bytes.';

-- Moves a checkpoint from one exact place to the next. Runs in the transaction that writes the rows;
-- raising here undoes them. HL001: somebody else moved it. HL002: the generation was retired.
create function hooklog.advance(p_generation integer, p_from bigint, p_to bigint, p_chain bytea)
returns void language plpgsql as $$
declare
	v_status text;
begin
	update hooklog.generations
		set seq = p_to, chain = p_chain, updated_at = now()
		where id = p_generation and seq = p_from and status <> 'retired';
	if not found then
		select status into v_status from hooklog.generations where id = p_generation;
		if v_status = 'retired' then
			raise exception 'generation % was retired', p_generation using errcode = 'HL002';
		end if;
		raise exception 'checkpoint of generation % is not at %', p_generation, p_from
			using errcode = 'HL001';
	end if;
end
$$;
