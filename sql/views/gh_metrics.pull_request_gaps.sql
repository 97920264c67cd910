-- Hours between pull requests of people, in the order they were made, per repository.
create or replace view gh_metrics.pull_request_gaps as
select g.repo_id, count(g.hours) as n, percentile_cont(0.5) within group (order by g.hours) as median,
	percentile_cont(0.9) within group (order by g.hours) as p90
from (
	select p.repo_id, (extract(epoch from p.created_at - lag(p.created_at) over (
		partition by p.repo_id order by p.created_at, p.id)) / 3600)::float8 as hours
	from gh.pull_requests p left join gh.users u on u.id = p.author_id
	where u.is_bot is not true
) g
group by 1;
