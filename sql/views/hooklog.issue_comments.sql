-- Comments on issues. Those in the conversation of pull requests are in hooklog.pull_request_comments.
create or replace view hooklog.issue_comments as
select 'github'::text as provider, c.id, c.repo_id, c.number, c.parent_id as issue_id, c.author_id, c.body, c.created_at,
	c.updated_at
from gh.comments c
where c.kind = 'issue' and c.deleted_at is null
	and not exists (select from gh.issues i where i.id = c.parent_id and i.is_pull_request);
