-- Names that repositories have had, as their renames and transfers told; until_seq is the event that ended one. A
-- rename that several hooks told is there once.
create or replace view gh.repository_names as
select n.id as repo_id, n.reason, n.old_name, n.new_name, n.full_name as full_name_after, n.seq as until_seq,
	n.received_at as until
from (
	select a.*, array[a.old_name, a.new_name] is not distinct from
		lag(array[a.old_name, a.new_name]) over (partition by a.id, a.reason order by a.seq) as told_again
	from gh.account_names a
	where a.kind = 'repository'
) n
where not n.told_again;
comment on column gh.repository_names.repo_id is 'the repository: gh.repositories.id';
comment on column gh.repository_names.reason is 'rename or transfer';
comment on column gh.repository_names.old_name is 'name before';
comment on column gh.repository_names.new_name is 'name since';
comment on column gh.repository_names.full_name_after is 'owner and name since';
comment on column gh.repository_names.until_seq is 'event that ended the old name';
comment on column gh.repository_names.until is 'when it was received';
