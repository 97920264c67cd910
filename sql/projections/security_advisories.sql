-- Security advisories by GHSA id: those of GitHub's database and those that repositories publish.
--
-- provider: github
-- key: ghsa_id
-- version: updated_at
-- rows: security_advisory on security_advisory rank 1
-- rows: repository_advisory on repository_advisory rank 1 of='repository'
-- rows: alert.security_advisory on dependabot_alert
create table security_advisories (
	ghsa_id         text primary key, -- = ghsa_id -- id in the advisory database of GitHub
	summary         text, -- = summary -- what it is, in a sentence
	description     text, -- = description
	severity        text, -- = severity -- low, medium, high or critical
	cvss_score      text, -- = cvss.score -- CVSS
	cvss_vector     text, -- = cvss.vector_string -- CVSS
	cwe_ids         text[], -- = list(cwes[].cwe_id) -- kinds of weakness
	vulnerabilities jsonb, -- = vulnerabilities -- packages and versions with it
	published_at    timestamptz, -- = published_at
	updated_at      timestamptz, -- = updated_at
	withdrawn_at    timestamptz, -- = withdrawn_at -- when it was withdrawn; null: it was not
	cve_id          text, -- cve = cve_id -- CVE
	repo_id         bigint, -- repository = :of='repository' => $.repository.id
	state           text, -- repository = state
	author_id       bigint -- repository = author.id
);
