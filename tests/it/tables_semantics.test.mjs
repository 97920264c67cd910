// SPDX-License-Identifier: Apache-2.0
// What holds for every table, each with a history made up for it and rows worked out by hand: accounts and forks that are gone,
// a thing that comes back, one event through several hooks, two changes within a second, and by which way a row was told.
import { program, test, assert } from '../lib/harness.mjs';
import { runOk } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { fullPull, makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const pg = await startPostgres(program);
const at = (n) => `2026-01-01T00:00:${String(n).padStart(2, '0')}Z`;
const base = { sender, repository };
const issue = (id, n, more = {}) => ({ id, number: id, title: `t${n}`, state: 'open', user: sender, created_at: at(0), updated_at: at(n), ...more });

// events: [event, payload, {origin, hook, delivery}]. apart: each is received at a time of its own.
async function projected(t, events, { apart = false } = {}) {
	const log = await makeLog(t, { receive: false });
	const lines = events.map(([event, payload, { origin = 'webhook', hook = '1', delivery } = {}], k) => JSON.stringify({
		seq: k + 1, origin, source: 'gh', provider: 'github', event, delivery: delivery ?? `d${k}`, hook, content_type: 'application/json', body: JSON.stringify(payload) }));
	for (const input of apart ? lines : [lines.join('\n')])
		await runOk(['log', 'import', '-', '--data', log.dir], { input });
	log.sent = events.length;
	const project = await makeProject(t, log, pg);
	await project.runOk('run', '--to', String(log.sent));
	assert.equal(await project.value('select count(*) from hooklog.parked_events'), '0');
	return project;
}

test('accounts that are gone: null in the tables, ghost where names are shown', async (t) => {
	const project = await projected(t, [
		['issues', { ...base, action: 'opened', issue: issue(1, 1) }],
		['issues', { ...base, action: 'edited', issue: issue(1, 2, { user: null }) }],
		['issue_comment', { ...base, action: 'created', issue: issue(1, 3, { user: null }), comment: { id: 5, user: null, body: 'b', created_at: at(3), updated_at: at(3) } }],
		['pull_request', { ...base, action: 'opened', pull_request: fullPull(7, at(4), { user: null, created_at: at(4), merged_by: null, assignees: [sender] }) }],
		['pull_request_review', { ...base, action: 'submitted', sender: null, pull_request: fullPull(7, at(5), { user: null, created_at: at(4) }), review: { id: 9, user: null, state: 'approved', body: 'fine', submitted_at: at(5) } }],
		['issues', { ...base, action: 'opened', issue: issue(2, 6) }],
	]);
	assert.deepEqual(await project.query('select id, author_id from gh.issues order by 1'), [['1', null], ['2', '1']]);
	assert.deepEqual(await project.query('select id, author from hooklog.issues order by 1'), [['1', 'ghost'], ['2', 'mona']]);
	assert.deepEqual(await project.query('select id, author_id, author from hooklog.issue_comments'), [['5', null, 'ghost']]);
	assert.deepEqual(await project.query('select id, author_id, author from hooklog.pull_requests'), [['7', null, 'ghost']]);
	assert.deepEqual(await project.query('select id, author from hooklog.reviews'), [['9', 'ghost']]);
	assert.deepEqual(await project.query('select kind, id, author from hooklog.pull_request_comments'), [['review', '9', 'ghost']]);
	assert.deepEqual(await project.query('select seq, sender_id from hooklog.events where event = \'pull_request_review\''), [['5', null]]);
	// Nobody was made up for them.
	assert.deepEqual(await project.query("select id, login from gh.users order by 1"), [['1', 'mona'], ['2', 'acme']]);
});

test('a fork that is gone takes the branch of a pull request along, not the pull request', async (t) => {
	const fork = { ...repository, id: 44, name: 'fork', full_name: 'mona/fork', owner: { id: 1, login: 'mona', type: 'User' } };
	const head = (repo) => ({ label: 'mona:topic', ref: 'topic', sha: 'b'.repeat(40), user: sender, repo });
	const project = await projected(t, [
		['pull_request', { ...base, action: 'opened', pull_request: fullPull(7, at(1), { head: head(fork) }) }],
		['pull_request', { ...base, action: 'opened', pull_request: fullPull(8, at(2), { head: head(fork) }) }],
		['pull_request', { ...base, action: 'closed', pull_request: fullPull(7, at(3), { state: 'closed', head: head(null) }) }],
		['pull_request', { ...base, action: 'labeled', pull_request: fullPull(8, at(4), { head: { ...head(null), user: null } }) }],
	]);
	assert.deepEqual(await project.query('select id, state, head_repo_id, head_ref, head_sha, repo_id from gh.pull_requests order by 1'), [
		['7', 'closed', null, 'topic', 'b'.repeat(40), '10'], ['8', 'open', null, 'topic', 'b'.repeat(40), '10']]);
	// The fork itself was seen while it was there.
	assert.deepEqual(await project.query('select id, full_name from gh.repositories order by 1'), [['10', 'acme/hello'], ['44', 'mona/fork']]);
});

test('what was deleted stays so for events from before, and comes back with a newer one', async (t) => {
	const project = await projected(t, [
		['issues', { ...base, action: 'opened', issue: issue(1, 1) }],
		['issues', { ...base, action: 'deleted', issue: issue(1, 5) }],
		['issues', { ...base, action: 'edited', issue: issue(1, 4, { title: 'late' }) }], // sent before the deletion
		['issues', { ...base, action: 'deleted', issue: issue(2, 5) }],
		['issues', { ...base, action: 'edited', issue: issue(2, 6, { title: 'back' }) }],
	]);
	assert.deepEqual(await project.query('select id, title, deleted_at is not null, deleted_seq from gh.issues order by 1'), [['1', 't5', 't', '2'], ['2', 'back', 'f', null]]);
	assert.deepEqual(await project.query('select id from hooklog.issues'), [['2']]);
});

test('two changes within a second: the state decides, else the order of the log', async (t) => {
	const run = (status, conclusion = null) => ({ id: 6, run_attempt: 1, workflow_id: 7, status, conclusion, created_at: at(1), run_started_at: at(1), updated_at: at(1) });
	const project = await projected(t, [
		['workflow_run', { ...base, action: 'completed', workflow_run: run('completed', 'success') }],
		['workflow_run', { ...base, action: 'requested', workflow_run: run('queued') }], // was overtaken
		['issues', { ...base, action: 'labeled', issue: issue(1, 1, { title: 'first' }) }],
		['issues', { ...base, action: 'edited', issue: issue(1, 1, { title: 'second' }) }],
		// A mention is no news, even when it comes last.
		['issue_comment', { ...base, action: 'created', issue: issue(1, 1, { title: 'mentioned' }), comment: { id: 5, user: sender, body: 'b', created_at: at(1), updated_at: at(1) } }],
	]);
	assert.deepEqual(await project.query('select id, attempt, status, conclusion from gh.workflow_runs'), [['6', '1', 'completed', 'success']]);
	assert.deepEqual(await project.query('select id, title from gh.issues'), [['1', 'second']]);
});

test('one event through several hooks is one change', async (t) => {
	// The hooks of repository, organization and App: GitHub's id of the event is the same, or is not.
	const thrice = (event, payload, n) => [[event, payload, { hook: '1', delivery: `e${n}` }], [event, payload, { hook: '2', delivery: `e${n}` }], [event, payload, { hook: '3', delivery: `other${n}` }]];
	const once = await projected(t, [
		['issues', { ...base, action: 'closed', issue: issue(1, 2, { state: 'closed', closed_at: at(2) }) }],
		['issues', { ...base, action: 'reopened', issue: issue(1, 3) }],
		['repository', { ...base, action: 'renamed', repository: { ...repository, name: 'new', full_name: 'acme/new' }, changes: { repository: { name: { from: 'hello' } } } }],
	]);
	const several = await projected(t, [
		...thrice('issues', { ...base, action: 'closed', issue: issue(1, 2, { state: 'closed', closed_at: at(2) }) }, 1),
		...thrice('issues', { ...base, action: 'reopened', issue: issue(1, 3) }, 2),
		...thrice('repository', { ...base, action: 'renamed', repository: { ...repository, name: 'new', full_name: 'acme/new' }, changes: { repository: { name: { from: 'hello' } } } }, 3),
	]);
	for (const sql of ['select id, title, state, closed_at, version_at from gh.issues', 'select id, full_name, name from gh.repositories', 'select id, login from gh.users order by 1',
		'select repo_id, reason, old_name, new_name from gh.repository_names', 'select issue_id, reopened, open_hours from gh_metrics.issue_times'])
		assert.deepEqual(await several.query(sql), await once.query(sql), sql);
	assert.deepEqual(await several.query('select reopened from gh_metrics.issue_times'), [['1']]);
	assert.deepEqual(await several.query('select old_name, new_name from gh.repository_names'), [['hello', 'new']]);
	// Every delivery is an event of the log all the same.
	assert.equal(await several.value('select count(*) from hooklog.events'), '9');
});

test('each row knows when a webhook and when the API last told of it', async (t) => {
	const project = await projected(t, [
		['issues', { ...base, action: 'opened', issue: issue(1, 1) }],
		['issues', { ...base, issue: issue(1, 2) }, { origin: 'backfill' }],
		['issues', { ...base, issue: issue(1, 3) }, { origin: 'poll' }],
		['issues', { ...base, action: 'edited', issue: issue(1, 1) }], // old news is told, too
		['issues', { ...base, issue: issue(2, 1) }, { origin: 'reconcile' }],
	], { apart: true });
	const received = (await project.query('select received_at from hooklog.events order by seq')).map(([time]) => time);
	assert.equal(new Set(received).size, 5);
	assert.deepEqual(await project.query('select id, title, first_seq, last_seq, webhook_at, api_at from gh.issues order by 1'), [
		['1', 't3', '1', '4', received[3], received[2]],
		['2', 't1', '5', '5', null, received[4]],
	]);
	assert.deepEqual(await project.query('select seq, origin from hooklog.events order by 1'), [['1', '0'], ['2', '1'], ['3', '2'], ['4', '0'], ['5', '3']]);
	await project.runOk('verify');
});

test('absent keeps, null clears, and a short form leaves alone what only the long one tells', async (t) => {
	const milestone = { id: 3, number: 1, title: 'm', state: 'open', created_at: at(0), updated_at: at(0) };
	const short = fullPull(7, at(2), { title: 'short' });
	for (const name of ['additions', 'deletions', 'changed_files', 'commits', 'mergeable', 'merged_by', 'comments', 'review_comments', 'merged', 'maintainer_can_modify', 'rebaseable', 'mergeable_state'])
		delete short[name];
	const project = await projected(t, [
		['pull_request', { ...base, action: 'opened', pull_request: fullPull(7, at(1), { milestone, additions: 5 }) }],
		['pull_request_review_comment', { ...base, action: 'created', pull_request: { ...short, milestone: null }, comment: { id: 5, user: sender, body: 'b', created_at: at(2), updated_at: at(2) } }],
		['installation', { action: 'created', sender, installation: { id: 1, account: { id: 2, login: 'acme', type: 'Organization' } }, repositories: [{ id: 10, name: 'x', full_name: 'acme/x' }, { id: 11, name: 'y', full_name: 'acme/y' }] }],
		['pull_request', { ...base, action: 'opened', pull_request: fullPull(8, at(1), { milestone }) }],
	]);
	assert.deepEqual(await project.query('select id, title, milestone_id, additions, partial from gh.pull_requests order by 1'), [['7', 'short', null, '5', 'f'], ['8', fullPull(8, at(1)).title, '3', '5', 'f']]);
	// A stub never renames what an event of its own told; alone it is all there is.
	assert.deepEqual(await project.query('select id, full_name, default_branch, partial from gh.repositories order by 1'), [['10', 'acme/hello', 'main', 'f'], ['11', 'acme/y', null, 't']]);
});

test('comments of four kinds, which share no ids; commits of a push in their order; organizations by several ways', async (t) => {
	const say = (id, n, more = {}) => ({ id, user: sender, body: `said ${n}`, created_at: at(1), updated_at: at(n), author_association: 'MEMBER', ...more });
	const commit = (digit, distinct) => ({ id: digit.repeat(40), tree_id: 't', distinct, message: `m${digit}`, timestamp: at(1), author: { name: 'a', email: 'a@x' }, added: ['a'], removed: [], modified: ['b', 'c'] });
	const org = { ...base, organization: { id: 2, login: 'acme', node_id: 'O2', avatar_url: 'https://x/2', description: 'makes everything' } };
	const project = await projected(t, [
		['issue_comment', { ...base, action: 'created', issue: issue(1, 1), comment: say(5, 1) }],
		['issue_comment', { ...base, action: 'edited', issue: issue(1, 1), comment: say(5, 3, { body: 'said better' }) }],
		['issue_comment', { ...base, action: 'edited', issue: issue(1, 1), comment: say(5, 2) }], // late
		['pull_request_review_comment', { ...base, action: 'created', pull_request: fullPull(7, at(2)), comment: say(5, 2, { path: 'src/a.c', line: 12, commit_id: 'c'.repeat(40), pull_request_review_id: 9, in_reply_to_id: 4 }) }],
		['commit_comment', { ...base, action: 'created', comment: say(5, 4, { commit_id: 'd'.repeat(40), path: null, line: null }) }],
		['discussion_comment', { ...base, action: 'created', discussion: { id: 31, number: 9, title: 'Why', state: 'open', updated_at: at(2) }, comment: say(6, 2, { parent_id: 3 }) }],
		['discussion_comment', { ...base, action: 'deleted', discussion: { id: 31, number: 9, title: 'Why', state: 'open', updated_at: at(2) }, comment: say(6, 2, { parent_id: 3 }) }],
		['push', { ...org, ref: 'refs/heads/main', before: '0', after: '2', created: false, deleted: false, forced: false, pusher: { name: 'mona' }, commits: [commit('1', false), commit('2', true)], head_commit: commit('2', true) }],
		['push', { ...base, repository: { ...repository, id: 11, owner: { id: 3, login: 'other', type: 'Organization' } }, ref: 'refs/heads/main', before: '0', after: '1', created: false, deleted: false, forced: false, pusher: { name: 'mona' }, commits: [], head_commit: null }],
		['organization', { ...org, action: 'renamed', organization: { id: 2, login: 'acme2', node_id: 'O2', avatar_url: 'https://x/2', description: null }, changes: { login: { from: 'acme' } } }],
		['organization', { ...org, action: 'deleted', organization: { id: 3, login: 'other' } }],
	]);
	assert.deepEqual(await project.query('select kind, id, number, parent_id, in_reply_to, review_id, author_id, commit_sha, path, line, body, deleted_seq from gh.comments order by kind, id'), [
		['commit', '5', null, null, null, null, '1', 'd'.repeat(40), null, null, 'said 4', null],
		['discussion', '6', '9', '31', '3', null, '1', null, null, null, 'said 2', '7'],
		['issue', '5', '1', '1', null, null, '1', null, null, null, 'said better', null],
		['review', '5', '7', '7', '4', '9', '1', 'c'.repeat(40), 'src/a.c', '12', 'said 2', null],
	]);
	assert.deepEqual(await project.query('select seq, position, repo_id, sha, is_distinct from gh.push_commits order by 1, 2'), [['8', '0', '10', '1'.repeat(40), 'f'], ['8', '1', '10', '2'.repeat(40), 't']]);
	assert.deepEqual(await project.query('select sha, added, removed, modified, message from gh.commits order by 1'), [['1'.repeat(40), '1', '0', '2', 'm1'], ['2'.repeat(40), '1', '0', '2', 'm2']]);
	assert.deepEqual(await project.query('select id, login, description, partial, deleted_at is not null from gh.organizations order by 1'), [['2', 'acme2', null, 'f', 'f'], ['3', 'other', null, 't', 't']]);
});
