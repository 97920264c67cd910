-- Names that repositories have had, as their renames and transfers told; until_seq is the event that ended one.
create or replace view gh.repository_names as
select n.id as repo_id, n.reason, n.old_name, n.new_name, n.full_name as full_name_after, n.seq as until_seq,
	n.received_at as until
from gh.account_names n
where n.kind = 'repository';
