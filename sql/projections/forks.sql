-- Forks by the id of the repository that came of it, as the source repository's hook tells them.
--
-- provider: github
-- key: forkee_id
-- rows: forkee on fork rank 1
create table forks (
	forkee_id    bigint primary key, -- = id
	repo_id      bigint, -- = $.repository.id
	full_name    text, -- = full_name
	owner_id     bigint, -- = owner.id
	forked_by_id bigint, -- = $.sender.id
	created_at   timestamptz -- = created_at
);

create index forks_repo on forks (repo_id, created_at);
