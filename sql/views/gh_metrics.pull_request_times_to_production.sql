-- Lead time of merged pull requests of people: from the first commit known, else from when it was made, to the
-- first successful deployment to production of its head or of its merge commit, and to the merge alone. reason
-- says why there is none.
create or replace view gh_metrics.pull_request_times_to_production as
select t.pull_request_id, t.repo_id, t.merged_at, f.deployed_at,
	extract(epoch from f.deployed_at - coalesce(t.first_authored_at, t.created_at))::float8 as lead_seconds,
	case when f.deployed_at is null then 'no deployment of its commits' end as reason
from gh_metrics.pull_request_times t
join gh.pull_requests p on p.id = t.pull_request_id
cross join lateral (
	select min(s.created_at) as deployed_at
	from gh.deployments d join gh.deployment_statuses s on s.deployment_id = d.id and s.state = 'success'
	where d.repo_id = t.repo_id and d.sha in (p.head_sha, p.merge_commit_sha)
		and (d.production_environment or d.environment ~* '^prod') and s.created_at >= t.merged_at
) f
where t.merged_at is not null and t.excluded is null;
comment on column gh_metrics.pull_request_times_to_production.pull_request_id is 'gh.pull_requests.id';
comment on column gh_metrics.pull_request_times_to_production.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.pull_request_times_to_production.merged_at is 'when it was merged';
comment on column gh_metrics.pull_request_times_to_production.deployed_at is 'first success in production; null: none';
comment on column gh_metrics.pull_request_times_to_production.lead_seconds is 'from the first commit known to production';
comment on column gh_metrics.pull_request_times_to_production.reason is 'why there is none';
