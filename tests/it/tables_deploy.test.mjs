// SPDX-License-Identifier: Apache-2.0
// Deployments, security, packages, projects, money and rules.
import { program, test, assert } from '../lib/harness.mjs';
import { makeTables } from '../lib/github.mjs';
import { repository, sender } from '../lib/project.mjs';

const project = await makeTables(program);
const organization = { id: 2, login: 'acme' };
const base = { repository, organization, sender };
const day = (d) => `2026-03-${String(d).padStart(2, '0')}T00:00:00Z`;
const seqs = {};

test('the events are projected', async () => {
	for (const event of ['deployment', 'deployment_status', 'deployment_review', 'code_scanning_alert', 'dependabot_alert', 'repository_vulnerability_alert', 'security_advisory', 'package', 'projects_v2_item', 'sponsorship', 'marketplace_purchase', 'branch_protection_rule'])
		await project.sendExamples(event);

	const deployment = { id: 11, sha: 'c'.repeat(40), ref: 'main', task: 'deploy', environment: 'production', payload: { a: 1 }, creator: sender, created_at: day(1), updated_at: day(1) };
	await project.send('deployment', { ...base, action: 'created', deployment, workflow_run: { id: 70, run_attempt: 1, updated_at: day(1) } });
	await project.send('deployment_status', { ...base, action: 'created', deployment: { ...deployment, updated_at: day(3) }, deployment_status: { id: 22, state: 'success', environment: 'production', created_at: day(3), updated_at: day(3) } });
	await project.send('deployment_status', { ...base, action: 'created', deployment: { ...deployment, updated_at: day(2) }, deployment_status: { id: 21, state: 'in_progress', environment: 'production', created_at: day(2), updated_at: day(2) } });
	seqs.approved = await project.send('deployment_review', { ...base, action: 'approved', approver: { id: 3, login: 'r' }, comment: 'go', workflow_run: { id: 70 }, workflow_job_run: { environment: 'production' } });
	seqs.rule = await project.send('deployment_protection_rule', { ...base, action: 'requested', environment: 'production', deployment });

	const secret = { number: 4, secret_type: 'token_x', secret_type_display_name: 'Token X', resolution: null, created_at: day(1), updated_at: day(2), publicly_leaked: false };
	await project.send('secret_scanning_alert', { ...base, action: 'resolved', alert: { ...secret, resolution: 'revoked', resolved_at: day(3), resolved_by: { id: 3, login: 'r' }, updated_at: day(3) } });
	await project.send('secret_scanning_alert', { ...base, action: 'created', alert: secret });
	await project.send('secret_scanning_alert', { ...base, action: 'created', alert: { ...secret, number: 5 } });
	seqs.location = await project.send('secret_scanning_alert_location', { ...base, action: 'created', alert: secret, location: { type: 'commit', details: { path: 'a.env', start_line: 2, end_line: 2, commit_sha: 'd'.repeat(40), blob_sha: 'e'.repeat(40) } } });
	await project.send('secret_scanning_scan', { ...base, action: 'completed', type: 'backfill', source: 'git', started_at: day(1), completed_at: day(2), secret_types: ['x', 'y'] });
	await project.send('dependabot_alert', { ...base, action: 'dismissed', alert: { number: 6, state: 'dismissed', dismissed_reason: 'tolerable_risk', dismissed_at: day(4), dismissed_by: sender, updated_at: day(4), created_at: day(1), security_advisory: { ghsa_id: 'GHSA-1', severity: 'high', summary: 'S', updated_at: day(1), cwes: [{ cwe_id: 'CWE-79' }] }, dependency: { package: { name: 'left', ecosystem: 'npm' }, manifest_path: 'package.json' } } });
	await project.send('dependabot_alert', { ...base, action: 'created', alert: { number: 6, state: 'open', updated_at: day(1), created_at: day(1), security_advisory: { ghsa_id: 'GHSA-1', severity: 'low', summary: 'Old', updated_at: day(0) } } });
	await project.send('repository_advisory', { ...base, action: 'published', repository_advisory: { ghsa_id: 'GHSA-2', summary: 'Two', state: 'published', severity: 'low', author: sender, updated_at: day(1) } });

	const registry = { id: 31, name: 'pkg', namespace: 'acme', ecosystem: 'CONTAINER', owner: { id: 2, login: 'acme' }, created_at: day(1), updated_at: day(2), package_version: { id: 32, version: 'v2', created_at: day(2), updated_at: day(2) } };
	await project.send('registry_package', { ...base, action: 'published', registry_package: registry });
	await project.send('package', { ...base, action: 'updated', package: { ...registry, updated_at: day(1), package_version: { ...registry.package_version, id: 33, version: 'v1' } } });
	const board = { id: 41, node_id: 'PVT_1', number: 1, title: 'Board', owner: { id: 2, login: 'acme' }, creator: sender, public: false, created_at: day(1), updated_at: day(1) };
	await project.send('projects_v2', { organization, sender, action: 'created', projects_v2: board });
	await project.send('projects_v2', { organization, sender, action: 'closed', projects_v2: { ...board, closed_at: day(2), updated_at: day(2) } });
	seqs.board = await project.send('projects_v2', { organization, sender, action: 'deleted', projects_v2: { ...board, id: 42 } });
	await project.send('projects_v2_status_update', { organization, sender, action: 'created', projects_v2_status_update: { id: 43, project_node_id: 'PVT_1', status: 'ON_TRACK', start_date: '2026-03-01', body: 'well', updated_at: day(1) } });
	seqs.sponsor = await project.send('sponsorship', { sender, action: 'cancelled', sponsorship: { node_id: 'S1', sponsorable: sender, sponsor: { id: 3, login: 'r' }, privacy_level: 'public', tier: { name: '$5', monthly_price_in_cents: 500 } } });
	await project.send('marketplace_purchase', { sender, action: 'pending_change', effective_date: day(9), marketplace_purchase: { account: { id: 18404719, login: 'x' }, plan: { id: 999, name: 'Later' } } });

	const property = { property_name: 'tier', value_type: 'single_select', required: true, default_value: 'b', allowed_values: ['a', 'b'] };
	await project.send('custom_property', { organization, sender, action: 'created', definition: property });
	await project.send('custom_property', { enterprise: { id: 7 }, sender, action: 'created', definition: { ...property, property_name: 'tags', default_value: ['x'] } });
	seqs.property = await project.send('custom_property', { organization, sender, action: 'deleted', definition: { property_name: 'old' } });
	await project.send('custom_property_values', { ...base, action: 'updated', new_property_values: [{ property_name: 'tier', value: 'a' }, { property_name: 'tags', value: ['x', 'y'] }], old_property_values: [{ property_name: 'tier', value: null }] });
	await project.send('custom_property_values', { ...base, action: 'updated', new_property_values: [{ property_name: 'tags', value: null }], old_property_values: [] });
	await project.send('repository_ruleset', { ...base, action: 'created', repository_ruleset: { id: 61, name: 'main', target: 'branch', enforcement: 'active', source_type: 'Repository', source: 'acme/hello', conditions: { ref_name: { include: ['~ALL'] } }, rules: [{ type: 'deletion' }], updated_at: day(1) } });
	seqs.audit = await project.send('security_and_analysis', { ...base, changes: { from: { security_and_analysis: { secret_scanning: { status: 'disabled' } } } } });
	await project.settle();
});

