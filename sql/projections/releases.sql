-- Releases by id. GitHub stamps no update time on a release, so the newest event wins.
--
-- provider: github
-- key: id
-- rows: release on release rank 1
-- delete: release.deleted
create table releases (
	id               bigint primary key,
	repo_id          bigint, -- = $.repository.id
	tag_name         text, -- = tag_name -- the tag
	target_commitish text, -- = target_commitish -- branch or commit that the tag is made from
	name             text, -- = name
	draft            boolean, -- = draft
	prerelease       boolean, -- = prerelease -- not for everybody yet
	author_id        bigint, -- = author.id
	body             text, -- = body
	html_url         text, -- = html_url
	asset_ids        bigint[], -- = list(assets[].id) -- files it has now: gh.release_assets.id
	created_at       timestamptz, -- = created_at
	published_at     timestamptz, -- = published_at
	released_by_id   bigint -- released = $.action='released' => $.sender.id | $.action='unpublished' => null -- who released it: gh.users.id
);

create index releases_repo on releases (repo_id, published_at);
