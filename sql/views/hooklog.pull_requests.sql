-- Pull requests; state is open, closed or merged.
create or replace view hooklog.pull_requests as
select 'github'::text as provider, :host as host, p.id, p.repo_id, p.number, p.title,
	case when p.merged_at is not null then 'merged' else p.state end as state,
	p.draft, p.author_id,
	case when p.author_id is null and p.created_at is not null then 'ghost' else a.login end as author,
	p.head_ref, p.head_sha, p.base_ref, p.created_at, p.updated_at, p.closed_at, p.merged_at, p.last_seq
from gh.pull_requests p left join gh.users a on a.id = p.author_id;
comment on column hooklog.pull_requests.provider is 'kind of forge, such as github';
comment on column hooklog.pull_requests.host is 'host, as configured for the source, that the ids are of; else null';
comment on column hooklog.pull_requests.id is 'the forge''s id';
comment on column hooklog.pull_requests.repo_id is 'the repository: gh.repositories.id';
comment on column hooklog.pull_requests.number is 'number within the repository';
comment on column hooklog.pull_requests.title is 'title';
comment on column hooklog.pull_requests.state is 'open, closed or merged';
comment on column hooklog.pull_requests.draft is 'not yet meant to be looked at';
comment on column hooklog.pull_requests.author_id is 'who wrote it; null: the account is gone, or no event told';
comment on column hooklog.pull_requests.author is 'name of that account; ghost: it is gone; null: no event told';
comment on column hooklog.pull_requests.head_ref is 'branch it comes from';
comment on column hooklog.pull_requests.head_sha is 'commit at its head';
comment on column hooklog.pull_requests.base_ref is 'branch it is for';
comment on column hooklog.pull_requests.created_at is 'when it was made';
comment on column hooklog.pull_requests.updated_at is 'when it last changed';
comment on column hooklog.pull_requests.closed_at is 'when it was closed';
comment on column hooklog.pull_requests.merged_at is 'when it was merged';
comment on column hooklog.pull_requests.last_seq is 'number of the last event that mentioned it';
