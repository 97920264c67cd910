// SPDX-License-Identifier: Apache-2.0
// The permutation law through PostgreSQL: whatever the order of events, the size of batches and the number of
// duplicates, the rows say the same. One log holds the histories of many seeds, each with ids of its own.
// TEST-TIMEOUT: 600
import { program, test, assert } from '../lib/harness.mjs';
import { runOk } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { fullPull, makeLog, makeProject, sender, thinPull } from '../lib/project.mjs';

const SEEDS = 1000;
const STEPS = 4;
const pg = await startPostgres(program);

// A small generator of its own, so that a seed gives the same history everywhere.
function random(seed) {
	let state = BigInt(seed) * 0x9e3779b97f4a7c15n & 0xffffffffffffffffn;
	return (below) => {
		state ^= state << 13n & 0xffffffffffffffffn;
		state ^= state >> 7n;
		state ^= state << 17n & 0xffffffffffffffffn;
		return Number(state % BigInt(below));
	};
}

// What happens to an issue, a pull request, a comment, a milestone and two attempts of a run. Each change of a thing
// has a second of its own, except that a run's states may share one: there the state decides.
function history(seed) {
	const pick = random(seed);
	const id = seed * 1000;
	const events = [];
	let second = pick(1000);
	const at = () => new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString().replace('.000', '');
	const repository = () => ({ id, name: `r${seed}`, full_name: `acme/r${seed}`, owner: { id: 2, login: 'acme' }, description: `at ${second}`, updated_at: at(), archived: second % 2 === 1 });
	const send = (event, action, more) => events.push([event, { action, sender, repository: repository(), ...more }]);
	const issue = (more) => ({ id: id + 1, number: 1, title: `t${second}`, state: 'open', user: sender, comments: pick(9), created_at: '2026-01-01T00:00:00Z', updated_at: at(), ...more });
	for (let step = 0; step < STEPS; step++) {
		second += 1 + pick(5);
		switch (pick(11)) {
		case 0: send('issues', 'opened', { issue: issue() }); break;
		case 1: send('issues', 'closed', { issue: issue({ state: 'closed', closed_at: at() }) }); break;
		case 2: send('issues', 'reopened', { issue: issue({ labels: [{ id: id + 50 + pick(3), name: 'l' }] }) }); break;
		case 3: send('issues', 'deleted', { issue: issue() }); break;
		case 4: send('issue_comment', ['created', 'edited', 'deleted'][pick(3)], { issue: issue(), comment: { id: id + 2, user: sender, body: `b${second}`, created_at: at(), updated_at: at() } }); break;
		case 5: send('pull_request', 'synchronize', { pull_request: fullPull(id + 3, at(), { number: 3, title: `p${second}`, additions: pick(100), labels: [{ id: id + 60, name: 'x' }] }) }); break;
		case 6: send('pull_request_review', 'submitted', { pull_request: thinPull(id + 3, at(), { number: 3, title: `p${second}` }), review: { id: id + 4 + step, state: 'approved', user: sender, submitted_at: at() } }); break;
		case 7: send('pull_request', 'ready_for_review', { pull_request: fullPull(id + 3, at(), { number: 3, title: `p${second}` }) }); break;
		case 8: send('milestone', ['edited', 'deleted'][pick(2)], { milestone: { id: id + 5, number: 1, title: `m${second}`, state: 'open', created_at: at(), updated_at: at() } }); break;
		case 9: send('repository', 'edited', {}); break;
		default: {
			const run_attempt = 1 + pick(2);
			for (const status of ['queued', 'in_progress', 'completed'].slice(0, 1 + pick(3)))
				send('workflow_run', status === 'queued' ? 'requested' : status, { workflow_run: { id: id + 6, run_attempt, workflow_id: 7, status, conclusion: status === 'completed' ? 'success' : null, created_at: at(), run_started_at: at(), updated_at: at() } });
		}
		}
	}
	return events;
}

