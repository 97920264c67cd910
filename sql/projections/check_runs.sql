-- Check runs by id. GitHub stamps no update time on them: their time is when they ended, else when they
-- began, and at equal times the later state wins.
--
-- provider: github
-- key: id
-- version: completed_at | started_at
-- rank: status queued=0 pending=0 waiting=10 in_progress=20 completed=30
-- rows: check_run on check_run rank 1
-- rows: check_run
create table check_runs (
	id                bigint primary key,
	repo_id           bigint, -- = $.repository.id
	name              text, -- = name
	head_sha          text, -- = head_sha
	external_id       text, -- = external_id -- the app's own id of it
	status            text, -- = status
	conclusion        text, -- = conclusion
	html_url          text, -- = html_url
	details_url       text, -- = details_url -- the app's page of it
	started_at        timestamptz, -- = started_at
	completed_at      timestamptz, -- = completed_at
	check_suite_id    bigint, -- full = check_suite.id
	app_id            bigint, -- full = app.id
	app_slug          text, -- full = app.slug
	output_title      text, -- full = output.title -- title of what it found
	output_summary    text, -- full = output.summary -- what it found, in Markdown
	annotations_count bigint, -- full = output.annotations_count -- remarks on lines
	pull_request_ids  bigint[], -- full = list(pull_requests[].id)
	deployment_id     bigint -- full = deployment.id
);

create index check_runs_repo on check_runs (repo_id, started_at);
create index check_runs_suite on check_runs (check_suite_id);
create index check_runs_head on check_runs (head_sha);
