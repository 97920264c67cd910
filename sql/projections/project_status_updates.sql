-- Status updates of projects by id.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: projects_v2_status_update on projects_v2_status_update rank 1
-- delete: projects_v2_status_update.deleted
create table project_status_updates (
	id              bigint primary key,
	project_node_id text, -- = project_node_id -- gh.projects.node_id
	org_id          bigint, -- = $.organization.id
	creator_id      bigint, -- = creator.id
	status          text, -- = status
	start_date      text, -- = start_date -- when the work begins
	target_date     text, -- = target_date -- when the work is to end
	body            text, -- = body
	created_at      timestamptz, -- = created_at
	updated_at      timestamptz -- = updated_at
);
