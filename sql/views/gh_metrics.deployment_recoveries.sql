-- Failed deployments to production, and how long it took until one to the same environment succeeded again. Several
-- failures in a row are one outage: it begins with the first of them. restored_at is null while it lasts.
create or replace view gh_metrics.deployment_recoveries as
select x.repo_id, x.environment, x.deployment_id, x.at as failed_at, r.restored_at,
	extract(epoch from r.restored_at - x.at)::float8 / 3600 as hours
from (
	select d.repo_id, d.environment, d.id as deployment_id, s.created_at as at, s.state, s.id,
		lag(s.state) over (partition by d.repo_id, d.environment order by s.created_at, s.id) as state_before
	from gh.deployments d join gh.deployment_statuses s on s.deployment_id = d.id
	where s.state in ('success', 'failure', 'error') and (d.production_environment or d.environment ~* '^prod')
) x
cross join lateral (
	select min(s.created_at) as restored_at
	from gh.deployments d join gh.deployment_statuses s on s.deployment_id = d.id
	where d.repo_id = x.repo_id and d.environment = x.environment and s.state = 'success'
		and (s.created_at, s.id) > (x.at, x.id)
) r
where x.state <> 'success' and (x.state_before = 'success' or x.state_before is null);
comment on column gh_metrics.deployment_recoveries.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.deployment_recoveries.environment is 'the environment';
comment on column gh_metrics.deployment_recoveries.deployment_id is 'gh.deployments.id of the first that failed';
comment on column gh_metrics.deployment_recoveries.failed_at is 'when it began';
comment on column gh_metrics.deployment_recoveries.restored_at is 'when a deployment succeeded again; null: it lasts';
comment on column gh_metrics.deployment_recoveries.hours is 'hours between the two';
