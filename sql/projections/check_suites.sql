-- Check suites by id: what one app checks of one commit.
--
-- provider: github
-- key: id
-- version: updated_at
-- rank: status requested=0 queued=0 pending=0 waiting=10 in_progress=20 completed=30
-- rows: check_suite on check_suite rank 1
-- rows: check_run.check_suite
create table check_suites (
	id               bigint primary key,
	repo_id          bigint, -- = $.repository.id
	head_branch      text, -- = head_branch -- branch it checked
	head_sha         text, -- = head_sha
	before_sha       text, -- = before -- commit the push moved from
	after_sha        text, -- = after -- commit the push moved to
	status           text, -- = status
	conclusion       text, -- = conclusion
	app_id           bigint, -- = app.id
	app_slug         text, -- = app.slug
	pull_request_ids bigint[], -- = list(pull_requests[].id)
	created_at       timestamptz, -- = created_at
	updated_at       timestamptz, -- = updated_at
	check_run_count  bigint, -- full = latest_check_runs_count -- checks in it
	rerequestable    boolean -- full = rerequestable -- it can be asked for again
);

create index check_suites_repo on check_suites (repo_id, created_at);
create index check_suites_head on check_suites (head_sha);
