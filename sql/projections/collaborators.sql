-- People with access of their own to a repository. Who lost it has deleted_at.
--
-- provider: github
-- key: repo_id, user_id
-- rows: . on member rank 1
-- delete: member.removed
create table collaborators (
	repo_id    bigint not null, -- = repository.id
	user_id    bigint not null, -- = member.id
	sender_id  bigint, -- = sender.id
	permission text, -- permission = changes.permission.to | changes.role_name.to -- what the user may do, once it was changed
	role_name  text, -- permission = changes.role_name.to | changes.permission.to -- name of the role, once it was changed
	primary key (repo_id, user_id)
);

create index collaborators_user on collaborators (user_id);
