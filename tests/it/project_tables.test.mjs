// SPDX-License-Identifier: Apache-2.0
// Signed events become rows, and the same rows whatever the batches and how often they are made.
import { program, test, assert } from '../lib/harness.mjs';
import { run, until } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { fullPull, makeLog, makeProject, repository, review, sender, thinPull } from '../lib/project.mjs';

const pg = await startPostgres(program);
const log = await makeLog(program);

// Everything that has its own way into the tables, and some of it twice.
async function fill() {
	const base = { sender, repository };
	const later = '2026-01-03T00:00:00Z';
	// Pull request 100: long, then short. 200: short, then long. Both were told the same.
	await log.post('pull_request', { ...base, action: 'opened', pull_request: fullPull(100, '2026-01-02T00:00:00Z') });
	await log.post('pull_request_review', { ...base, action: 'submitted', review: review(1), pull_request: thinPull(100, later, { title: 'New title' }) });
	await log.post('pull_request_review', { ...base, action: 'submitted', review: review(2), pull_request: thinPull(200, later, { title: 'New title' }) });
	await log.post('pull_request', { ...base, action: 'opened', pull_request: fullPull(200, '2026-01-02T00:00:00Z') });
	await log.post('issues', { ...base, action: 'opened', issue: { id: 5, number: 5, title: 'nul \u0000 and \ud800 lone', updated_at: later, state: 'open' } });
	await log.post('issues', { ...base, action: 'deleted', issue: { id: 5, number: 5, updated_at: later } });
	await log.post('issues', { ...base, action: 'edited', issue: { id: 5, number: 5, title: 'old news', updated_at: '2026-01-01T00:00:00Z' } });
	await log.post('issue_comment', { ...base, action: 'created', issue: { id: 6, number: 6, updated_at: later }, comment: { id: 9, body: 'x'.repeat(5000), user: { id: 33, login: 'hub\u00e9' }, updated_at: later } });
	const commits = Array.from({ length: 5 }, (_, i) => ({ id: `${i}`.repeat(40), tree_id: 't', message: `m${i}`, timestamp: '2026-01-01T00:00:00+02:00', distinct: i > 0, author: { name: 'n', email: 'e' }, added: ['a', 'b'], removed: [], modified: [] }));
	await log.post('push', { ref: 'refs/heads/main', before: '0', after: '4', forced: false, created: true, deleted: false, pusher: { name: 'mona' }, commits, head_commit: { ...commits[4], added: undefined }, repository: { ...repository, pushed_at: 1700000000 }, sender });
	await log.post('installation', { action: 'created', sender, installation: { id: 7, account: { id: 2, login: 'acme', type: 'Organization' } }, repositories: [{ id: 10, name: 'stub', full_name: 'acme/stub' }, { id: 11, name: 'only', full_name: 'acme/only' }] });
	await log.post('repository', { action: 'deleted', sender, repository: { ...repository, id: 12, full_name: 'acme/gone' } });
	await log.post('what_is_this', { anything: [1, 2, 3] });
	for (let i = 0; i < 40; i++) {
		const pull = (i % 2 ? fullPull : thinPull)(100 + 100 * (i % 3), `2026-02-${String(1 + (i * 7) % 28).padStart(2, '0')}T00:00:00Z`, { title: `t${i}` });
		await log.post(i % 2 ? 'pull_request' : 'pull_request_review', { sender: { id: 1 + i % 5, login: `u${i}`, type: 'User' }, repository: { ...repository, updated_at: i % 4 ? repository.updated_at : undefined, name: `n${i}` }, action: 'edited', review: i % 2 ? undefined : review(10 + i), pull_request: pull });
	}
}

let plain;

test('events become rows', async (t) => {
	await fill();
	plain = await makeProject(program, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '500' } });
	await plain.catchUp();
	assert.deepEqual(await plain.query('select count(*), count(*) filter (where parked) from hooklog.events'), [[String(log.sent), '0']]);
	assert.deepEqual(await plain.query('select title, deleted_at is not null, deleted_seq from gh.issues where id = 5'), [[null, 't', '6']]);
	assert.deepEqual(await plain.query('select full_name, partial from gh.repositories where id in (10, 11) order by id'), [['acme/hello', 'f'], ['acme/only', 't']]);
	assert.deepEqual(await plain.query('select topics[1], topics[2] from gh.repositories where id = 10'), [['a "b"', 'c']]);
	assert.deepEqual(await plain.query('select commit_count, commits_truncated from gh.pushes'), [['5', 'f']]);
	assert.deepEqual(await plain.query("select count(*), sum(added), min(authored_at)::text from gh.commits"), [['5', '10', '2025-12-31 22:00:00+00']]);
	assert.equal(await plain.value("select event from hooklog.events where seq = 12"), 'what_is_this');
	assert.equal(await plain.value("select login from gh.users where id = 33"), 'hub\u00e9');
});

