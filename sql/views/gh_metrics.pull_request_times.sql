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
left join gh.users u on u.id = p.author_id
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
	) x left join gh.users a on a.id = x.author_id
	where x.author_id is distinct from p.author_id and a.is_bot is not true and x.at >= s.started_at
) f
left join lateral (
	select min(c.authored_at) as first_authored_at
	from gh.commits c
	where c.repo_id = p.repo_id and c.sha in (
		select h.head_sha from gh.pull_request_heads h where h.pull_request_id = p.id
		union select p.head_sha)
) w on true;