const histories = Array.from({ length: SEEDS }, (_, i) => history(i + 1));
const shuffled = (list, pick) => {
	const out = [...list];
	for (let i = out.length - 1; i > 0; i--) {
		const k = pick(i + 1);
		[out[i], out[k]] = [out[k], out[i]];
	}
	return out;
};

async function logOf(events) {
	const log = await makeLog(program, { receive: false });
	const line = ([event, payload], i) => JSON.stringify({ seq: i + 1, received_at: '2026-02-01T00:00:00Z', origin: 'webhook', source: 'gh', provider: 'github', event, delivery: `d${i}`, hook: '1', content_type: 'application/json', body: JSON.stringify(payload) });
	await runOk(['log', 'import', '-', '--data', log.dir], { input: events.map(line).join('\n'), timeoutMs: 120000 });
	log.sent = events.length;
	return log;
}

const TABLES = ['issues', 'pull_requests', 'comments', 'milestones', 'workflow_runs', 'repositories'];
const BOOKS = /^(first_seq|last_seq|webhook_at|deleted_seq|.*version_(seq|at|rank)|version_(seq|at|rank))$/;

// What rows say, without the numbers of events.
async function said(project) {
	const dump = await project.dump((await project.value("select schema_name from hooklog.generations where status = 'live'")));
	return Object.fromEntries(TABLES.map((table) => [table, dump[table].map((line) => {
		const row = JSON.parse(line);
		row.deleted_at = row.deleted_at !== null;
		return JSON.stringify(Object.entries(row).filter(([name]) => !BOOKS.test(name)));
	}).sort()]));
}

const inOrder = histories.flat();
const log = await logOf(inOrder);
let wanted;

// Each transaction of a batch of one costs as much as a larger one, so that size gets a tenth of the histories.
test('batches of 7 and 500 events give the same tables, bookkeeping included; so does a rebuild', async (t) => {
	let first;
	for (const size of ['500', '7']) {
		const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: size } });
		await project.runOk('run', '--to', String(log.sent));
		const dump = await project.dump('gh_g1');
		first ??= dump;
		assert.deepEqual(dump, first, `batches of ${size}`);
		wanted ??= await said(project);
		if (size === '7')
			continue;
		for (const env of [{ HOOKLOG_PROJECTOR_BULK_EVENTS_MIN: '100000' }, { HOOKLOG_PROJECTOR_BULK_EVENTS_MIN: '1' }]) {
			Object.assign(project.env, env);
			await project.runOk('rebuild');
			assert.deepEqual(await project.dump(await project.value("select schema_name from hooklog.generations where status = 'live'")), first);
		}
	}
	for (const table of TABLES)
		assert.ok(wanted[table].length > SEEDS / 5, `${wanted[table].length} ${table}`);
});

test('so do batches of 1, and being told everything twice', async (t) => {
	const few = await logOf(histories.slice(0, SEEDS / 10).flat());
	let first;
	for (const size of ['500', '1']) {
		const project = await makeProject(t, few, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: size } });
		await project.runOk('run', '--to', String(few.sent));
		first ??= await project.dump('gh_g1');
		assert.deepEqual(await project.dump('gh_g1'), first, `batches of ${size}`);
		await project.runOk('reset', '--to', '0');
		await project.runOk('run', '--to', String(few.sent));
		assert.deepEqual(await project.dump('gh_g1'), first);
	}
});

for (const [name, order] of [['backwards', () => [...inOrder].reverse()], ['shuffled, a third of them twice', () => {
	const pick = random(4711);
	return shuffled([...inOrder, ...inOrder.filter(() => pick(3) === 0)], pick);
}]]) {
	test(`the histories of ${SEEDS} seeds ${name}`, async (t) => {
		const other = await logOf(order());
		const project = await makeProject(t, other, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '7' } });
		await project.runOk('run', '--to', String(other.sent));
		const found = await said(project);
		for (const table of TABLES)
			assert.deepEqual(found[table], wanted[table], table);
		await project.runOk('verify');
	});
}