test('NUL and lone surrogates are stored as U+FFFD', async (t) => {
	const project = await makeProject(t, log, pg);
	const seq = await log.post('issues', '{"action":"opened","issue":{"id":55,"number":55,"title":"a\\u0000b\\ud800c","updated_at":"2026-01-01T00:00:00Z"}}');
	await project.catchUp();
	assert.equal(await project.value('select title from gh.issues where id = 55'), 'a\ufffdb\ufffdc');
	assert.equal(await project.value(`select parked from hooklog.events where seq = ${seq}`), 'f');
});

const pull = 'number % 1, repo_id, state, title, author_id, head_sha, updated_at, merged, additions, deletions, changed_files, commits';

for (const size of [1, 500]) {
	test(`a thin pull request keeps what a full one told, batches of ${size}`, async (t) => {
		const own = await makeLog(t);
		const base = { sender, repository };
		for (const [id, order] of [[1, ['full', 'thin']], [2, ['thin', 'full']]]) {
			for (const which of order) {
				if (which === 'full')
					await own.post('pull_request', { ...base, action: 'opened', pull_request: fullPull(id, '2026-01-02T00:00:00Z') });
				else
					await own.post('pull_request_review', { ...base, action: 'submitted', review: review(id), pull_request: thinPull(id, '2026-01-03T00:00:00Z', { title: 'New', state: 'closed' }) });
			}
		}
		const project = await makeProject(t, own, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: String(size) } });
		await project.catchUp();
		const rows = await project.query(`select ${pull} from gh.pull_requests order by id`);
		assert.deepEqual(rows[0], rows[1]);
		assert.deepEqual(rows[0].slice(2, 4), ['closed', 'New']);
		assert.deepEqual(rows[0].slice(7), ['f', '5', '2', '1', '1']);
		assert.equal(await project.value('select count(*) from gh.pull_requests where partial'), '0');
	});
}

test('batches of 1, 7 and 500 give the same rows', async (t) => {
	const dumps = [];
	for (const size of ['1', '7', '500']) {
		const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: size } });
		await project.catchUp();
		dumps.push(await project.dump('gh_g1'));
	}
	assert.ok(dumps[0].users.length >= 5 && dumps[0].pull_requests.length === 3);
	assert.deepEqual(dumps[0], dumps[2]);
	assert.deepEqual(dumps[1], dumps[2]);
});

test('a rebuild gives the same rows', async () => {
	await plain.catchUp();
	plain.env.HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX = '3';
	await plain.runOk('rebuild');
	assert.deepEqual(await plain.generations(), [['1', 'retired', String(log.sent)], ['2', 'live', String(log.sent)]]);
	assert.deepEqual(await plain.differences('gh_g1', 'gh_g2'), []);
	assert.equal(await plain.value("select count(*) from gh.pull_requests"), '3');
	assert.match(await plain.value("select pg_get_viewdef('gh.users')"), /gh_g2/);
});

test('a projector that starts again begins behind its checkpoint', async () => {
	const seq = await log.post('issues', { action: 'opened', sender, repository, issue: { id: 77, number: 77, title: 'seventy-seven', updated_at: '2026-01-01T00:00:00Z' } });
	const again = await plain.catchUp();
	assert.match(again.stderr, new RegExp(`project.attached schema=gh_g2 seq=${seq - 1}`));
	assert.equal(await plain.value('select title from gh.issues where id = 77'), 'seventy-seven');
});

