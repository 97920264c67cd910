-- Medians and 90th percentiles of the parts of a pull request's way, per repository and week of the merge, over
-- merged pull requests of people. Hours. n is their number; excluded_bots counts those left out.
create or replace view gh_metrics.pull_request_weeks as
select t.repo_id, date_trunc('week', t.merged_at at time zone 'UTC')::date as week,
	count(*) filter (where t.excluded is null) as n,
	count(*) filter (where t.excluded = 'bot') as excluded_bots,
	percentile_cont(0.5) within group (order by t.cycle_seconds / 3600) filter (where t.excluded is null) as cycle_median,
	percentile_cont(0.9) within group (order by t.cycle_seconds / 3600) filter (where t.excluded is null) as cycle_p90,
	percentile_cont(0.5) within group (order by t.pickup_seconds / 3600) filter (where t.excluded is null) as pickup_median,
	percentile_cont(0.9) within group (order by t.pickup_seconds / 3600) filter (where t.excluded is null) as pickup_p90,
	percentile_cont(0.5) within group (order by t.review_seconds / 3600) filter (where t.excluded is null) as review_median,
	percentile_cont(0.9) within group (order by t.review_seconds / 3600) filter (where t.excluded is null) as review_p90
from gh_metrics.pull_request_times t
where t.merged_at is not null
group by 1, 2;
