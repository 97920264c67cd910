-- Projects of organizations and users by id. Classic projects have no table: GitHub shut them down.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: projects_v2 on projects_v2 rank 1
-- delete: projects_v2.deleted
create table projects (
	id                bigint primary key,
	node_id           text, -- = node_id
	number            bigint, -- = number
	org_id            bigint, -- = $.organization.id
	owner_id          bigint, -- = owner.id
	creator_id        bigint, -- = creator.id
	title             text, -- = title
	description       text, -- = description
	short_description text, -- = short_description -- description in a sentence
	public            boolean, -- = public -- open to everybody
	state             text, -- = state
	created_at        timestamptz, -- = created_at
	updated_at        timestamptz, -- = updated_at
	closed_at         timestamptz -- = closed_at
);

create index projects_node on projects (node_id);
