-- Packages by id, from the events of both names that GitHub has for them.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: package on package rank 1
-- rows: registry_package on registry_package rank 1
create table packages (
	id                bigint primary key,
	name              text, -- = name
	repo_id           bigint, -- = $.repository.id
	org_id            bigint, -- = $.organization.id
	owner_id          bigint, -- = owner.id -- account it belongs to: gh.users.id
	namespace         text, -- = namespace -- account it is published under
	ecosystem         text, -- = ecosystem -- registry or language, such as npm
	package_type      text, -- = package_type -- npm, maven, container, ...
	description       text, -- = description
	html_url          text, -- = html_url
	latest_version_id bigint, -- = package_version.id -- gh.package_versions.id
	created_at        timestamptz, -- = created_at
	updated_at        timestamptz -- = updated_at
);

create index packages_repo on packages (repo_id);
