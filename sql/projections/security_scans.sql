-- Scans for secrets that ended, one row per event.
--
-- provider: github
-- kind: fact
-- key: seq
-- rows: . on secret_scanning_scan
create table security_scans (
	seq                 bigint primary key, -- = @seq
	received_at         timestamptz not null, -- = @received_at
	repo_id             bigint, -- = repository.id
	type                text, -- = type
	source              text, -- = source
	started_at          timestamptz, -- = started_at
	completed_at        timestamptz, -- = completed_at
	secret_types        text[], -- = secret_types -- types it looked for
	custom_pattern_name text -- = custom_pattern_name -- name of a pattern of your own
);

create index security_scans_repo on security_scans (repo_id, seq);
