-- Issues, without the issue halves of pull requests and without deleted ones.
create or replace view hooklog.issues as
select 'github'::text as provider, :host as host, i.id, i.repo_id, i.number, i.title, i.state, i.author_id,
	case when i.author_id is null and i.created_at is not null then 'ghost' else a.login end as author, i.created_at, i.updated_at,
	i.closed_at, i.last_seq
from gh.issues i left join gh.users a on a.id = i.author_id
where i.is_pull_request is not true and i.deleted_at is null;
comment on column hooklog.issues.provider is 'kind of forge, such as github';
comment on column hooklog.issues.host is 'host, as configured for the source, that the ids are of; else null';
comment on column hooklog.issues.id is 'the forge''s id';
comment on column hooklog.issues.repo_id is 'the repository: gh.repositories.id';
comment on column hooklog.issues.number is 'number within the repository';
comment on column hooklog.issues.title is 'title';
comment on column hooklog.issues.state is 'state';
comment on column hooklog.issues.author_id is 'who wrote it; null: the account is gone, or no event told';
comment on column hooklog.issues.author is 'name of that account; ghost: it is gone; null: no event told';
comment on column hooklog.issues.created_at is 'when it was made';
comment on column hooklog.issues.updated_at is 'when it last changed';
comment on column hooklog.issues.closed_at is 'when it was closed';
comment on column hooklog.issues.last_seq is 'number of the last event that mentioned it';
