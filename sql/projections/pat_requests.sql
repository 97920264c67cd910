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
	state                text, -- = $.action -- pending, approved, denied or cancelled
	sender_id            bigint, -- = $.sender.id
	token_id             bigint, -- = token_id -- the token
	token_name           text, -- = token_name -- name of the token
	repository_selection text, -- = repository_selection -- all or selected
	repository_ids       bigint[], -- = list(repositories[].id) -- repositories it is for: gh.repositories.id
	permissions_added    jsonb, -- = permissions_added -- permissions that are new
	permissions_upgraded jsonb, -- = permissions_upgraded -- permissions that grow
	permissions_result   jsonb, -- = permissions_result -- permissions it would have
	token_expired        boolean, -- = token_expired -- the token has expired
	token_expires_at     timestamptz, -- = token_expires_at -- when the token expires
	created_at           timestamptz -- = created_at
);
