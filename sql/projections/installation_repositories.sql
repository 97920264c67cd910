-- Repositories that an installation may see. Taken away is not deleted: the repository may well be there.
--
-- provider: github
-- key: installation_id, repo_id
-- rows: repositories[] on installation rank 1
-- rows: repositories_added[] on installation_repositories rank 1
-- rows: repositories_removed[] on installation_repositories rank 1
-- delete: installation.deleted, installation_repositories.removed
create table installation_repositories (
	installation_id bigint not null, -- = $.installation.id
	repo_id         bigint not null, -- = id
	full_name       text, -- = full_name
	private         boolean, -- = private
	primary key (installation_id, repo_id)
);

create index installation_repositories_repo on installation_repositories (repo_id);
