// SPDX-License-Identifier: Apache-2.0
// TEST-TIMEOUT: 900
// What operators do to generations: pause, resume, stop at an event, go back, drop, reset; explaining a row.
import { setTimeout as sleep } from 'node:timers/promises';
import { program, test, assert } from '../lib/harness.mjs';
import { ndjson, startUp, until } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { fullPull, makeDefinitions, makeLog, makeProject, repository, review, sender, thinPull } from '../lib/project.mjs';

const pg = await startPostgres(program);

async function fill(log, count) {
	for (let i = 1; i <= count; i++)
		await log.post('issues', { action: 'opened', sender, repository, issue: { id: log.sent + 1, number: i, title: 't', updated_at: '2026-01-01T00:00:00Z' } });
}

const audit = (project) => project.query('select action, generation, from_seq, to_seq, application from hooklog.audit order by id');
const seq = (project) => project.value("select seq from hooklog.generations where status = 'live'");

test('run --to stops at exactly that event', async (t) => {
	const log = await makeLog(t);
	await fill(log, 12);
	const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '5' } });
	for (const to of [1, 7, 7, 3, 12]) {
		const before = Number(await project.value("select case when to_regclass('hooklog.generations') is null then 0 else 1 end") === '0' ? 0 : await seq(project));
		await project.runOk('run', '--to', String(to));
		assert.equal(Number(await seq(project)), Math.max(to, before));
		assert.equal(await project.value('select max(seq) from hooklog.events'), await seq(project));
	}
	const zero = await project.run('run', '--to', '0');
	assert.equal(zero.code, 1);
	assert.match(zero.stderr, /there is no event 0/);
	const waiting = project.start('run', '--to', '14');
	await fill(log, 5);
	assert.deepEqual(await waiting.wait(), { code: 0, signal: null });
	assert.equal(await seq(project), '14');
});

test('pause and resume, seen by one that runs and by one that starts', async (t) => {
	const log = await makeLog(t);
	await fill(log, 3);
	const project = await makeProject(t, log, pg);
	const live = project.start('run');
	await project.reached(3, live);
	assert.equal((await project.runOk('pause')).stdout, 'paused at event 3\n');
	await fill(log, 2);
	await live.waitFor(/project\.paused schema=gh_g1 seq=3/);
	const status = JSON.parse((await project.runOk('status', '--json')).stdout);
	assert.deepEqual([status.generations[0].paused, status.running, status.lag_events], [true, true, 2]);
	assert.match((await project.runOk('status')).stdout, /paused: `hooklog project resume`/);
	await live.stop();
	const next = project.start('run');
	await next.waitFor(/project\.paused/);
	await sleep(1500);
	assert.equal(await seq(project), '3');
	assert.equal((await project.runOk('resume')).stdout, 'goes on at event 3\n');
	await project.reached(5, next);
	assert.match(next.stderr, /project\.resumed/);
	await next.stop();
	await project.runOk('resume'); // of what is not paused: nothing
	assert.deepEqual(await audit(project), [['promote', '1', '0', '0', 'hooklog project'], ['pause', '1', '3', '3', 'hooklog'], ['resume', '1', '3', '3', 'hooklog']]);
});

test('rollback and forward again, with a projector that follows', async (t) => {
	const log = await makeLog(t);
	await fill(log, 3);
	const project = await makeProject(t, log, pg);
	assert.equal((await project.run('rollback')).code, 3);
	const live = project.start('run');
	await project.reached(3, live);
	assert.equal((await project.run('rollback')).code, 3);
	await project.runOk('rebuild');
	await live.waitFor(/attached schema=gh_g2/);
	await fill(log, 2);
	await project.reached(5, live);
	assert.equal((await project.runOk('rollback')).stdout, 'gh_g1 is live, at event 3; gh_g2 was, at event 5\n');
	await project.reached(5, live);
	assert.match(live.stderr, /project\.swapped retired=gh_g2/);
	assert.deepEqual(await project.query('select seq from hooklog.events order by 1'), [['1'], ['2'], ['3'], ['4'], ['5']]);
	assert.equal(await project.value("select pg_get_viewdef('gh.users'::regclass) like '%gh_g1.users%'"), 't');
	await project.runOk('rollback');
	await live.waitFor(/attached schema=gh_g2[^]*attached schema=gh_g1[^]*attached schema=gh_g2/);
	await live.stop();
	await project.runOk('verify');
	assert.deepEqual((await project.query("select action, generation, from_seq, to_seq, note from hooklog.audit where action = 'rollback' order by id")), [['rollback', '1', '5', '3', 'gh_g2'], ['rollback', '2', '5', '5', 'gh_g1']]);
});

