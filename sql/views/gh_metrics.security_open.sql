-- Open security alerts by repository, kind and severity, with their age in days.
create or replace view gh_metrics.security_open as
select a.repo_id, a.kind, a.severity, count(*) as n,
	percentile_cont(0.5) within group (order by extract(epoch from now() - a.created_at)::float8 / 86400) as age_days_median,
	percentile_cont(0.9) within group (order by extract(epoch from now() - a.created_at)::float8 / 86400) as age_days_p90,
	min(a.created_at) as oldest_at
from gh.security_alerts a
where a.state = 'open'
group by 1, 2, 3;
comment on column gh_metrics.security_open.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.security_open.kind is 'code_scanning, dependabot, secret_scanning or legacy';
comment on column gh_metrics.security_open.severity is 'low, medium, high or critical';
comment on column gh_metrics.security_open.n is 'how many the row is made of';
comment on column gh_metrics.security_open.age_days_median is 'days since they were made, median';
comment on column gh_metrics.security_open.age_days_p90 is 'the same, 90th percentile';
comment on column gh_metrics.security_open.oldest_at is 'when the oldest was made';
