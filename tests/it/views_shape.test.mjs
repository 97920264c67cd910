// SPDX-License-Identifier: Apache-2.0
// The views on top of the tables: sets one per row, the provider-neutral ones, and the metrics, each over a
// small made-up history that was counted by hand.
import fs from 'node:fs';
import path from 'node:path';
import { program, test, assert } from '../lib/harness.mjs';
import { makeTables } from '../lib/github.mjs';
import { root } from '../lib/hooklog.mjs';
import { fullPull, makeDefinitions, repository, sender, thinPull } from '../lib/project.mjs';

const project = await makeTables(program);
const base = { repository, sender };
const author = { id: 1, login: 'mona', type: 'User' };
const other = { id: 3, login: 'rev', type: 'User' };
const bot = { id: 4, login: 'helper[bot]', type: 'Bot' };
const hour = (h, d = 2) => new Date(Date.UTC(2026, 2, d, h)).toISOString().replace('.000', '');

const pull = (id, more) => fullPull(id, hour(23, 20), { user: author, created_at: hour(0), labels: [], assignees: [], requested_reviewers: [], requested_teams: [], ...more });
const issue = (id, more) => ({ id, number: id, title: `i${id}`, state: 'open', user: author, created_at: hour(0), updated_at: hour(1), ...more });
const said = (id, user, at) => ({ id, user, body: `said ${id}`, created_at: at, updated_at: at });

