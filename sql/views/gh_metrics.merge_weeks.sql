-- Pull requests of people by the week they were closed in: merged, closed without a merge, the share of merged,
-- and merged without an approval. Bots are counted beside.
create or replace view gh_metrics.merge_weeks as
select p.repo_id, date_trunc('week', p.closed_at at time zone 'UTC')::date as week,
	count(*) filter (where u.is_bot is not true) as n,
	count(*) filter (where u.is_bot) as excluded_bots,
	count(*) filter (where u.is_bot is not true and p.merged_at is not null) as merged,
	count(*) filter (where u.is_bot is not true and p.merged_at is null) as closed_unmerged,
	(count(*) filter (where u.is_bot is not true and p.merged_at is not null))::float8
		/ nullif(count(*) filter (where u.is_bot is not true), 0) as merge_rate,
	count(*) filter (where u.is_bot is not true and p.merged_at is not null and not exists (
		select from gh.reviews r where r.pull_request_id = p.id and r.state = 'approved')) as merged_without_approval
from gh.pull_requests p left join gh.people u on u.user_id = p.author_id
where p.closed_at is not null
group by 1, 2;
comment on column gh_metrics.merge_weeks.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.merge_weeks.week is 'Monday of the week, in UTC';
comment on column gh_metrics.merge_weeks.n is 'how many the row is made of';
comment on column gh_metrics.merge_weeks.excluded_bots is 'left out, since a bot wrote them';
comment on column gh_metrics.merge_weeks.merged is 'of these, how many were merged';
comment on column gh_metrics.merge_weeks.closed_unmerged is 'of these, how many were closed without a merge';
comment on column gh_metrics.merge_weeks.merge_rate is 'merged of n';
comment on column gh_metrics.merge_weeks.merged_without_approval is 'merged with no approving review';
