// SPDX-License-Identifier: Apache-2.0
// A database that goes away, and one that refuses: the receiver goes on, nothing is lost or doubled.
import { program, test, assert } from '../lib/harness.mjs';
import { until } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const pg = await startPostgres(program);

let issues = 0;

async function fill(log, count) {
	for (let i = 1; i <= count; i++)
		await log.post('issues', { action: 'opened', sender, repository, issue: { id: ++issues, number: i, title: 't', updated_at: '2026-01-01T00:00:00Z' } });
}

// Every event once, and the rows what a rebuild makes of the log.
async function assertComplete(project) {
	const { sent } = project.log;
	assert.deepEqual(await project.query('select count(*), max(seq), count(*) filter (where parked) from hooklog.events'), [[String(sent), String(sent), '0']]);
	assert.equal(await project.value('select count(*) from gh.issues'), String(sent));
	await project.runOk('rebuild');
	const [[old], [fresh]] = await project.query("select schema_name from hooklog.generations order by id desc limit 2").then((rows) => rows.reverse());
	assert.deepEqual(await project.differences(old, fresh), []);
}

test('PostgreSQL is stopped and comes back', async (t) => {
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '3' } });
	const live = project.start('run');
	await fill(log, 10);
	await project.reached(5, live);
	for (const mode of ['immediate', 'fast']) {
		const said = live.stderr.length;
		let stopped = false;
		const coming = (async () => {
			while (!stopped)
				await fill(log, 1);
		})();
		await pg.stop(mode);
		await until(() => live.stderr.slice(said).includes('postgres.unavailable'));
		await fill(log, 5); // each is asserted to be answered with 202
		stopped = true;
		await coming;
		await pg.start();
		await project.reached(log.sent, live);
	}
	assert.equal(live.ended, null);
	await live.stop();
	await assertComplete(project);
});

test('its connection is cut again and again', async (t) => {
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '2' } });
	const live = project.start('run');
	await fill(log, 5);
	await project.reached(1, live);
	for (let i = 0; i < 5; i++) {
		await fill(log, 20);
		await project.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'hooklog project' and datname = current_database()");
	}
	await project.reached(log.sent, live);
	assert.match(live.stderr, /postgres\.unavailable/);
	assert.equal(live.ended, null);
	await live.stop();
	await assertComplete(project);
});

test('the projector is killed again and again', async (t) => {
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '2' } });
	await fill(log, 120);
	for (let i = 1; i <= 5; i++) {
		const killed = project.start('run');
		await project.reached(i * 15, killed);
		await killed.kill();
	}
	await project.catchUp();
	await assertComplete(project);
});

test('a rebuild without its database fails and goes on later', async (t) => {
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg);
	await fill(log, 3);
	await project.catchUp();
	await pg.stop('fast');
	const failed = await project.run('rebuild');
	assert.equal(failed.code, 6, failed.stderr);
	assert.match(failed.stderr, /postgres\.unavailable/);
	const status = await project.run('status');
	assert.equal(status.code, 6, status.stderr);
	await pg.start();
	await project.runOk('rebuild');
	await assertComplete(project);
});

test('a stop is heeded while the database is away', async (t) => {
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg);
	Object.assign(project.env, { PGHOST: '/nowhere' });
	const waiting = project.start('run');
	await waiting.waitFor(/postgres\.unavailable(.|\n)*postgres\.unavailable/);
	await waiting.stop();
});

// ---- refusals: they end the projector at once, with the remedy

async function assertRefused(project, says) {
	const refused = await project.run('run');
	assert.equal(refused.code, 6, refused.stderr);
	assert.match(refused.stderr, /postgres\.refused/);
	assert.match(refused.stderr, says);
	assert.doesNotMatch(refused.stderr, /LOCATION/);
}

test('a wrong role, database or connection string', async (t) => {
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg);
	const right = { ...project.env };
	project.env = { ...right, PGUSER: 'nobody_here' };
	await assertRefused(project, /role "nobody_here" does not exist/);
	project.env = { ...right, PGDATABASE: 'nothing_here' };
	await assertRefused(project, /database "nothing_here" does not exist/);
	await pg.query('create role may_not login');
	await pg.query(`revoke connect on database ${project.database} from public`);
	project.env = { ...right, PGUSER: 'may_not' };
	await assertRefused(project, /permission denied for database/);
	for (const url of ['postgresql://host:port:what/', 'postgresql://host/db?colour=red', 'host=x sslmode=perhaps', 'no equals sign'])
		await assertRefused(Object.assign(project, { env: { ...right, HOOKLOG_POSTGRES_URL: url } }), /check postgres\.url/);
});

test('a role that may only read', async (t) => {
	const log = await makeLog(t);
	await fill(log, 1);
	const project = await makeProject(t, log, pg);
	const owner = { ...project.env };
	await pg.query('create role reader login');
	project.env = { ...owner, PGUSER: 'reader' };
	await assertRefused(project, /permission denied/); // to make the schema

	project.env = owner;
	await project.catchUp();
	await project.query('grant usage on schema hooklog, gh, gh_g1 to reader; grant select on all tables in schema hooklog, gh, gh_g1 to reader');
	project.env = { ...owner, PGUSER: 'reader' };
	await fill(log, 1);
	await assertRefused(project, /permission denied/); // to move the checkpoint
	assert.equal((await project.run('rebuild')).code, 6);
	const status = await project.run('status', '--json');
	assert.equal(status.code, 0, status.stderr);
	assert.equal(JSON.parse(status.stdout).lag_events, 1);
	assert.equal((await project.run('parked')).code, 0);
	assert.equal(await project.value('select count(*) from hooklog.events'), '1');
});

test('a server that only reads, as a standby does', async (t) => {
	const log = await makeLog(t);
	await fill(log, 1);
	const project = await makeProject(t, log, pg);
	await project.catchUp();
	const writing = { ...project.env };
	project.env = { ...writing, PGOPTIONS: '-c default_transaction_read_only=on' };
	await assertRefused(project, /read-only transaction/);
	project.env = writing;
	await project.catchUp();
});

test('what refuses later is waited for', async (t) => {
	const log = await makeLog(t);
	await fill(log, 1);
	const project = await makeProject(t, log, pg);
	const live = project.start('run');
	await project.reached(1, live);
	await pg.query(`alter database ${project.database} allow_connections false`);
	await pg.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${project.database}'`);
	await live.waitFor(/not currently accepting connections/);
	await fill(log, 1);
	await pg.query(`alter database ${project.database} allow_connections true`);
	await project.reached(2, live);
	await live.stop();
});
