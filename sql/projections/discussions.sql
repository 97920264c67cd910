-- Discussions by id.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: discussion on discussion rank 1
-- rows: discussion
-- delete: discussion.deleted
create table discussions (
	id                  bigint primary key,
	number              bigint, -- = number
	repo_id             bigint, -- = $.repository.id
	title               text, -- = title
	body                text, -- = body
	state               text, -- = state
	state_reason        text, -- = state_reason
	locked              boolean, -- = locked
	author_id           bigint, -- = user.id
	author_association  text, -- = author_association
	category_id         bigint, -- = category.id -- category of the discussion
	category_name       text, -- = category.name -- name of the category
	is_answerable       boolean, -- = category.is_answerable -- an answer can be chosen
	answer_chosen_at    timestamptz, -- = answer_chosen_at -- when an answer was chosen
	answer_chosen_by_id bigint, -- = answer_chosen_by.id -- who chose it: gh.users.id
	comments            bigint, -- = comments
	html_url            text, -- = html_url
	created_at          timestamptz, -- = created_at
	updated_at          timestamptz, -- = updated_at
	label_ids           bigint[], -- labels = list(labels[].id)
	answer_id           bigint, -- answer = $.action='answered' => $.answer.id | $.action='unanswered' => null -- the comment that was chosen: gh.comments.id; told only by the events that choose or take back
	transferred_to_id   bigint -- transfer = $.changes.new_discussion.id -- id of the discussion it became elsewhere
);

create index discussions_repo on discussions (repo_id, number);
create index discussions_author on discussions (author_id);
