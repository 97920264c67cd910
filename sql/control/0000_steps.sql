-- Which of these files were applied. Applied first, whether or not it was before.

create schema if not exists hooklog;
create table if not exists hooklog.schema_steps (
	step       integer primary key,
	sha256     bytea not null,
	applied_at timestamptz not null default now()
);
