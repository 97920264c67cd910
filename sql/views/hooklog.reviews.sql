-- Submitted reviews of pull requests.
create or replace view hooklog.reviews as
select 'github'::text as provider, :host as host, r.id, r.repo_id, r.pull_request_id, r.number, r.state, r.author_id,
	case when r.author_id is null and r.submitted_at is not null then 'ghost' else a.login end as author, r.body, r.submitted_at
from gh.reviews r left join gh.users a on a.id = r.author_id;
comment on column hooklog.reviews.provider is 'kind of forge, such as github';
comment on column hooklog.reviews.host is 'host, as configured for the source, that the ids are of; else null';
comment on column hooklog.reviews.id is 'the forge''s id';
comment on column hooklog.reviews.repo_id is 'the repository: gh.repositories.id';
comment on column hooklog.reviews.pull_request_id is 'gh.pull_requests.id';
comment on column hooklog.reviews.number is 'number within the repository';
comment on column hooklog.reviews.state is 'state';
comment on column hooklog.reviews.author_id is 'who wrote it; null: the account is gone, or no event told';
comment on column hooklog.reviews.author is 'name of that account; ghost: it is gone; null: no event told';
comment on column hooklog.reviews.body is 'text';
comment on column hooklog.reviews.submitted_at is 'when it was submitted';
