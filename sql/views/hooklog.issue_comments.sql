-- Comments on issues. Those in the conversation of pull requests are in hooklog.pull_request_comments.
create or replace view hooklog.issue_comments as
select 'github'::text as provider, :host as host, c.id, c.repo_id, c.number, c.parent_id as issue_id, c.author_id,
	case when c.author_id is null and c.created_at is not null then 'ghost' else a.login end as author, c.body, c.created_at,
	c.updated_at
from gh.comments c left join gh.users a on a.id = c.author_id
where c.kind = 'issue' and c.deleted_at is null
	and not exists (select from gh.issues i where i.id = c.parent_id and i.is_pull_request);
comment on column hooklog.issue_comments.provider is 'kind of forge, such as github';
comment on column hooklog.issue_comments.host is 'host, as configured for the source, that the ids are of; else null';
comment on column hooklog.issue_comments.id is 'the forge''s id';
comment on column hooklog.issue_comments.repo_id is 'the repository: gh.repositories.id';
comment on column hooklog.issue_comments.number is 'number within the repository';
comment on column hooklog.issue_comments.issue_id is 'gh.issues.id';
comment on column hooklog.issue_comments.author_id is 'who wrote it; null: the account is gone, or no event told';
comment on column hooklog.issue_comments.author is 'name of that account; ghost: it is gone; null: no event told';
comment on column hooklog.issue_comments.body is 'text';
comment on column hooklog.issue_comments.created_at is 'when it was made';
comment on column hooklog.issue_comments.updated_at is 'when it last changed';
