-- Files of releases by id, as the events of the release list them. The column asset_ids of releases says
-- which of them are there now, since nobody tells when a single file is removed.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: release.assets[] on release rank 1
-- delete: release.deleted
create table release_assets (
	id             bigint primary key,
	release_id     bigint, -- = $.release.id
	repo_id        bigint, -- = $.repository.id
	name           text, -- = name -- name of the file
	label          text, -- = label -- label instead of the name
	content_type   text, -- = content_type -- media type
	state          text, -- = state
	size           bigint, -- = size -- bytes
	digest         text, -- = digest -- hash of the file
	download_count bigint, -- = download_count -- downloads, as last told
	uploader_id    bigint, -- = uploader.id -- who uploaded it: gh.users.id
	download_url   text, -- = browser_download_url -- where to get it
	created_at     timestamptz, -- = created_at
	updated_at     timestamptz -- = updated_at
);

create index release_assets_release on release_assets (release_id);
