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
	seen                 boolean, -- = id => 'true' -- always true
	app_id               bigint, -- full = app_id
	app_slug             text, -- full = app_slug
	account_id           bigint, -- full = account.id -- account it belongs to
	account_login        text, -- full = account.login | account.slug -- name of the account
	account_type         text, -- full = account.type | target_type -- User, Organization or Enterprise
	target_id            bigint, -- full = target_id -- account it is installed for
	target_type          text, -- full = target_type -- User, Organization or Enterprise
	repository_selection text, -- full = repository_selection -- all or selected
	permissions          jsonb, -- full = permissions
	events               text[], -- full = events -- types of events it gets
	single_file_name     text, -- full = single_file_name -- the one file it may see
	html_url             text, -- full = html_url
	created_at           timestamptz, -- full = created_at
	updated_at           timestamptz, -- full = updated_at
	suspended_at         timestamptz, -- full = suspended_at -- since when it is suspended; null: it is not
	suspended_by_id      bigint -- full = suspended_by.id -- who suspended it: gh.users.id
);

create index installations_account on installations (account_id);
