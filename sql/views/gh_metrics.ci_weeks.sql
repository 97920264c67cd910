-- Runs of workflows per week of their end: success rate, hours of duration and of queueing, share of runs that
-- needed another attempt. Cancelled and skipped runs count as neither success nor failure.
create or replace view gh_metrics.ci_weeks as
select r.repo_id, r.workflow_id, date_trunc('week', r.completed_at at time zone 'UTC')::date as week,
	count(*) as n,
	count(*) filter (where r.conclusion = 'success') as succeeded,
	count(*) filter (where r.conclusion in ('failure', 'timed_out', 'startup_failure')) as failed,
	(count(*) filter (where r.conclusion = 'success'))::float8 / nullif(count(*) filter (where r.conclusion in
		('success', 'failure', 'timed_out', 'startup_failure')), 0) as success_rate,
	percentile_cont(0.5) within group (order by extract(epoch from r.completed_at - r.started_at)::float8) as seconds_median,
	percentile_cont(0.9) within group (order by extract(epoch from r.completed_at - r.started_at)::float8) as seconds_p90,
	percentile_cont(0.5) within group (order by q.seconds) as queue_seconds_median,
	percentile_cont(0.9) within group (order by q.seconds) as queue_seconds_p90,
	count(*) filter (where r.attempt > 1)::float8 / count(*) as rerun_rate
from gh.workflow_runs r
left join lateral (
	select min(extract(epoch from j.started_at - j.created_at))::float8 as seconds
	from gh.workflow_jobs j where j.run_id = r.id and j.attempt = r.attempt
) q on true
where r.completed_at is not null
group by 1, 2, 3;
