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
	owner_id          bigint, -- = owner.id
	namespace         text, -- = namespace
	ecosystem         text, -- = ecosystem
	package_type      text, -- = package_type
	description       text, -- = description
	html_url          text, -- = html_url
	latest_version_id bigint, -- = package_version.id
	created_at        timestamptz, -- = created_at
	updated_at        timestamptz -- = updated_at
);

create index packages_repo on packages (repo_id);
