// SPDX-License-Identifier: Apache-2.0
// Teams, members, collaborators, installations, hooks and renames.
import { program, test, assert } from '../lib/harness.mjs';
import { makeTables } from '../lib/github.mjs';
import { repository, sender } from '../lib/project.mjs';

const project = await makeTables(program);
const organization = { id: 2, login: 'acme', node_id: 'O2' };
const base = { repository, organization, sender };
const user = (id) => ({ id, login: `u${id}`, type: 'User' });
const team = (id, more = {}) => ({ id, name: `team ${id}`, slug: `team-${id}`, privacy: 'closed', permission: 'pull', parent: null, ...more });
const seqs = {};

test('the events are projected', async () => {
	for (const event of ['team', 'team_add', 'membership', 'organization', 'member', 'installation', 'installation_repositories', 'ping', 'meta', 'org_block', 'github_app_authorization', 'repository', 'repository_import'])
		await project.sendExamples(event);

	const org = { organization, sender };
	await project.send('team', { ...org, action: 'created', team: team(51, { parent: { id: 50, name: 'all', slug: 'all' } }) });
	await project.send('team', { ...org, action: 'edited', team: team(51, { name: 'core' }) });
	await project.send('team', { ...org, action: 'created', team: team(52, { parent: { id: 50, name: 'all', slug: 'all' } }) });
	seqs.team = await project.send('team', { ...org, action: 'deleted', team: team(53) });
	await project.send('team', { ...base, action: 'added_to_repository', team: team(51), repository: { ...repository, role_name: 'write', permissions: { push: true } } });
	await project.send('team_add', { ...base, team: team(52) });
	seqs.access = await project.send('team', { ...base, action: 'removed_from_repository', team: team(52) });
	const member = (action, id, more) => ({ ...org, action, scope: 'team', member: user(id), team: team(51), ...more });
	await project.send('membership', member('added', 61));
	await project.send('membership', member('added', 62));
	seqs.left = await project.send('membership', member('removed', 62));
	await project.send('membership', member('removed', 63));
	await project.send('membership', member('added', 63));
	const inOrg = (action, id, role) => ({ ...org, action, membership: { user: user(id), role, state: 'active' } });
	await project.send('organization', inOrg('member_added', 61, 'admin'));
	await project.send('organization', inOrg('member_added', 62, 'member'));
	seqs.fired = await project.send('organization', inOrg('member_removed', 62, 'member'));
	await project.send('organization', { ...org, action: 'member_invited', invitation: { id: 900, login: 'u64' }, user: user(64) });
	await project.send('member', { ...base, action: 'added', member: user(61), changes: { permission: { to: 'write' }, role_name: { to: 'maintain' } } });
	await project.send('member', { ...base, action: 'edited', member: user(61), changes: { old_permission: { from: 'read' } } });
	await project.send('member', { ...base, action: 'added', member: user(65) });
	seqs.cut = await project.send('member', { ...base, action: 'removed', member: user(65) });

	const installation = { id: 71, account: { id: 2, login: 'acme', type: 'Organization' }, app_id: 5, app_slug: 'ci', target_id: 2, target_type: 'Organization', repository_selection: 'selected', permissions: { checks: 'write' }, events: ['push'], created_at: 1700000000, updated_at: 1700000100, suspended_at: null };
	const stub = (id) => ({ id, name: `r${id}`, full_name: `acme/r${id}`, private: true });
	await project.send('installation', { sender, action: 'created', installation, repositories: [stub(81), stub(82)] });
	await project.send('installation_repositories', { sender, action: 'added', installation, repositories_added: [stub(83)], repositories_removed: [] });
	seqs.taken = await project.send('installation_repositories', { sender, action: 'removed', installation: { ...installation, updated_at: 1700000200 }, repositories_added: [], repositories_removed: [stub(81)] });
	// Any event names the installation it came by; that tells nothing more.
	await project.send('issues', { ...base, action: 'opened', installation: { id: 71, node_id: 'x' }, issue: { id: 1, number: 1, updated_at: '2026-01-01T00:00:00Z' } });
	await project.send('issues', { ...base, action: 'opened', installation: { id: 72, node_id: 'y' }, issue: { id: 1, number: 1, updated_at: '2026-01-01T00:00:00Z' } });
	seqs.uninstalled = await project.send('installation', { sender, action: 'deleted', installation: { ...installation, id: 73 }, repositories: [stub(84)] });

	await project.send('ping', { ...base, zen: 'z', hook_id: 95, hook: { id: 95, type: 'Repository', name: 'web', active: true, events: ['push'], config: { url: 'https://x.example.com', content_type: 'json', insecure_ssl: '0', secret: 'never kept' }, updated_at: '2026-01-01T00:00:00Z' } });
	seqs.unhooked = await project.send('meta', { ...base, action: 'deleted', hook_id: 95, hook: { id: 95, type: 'Repository', name: 'web', active: true, events: ['push'], config: { url: 'https://x.example.com' }, updated_at: '2026-01-02T00:00:00Z' } });

	seqs.renamed = await project.send('repository', { ...base, action: 'renamed', repository: { ...repository, name: 'new', full_name: 'acme/new' }, changes: { repository: { name: { from: 'hello' } } } });
	await project.send('repository', { ...base, action: 'transferred', changes: { owner: { from: { user: user(66) } } } });
	await project.send('organization', { ...org, action: 'renamed', changes: { login: { from: 'acne' } } });
	await project.send('installation_target', { sender, action: 'renamed', installation: { id: 71 }, target_type: 'User', account: { id: 67, login: 'now' }, changes: { login: { from: 'then' } } });
	const request = { id: 77, owner: user(61), created_at: '2026-01-01T00:00:00Z', repositories: [stub(81)], token_id: 4, token_name: 't', token_expired: false };
	await project.send('personal_access_token_request', { ...org, action: 'denied', personal_access_token_request: request });
	await project.send('personal_access_token_request', { ...org, action: 'created', personal_access_token_request: request });
	await project.settle();
});

