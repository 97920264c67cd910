-- Organizations, from the object that events of an organization carry and from the owners of
-- repositories that are organizations.
--
-- provider: github
-- key: id
-- rows: organization rank 1
-- rows: repository.owner where type='Organization'
-- rows: installation.account where type='Organization'
-- delete: organization.deleted
create table organizations (
	id          bigint primary key,
	login       text, -- = login
	node_id     text, -- = node_id
	avatar_url  text, -- = avatar_url
	description text -- full = description
) with (fillfactor = 80);

create index organizations_login on organizations (login);
