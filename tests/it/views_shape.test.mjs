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

test('time to restore, and lead times per week', async () => {
	// The second one failed at 13 and succeeded at 14. Both leads are 14 hours.
	assert.deepEqual(await project.query('select repo_id, environment, deployment_id, hours from gh_metrics.deployment_recoveries'), [['10', 'Prod-eu', '2', '1']]);
	assert.deepEqual(await project.query('select repo_id, week, n, excluded_lasting, hours_median, hours_p90 from gh_metrics.recovery_weeks'), [['10', '2026-03-02', '1', '0', '1', '1']]);
	assert.deepEqual(await project.query('select repo_id, week, n, excluded_not_deployed, hours_median, hours_p90 from gh_metrics.time_to_production_weeks'), [['10', '2026-03-02', '2', '0', '14', '14']]);
});

test('size and depth of pull requests, and flaky runs', async () => {
	// 7 lines each; 2 comments of people and none; the run that failed succeeded at its second attempt.
	assert.deepEqual(await project.query('select lines_median, lines_p90, comments_median, round(comments_p90::numeric, 3) from gh_metrics.pull_request_weeks'), [['7', '7', '1', '1.800']]);
	assert.deepEqual(await project.query('select workflow_id, flaky from gh_metrics.ci_weeks'), [['900', '1']]);
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

test('outages that are one, and outages that last', async () => {
	const repository = { ...base.repository, id: 20, full_name: 'acme/other' };
	const report = (id, environment, state, at) => project.send('deployment_status', { sender, repository, action: 'created',
		deployment: { id, sha: 'd'.repeat(40), environment, created_at: at, updated_at: at }, deployment_status: { id: id * 10, state, created_at: at, updated_at: at } });
	// Failed at 1 and 3, restored at 7: one outage of 6 hours. Another environment in between does not end it.
	await report(201, 'prod', 'failure', hour(1));
	await report(202, 'prod', 'error', hour(3));
	await report(203, 'prod-2', 'success', hour(4));
	await report(204, 'prod', 'success', hour(7));
	// The week after: failed and not yet restored.
	await report(205, 'prod', 'failure', hour(1, 10));
	await project.settle();
	assert.deepEqual(await project.query('select deployment_id, hours from gh_metrics.deployment_recoveries where repo_id = 20 order by 1'), [['201', '6'], ['205', null]]);
	assert.deepEqual(await project.query('select week, n, excluded_lasting, hours_median from gh_metrics.recovery_weeks where repo_id = 20 order by 1'), [['2026-03-02', '1', '0', '6'], ['2026-03-09', '0', '1', null]]);
});

test('who is missed most, with what the operator knows of people', async () => {
	const repository = { ...base.repository, id: 21, full_name: 'acme/third' };
	const people = [['mona', 'm@x', 4], ['rev', 'r@x', 3], [null, 'Ann@y', 2], [null, 'bo@y', 1], ['helper[bot]', 'h@x', 9]];
	let n = 0;
	const commits = people.flatMap(([username, email, count]) => Array.from({ length: count }, () => ({
		id: String(++n).padStart(40, '0'), tree_id: 't', timestamp: hour(1), author: { name: 'n', email, ...(username ? { username } : {}) }, added: [], removed: [], modified: [] })));
	await project.send('push', { sender, repository, ref: 'refs/heads/main', before: '0', after: '1', created: false, deleted: false, forced: false, commits, head_commit: null, pusher: { name: 'mona' } });
	await project.settle();
	const measured = () => project.query('select quarter, n, excluded_bots, people, absence_factor from gh_metrics.contributor_absence where repo_id = 21');
	// 4, 3, 2 and 1 of 10: mona alone has 4, with rev it is 7.
	assert.deepEqual(await measured(), [['2026-01-01', '10', '9', '4', '2']]);
	// Ann's address is mona's: 6, 3 and 1 of 10.
	await project.query("insert into hooklog.identities values ('ann@y', 1)");
	assert.deepEqual(await measured(), [['2026-01-01', '10', '9', '3', '1']]);
	// mona is a script: 3 and 1 of 4, and 15 left out. What was said of accounts survives a rebuild.
	await project.query('insert into hooklog.user_overrides (user_id, is_bot) values (1, true)');
	await project.runOk('rebuild');
	assert.deepEqual(await measured(), [['2026-01-01', '4', '15', '2', '1']]);
	// rev and bo are one person.
	await project.query("delete from hooklog.user_overrides; insert into hooklog.identities values ('bo@y', 4); insert into hooklog.user_overrides values (3, null, 'Rev', 'core'), (4, false, 'Rev', null)");
	assert.deepEqual(await measured(), [['2026-01-01', '19', '0', '2', '1']]);
	await project.query('delete from hooklog.user_overrides; delete from hooklog.identities');
});

// The page is checked against the program by the checks; here the database against the page.
test('every table, view and column has its comment, and the page says the same', async () => {
	const page = fs.readFileSync(path.join(root, 'docs/reference/schema.md'), 'utf8');
	const cells = new Map([...page.matchAll(/^## (\S+\.\S+)\n([^]*?)(?=^## |$(?![^]))/gm)].map(([, name, section]) => [name, section]));
	const rows = await project.query(`select n.nspname || '.' || c.relname, a.attname, col_description(c.oid, a.attnum), obj_description(c.oid, 'pg_class'), format_type(a.atttypid, a.atttypmod)
		from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		where n.nspname in ('gh', 'gh_metrics', 'hooklog') and c.relkind in ('v', 'r') order by 1, a.attnum`);
	assert.ok(rows.length > 1500, `${rows.length} columns`);
	const missing = [];
	const [, books] = /^## Bookkeeping[^\n]*\n([^]*?)^## /m.exec(page);
	for (const [view, column, comment, about, type] of rows) {
		const section = cells.get(view);
		const short = type.replace('timestamp with time zone', 'timestamptz');
		const written = new RegExp(`^\\| \`${column.replace(/^(?!full_|deleted_)\w+_(version_(at|rank|seq))$/, 'full_$1')}\` \\| (.*) \\|$`, 'm');
		const [, row] = written.exec(section ?? '') ?? written.exec(books) ?? [];
		const [said, source] = [row?.split(' | ').at(-1).replaceAll('\\|', '|'), / \| `(.*)` \| /.exec(` | ${row} | `)?.[1].replaceAll('\\|', '|')];
		if (!comment || !about || !section?.replaceAll('\\|', '|').includes(about) || comment !== (source ? `${said} (${source})` : said)
			|| (row.split(' | ').length > 1 && row.split(' | ')[0] !== short))
			missing.push([view, column, comment, row]);
	}
	assert.deepEqual(missing.slice(0, 5), []);
	// Those of the tables themselves, which a reader with rights to them sees.
	assert.deepEqual(await project.query(`select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
		where c.relnamespace = (select schema_name from hooklog.generations where status = 'live')::regnamespace and c.relkind = 'r'
		and (col_description(c.oid, a.attnum) is null or obj_description(c.oid, 'pg_class') is null)`), []);
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