test('status tells where things stand', async (t) => {
	const project = await makeProject(t, log, pg);
	const nothing = await project.run('status');
	assert.equal(nothing.code, 3, nothing.stderr);
	assert.match(nothing.stderr, /nothing was projected/);
	assert.equal(await project.value("select count(*) from pg_namespace where nspname = 'hooklog'"), '0');

	const handle = project.start('run');
	await project.reached();
	let status = JSON.parse((await project.runOk('status', '--json')).stdout);
	assert.deepEqual(status, {
		log_first_seq: 1, log_last_seq: log.sent, lag_events: 0, lag_bytes: 0, lag_seconds: 0, events_per_second: null, eta_seconds: null, running: true,
		generations: [{ id: 1, schema: 'gh_g1', status: 'live', seq: log.sent, parked: 0, current_definitions: true, paused: false, rebuild_memory_bytes: null }],
	});
	await handle.stop();
	const before = log.sent;
	await log.post('ping', {});
	await log.post('ping', { zen: 'Keep it simple' });
	status = JSON.parse((await project.runOk('status', '--json')).stdout);
	assert.equal(status.running, false);
	assert.equal(status.lag_events, 2);
	assert.equal(status.lag_bytes, '{}'.length + '{"zen":"Keep it simple"}'.length);
	assert.equal(status.eta_seconds, null);
	assert.ok(status.lag_seconds > 0);
	const text = (await project.runOk('status')).stdout;
	assert.match(text, /lag +2 events, 26 bytes, [0-9.]+ s/);
	assert.match(text, /projector +not running/);
	assert.match(text, new RegExp(`gh_g1 +live +${before} +0 +current`));
});

// What moves the checkpoint here is the test, at a pace that does not depend on the machine's.
test('status measures the pace and tells when the lag is gone', async (t) => {
	const project = await makeProject(t, log, pg);
	await project.runOk('run', '--to', '2');
	const pace = async (step) => {
		const mover = project.query(`select pg_advisory_lock(1751870567, 1); update hooklog.generations set seq = 2, updated_at = now();
			do $$ begin while not exists (select from hooklog.parked_events) and (select seq from hooklog.generations) < ${log.sent - 2} loop
				update hooklog.generations set seq = seq + ${step}; commit; perform pg_sleep(0.4); end loop; end $$`);
		await until(async () => await project.value("select count(*) from pg_locks where locktype = 'advisory' and granted and classid = 1751870567 and objid = 1 and database = (select oid from pg_database where datname = current_database())") === '1', { what: 'the lock is held' });
		const [json, text] = await Promise.all([project.runOk('status', '--json'), project.runOk('status')]);
		await project.query("insert into hooklog.parked_events (generation, seq, reason) values (1, 1, 'stop')");
		await mover;
		await project.query('delete from hooklog.parked_events');
		return [JSON.parse(json.stdout), text.stdout];
	};
	for (let i = 0; i < 60; i++)
		await log.post('ping', {});
	const [moving, text] = await pace(1);
	assert.ok(moving.events_per_second > 0 && moving.events_per_second < 4, JSON.stringify(moving));
	assert.ok(moving.eta_seconds > 0, JSON.stringify(moving));
	assert.match(text, /projector +running, \d+ events\/s, there in \d+ s/);
	const [stuck, said] = await pace(0);
	assert.deepEqual([stuck.events_per_second, stuck.eta_seconds], [0, null]);
	assert.match(said, /running, 0 events\/s, not catching up/);
});

test('without a database of its own, a command asks for the one of up', async () => {
	const { code, stderr } = await run(['project', 'status', '--data', log.dir]);
	assert.equal(code, 6, stderr);
	assert.match(stderr, /of `hooklog up`: is that running/);
});

test('running is told of this database, not of another on the same server', async (t) => {
	const [one, other] = [await makeProject(t, log, pg), await makeProject(t, log, pg)];
	await one.catchUp();
	const handle = other.start('run');
	await other.reached();
	assert.equal(JSON.parse((await one.runOk('status', '--json')).stdout).running, false);
	assert.equal(JSON.parse((await other.runOk('status', '--json')).stdout).running, true);
	await handle.stop();
});

test('events that arrive while it runs are there soon', async (t) => {
	const project = await makeProject(t, log, pg);
	const handle = project.start('run');
	await project.reached();
	const seq = await log.post('ping', { zen: 'now' });
	await project.reached(seq, handle);
	await handle.stop({ signal: 'SIGINT' });
	await until(async () => (await project.value("select count(*) from pg_stat_activity where application_name like 'hooklog%' and datname = current_database()")) === '0');
});
