-- Forks by the id of the repository that came of it, as the source repository's hook tells them.
--
-- provider: github
-- key: forkee_id
-- rows: forkee on fork rank 1
create table forks (
	forkee_id    bigint primary key, -- = id -- the fork: gh.repositories.id
	repo_id      bigint, -- = $.repository.id -- repository that was forked
	full_name    text, -- = full_name -- of the fork
	owner_id     bigint, -- = owner.id -- account the fork belongs to: gh.users.id
	forked_by_id bigint, -- = $.sender.id -- who made it: gh.users.id
	created_at   timestamptz -- = created_at
);

create index forks_repo on forks (repo_id, created_at);
