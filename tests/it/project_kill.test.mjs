// SPDX-License-Identifier: Apache-2.0
// A rebuild that is killed with any message to the database: either the old tables are live or the new ones, nothing is half,
// and the next rebuild gets there. A rollback in the same way.
// TEST-VARIANTS: release
// TEST-TIMEOUT: 7200
import { program, test, assert } from '../lib/harness.mjs';
import { runOk, until } from '../lib/hooklog.mjs';
import { startPgProxy } from '../lib/pgproxy.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeLog, makeProject } from '../lib/project.mjs';

// Kills per command; in the soak with every message.
const POINTS = process.env.TEST_SOAK ? Infinity : 26;
const EVENTS = 150;

const pg = await startPostgres(program);
const log = await makeLog(program, { receive: false });
await runOk(['source', 'add', 'github', '--data', log.dir]);
await log.receive();
await runOk(['simulate', '--data', log.dir, '--url', `${log.receiver.url}/in/github`, '--count', String(EVENTS), '--seed', '11']);
log.sent = EVENTS;
await log.receiver.stop();

async function prepare(t, env) {
	const proxy = await startPgProxy(t, pg);
	const project = await makeProject(t, log, pg, { env });
	await project.runOk('run', '--to', String(EVENTS));
	const views = await project.query("select schemaname, viewname from pg_views where schemaname ~ '^(gh|gh_metrics|hooklog)$' order by 1, 2");
	const shown = `select string_agg(md5(x), '') from (${['hooklog.events', 'gh.issues', 'gh.pull_requests', 'gh.users', 'gh.comments', 'hooklog.pull_requests'].map((view) => `(select string_agg(t::text, '' order by t::text) as x from ${view} t)`).join(' union all ')}) s`;
	const wanted = await project.value(shown);
	assert.ok(wanted.length > 100);

	// Everything a reader or an operator can see is of one generation, and whole.
	const check = async (where) => {
		const [[live, building, strays, seen, stale]] = await project.query(`select (select string_agg(schema_name, ' ') from hooklog.generations where status = 'live'),
			(select count(*) from hooklog.generations where status = 'building'),
			(select string_agg(nspname, ' ') from pg_namespace where nspname ~ '^gh_g\\d+$' and nspname not in (select schema_name from hooklog.generations)),
			(select string_agg(distinct m[1], ' ') from pg_views, regexp_matches(definition, '\\mgh_g\\d+', 'g') m where schemaname in ('gh', 'gh_metrics', 'hooklog')),
			(select string_agg(schema_name, ' ') from hooklog.generations where not exists (select from pg_namespace where nspname = schema_name))`);
		assert.match(live, /^gh_g\d+$/, where);
		assert.equal(seen, live, where);
		assert.ok(Number(building) <= 1, where);
		assert.deepEqual([strays, stale], [null, null], where);
		assert.equal(await project.value(shown), wanted, where);
		assert.deepEqual(await project.query("select schemaname, viewname from pg_views where schemaname ~ '^(gh|gh_metrics|hooklog)$' order by 1, 2"), views, where);
		return live;
	};

	// Runs a command and kills it with its message number `at`, which the server gets or not; null: not at all.
	const killed = async (args, at, passed) => {
		let handle = null;
		proxy.counts = [];
		proxy.look = (index, count) => {
			if (index > 0 || count !== at)
				return undefined;
			handle.child.kill('SIGKILL');
			return passed ? 'last' : 'cut';
		};
		Object.assign(project.env, { PGHOST: proxy.dir });
		handle = project.start(...args);
		const ended = await handle.wait(120000);
		Object.assign(project.env, { PGHOST: pg.dir });
		await until(async () => (await project.value("select count(*) from pg_stat_activity where application_name like 'hooklog%' and datname = current_database()")) === '0');
		return { ...ended, stderr: handle.stderr };
	};
	return { project, proxy, check, killed };
}

// Where to kill: as many as wanted over all messages, and more of them at the end, where the swap is.
function points(total, most = POINTS) {
	if (most >= total)
		return Array.from({ length: total }, (_, i) => i + 1);
	const some = Array.from({ length: most }, (_, i) => (i % 3 === 0 ? total - Math.floor((i * total) / (most * 5)) : 1 + Math.floor((i * total) / most)));
	return [...new Set(some)].sort((a, b) => a - b);
}

for (const [name, env] of [['folds in memory and loads with COPY', { HOOKLOG_PROJECTOR_BULK_EVENTS_MIN: '1' }], ['goes batch by batch', { HOOKLOG_PROJECTOR_BULK_EVENTS_MIN: '100000', HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '50' }]]) {
	test(`a rebuild that ${name}`, { timeoutMs: 60 * 60000 }, async (t) => {
		const { project, proxy, check, killed } = await prepare(t, env);
		assert.equal((await killed(['rebuild'], null)).code, 0);
		const total = proxy.counts[0];
		assert.ok(total > 100, `${total} messages`);
		let [kills, swapped] = [0, 0];
		let live = await check('before');
		for (const [i, at] of points(total).entries()) {
			const ended = await killed(['rebuild'], at, i % 2 === 0);
			kills += ended.signal === 'SIGKILL';
			// What was left behind makes the next one shorter, which may then end before its kill.
			assert.ok(ended.signal === 'SIGKILL' || ended.code === 0, ended.stderr);
			const now = await check(`killed with message ${at} of ${total}`);
			swapped += now !== live;
			live = now;
		}
		t.note(`${kills} kills in ${total} messages, ${swapped} with the new tables live`);
		assert.ok(kills >= Math.min(POINTS, total) * 0.6, `${kills} kills`);
		assert.ok(swapped >= 1 && swapped < kills);
		await project.runOk('rebuild');
		await check('at the end');
		await project.runOk('verify');
		assert.equal(await project.value("select count(*) from hooklog.generations where status = 'building'"), '0');
	});
}

test('a rollback', async (t) => {
	const { project, proxy, check, killed } = await prepare(t, {});
	await project.runOk('rebuild');
	assert.equal((await killed(['rollback'], null)).code, 0);
	const total = proxy.counts[0];
	let kills = 0;
	for (const [i, at] of points(total, POINTS / 2).entries()) {
		const ended = await killed(['rollback'], at, i % 2 === 0);
		kills += ended.signal === 'SIGKILL';
		await check(`killed with message ${at} of ${total}`);
	}
	t.note(`${kills} kills in ${total} messages`);
	assert.ok(kills >= 10);
	await project.runOk('verify');
});