test('deployments and their statuses', async () => {
	assert.deepEqual(await project.query('select repo_id, sha, ref, environment, payload, creator_id, updated_at::text, workflow_run_id from gh.deployments where id = 11'),
		[['10', 'c'.repeat(40), 'main', 'production', '{"a": 1}', '1', '2026-03-03 00:00:00+00', '70']]);
	assert.deepEqual(await project.query('select id, state, deployment_id from gh.deployment_statuses where deployment_id = 11 order by id'), [['21', 'in_progress', '11'], ['22', 'success', '11']]);
	assert.deepEqual(await project.query('select environment, workflow_run_id from gh.deployments where id = 145988746'), [['github-pages', '289782451']]);
	assert.deepEqual(await project.query('select state, deployment_id, updated_at::text from gh.deployment_statuses where id = 209916254'), [['in_progress', '145988746', '2022-01-03 01:28:40+00']]);
});

test('reviews of deployments', async () => {
	assert.deepEqual(await project.query(`select kind, action, environment, workflow_run_id, approver_id, comment, deployment_id from gh.deployment_reviews where seq in (${seqs.approved}, ${seqs.rule}) order by seq`), [
		['review', 'approved', 'production', '70', '3', 'go', null],
		['protection_rule', 'requested', 'production', null, null, null, '11'],
	]);
	assert.deepEqual(await project.query('select action, environment, requestor_id from gh.deployment_reviews where workflow_run_id = 5453085689'), [['requested', 'TST', '3263338']]);
});

