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
	target        text, -- = target -- branch, tag or push
	source_type   text, -- = source_type -- Repository, Organization or Enterprise
	source        text, -- = source -- name of the repository or organization it is from
	enforcement   text, -- = enforcement -- disabled, active or evaluate
	bypass_actors jsonb, -- = bypass_actors -- who it does not hold for
	conditions    jsonb, -- = conditions -- which refs it holds for
	rules         jsonb, -- = rules -- the rules
	created_at    timestamptz, -- = created_at
	updated_at    timestamptz -- = updated_at
);

create index rulesets_repo on rulesets (repo_id);
