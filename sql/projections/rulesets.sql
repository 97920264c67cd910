-- Rulesets of repositories and organizations by id.
--
-- provider: github
-- key: id
-- version: updated_at
-- rows: repository_ruleset on repository_ruleset rank 1
-- delete: repository_ruleset.deleted
create table rulesets (
	id            bigint primary key,
	name          text, -- = name
	repo_id       bigint, -- = $.repository.id
	org_id        bigint, -- = $.organization.id
	target        text, -- = target
	source_type   text, -- = source_type
	source        text, -- = source
	enforcement   text, -- = enforcement
	bypass_actors jsonb, -- = bypass_actors
	conditions    jsonb, -- = conditions
	rules         jsonb, -- = rules
	created_at    timestamptz, -- = created_at
	updated_at    timestamptz -- = updated_at
);

create index rulesets_repo on rulesets (repo_id);