test('security alerts of all kinds', async () => {
	assert.deepEqual(await project.query('select kind, number, state, severity, rule, package, resolution, resolved_by_id from gh.security_alerts where repo_id = 10 order by kind, number'), [
		['dependabot', '6', 'dismissed', 'high', 'GHSA-1', 'left', 'tolerable_risk', '1'],
		['secret_scanning', '4', 'resolved', null, 'token_x', null, 'revoked', '3'],
		['secret_scanning', '5', 'open', null, 'token_x', null, null, null],
	]);
	assert.deepEqual(await project.query("select kind, number, state, severity, rule, ref from gh.security_alerts where repo_id in (186853002, 337911632) order by repo_id, kind, number"), [
		['code_scanning', '10', 'open', 'note', 'Style/FrozenStringLiteralComment', 'refs/heads/master'],
		['legacy', '2', 'open', 'moderate', 'GHSA-qqgx-2p2h-9c37', null],
		['legacy', '91095730', 'open', 'moderate', 'GHSA-hg78-4f6x-99wq', null],
		['code_scanning', '10', 'fixed', 'error', 'java/sql-injection', 'refs/pull/11/merge'],
	]);
	assert.deepEqual(await project.query('select alert_number, type, path, start_line, commit_sha from gh.security_alert_locations'), [['4', 'commit', 'a.env', '2', 'd'.repeat(40)]]);
	assert.deepEqual(await project.query('select type, source, secret_types from gh.security_scans'), [['backfill', 'git', '{x,y}']]);
});

test('security advisories', async () => {
	assert.deepEqual(await project.query("select ghsa_id, summary, severity, cwe_ids, repo_id, state from gh.security_advisories where ghsa_id in ('GHSA-1', 'GHSA-2') order by 1"), [
		['GHSA-1', 'S', 'high', '{CWE-79}', null, null],
		['GHSA-2', 'Two', 'low', null, '10', 'published'],
	]);
	assert.deepEqual(await project.query("select severity, withdrawn_at::text from gh.security_advisories where ghsa_id = 'GHSA-8v27-2fg9-7h62'"), [['critical', '2021-05-06 16:13:08+00']]);
});

test('packages', async () => {
	assert.deepEqual(await project.query('select name, namespace, owner_id, latest_version_id from gh.packages where id = 31'), [['pkg', 'acme', '2', '32']]);
	assert.deepEqual(await project.query('select id, version from gh.package_versions where package_id = 31 order by 1'), [['32', 'v2'], ['33', 'v1']]);
	assert.deepEqual(await project.query('select package_id, version, release_id from gh.package_versions where id = 24147'), [['10696', '1.0.0', '17264286']]);
});

test('projects', async () => {
	assert.deepEqual(await project.query('select id, title, closed_at::text, deleted_seq from gh.projects order by id'), [['41', 'Board', '2026-03-02 00:00:00+00', null], ['42', 'Board', null, String(seqs.board)]]);
	assert.deepEqual(await project.query('select status, start_date, body from gh.project_status_updates'), [['ON_TRACK', '2026-03-01', 'well']]);
	assert.deepEqual(await project.query('select id, content_type, archived_at from gh.project_items order by id'), [['15', 'DraftIssue', null], ['5678510', 'DraftIssue', null], ['5679898', 'Issue', null]]);
});

test('sponsorships and purchases', async () => {
	assert.deepEqual(await project.query("select node_id, monthly_cents, deleted_seq, pending_action, effective_at::text from gh.sponsorships order by 1"), [
		['MDExOlNwb25zb3JzaGlwMQ==', '500', null, 'pending_tier_change', '2019-12-30 00:00:00+00'],
		['S1', '500', String(seqs.sponsor), null, null],
	]);
	assert.deepEqual(await project.query('select account_id, plan_id, plan_name, deleted_at is not null from gh.marketplace_purchases order by 1'), [['18404719', '435', 'Basic Plan', 'f'], ['28536653', '686', 'Premium Plan', 't']]);
});

test('properties and rules', async () => {
	assert.deepEqual(await project.query('select owner_kind, owner_id, name, required, default_value, allowed_values, deleted_seq from gh.custom_properties order by 1, 2, 3'), [
		['enterprise', '7', 'tags', 't', '["x"]', '{a,b}', null],
		['organization', '2', 'old', null, null, null, String(seqs.property)],
		['organization', '2', 'tier', 't', '"b"', '{a,b}', null],
	]);
	assert.deepEqual(await project.query('select repo_id, name, value from gh.repository_properties order by 2'), [['10', 'tags', null], ['10', 'tier', '"a"']]);
	assert.deepEqual(await project.query("select name, enforcement, conditions->'ref_name'->'include'->>0, rules->0->>'type' from gh.rulesets"), [['main', 'active', '~ALL', 'deletion']]);
	assert.deepEqual(await project.query('select id, repo_id, name, required_status_checks, deleted_at is not null from gh.branch_protection_rules order by id'), [
		['21796960', '259377789', 'production', '{basic-CI}', 't'],
		['37429269', '640412585', 'main', '{test}', 'f'],
	]);
	assert.deepEqual(await project.query(`select event, changes->'from'->'security_and_analysis'->'secret_scanning'->>'status' from gh.audit_changes where seq = ${seqs.audit}`), [['security_and_analysis', 'disabled']]);
});