test('the history is projected', async () => {
	// 101 waits as a draft for 4 hours; a bot speaks after 5, its author after 6, rev after 7, rev reviews after
	// 8, and it is merged after 10. 102 was ready at once, reviewed after 2, merged after 4. 103 is of a bot.
	await project.send('push', { ...base, ref: 'refs/heads/topic', before: '0', after: '1', created: true, deleted: false, forced: false, commits: [{ id: 'a'.repeat(40), tree_id: 't', timestamp: hour(22, 1), author: { name: 'm', email: 'm' }, added: [], removed: [], modified: [] }], head_commit: null, pusher: { name: 'mona' } });
	await project.send('pull_request', { ...base, action: 'opened', pull_request: pull(101, { draft: true, updated_at: hour(0) }) });
	await project.send('pull_request', { ...base, action: 'ready_for_review', pull_request: pull(101, { updated_at: hour(4) }) });
	const on101 = issue(1101, { number: 101, pull_request: { url: 'x' } });
	await project.send('issue_comment', { ...base, action: 'created', issue: on101, comment: said(11, bot, hour(5)), sender: bot });
	await project.send('issue_comment', { ...base, action: 'created', issue: on101, comment: said(12, author, hour(6)) });
	await project.send('issue_comment', { ...base, action: 'created', issue: on101, comment: said(13, other, hour(7)), sender: other });
	await project.send('pull_request_review', { ...base, action: 'submitted', sender: other, pull_request: thinPull(101, hour(8)), review: { id: 21, state: 'approved', user: other, body: 'fine', submitted_at: hour(8) } });
	await project.send('pull_request_review_comment', { ...base, action: 'created', sender: other, pull_request: thinPull(101, hour(8)), comment: said(14, other, hour(8)) });
	await project.send('pull_request', { ...base, action: 'closed', pull_request: pull(101, { state: 'closed', merged: true, merged_at: hour(10), closed_at: hour(10), updated_at: hour(10), labels: [{ id: 51, name: 'bug' }], assignees: [author], requested_reviewers: [other], requested_teams: [{ id: 8, name: 'core' }] }) });
	await project.send('pull_request', { ...base, action: 'opened', pull_request: pull(102, { updated_at: hour(0) }) });
	await project.send('pull_request_review', { ...base, action: 'submitted', sender: other, pull_request: thinPull(102, hour(2)), review: { id: 22, state: 'commented', user: other, body: null, submitted_at: hour(2) } });
	await project.send('pull_request', { ...base, action: 'closed', pull_request: pull(102, { state: 'closed', merged: true, merged_at: hour(4), closed_at: hour(4), updated_at: hour(4) }) });
	await project.send('pull_request', { ...base, action: 'opened', sender: bot, pull_request: pull(103, { user: bot, updated_at: hour(0) }) });
	await project.send('pull_request', { ...base, action: 'closed', sender: bot, pull_request: pull(103, { user: bot, state: 'closed', merged: true, merged_at: hour(1), closed_at: hour(1), updated_at: hour(1) }) });
	await project.send('pull_request', { ...base, action: 'opened', pull_request: pull(104, { draft: true, updated_at: hour(0) }) });

	await project.send('issues', { ...base, action: 'opened', issue: issue(31, { labels: [{ id: 51, name: 'bug' }, { id: 52, name: 'ui' }], assignees: [author] }) });
	await project.send('issue_comment', { ...base, action: 'created', issue: issue(31), comment: said(15, other, hour(3)) });
	await project.send('issues', { ...base, action: 'deleted', issue: issue(32, { labels: [{ id: 51, name: 'bug' }] }) });
	// Closed after 2 hours, opened again 3 hours later, closed for good 5 hours after that.
	const life = (action, at, more) => project.send('issues', { ...base, action, issue: issue(33, { updated_at: at, ...more }) });
	await life('opened', hour(0));
	await life('closed', hour(2), { state: 'closed', closed_at: hour(2) });
	await life('reopened', hour(5));
	await life('closed', hour(10), { state: 'closed', closed_at: hour(10) });
	await project.send('pull_request', { ...base, action: 'closed', pull_request: pull(105, { state: 'closed', created_at: hour(6), closed_at: hour(9), updated_at: hour(9), head: { sha: 'c'.repeat(40), repo: repository } }) });

	const run = (id, attempt, conclusion, from, to) => project.send('workflow_run', { ...base, action: 'completed', workflow_run: { id, run_attempt: attempt, workflow_id: 900, status: 'completed', conclusion, created_at: hour(0), run_started_at: from, updated_at: to } });
	await run(61, 1, 'failure', hour(1), hour(2));
	await run(61, 2, 'success', hour(3), hour(6));
	await run(62, 1, 'cancelled', hour(3), hour(5));
	await project.send('workflow_job', { ...base, action: 'completed', workflow_job: { id: 71, run_id: 61, run_attempt: 1, status: 'completed', conclusion: 'failure', created_at: hour(0), started_at: hour(1), completed_at: hour(2) } });
	const deploy = async (id, sha, environment, states) => {
		const deployment = { id, sha, environment, created_at: hour(11), updated_at: hour(11) };
		for (const [k, [state, at]] of states.entries())
			await project.send('deployment_status', { ...base, action: 'created', deployment, deployment_status: { id: id * 10 + k, state, created_at: at, updated_at: at } });
	};
	await deploy(1, 'a'.repeat(40), 'production', [['in_progress', hour(11)], ['success', hour(12)], ['inactive', hour(13)]]);
	await deploy(2, 'b'.repeat(40), 'Prod-eu', [['failure', hour(13)], ['success', hour(14)]]);
	await deploy(3, 'a'.repeat(40), 'staging', [['success', hour(11)]]);
	const alert = (number, state, created) => project.send('dependabot_alert', { ...base, action: 'created', alert: { number, state, created_at: created, updated_at: created, security_advisory: { ghsa_id: `G${number}`, summary: 's', severity: 'high', updated_at: created } } });
	await alert(1, 'open', hour(0));
	await alert(2, 'open', hour(0, 4));
	await alert(3, 'fixed', hour(0, 1));
	await project.send('repository', { ...base, action: 'renamed', changes: { repository: { name: { from: 'old' } } } });
	await project.send('repository', { ...base, action: 'deleted', repository: { ...repository, id: 12, full_name: 'acme/gone' } });
	await project.settle();
});

