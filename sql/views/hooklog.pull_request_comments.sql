-- What was said on pull requests, of three kinds: in the conversation, on a line of the diff, and the text of
-- a review. Ids are unique within a kind.
create or replace view hooklog.pull_request_comments as
select 'github'::text as provider, :host as host, 'conversation'::text as kind, c.id, c.repo_id, c.number, c.author_id,
	case when c.author_id is null and c.created_at is not null then 'ghost' else a.login end as author, c.body, c.created_at
from gh.comments c left join gh.users a on a.id = c.author_id join gh.issues i on i.id = c.parent_id and i.is_pull_request
where c.kind = 'issue' and c.deleted_at is null
union all
select 'github', :host, 'line', c.id, c.repo_id, c.number, c.author_id,
	case when c.author_id is null and c.created_at is not null then 'ghost' else a.login end as author, c.body, c.created_at
from gh.comments c left join gh.users a on a.id = c.author_id
where c.kind = 'review' and c.deleted_at is null
union all
select 'github', :host, 'review', r.id, r.repo_id, r.number, r.author_id, case when r.author_id is null and r.submitted_at is not null then 'ghost' else a.login end, r.body, r.submitted_at
from gh.reviews r left join gh.users a on a.id = r.author_id
where r.body <> '';
comment on column hooklog.pull_request_comments.provider is 'kind of forge, such as github';
comment on column hooklog.pull_request_comments.host is 'host, as configured for the source, that the ids are of; else null';
comment on column hooklog.pull_request_comments.kind is 'conversation, line or review';
comment on column hooklog.pull_request_comments.id is 'the forge''s id';
comment on column hooklog.pull_request_comments.repo_id is 'the repository: gh.repositories.id';
comment on column hooklog.pull_request_comments.number is 'number within the repository';
comment on column hooklog.pull_request_comments.author_id is 'who wrote it; null: the account is gone, or no event told';
comment on column hooklog.pull_request_comments.author is 'name of that account; ghost: it is gone; null: no event told';
comment on column hooklog.pull_request_comments.body is 'text';
comment on column hooklog.pull_request_comments.created_at is 'when it was made';
