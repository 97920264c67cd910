// SPDX-License-Identifier: Apache-2.0
// Making tables anew beside a live projector; who may write what; whose log it is.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { program, test, assert } from '../lib/harness.mjs';
import { tempDir, until } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeDefinitions, makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const pg = await startPostgres(program);

async function fill(log, count) {
	for (let i = 1; i <= count; i++)
		await log.post('issues', { action: 'opened', sender, repository, issue: { id: log.sent + 1, number: i, title: 't', updated_at: '2026-01-01T00:00:00Z' } });
}

// Every event takes the database this long, so that there is time to do something in between.
function slow(definitions, seconds) {
	definitions.write('slow.sql', `-- provider: github
-- kind: fact
-- key: seq
-- rows: . on issues
create table slow (
	seq bigint primary key, -- = @seq
	slept text -- = action
		check (pg_sleep(${seconds})::text = '')
);
`);
}

async function slowProject(t, log, seconds = 0.02) {
	const definitions = makeDefinitions(t);
	slow(definitions, seconds);
	return makeProject(t, log, pg, { env: { ...definitions.env, HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '2' } });
}

const building = (project) => project.value("select seq from hooklog.generations where status = 'building'");

test('a rebuild beside a live projector while events keep coming', async (t) => {
	const log = await makeLog(t);
	await fill(log, 60);
	const project = await slowProject(t, log);
	const live = project.start('run');
	await project.reached(10, live);
	const rebuild = project.start('rebuild');
	let done = false;
	const coming = (async () => {
		while (!done) {
			await fill(log, 1);
			await sleep(60); // three times slower than the projectors, or they would never get there
		}
	})();
	await until(async () => Number(await building(project)) > 0);
	const ended = await rebuild.wait();
	done = true;
	await coming;
	assert.deepEqual(ended, { code: 0, signal: null }, rebuild.stderr);
	const memory = Number(/project\.rebuilt .*memory_bytes=(\d+)/.exec(rebuild.stderr)[1]);
	assert.ok(memory > 1048576 && memory < 2 ** 30, `${memory} bytes`);
	const status = JSON.parse((await project.runOk('status', '--json')).stdout);
	assert.deepEqual(status.generations.map((one) => one.rebuild_memory_bytes), [memory, null]);
	assert.match((await project.runOk('status')).stdout, new RegExp(`rebuilt with at most ${(memory / 1048576).toFixed(0)} MiB of memory`));

	await fill(log, 3);
	await project.reached(log.sent, live);
	assert.match(live.stderr, /project\.swapped retired=gh_g1/);
	assert.match(live.stderr, /project\.attached schema=gh_g2/);
	assert.equal(live.ended, null);
	await live.stop();
	assert.deepEqual(await project.query('select count(*), min(seq), max(seq) from hooklog.events'), [[String(log.sent), '1', String(log.sent)]]);
	assert.equal(await project.value('select count(*) from gh.issues'), String(log.sent));
	assert.equal(await project.value('select count(*) from gh_g2.slow'), String(log.sent));
	// Nobody wrote into the retired tables any more, and what they hold is what the new ones held then.
	const retired = (await project.generations())[0];
	assert.equal(retired[1], 'retired');
	assert.equal(await project.value('select max(seq) from gh_g1.events'), retired[2]);
	assert.deepEqual(await project.query(`select * from gh_g1.events except select * from gh_g2.events`), []);
	assert.equal(await project.value(`select count(*) from gh_g2.events where seq <= ${retired[2]}`), retired[2]);
});

// Dropping what is older takes its time; the live projector must not wait for that, nor give up.
test('the live projector follows while the rebuild still cleans up', async (t) => {
	const log = await makeLog(t);
	await fill(log, 3);
	const project = await makeProject(t, log, pg);
	const live = project.start('run');
	await project.reached(3, live);
	await project.runOk('rebuild');
	await live.waitFor(/project\.attached schema=gh_g2/);
	const holder = project.query("set application_name = 'holder'; begin; lock table gh_g1.events; select pg_sleep(100)").catch(() => {});
	await until(async () => (await project.value("select count(*) from pg_locks where relation = 'gh_g1.events'::regclass and granted")) === '1');
	const rebuild = project.start('rebuild');
	await until(async () => (await project.value("select status from hooklog.generations where id = 3")) === 'live');
	await fill(log, 1);
	await project.reached(4, live);
	assert.match(live.stderr, /project\.attached schema=gh_g3/);
	assert.equal(rebuild.ended, null);
	await project.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holder'");
	await holder;
	assert.deepEqual(await rebuild.wait(), { code: 0, signal: null }, rebuild.stderr);
	assert.deepEqual((await project.generations()).map(([id, status]) => [id, status]), [['2', 'retired'], ['3', 'live']]);
	await live.stop();
});