test('sets, one per row', async () => {
	assert.deepEqual(await project.query('select issue_id, label_id from gh.issue_labels order by 2'), [['31', '51'], ['31', '52']]);
	assert.deepEqual(await project.query('select issue_id, user_id from gh.issue_assignees'), [['31', '1']]);
	assert.deepEqual(await project.query('select pull_request_id, label_id from gh.pull_request_labels'), [['101', '51']]);
	assert.deepEqual(await project.query('select pull_request_id, user_id from gh.pull_request_assignees'), [['101', '1']]);
	assert.deepEqual(await project.query('select pull_request_id, user_id, team_id from gh.pull_request_reviewers order by 2'), [['101', '3', null], ['101', null, '8']]);
	assert.deepEqual(await project.query('select repo_id, old_name, new_name, full_name_after from gh.repository_names'), [['10', 'old', 'hello', 'acme/hello']]);
});

test('the provider-neutral views', async () => {
	assert.deepEqual(await project.query('select provider, id, full_name, owner_id from hooklog.repositories'), [['github', '10', 'acme/hello', '2']]);
	assert.deepEqual(await project.query('select id, login from hooklog.owners'), [['2', 'acme']]);
	assert.deepEqual(await project.query('select id, login, is_bot from hooklog.users order by id'), [['1', 'mona', 'f'], ['3', 'rev', 'f'], ['4', 'helper[bot]', 't']]);
	assert.deepEqual(await project.query('select id, number, state from hooklog.issues order by id'), [['31', '31', 'open'], ['33', '33', 'closed']]);
	assert.deepEqual(await project.query('select id, issue_id, author_id from hooklog.issue_comments'), [['15', '31', '3']]);
	assert.deepEqual(await project.query('select id, state, draft from hooklog.pull_requests order by id'), [['101', 'merged', 'f'], ['102', 'merged', 'f'], ['103', 'merged', 'f'], ['104', 'open', 't'], ['105', 'closed', 'f']]);
	assert.deepEqual(await project.query('select id, pull_request_id, state from hooklog.reviews order by id'), [['21', '101', 'approved'], ['22', '102', 'commented']]);
	assert.deepEqual(await project.query('select kind, id, number, body from hooklog.pull_request_comments order by kind, id'), [
		['conversation', '11', '101', 'said 11'], ['conversation', '12', '101', 'said 12'], ['conversation', '13', '101', 'said 13'],
		['line', '14', '101', 'said 14'],
		['review', '21', '101', 'fine'],
	]);
});

test('times of pull requests: bots, their author and drafts do not count', async () => {
	assert.deepEqual(await project.query(`select pull_request_id, coding_seconds / 3600, response_seconds / 3600, pickup_seconds / 3600,
		review_seconds / 3600, cycle_seconds / 3600, comments, approvals, lines, excluded from gh_metrics.pull_request_times order by 1`), [
		['101', '2', '3', '4', '2', '6', '2', '1', '7', null],
		['102', '2', '2', '2', '2', '4', '0', '0', '7', null],
		['103', '2', null, null, null, '1', '0', '0', '7', 'bot'],
		['104', '2', null, null, null, null, '0', '0', '7', 'draft'],
		['105', null, null, null, null, null, '0', '0', '7', null],
	]);
});

test('the cycle of pull requests per week', async () => {
	// Cycles of 6 and 4 hours, pickups of 4 and 2, reviews of 2 and 2; the bot's is left out.
	assert.deepEqual(await project.query('select repo_id, week, n, excluded_bots, cycle_median, round(cycle_p90::numeric, 3), pickup_median, round(pickup_p90::numeric, 3), review_median, review_p90 from gh_metrics.pull_request_weeks'),
		[['10', '2026-03-02', '2', '1', '5', '5.800', '3', '3.800', '2', '2']]);
});

