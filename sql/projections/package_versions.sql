-- Versions of packages by id.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: package.package_version on package rank 1
-- rows: registry_package.package_version on registry_package rank 1
create table package_versions (
	id                   bigint primary key,
	package_id           bigint, -- = $.package.id | $.registry_package.id -- gh.packages.id
	repo_id              bigint, -- = $.repository.id
	version              text, -- = version -- version
	name                 text, -- = name
	summary              text, -- = summary -- what it is, in a sentence
	author_id            bigint, -- = author.id
	release_id           bigint, -- = release.id
	tag_name             text, -- = tag_name -- the tag
	target_commitish     text, -- = target_commitish -- branch or commit that the tag is made from
	target_sha           text, -- = target_oid -- commit it was made from
	draft                boolean, -- = draft
	prerelease           boolean, -- = prerelease -- not for everybody yet
	installation_command text, -- = installation_command -- how to install it
	html_url             text, -- = html_url
	created_at           timestamptz, -- = created_at
	updated_at           timestamptz -- = updated_at
);

create index package_versions_package on package_versions (package_id, created_at);