test('a rollback to tables of other projections is left alone until the program fits', async (t) => {
	const log = await makeLog(t);
	await fill(log, 3);
	await log.receiver.stop();
	const definitions = makeDefinitions(t);
	const project = await makeProject(t, log, pg, { env: definitions.env });
	await project.catchUp();
	definitions.write('zz.sql', '-- provider: github\n-- view: gh.others\n-- key: id\n-- rows: issue\ncreate table zz (\n\tid bigint primary key, -- = id\n\ttitle text -- = title\n);\n');
	await project.runOk('rebuild');
	assert.equal(await project.value('select count(*) from gh.others'), '3');
	assert.match((await project.runOk('rollback')).stdout, /other projections.*paused/s);
	assert.equal(await project.value("select to_regclass('gh.others')"), null);
	const up = await startUp(t, log.dir, { env: project.env }); // would rebuild what it does not know
	log.receiver = up;
	await up.waitFor(/project\.paused schema=gh_g1/);
	await fill(log, 1);
	await sleep(1500);
	assert.equal(await seq(project), '3');
	assert.doesNotMatch(up.stderr, /project\.rebuild/);
	await up.stop();
	definitions.remove('zz.sql');
	await project.runOk('resume');
	await project.catchUp();
	assert.equal(await seq(project), '4');
	await project.runOk('drop', 'gh_g2');
	assert.deepEqual(await project.generations(), [['1', 'live', '4']]);
});

test('drop: what is not live, and not being filled', async (t) => {
	const log = await makeLog(t);
	await fill(log, 30);
	const definitions = makeDefinitions(t);
	const project = await makeProject(t, log, pg, { env: { ...definitions.env, HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '2' } });
	await project.catchUp();
	for (const [args, code] of [[['1'], 1], [['7'], 3], [['x'], 2], [['-1'], 2], [[], 2]])
		assert.notEqual((await project.run('drop', ...args)).code, 0, `${args} ${code}`);
	assert.equal(await project.value("select count(*) from hooklog.generations where status = 'live'"), '1');
	definitions.write('slow.sql', "-- provider: github\n-- kind: fact\n-- key: seq\n-- rows: . on issues\ncreate table slow (\n\tseq bigint primary key, -- = @seq\n\tslept text -- = action\n\t\tcheck (pg_sleep(0.1)::text = '')\n);\n");
	const rebuild = project.start('rebuild');
	await until(async () => (await project.value("select max(seq) from hooklog.generations where status = 'building'")) > 0);
	const refused = await project.run('drop', '2');
	assert.equal(refused.code, 9, refused.stderr);
	assert.match(refused.stderr, /project\.locked/);
	await rebuild.stop({ signal: 'SIGINT', code: 130 });
	assert.equal((await project.runOk('drop', '2')).stdout, 'dropped generation 2\n');
	assert.equal(await project.value("select count(*) from pg_namespace where nspname = 'gh_g2'"), '0');
	assert.deepEqual((await audit(project)).at(-1).slice(0, 2), ['drop', '2']);
});

test('reset: the same again changes nothing, and puts right what was changed', async (t) => {
	const log = await makeLog(t);
	await fill(log, 9);
	const project = await makeProject(t, log, pg);
	await project.catchUp();
	const before = await project.dump('gh_g1');
	const live = project.start('run');
	await live.waitFor(/project\.attached/);
	const refused = await project.run('reset');
	assert.equal(refused.code, 9, refused.stderr);
	assert.match(refused.stderr, /project\.locked/);
	await live.stop();
	assert.notEqual((await project.run('reset', '--to', '10')).code, 0);
	assert.equal((await project.runOk('reset', '--to', '4')).stdout, 'checkpoint moved from event 9 to event 4\n');
	await project.query('delete from gh_g1.issues where id > 4');
	await project.catchUp();
	assert.deepEqual(await project.dump('gh_g1'), before);
	await project.runOk('reset');
	await project.catchUp();
	assert.deepEqual(await project.dump('gh_g1'), before);
	assert.deepEqual((await audit(project)).slice(1), [['reset', '1', '9', '4', 'hooklog'], ['reset', '1', '9', '0', 'hooklog']]);
});

