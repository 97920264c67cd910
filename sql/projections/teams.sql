-- Teams of organizations by id.
--
-- provider: github
-- key: id
-- rows: team on team rank 1
-- rows: team
-- rows: requested_team
-- rows: pull_request.requested_teams[]
-- rows: team.parent
-- delete: team.deleted
create table teams (
	id                   bigint primary key,
	name                 text, -- = name
	org_id               bigint, -- = organization_id | $.organization.id
	node_id              text, -- = node_id
	slug                 text, -- = slug -- name in URLs
	description          text, -- = description
	privacy              text, -- = privacy -- who can see it
	permission           text, -- = permission -- what members may do by default
	notification_setting text, -- = notification_setting -- whether mentions notify
	html_url             text, -- = html_url
	parent_id            bigint -- parent = parent.id | parent -- team it is part of: gh.teams.id
);

create index teams_org on teams (org_id);
