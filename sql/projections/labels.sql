-- Labels of repositories by id, from their own events and from the lists of issues, pull requests and
-- discussions. GitHub stamps no time on a label, so the newest event that mentions it wins.
--
-- provider: github
-- key: id
-- rows: label on label rank 1
-- rows: label
-- rows: issue.labels[]
-- rows: pull_request.labels[]
-- rows: discussion.labels[]
-- delete: label.deleted
create table labels (
	id          bigint primary key,
	repo_id     bigint, -- = $.repository.id
	node_id     text, -- = node_id
	name        text, -- = name
	color       text, -- = color -- six hexadecimal digits
	is_default  boolean, -- = default -- one of those every repository starts with
	description text, -- full = description
	url         text -- = url
);

create index labels_repo on labels (repo_id, name);
