-- Medians and 90th percentiles of the parts of a pull request's way, per repository and week of the merge, over
-- merged pull requests of people. Hours; their size in lines, and how many
-- comments of others they got. n is their number; excluded_bots counts those left out.
create or replace view gh_metrics.pull_request_weeks as
select t.repo_id, date_trunc('week', t.merged_at at time zone 'UTC')::date as week,
	count(*) filter (where t.excluded is null) as n,
	count(*) filter (where t.excluded = 'bot') as excluded_bots,
	percentile_cont(0.5) within group (order by t.cycle_seconds / 3600) filter (where t.excluded is null) as cycle_median,
	percentile_cont(0.9) within group (order by t.cycle_seconds / 3600) filter (where t.excluded is null) as cycle_p90,
	percentile_cont(0.5) within group (order by t.pickup_seconds / 3600) filter (where t.excluded is null) as pickup_median,
	percentile_cont(0.9) within group (order by t.pickup_seconds / 3600) filter (where t.excluded is null) as pickup_p90,
	percentile_cont(0.5) within group (order by t.review_seconds / 3600) filter (where t.excluded is null) as review_median,
	percentile_cont(0.9) within group (order by t.review_seconds / 3600) filter (where t.excluded is null) as review_p90,
	percentile_cont(0.5) within group (order by t.lines) filter (where t.excluded is null) as lines_median,
	percentile_cont(0.9) within group (order by t.lines) filter (where t.excluded is null) as lines_p90,
	percentile_cont(0.5) within group (order by t.comments) filter (where t.excluded is null) as comments_median,
	percentile_cont(0.9) within group (order by t.comments) filter (where t.excluded is null) as comments_p90
from gh_metrics.pull_request_times t
where t.merged_at is not null
group by 1, 2;
comment on column gh_metrics.pull_request_weeks.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.pull_request_weeks.week is 'Monday of the week, in UTC';
comment on column gh_metrics.pull_request_weeks.n is 'how many the row is made of';
comment on column gh_metrics.pull_request_weeks.excluded_bots is 'left out, since a bot wrote them';
comment on column gh_metrics.pull_request_weeks.cycle_median is 'hours from the start to the merge, median';
comment on column gh_metrics.pull_request_weeks.cycle_p90 is 'the same, 90th percentile';
comment on column gh_metrics.pull_request_weeks.pickup_median is 'hours from the start to the first review, median';
comment on column gh_metrics.pull_request_weeks.pickup_p90 is 'the same, 90th percentile';
comment on column gh_metrics.pull_request_weeks.review_median is 'hours from the first review to the merge, median';
comment on column gh_metrics.pull_request_weeks.review_p90 is 'the same, 90th percentile';
comment on column gh_metrics.pull_request_weeks.lines_median is 'lines added and removed, median';
comment on column gh_metrics.pull_request_weeks.lines_p90 is 'the same, 90th percentile';
comment on column gh_metrics.pull_request_weeks.comments_median is 'comments of other people, median';
comment on column gh_metrics.pull_request_weeks.comments_p90 is 'the same, 90th percentile';
