-- Who starred what. Only star events count: GitHub sends watch.started for the same click.
-- A star that was taken back has deleted_at.
--
-- provider: github
-- key: repo_id, user_id
-- rows: . on star rank 1
-- delete: star.deleted
create table stars (
	repo_id    bigint not null, -- = repository.id
	user_id    bigint not null, -- = sender.id
	starred_at timestamptz, -- = $.action='created' => starred_at -- when it was given
	primary key (repo_id, user_id)
);

create index stars_user on stars (user_id);
