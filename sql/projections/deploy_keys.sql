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
	key         text, -- = key
	read_only   boolean, -- = read_only
	verified    boolean, -- = verified
	enabled     boolean, -- = enabled
	added_by    text, -- = added_by
	created_at  timestamptz, -- = created_at
	added_by_id bigint -- added = $.action='created' => $.sender.id
);

create index deploy_keys_repo on deploy_keys (repo_id);
