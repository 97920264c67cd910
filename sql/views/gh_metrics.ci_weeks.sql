-- Runs of workflows per week of their end: success rate, hours of duration and of queueing, share of runs that
-- needed another attempt. Cancelled and skipped runs count as neither success nor failure.
-- Flaky ones succeeded after an earlier attempt on the same commit had failed.
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
	count(*) filter (where r.attempt > 1)::float8 / count(*) as rerun_rate,
	count(*) filter (where r.conclusion = 'success' and exists (
		select from gh.workflow_runs e
		where e.id = r.id and e.attempt < r.attempt and e.conclusion in ('failure', 'timed_out'))) as flaky
from gh.workflow_runs r
left join lateral (
	select min(extract(epoch from j.started_at - j.created_at))::float8 as seconds
	from gh.workflow_jobs j where j.run_id = r.id and j.attempt = r.attempt
) q on true
where r.completed_at is not null
group by 1, 2, 3;
comment on column gh_metrics.ci_weeks.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.ci_weeks.workflow_id is 'gh.workflows.id';
comment on column gh_metrics.ci_weeks.week is 'Monday of the week, in UTC';
comment on column gh_metrics.ci_weeks.n is 'how many the row is made of';
comment on column gh_metrics.ci_weeks.succeeded is 'of these, how many succeeded';
comment on column gh_metrics.ci_weeks.failed is 'of these, how many failed';
comment on column gh_metrics.ci_weeks.success_rate is 'succeeded of succeeded and failed';
comment on column gh_metrics.ci_weeks.seconds_median is 'seconds it took, median';
comment on column gh_metrics.ci_weeks.seconds_p90 is 'seconds it took, 90th percentile';
comment on column gh_metrics.ci_weeks.queue_seconds_median is 'seconds until its first job began, median';
comment on column gh_metrics.ci_weeks.queue_seconds_p90 is 'seconds until its first job began, 90th percentile';
comment on column gh_metrics.ci_weeks.rerun_rate is 'share that were not the first attempt';
comment on column gh_metrics.ci_weeks.flaky is 'succeeded after an earlier attempt on the same commit failed';
