-- What a rebuild needed, for who has to size the machine.

alter table hooklog.generations add column rebuild_memory_bytes bigint;
comment on column hooklog.generations.rebuild_memory_bytes is
	'the most memory that the process which rebuilt it had resident; null: it was not rebuilt';