test('an interrupted rebuild leaves the live tables alone and is continued', async (t) => {
	const log = await makeLog(t);
	await fill(log, 60);
	const project = await slowProject(t, log, 0.01);
	await project.catchUp();
	for (const signal of ['SIGINT', 'SIGKILL', 'SIGTERM']) {
		const before = Number((await building(project)) ?? 0);
		const rebuild = project.start('rebuild');
		await until(async () => Number(await building(project)) > before);
		rebuild.child.kill(signal);
		const ended = await rebuild.wait();
		assert.deepEqual(ended, signal === 'SIGKILL' ? { code: null, signal } : { code: 130, signal: null }, rebuild.stderr);
		const at = Number(await building(project));
		assert.ok(at > before && at < log.sent, `${before} ${at}`);
		assert.equal(await project.value('select count(*) from gh.issues'), '60');
	}
	const at = await building(project);
	const last = await project.runOk('rebuild');
	assert.match(last.stderr, new RegExp(`project.rebuild.continue schema=gh_g2 seq=${at}`));
	assert.deepEqual(await project.generations(), [['1', 'retired', '60'], ['2', 'live', '60']]);
	assert.deepEqual(await project.differences('gh_g1', 'gh_g2'), []);
});

test('an interrupted rebuild of other projections is thrown away', async (t) => {
	const log = await makeLog(t);
	await fill(log, 30);
	const definitions = makeDefinitions(t);
	slow(definitions, 0.02);
	const project = await makeProject(t, log, pg, { env: { ...definitions.env, HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '2' } });
	const rebuild = project.start('rebuild');
	await until(async () => (await project.value("select to_regclass('hooklog.generations')")) && Number(await building(project)) > 0);
	await rebuild.stop({ signal: 'SIGINT', code: 130 });
	definitions.remove('slow.sql');
	await project.runOk('rebuild');
	assert.equal(await project.value("select string_agg(status, ' ') from hooklog.generations"), 'live');
	assert.equal(await project.value("select count(*) from pg_tables where tablename = 'slow'"), '0');
	assert.equal(await project.value('select count(*) from gh.issues'), '30');
});

test('a second rebuild, a second projector: refused', async (t) => {
	const log = await makeLog(t);
	await fill(log, 30);
	const project = await slowProject(t, log, 0.1);
	const first = project.start('run');
	await until(async () => (await project.value("select to_regclass('hooklog.generations')")) && Number(await project.value('select max(seq) from hooklog.generations')) > 0);
	const [second] = await Promise.all([project.run('run'), (async () => {
		const rebuild = project.start('rebuild');
		await until(async () => Number(await building(project)) > 0);
		const refused = await project.run('rebuild');
		assert.equal(refused.code, 9, refused.stderr);
		assert.match(refused.stderr, /project\.locked/);
		await rebuild.kill();
	})()]);
	assert.equal(second.code, 9, second.stderr);
	assert.match(second.stderr, /project\.locked/);
	assert.equal(first.ended, null);
	await first.stop();
});

// Many at once on a new database: one makes the tables, the others take over or are told to go.
test('several projectors start on an empty database', async (t) => {
	const log = await makeLog(t);
	await fill(log, 5);
	const project = await makeProject(t, log, pg);
	const handles = Array.from({ length: 4 }, () => project.start('run'));
	await until(() => handles.filter((handle) => handle.ended).length === 3);
	await project.reached();
	for (const handle of handles.filter((one) => one.ended))
		assert.deepEqual(handle.ended, { code: 9, signal: null }, handle.stderr);
	assert.equal(await project.value("select count(*) from hooklog.generations where status = 'live'"), '1');
	await handles.find((handle) => !handle.ended).stop();
	assert.equal(await project.value('select count(*) from gh.issues'), '5');
});

test('a successor waits for the lock of one that is just ending', async (t) => {
	const log = await makeLog(t);
	await fill(log, 4);
	const project = await slowProject(t, log, 0.4);
	const first = project.start('run');
	await until(async () => Number(await project.value("select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'")) > 0);
	await first.kill(); // its statement goes on sleeping in the server, and holds the lock
	await project.catchUp();
	assert.equal(await project.value('select count(*) from gh.issues'), '4');
});

test('tables of another log', async (t) => {
	const [one, other] = [await makeLog(t), await makeLog(t)];
	await fill(one, 3);
	await fill(other, 5);
	const project = await makeProject(t, one, pg);
	await project.catchUp();
	project.log = other;
	const stranger = await makeProject(t, other, pg);
	Object.assign(stranger.env, { PGDATABASE: project.database });
	const refused = await stranger.run('run');
	assert.equal(refused.code, 10, refused.stderr);
	assert.match(refused.stderr, /project\.log-mismatch/);
	assert.match(refused.stderr, /hooklog project rebuild/);
	await stranger.runOk('rebuild');
	assert.equal(await project.value('select count(*) from gh.issues'), '5');
});

test('a log restored from an older copy', async (t) => {
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg);
	await fill(log, 3);
	await log.receiver.stop();
	const copy = path.join(tempDir(t, 'copy'), 'data');
	fs.cpSync(log.dir, copy, { recursive: true });
	await log.receive();
	await fill(log, 3);
	await project.catchUp();
	await log.receiver.stop();
	fs.rmSync(log.dir, { recursive: true });
	fs.cpSync(copy, log.dir, { recursive: true });

	const shorter = await project.run('run');
	assert.equal(shorter.code, 10, shorter.stderr);
	assert.match(shorter.stderr, /hold events up to 6 but the log ends at 3/);
	assert.match(shorter.stderr, /project\.log-mismatch/);
	// Other events under the same numbers: only the chain tells.
	await log.receive();
	await fill(log, 4);
	const forked = await project.run('run');
	assert.equal(forked.code, 10, forked.stderr);
	assert.match(forked.stderr, /event 6 of the log is not the one/);
	await project.runOk('rebuild');
	assert.equal(await project.value('select count(*) from hooklog.events'), '7');
});
