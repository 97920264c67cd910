-- Installations of GitHub Apps by id. Most events carry only the id: such a row is partial.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: installation on installation, installation_repositories rank 1
-- rows: installation
-- delete: installation.deleted
create table installations (
	id                   bigint primary key,
	seen                 boolean, -- = id => 'true'
	app_id               bigint, -- full = app_id
	app_slug             text, -- full = app_slug
	account_id           bigint, -- full = account.id
	account_login        text, -- full = account.login | account.slug
	account_type         text, -- full = account.type | target_type
	target_id            bigint, -- full = target_id
	target_type          text, -- full = target_type
	repository_selection text, -- full = repository_selection
	permissions          jsonb, -- full = permissions
	events               text[], -- full = events
	single_file_name     text, -- full = single_file_name
	html_url             text, -- full = html_url
	created_at           timestamptz, -- full = created_at
	updated_at           timestamptz, -- full = updated_at
	suspended_at         timestamptz, -- full = suspended_at
	suspended_by_id      bigint -- full = suspended_by.id
);

create index installations_account on installations (account_id);
