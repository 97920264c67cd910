-- Branches and tags by repository, kind and name, from pushes and from create and delete events.
-- A force push moves the head and keeps the commits. What is deleted and made again is the same row.
--
-- provider: github
-- key: repo_id, kind, name
-- rows: . on create, delete rank 1
-- rows: . on push rank 1 where after(ref,'refs/heads/') kind='branch'
-- rows: . on push rank 1 where after(ref,'refs/tags/') kind='tag'
-- delete: delete, push where deleted='true'
create table refs (
	repo_id       bigint not null, -- = repository.id
	kind          text not null, -- = ref_type | :kind -- branch or tag
	name          text not null, -- = after(ref,'refs/heads/') | after(ref,'refs/tags/') | ref -- without refs/heads/
	sender_id     bigint, -- = sender.id
	created_at    timestamptz, -- created = master_branch => @received_at | created='true' => @received_at
	head_sha      text, -- head = deleted='true' => null | after -- commit the last push moved it to; null: deleted
	last_push_seq bigint, -- head = @seq -- event of that push
	last_forced   boolean, -- head = forced -- that push was forced
	primary key (repo_id, kind, name)
);

create index refs_head on refs (head_sha);
