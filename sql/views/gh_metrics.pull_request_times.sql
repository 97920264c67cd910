-- The times of each pull request that the metrics are made of. The clock starts when it left draft (else when
-- it was made). A response is the first comment or review, a review the first review, by another account that
-- is no bot. excluded says why the metrics leave it out: its author is a bot, or it is a draft.
create or replace view gh_metrics.pull_request_times as
select p.id as pull_request_id, p.repo_id, p.number, p.author_id, p.created_at, s.started_at, w.first_authored_at,
	f.first_response_at, f.first_review_at, p.merged_at, p.closed_at,
	extract(epoch from p.created_at - w.first_authored_at)::float8 as coding_seconds,
	extract(epoch from f.first_response_at - s.started_at)::float8 as response_seconds,
	extract(epoch from f.first_review_at - s.started_at)::float8 as pickup_seconds,
	extract(epoch from p.merged_at - f.first_review_at)::float8 as review_seconds,
	extract(epoch from p.merged_at - s.started_at)::float8 as cycle_seconds,
	p.additions + p.deletions as lines, p.changed_files,
	f.comments, f.approvals,
	case when u.is_bot then 'bot' when p.draft and p.closed_at is null then 'draft' end as excluded
from gh.pull_requests p
left join gh.people u on u.user_id = p.author_id
cross join lateral (select coalesce(p.ready_at, p.created_at) as started_at) s
cross join lateral (
	select min(x.at) as first_response_at, min(x.at) filter (where x.is_review) as first_review_at,
		count(*) filter (where x.is_comment) as comments, count(*) filter (where x.approves) as approvals
	from (
		select c.created_at as at, false as is_review, true as is_comment, false as approves, c.author_id
		from gh.comments c
		where c.repo_id = p.repo_id and c.number = p.number and c.kind in ('issue', 'review') and c.deleted_at is null
		union all
		select r.submitted_at, true, false, r.state = 'approved', r.author_id
		from gh.reviews r where r.pull_request_id = p.id
	) x left join gh.people a on a.user_id = x.author_id
	where x.author_id is distinct from p.author_id and a.is_bot is not true and x.at >= s.started_at
) f
left join lateral (
	select min(c.authored_at) as first_authored_at
	from gh.commits c
	where c.repo_id = p.repo_id and c.sha in (
		select h.head_sha from gh.pull_request_heads h where h.pull_request_id = p.id
		union select p.head_sha)
) w on true;
comment on column gh_metrics.pull_request_times.pull_request_id is 'gh.pull_requests.id';
comment on column gh_metrics.pull_request_times.repo_id is 'the repository: gh.repositories.id';
comment on column gh_metrics.pull_request_times.number is 'number within the repository';
comment on column gh_metrics.pull_request_times.author_id is 'who wrote it';
comment on column gh_metrics.pull_request_times.created_at is 'when it was made';
comment on column gh_metrics.pull_request_times.started_at is 'when the clock starts: it left draft';
comment on column gh_metrics.pull_request_times.first_authored_at is 'when its first commit known was written';
comment on column gh_metrics.pull_request_times.first_response_at is 'first comment or review of another person';
comment on column gh_metrics.pull_request_times.first_review_at is 'first review of another person';
comment on column gh_metrics.pull_request_times.merged_at is 'when it was merged';
comment on column gh_metrics.pull_request_times.closed_at is 'when it was closed';
comment on column gh_metrics.pull_request_times.coding_seconds is 'from the first commit known to when it was made';
comment on column gh_metrics.pull_request_times.response_seconds is 'from the start to the first response';
comment on column gh_metrics.pull_request_times.pickup_seconds is 'from the start to the first review';
comment on column gh_metrics.pull_request_times.review_seconds is 'from the first review to the merge';
comment on column gh_metrics.pull_request_times.cycle_seconds is 'from the start to the merge';
comment on column gh_metrics.pull_request_times.lines is 'lines added and removed';
comment on column gh_metrics.pull_request_times.changed_files is 'files changed';
comment on column gh_metrics.pull_request_times.comments is 'comments of other people';
comment on column gh_metrics.pull_request_times.approvals is 'approving reviews';
comment on column gh_metrics.pull_request_times.excluded is 'why metrics leave it out: bot or draft; null: they do not';