test('teams: parents come and go', async () => {
	assert.deepEqual(await project.query('select id, org_id, name, parent_id, deleted_seq from gh.teams where id between 50 and 53 order by id'), [
		['50', '2', 'all', null, null],
		['51', '2', 'team 51', null, null],
		['52', '2', 'team 52', null, null],
		['53', '2', 'team 53', null, String(seqs.team)],
	]);
	assert.deepEqual(await project.query('select name, slug, privacy, permission, deleted_at is not null from gh.teams where id = 3253328'), [['github', 'github', 'secret', 'pull', 'f']]);
});

test('members of teams and organizations, collaborators, access of teams', async () => {
	assert.deepEqual(await project.query('select team_id, user_id, org_id, deleted_seq from gh.team_members where team_id = 51 order by 2'),
		[['51', '61', '2', null], ['51', '62', '2', String(seqs.left)], ['51', '63', '2', null]]);
	assert.deepEqual(await project.query('select user_id, role, state, deleted_seq from gh.org_members where org_id = 2 order by 1'),
		[['61', 'admin', 'active', null], ['62', 'member', 'active', String(seqs.fired)]]);
	assert.deepEqual(await project.query('select user_id, permission, role_name, deleted_seq from gh.collaborators where repo_id = 10 order by 1'),
		[['61', 'write', 'maintain', null], ['65', null, null, String(seqs.cut)]]);
	assert.deepEqual(await project.query('select team_id, role_name, permissions, deleted_seq from gh.team_repositories where repo_id = 10 order by 1'),
		[['51', 'write', '{"push": true}', null], ['52', null, null, String(seqs.access)]]);
	// The examples: a member that left last, and an invited one.
	assert.deepEqual(await project.query('select user_id, deleted_at is not null from gh.team_members where team_id = 3253328'), [['21031067', 't']]);
	assert.deepEqual(await project.query('select user_id, role, state from gh.org_members where org_id = 38302899'), [['39652351', 'member', 'pending']]);
});

test('installations and their repositories', async () => {
	assert.deepEqual(await project.query('select id, app_slug, account_login, repository_selection, permissions, events, updated_at = to_timestamp(1700000200), partial, deleted_seq from gh.installations where id between 71 and 73 order by id'), [
		['71', 'ci', 'acme', 'selected', '{"checks": "write"}', '{push}', 't', 'f', null],
		['72', null, null, null, null, null, null, 't', null],
		['73', 'ci', 'acme', 'selected', '{"checks": "write"}', '{push}', 'f', 'f', String(seqs.uninstalled)],
	]);
	assert.deepEqual(await project.query('select installation_id, repo_id, full_name, deleted_seq from gh.installation_repositories where installation_id between 71 and 73 order by 1, 2'), [
		['71', '81', 'acme/r81', String(seqs.taken)],
		['71', '82', 'acme/r82', null],
		['71', '83', 'acme/r83', null],
		['73', '84', 'acme/r84', String(seqs.uninstalled)],
	]);
	assert.deepEqual(await project.query('select id, full_name, partial, deleted_at from gh.repositories where id = 81'), [['81', 'acme/r81', 't', null]]);
	assert.deepEqual(await project.query('select app_id, account_id, created_at::text from gh.installations where id = 2'), [['5725', '1', '2018-04-30 17:38:18+00']]);
});

test('hooks', async () => {
	assert.deepEqual(await project.query('select type, url, repo_id, deleted_seq from gh.hooks where id = 95'), [['Repository', 'https://x.example.com', '10', String(seqs.unhooked)]]);
	assert.deepEqual(await project.query('select id, type, active, deleted_at is not null from gh.hooks where id > 1000 order by id'),
		[['101047067', 'Repository', 't', 't'], ['109948940', 'Repository', 't', 'f'], ['266738161', 'Organization', 't', 'f']]);
	assert.equal(await project.value("select count(*) from gh.hooks h where row_to_json(h)::text like '%never kept%'"), '0');
});

test('renames and transfers', async () => {
	assert.deepEqual(await project.query('select kind, id, reason, old_name, new_name, full_name from gh.account_names where id in (2, 10, 67) order by seq'), [
		['repository', '10', 'rename', 'hello', 'new', 'acme/new'],
		['repository', '10', 'transfer', 'u66', 'acme', 'acme/hello'],
		['organization', '2', 'rename', 'acne', 'acme', null],
		['user', '67', 'rename', 'then', 'now', null],
	]);
	assert.equal(await project.value("select login from gh.users where id = 66"), 'u66');
	assert.deepEqual(await project.query("select kind, reason, old_name from gh.account_names where old_name = 'Octocoders'"), [['organization', 'rename', 'Octocoders']]);
});

test('requests for tokens, whichever event comes first', async () => {
	assert.deepEqual(await project.query('select state, org_id, owner_id, repository_ids, token_name from gh.pat_requests where id = 77'), [['denied', '2', '61', '{81}', 't']]);
});

test('changes that leave nothing behind', async () => {
	assert.deepEqual(await project.query("select event, action, target_user_id, count(*) from gh.audit_changes where org_id is distinct from 2 group by 1, 2, 3 order by 1, 2"), [
		['github_app_authorization', 'revoked', null, '2'],
		['meta', 'deleted', null, '2'],
		['org_block', 'blocked', '39652351', '3'],
		['org_block', 'unblocked', '39652351', '1'],
		['repository_import', 'success', null, '2'],
	]);
});
