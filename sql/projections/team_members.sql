-- Members of teams. Who left has deleted_at.
--
-- provider: github
-- key: team_id, user_id
-- rows: . on membership rank 1
-- delete: membership.removed
create table team_members (
	team_id bigint not null, -- = team.id
	user_id bigint not null, -- = member.id
	org_id  bigint, -- = organization.id
	primary key (team_id, user_id)
);

create index team_members_user on team_members (user_id);
