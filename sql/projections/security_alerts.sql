-- Alerts of the four kinds by repository, kind and number. Legacy alerts have no number: their id stands
-- for it.
--
-- provider: github
-- key: repo_id, kind, number
-- version: updated_at | created_at
-- rows: alert on code_scanning_alert rank 1 kind='code_scanning'
-- rows: alert on dependabot_alert rank 1 kind='dependabot'
-- rows: alert on secret_scanning_alert rank 1 kind='secret_scanning'
-- rows: alert on secret_scanning_alert_location kind='secret_scanning'
-- rows: alert on repository_vulnerability_alert rank 1 kind='legacy'
create table security_alerts (
	repo_id         bigint not null, -- = $.repository.id
	kind            text not null, -- = :kind -- code_scanning, dependabot, secret_scanning or legacy
	number          bigint not null, -- = number | id -- number within the repository and kind
	state           text, -- = state | :kind='secret_scanning' and resolution => 'resolved' | :kind='secret_scanning' => 'open' | $.action='dismiss' => 'dismissed' | $.action='resolve' => 'fixed' | 'open' -- GitHub's; secrets have open and resolved, legacy alerts what their action says
	severity        text, -- = security_advisory.severity | rule.security_severity_level | rule.severity | severity -- low, medium, high or critical
	rule            text, -- = rule.id | secret_type | security_advisory.ghsa_id | ghsa_id | external_identifier -- id of the rule, type of the secret, or advisory
	rule_name       text, -- = rule.description | secret_type_display_name | security_advisory.summary -- what the rule is about
	tool            text, -- = tool.name -- program that found it
	package         text, -- = dependency.package.name | security_vulnerability.package.name | affected_package_name -- package with the weakness
	ecosystem       text, -- = dependency.package.ecosystem | security_vulnerability.package.ecosystem -- registry or language, such as npm
	manifest_path   text, -- = dependency.manifest_path -- file that names the package
	validity        text, -- = validity -- whether the secret still works
	publicly_leaked boolean, -- = publicly_leaked -- the secret was seen in public
	assigned_to_id  bigint, -- = assigned_to.id -- who it is assigned to: gh.users.id
	resolution      text, -- = dismissed_reason | resolution | dismiss_reason -- why it was dismissed or resolved
	resolved_by_id  bigint, -- = dismissed_by.id | resolved_by.id | dismisser.id -- who dismissed or resolved it: gh.users.id
	html_url        text, -- = html_url
	created_at      timestamptz, -- = created_at
	updated_at      timestamptz, -- = updated_at
	fixed_at        timestamptz, -- = fixed_at -- when it was fixed
	dismissed_at    timestamptz, -- = dismissed_at | resolved_at -- when it was dismissed or resolved
	ref             text, -- where = $.ref
	commit_sha      text, -- where = $.commit_oid
	primary key (repo_id, kind, number)
);
