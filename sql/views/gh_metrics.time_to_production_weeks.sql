-- Lead time for changes per week of the first deployment: medians and 90th percentiles in hours. Merged pull requests
-- without one are counted beside, in the week of the merge.
create or replace view gh_metrics.time_to_production_weeks as
select t.repo_id, date_trunc('week', coalesce(t.deployed_at, t.merged_at) at time zone 'UTC')::date as week,
	count(t.deployed_at) as n, count(*) - count(t.deployed_at) as excluded_not_deployed,
	percentile_cont(0.5) within group (order by t.lead_seconds / 3600) as hours_median,
	percentile_cont(0.9) within group (order by t.lead_seconds / 3600) as hours_p90
from gh_metrics.pull_request_times_to_production t
group by 1, 2;
comment on column gh_metrics.time_to_production_weeks.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.time_to_production_weeks.week is 'Monday of the week, in UTC';
comment on column gh_metrics.time_to_production_weeks.n is 'how many the row is made of';
comment on column gh_metrics.time_to_production_weeks.excluded_not_deployed is 'merged and not seen in production';
comment on column gh_metrics.time_to_production_weeks.hours_median is 'hours, median';
comment on column gh_metrics.time_to_production_weeks.hours_p90 is 'hours, 90th percentile';
