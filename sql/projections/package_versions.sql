-- Versions of packages by id.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: package.package_version on package rank 1
-- rows: registry_package.package_version on registry_package rank 1
create table package_versions (
	id                   bigint primary key,
	package_id           bigint, -- = $.package.id | $.registry_package.id
	repo_id              bigint, -- = $.repository.id
	version              text, -- = version
	name                 text, -- = name
	summary              text, -- = summary
	author_id            bigint, -- = author.id
	release_id           bigint, -- = release.id
	tag_name             text, -- = tag_name
	target_commitish     text, -- = target_commitish
	target_sha           text, -- = target_oid
	draft                boolean, -- = draft
	prerelease           boolean, -- = prerelease
	installation_command text, -- = installation_command
	html_url             text, -- = html_url
	created_at           timestamptz, -- = created_at
	updated_at           timestamptz -- = updated_at
);

create index package_versions_package on package_versions (package_id, created_at);
