-- Requests of people to use a fine-grained token with an organization's repositories.
-- A request is answered once, so an answer beats the request in any order.
--
-- provider: github
-- key: id
-- version: created_at
-- rank: $.action created=0 approved=10 denied=10 cancelled=10
-- rows: personal_access_token_request on personal_access_token_request rank 1
create table pat_requests (
	id                   bigint primary key,
	org_id               bigint, -- = $.organization.id
	owner_id             bigint, -- = owner.id
	state                text, -- = $.action
	sender_id            bigint, -- = $.sender.id
	token_id             bigint, -- = token_id
	token_name           text, -- = token_name
	repository_selection text, -- = repository_selection
	repository_ids       bigint[], -- = list(repositories[].id)
	permissions_added    jsonb, -- = permissions_added
	permissions_upgraded jsonb, -- = permissions_upgraded
	permissions_result   jsonb, -- = permissions_result
	token_expired        boolean, -- = token_expired
	token_expires_at     timestamptz, -- = token_expires_at
	created_at           timestamptz -- = created_at
);
