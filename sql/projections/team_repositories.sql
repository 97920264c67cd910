-- Repositories that teams have access to. Access that was taken away has deleted_at.
--
-- provider: github
-- key: team_id, repo_id
-- rows: . on team rank 1 where repository.id
-- rows: . on team_add rank 1
-- delete: team.removed_from_repository
create table team_repositories (
	team_id     bigint not null, -- = team.id
	repo_id     bigint not null, -- = repository.id
	org_id      bigint, -- = organization.id
	role_name   text, -- role = repository.role_name -- role of the team in the repository
	permissions jsonb, -- permissions = repository.permissions
	primary key (team_id, repo_id)
);

create index team_repositories_repo on team_repositories (repo_id);
