-- Members of organizations. Who left has deleted_at.
--
-- provider: github
-- key: org_id, user_id
-- rows: . on organization rank 1 where membership.user.id
-- delete: organization.member_removed
create table org_members (
	org_id  bigint not null, -- = organization.id
	user_id bigint not null, -- = membership.user.id
	role    text, -- = membership.role -- role in the organization: admin, member, ...
	state   text, -- = membership.state
	primary key (org_id, user_id)
);

create index org_members_user on org_members (user_id);
