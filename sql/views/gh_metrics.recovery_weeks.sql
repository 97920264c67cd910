-- Time to restore per week in which production worked again: medians and 90th percentiles in hours. Outages that
-- last are counted beside, in the week they began.
create or replace view gh_metrics.recovery_weeks as
select o.repo_id, date_trunc('week', coalesce(o.restored_at, o.failed_at) at time zone 'UTC')::date as week,
	count(o.restored_at) as n, count(*) - count(o.restored_at) as excluded_lasting,
	percentile_cont(0.5) within group (order by o.hours) as hours_median,
	percentile_cont(0.9) within group (order by o.hours) as hours_p90
from gh_metrics.deployment_recoveries o
group by 1, 2;
comment on column gh_metrics.recovery_weeks.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.recovery_weeks.week is 'Monday of the week, in UTC';
comment on column gh_metrics.recovery_weeks.n is 'how many the row is made of';
comment on column gh_metrics.recovery_weeks.excluded_lasting is 'outages that have not ended';
comment on column gh_metrics.recovery_weeks.hours_median is 'hours, median';
comment on column gh_metrics.recovery_weeks.hours_p90 is 'hours, 90th percentile';
