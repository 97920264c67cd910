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
	kind            text not null, -- = :kind
	number          bigint not null, -- = number | id
	state           text, -- = state | :kind='secret_scanning' and resolution => 'resolved' | :kind='secret_scanning' => 'open' | $.action='dismiss' => 'dismissed' | $.action='resolve' => 'fixed' | 'open'
	severity        text, -- = security_advisory.severity | rule.security_severity_level | rule.severity | severity
	rule            text, -- = rule.id | secret_type | security_advisory.ghsa_id | ghsa_id | external_identifier
	rule_name       text, -- = rule.description | secret_type_display_name | security_advisory.summary
	tool            text, -- = tool.name
	package         text, -- = dependency.package.name | security_vulnerability.package.name | affected_package_name
	ecosystem       text, -- = dependency.package.ecosystem | security_vulnerability.package.ecosystem
	manifest_path   text, -- = dependency.manifest_path
	validity        text, -- = validity
	publicly_leaked boolean, -- = publicly_leaked
	assigned_to_id  bigint, -- = assigned_to.id
	resolution      text, -- = dismissed_reason | resolution | dismiss_reason
	resolved_by_id  bigint, -- = dismissed_by.id | resolved_by.id | dismisser.id
	html_url        text, -- = html_url
	created_at      timestamptz, -- = created_at
	updated_at      timestamptz, -- = updated_at
	fixed_at        timestamptz, -- = fixed_at
	dismissed_at    timestamptz, -- = dismissed_at | resolved_at
	ref             text, -- where = $.ref
	commit_sha      text, -- where = $.commit_oid
	primary key (repo_id, kind, number)
);
