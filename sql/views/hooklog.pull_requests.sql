-- Pull requests; state is open, closed or merged.
create or replace view hooklog.pull_requests as
select 'github'::text as provider, p.id, p.repo_id, p.number, p.title,
	case when p.merged_at is not null then 'merged' else p.state end as state,
	p.draft, p.author_id, p.head_ref, p.head_sha, p.base_ref, p.created_at, p.updated_at, p.closed_at, p.merged_at, p.last_seq
from gh.pull_requests p;
