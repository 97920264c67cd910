-- Builds of GitHub Pages by id.
--
-- provider: github
-- key: id
-- version: build.updated_at
-- rank: build.status queued=0 building=10 built=20 errored=20
-- rows: . on page_build rank 1
create table page_builds (
	id          bigint primary key,
	repo_id     bigint, -- = repository.id
	status      text, -- = build.status
	error       text, -- = build.error.message -- why it failed
	pusher_id   bigint, -- = build.pusher.id -- who pushed: gh.users.id
	commit_sha  text, -- = build.commit
	duration_ms bigint, -- = build.duration -- how long it took
	created_at  timestamptz, -- = build.created_at
	updated_at  timestamptz -- = build.updated_at
);

create index page_builds_repo on page_builds (repo_id, created_at);
