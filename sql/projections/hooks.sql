-- Webhooks by id, from the ping that greets a new one and from the event that says it was deleted.
-- The secret is not kept; GitHub sends stars.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: hook on ping, meta rank 1
-- delete: meta.deleted
create table hooks (
	id           bigint primary key,
	type         text, -- = type -- Repository, Organization, App, ...
	name         text, -- = name
	active       boolean, -- = active -- it sends
	events       text[], -- = events -- types of events it asks for
	url          text, -- = config.url -- where it sends to
	content_type text, -- = config.content_type -- json or form
	insecure_ssl text, -- = config.insecure_ssl -- 1: certificates are not checked
	app_id       bigint, -- = app_id
	repo_id      bigint, -- = $.repository.id
	org_id       bigint, -- = $.organization.id
	created_at   timestamptz, -- = created_at
	updated_at   timestamptz -- = updated_at
);
