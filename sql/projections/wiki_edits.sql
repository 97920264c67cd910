-- Pages of a wiki that were made or edited, in the order of the event.
--
-- provider: github
-- kind: fact
-- key: seq, position
-- rows: pages[] on gollum
create table wiki_edits (
	seq         bigint not null, -- = @seq
	position    bigint not null, -- = @position
	received_at timestamptz not null, -- = @received_at
	repo_id     bigint, -- = $.repository.id
	page_name   text, -- = page_name -- name of the page
	title       text, -- = title
	summary     text, -- = summary -- what it is, in a sentence
	action      text, -- = action -- created or edited
	sha         text, -- = sha
	html_url    text, -- = html_url
	sender_id   bigint, -- = $.sender.id
	primary key (seq, position)
);

create index wiki_edits_repo on wiki_edits (repo_id, seq);