test('a projector that was frozen and thawed cannot write behind the back of its successor', { timeoutMs: 600000 }, async (t) => {
	const log = await makeLog(t);
	await fill(log, 3);
	const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '1' } });
	const old = project.start('run');
	await project.reached(3, old);
	for (let round = 0; round < (process.env.TEST_SOAK ? 100 : 5); round++) {
		const said = old.stderr.length;
		old.child.kill('SIGSTOP');
		await project.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'hooklog project' and datname = current_database()");
		const next = project.start('run');
		await next.waitFor(/project\.attached/);
		old.child.kill('SIGCONT');
		await fill(log, 5);
		await project.reached(log.sent, next);
		assert.equal(next.ended, null, next.stderr);
		await until(() => /project\.locked|postgres\.unavailable/.test(old.stderr.slice(said)));
		await next.stop();
		await fill(log, 2);
		await project.reached(log.sent, old); // and takes over when the other one is gone
	}
	await old.stop();
	await project.runOk('verify');
	assert.equal(await project.value('select count(*) from hooklog.events'), String(log.sent));
});

test('explain tells which event made each group of a row', async (t) => {
	const log = await makeLog(t);
	await log.post('pull_request', { action: 'opened', number: 7, sender, repository, pull_request: fullPull(7, '2026-01-03T00:00:00Z') });
	await log.post('pull_request_review', { action: 'submitted', sender, repository, pull_request: thinPull(7, '2026-01-04T00:00:00Z', { title: 'newer' }), review: review(70) });
	await log.post('push', { ref: 'refs/heads/main', sender, repository, commits: [], head_commit: null });
	const project = await makeProject(t, log, pg);
	await project.catchUp();
	const lines = ndjson((await project.runOk('explain', 'pull_requests', '7', '--json')).stdout);
	const group = (name) => lines.find((line) => line.group === name);
	assert.deepEqual([group('core').seq, group('core').event, group('core').action, group('core').values.title], [2, 'pull_request_review', 'submitted', 'newer']);
	assert.deepEqual([group('full').seq, group('full').action, group('full').values.additions], [1, 'opened', '5']);
	assert.equal(group('core').version_at, '2026-01-04 00:00:00+00');
	assert.match((await project.runOk('explain', 'gh.pull_requests', '7')).stdout, /^core: event 2 of \S+, pull_request_review\.submitted, delivery \S+\n\tversion 2026/m);
	const [push] = ndjson((await project.runOk('explain', 'pushes', '3', '--json')).stdout);
	assert.deepEqual([push.group, push.seq, push.event, push.values.ref], ['row', 3, 'push', 'refs/heads/main']);
	for (const [args, code] of [[['pull_requests', '8'], 3], [['nothing', '8'], 3], [['pull_requests', "7' or true --"], 3], [['pull_requests', '7', '8'], 1], [['pull_requests'], 2]])
		assert.equal((await project.run('explain', ...args)).code, code, args.join(' '));
});

test('a database that another version set up is refused', async (t) => {
	const log = await makeLog(t);
	await fill(log, 2);
	const project = await makeProject(t, log, pg);
	await project.runOk('run', '--to', '2');
	await project.query("insert into hooklog.schema_steps (step, sha256) values (999, '')");
	const newer = await project.run('run', '--to', '2');
	assert.equal(newer.code, 9, newer.stderr);
	assert.match(newer.stderr, /at step 999, this program knows \d+[^]*project\.schema-steps\.md/);
	await project.query("delete from hooklog.schema_steps where step = 999; update hooklog.schema_steps set sha256 = '\\x00' where step = 1");
	const other = await project.run('run', '--to', '2');
	assert.equal(other.code, 9, other.stderr);
	assert.match(other.stderr, /step 1 [^]*another version[^]*project\.schema-steps\.md/);
	assert.equal(await seq(project), '2');
	await project.query('alter table hooklog.schema_steps drop column sha256');
	const older = await project.run('run', '--to', '2');
	assert.equal(older.code, 9, older.stderr);
	assert.match(older.stderr, /kept no hashes[^]*project\.schema-steps\.md/);
});