test('merged and not, per week of the end', async () => {
	// 101 and 102 merged, 102 without an approval, 105 not; the bot's 103 beside.
	assert.deepEqual(await project.query('select repo_id, week, n, excluded_bots, merged, closed_unmerged, round(merge_rate::numeric, 3), merged_without_approval from gh_metrics.merge_weeks'),
		[['10', '2026-03-02', '3', '1', '2', '1', '0.667', '1']]);
});

test('time between pull requests', async () => {
	// Of people: 101, 102 and 104 at once, 105 six hours later.
	assert.deepEqual(await project.query('select repo_id, n, median, round(p90::numeric, 3) from gh_metrics.pull_request_gaps'), [['10', '3', '0', '4.800']]);
});

test('lead times end with the first deployment to production', async () => {
	// The head of both was committed 2 hours before midnight and deployed at 12; staging at 11 does not count.
	assert.deepEqual(await project.query('select pull_request_id, lead_seconds / 3600, reason from gh_metrics.pull_request_times_to_production order by 1'),
		[['101', '14', null], ['102', '14', null]]);
});

test('deployments to production', async () => {
	// One succeeded, one failed before it succeeded.
	assert.deepEqual(await project.query('select repo_id, week, n, succeeded, failed, change_failure_rate from gh_metrics.deployment_weeks'), [['10', '2026-03-02', '2', '1', '1', '0.5']]);
});

test('runs of workflows', async () => {
	// Of three attempts one succeeded, one failed, one was cancelled; they took 1, 2 and 3 hours; one waited an hour.
	assert.deepEqual(await project.query('select workflow_id, n, succeeded, failed, success_rate, seconds_median / 3600, round((seconds_p90 / 3600)::numeric, 3), queue_seconds_median / 3600, round(rerun_rate::numeric, 3) from gh_metrics.ci_weeks'),
		[['900', '3', '1', '1', '0.5', '2', '2.800', '1', '0.333']]);
});

test('issues: answers and the time they were open', async () => {
	assert.deepEqual(await project.query('select issue_id, response_hours, age_hours > 0, reopened, open_hours from gh_metrics.issue_times order by 1'), [
		['31', '3', 't', '0', null],
		['33', null, null, '1', '7'],
	]);
});

test('open alerts and counts of events', async () => {
	assert.deepEqual(await project.query("select repo_id, kind, severity, n, oldest_at::text, age_days_median > 0 from gh_metrics.security_open"), [['10', 'dependabot', 'high', '2', '2026-03-02 00:00:00+00', 't']]);
	assert.deepEqual(await project.query("select source, sum(n), min(first_seq) > 0 from gh_metrics.event_counts where event = 'workflow_run' and action = 'completed' group by 1"), [['gh', '3', 't']]);
});

test('every view of sql/views is there', async () => {
	const made = new Set((await project.query("select table_schema || '.' || table_name from information_schema.views")).map(([name]) => name));
	const missing = fs.readdirSync(path.join(root, 'sql/views')).map((name) => name.replace(/\.sql$/, '')).filter((name) => !made.has(name));
	assert.deepEqual(missing, []);
});

test('a table of the operator in place of ours takes along only the views that need what it lacks', async (t) => {
	const definitions = makeDefinitions(t);
	project.env.HOOKLOG_PROJECTOR_DIR = definitions.dir;
	definitions.write('issues.sql', '-- provider: github\n-- key: id\n-- rows: issue\ncreate table issues (\n\tname text, -- = title\n\tid bigint primary key\n);\n');
	await project.runOk('rebuild');
	assert.deepEqual(await project.query('select name from gh.issues where id = 31'), [['i31']]);
	assert.equal(await project.value("select to_regclass('gh.issue_labels')"), null);
	assert.equal(await project.value('select count(*) from hooklog.pull_requests'), '5');
	definitions.remove('issues.sql');
	await project.runOk('rebuild');
	assert.equal(await project.value('select count(*) from gh.issue_labels'), '2');
	assert.equal(await project.value('select count(*) from hooklog.issues'), '2');
});
