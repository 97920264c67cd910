-- Items of projects by id. They name their project and what they show by GraphQL ids only.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: projects_v2_item on projects_v2_item rank 1
-- delete: projects_v2_item.deleted
create table project_items (
	id              bigint primary key,
	node_id         text, -- = node_id
	project_node_id text, -- = project_node_id -- gh.projects.node_id
	content_node_id text, -- = content_node_id -- of that issue or pull request: node_id
	content_type    text, -- = content_type -- Issue, PullRequest or DraftIssue
	org_id          bigint, -- = $.organization.id
	creator_id      bigint, -- = creator.id
	created_at      timestamptz, -- = created_at
	updated_at      timestamptz, -- = updated_at
	archived_at     timestamptz -- = archived_at -- since when it is archived; null: it is not
);

create index project_items_project on project_items (project_node_id);
create index project_items_content on project_items (content_node_id);
