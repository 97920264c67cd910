-- Hours between pull requests of people, in the order they were made, per repository.
create or replace view gh_metrics.pull_request_gaps as
select g.repo_id, count(g.hours) as n, percentile_cont(0.5) within group (order by g.hours) as median,
	percentile_cont(0.9) within group (order by g.hours) as p90
from (
	select p.repo_id, (extract(epoch from p.created_at - lag(p.created_at) over (
		partition by p.repo_id order by p.created_at, p.id)) / 3600)::float8 as hours
	from gh.pull_requests p left join gh.people u on u.user_id = p.author_id
	where u.is_bot is not true
) g
group by 1;
comment on column gh_metrics.pull_request_gaps.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.pull_request_gaps.n is 'gaps';
comment on column gh_metrics.pull_request_gaps.median is 'hours, median';
comment on column gh_metrics.pull_request_gaps.p90 is 'hours, 90th percentile';
