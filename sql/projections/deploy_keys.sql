-- SSH keys that may read or write one repository.
--
-- provider: github
-- key: id
-- rows: key on deploy_key rank 1
-- delete: deploy_key.deleted
create table deploy_keys (
	id          bigint primary key,
	repo_id     bigint, -- = $.repository.id
	title       text, -- = title
	key         text, -- = key -- the public key
	read_only   boolean, -- = read_only -- it cannot push
	verified    boolean, -- = verified -- GitHub has verified it
	enabled     boolean, -- = enabled -- it can be used
	added_by    text, -- = added_by -- login of who added it
	created_at  timestamptz, -- = created_at
	added_by_id bigint -- added = $.action='created' => $.sender.id -- who added it: gh.users.id
);

create index deploy_keys_repo on deploy_keys (repo_id);
