// SPDX-License-Identifier: Apache-2.0
// What a projector tells Prometheus, with and without a database.
import fs from 'node:fs';
import path from 'node:path';
import { program, test, assert } from '../lib/harness.mjs';
import { debianProgram } from '../lib/debian.mjs';
import { cleanEnv, exec, root, run, startUp, until } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const issue = (id) => ({ action: 'opened', sender, repository, issue: { id, number: id, title: 't', updated_at: '2026-01-01T00:00:00Z' } });
const LISTEN = { HOOKLOG_PROJECTOR_LISTEN: '127.0.0.1:0' };

async function read(address) {
	const response = await fetch(`http://${address}/metrics`);
	const text = await response.text();
	const of = (name) => Number(new RegExp(`^hooklog_projector_${name} (\\S+)$`, 'm').exec(text)?.[1]);
	return { of, text, status: response.status, type: response.headers.get('content-type') };
}

test('checkpoint, lag and parked events, counted and aged', async (t) => {
	const pg = await startPostgres(t);
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg, { env: LISTEN });
	const handle = project.start('run');
	const address = (await handle.waitFor(/project\.listening address=(\S+)/))[1];
	await log.post('issues', issue(1));
	await log.post('issues', 'no JSON');
	await log.post('issues', 'nor this');
	await project.reached(3, handle);
	const seen = await until(async () => {
		const now = await read(address);
		return now.of('parked') === 2 && now;
	}, { what: 'two events are counted as parked' });
	assert.deepEqual([seen.status, seen.type], [200, 'text/plain; version=0.0.4; charset=utf-8']);
	assert.deepEqual(['running', 'seq', 'events_total', 'lag_events', 'lag_seconds', 'parked_total', 'retries_total'].map(seen.of), [1, 3, 3, 0, 0, 2, 0]);
	// As old as it is: the list says since when.
	await project.query("update hooklog.parked_events set parked_at = parked_at - interval '1 hour' where seq = 2");
	await until(async () => {
		const age = (await read(address)).of('parked_oldest_seconds');
		assert.ok(age < 3700, `${age}`);
		return age >= 3600;
	}, { what: 'the oldest is an hour old' });
	// What others take off the list is no longer counted; what was parked once stays so.
	await project.runOk('parked', '--drop', '2');
	await project.runOk('parked', '--drop', '3');
	await until(async () => (await read(address)).of('parked') === 0);
	const after = await read(address);
	assert.deepEqual(['parked_oldest_seconds', 'parked_total'].map(after.of), [0, 2]);

	// Paused, and then without a database: the figures go on.
	await project.runOk('pause');
	await handle.waitFor(/project\.paused/);
	await log.post('issues', issue(4));
	await until(async () => (await read(address)).of('lag_events') === 1);
	assert.equal((await read(address)).of('running'), 0);
	await project.runOk('resume');
	await project.reached(4, handle);
	await until(async () => (await read(address)).of('running') === 1);
	await pg.stop('immediate');
	await log.post('issues', issue(5));
	await until(async () => (await read(address)).of('retries_total') >= 1);
	const down = await read(address);
	assert.deepEqual(['running', 'seq', 'lag_events', 'parked'].map(down.of), [0, 4, 1, 0]);
	assert.ok(down.of('lag_seconds') > 0);
	assert.equal((await fetch(`http://${address}/livez`)).status, 200);
	assert.equal((await fetch(`http://${address}/x`)).status, 404);
	assert.equal((await fetch(`http://${address}/metrics`, { method: 'DELETE' })).status, 405);
	const { file, env } = await debianProgram(t, 'usr/bin/promtool', ['prometheus']);
	const checked = await exec(file, ['check', 'metrics'], { input: down.text, env: { ...cleanEnv(), ...env } });
	assert.deepEqual([checked.code, checked.stdout + checked.stderr], [0, '']);
	// The alerts that are shipped ask for what there is, and name a page.
	const rules = path.join(root, 'deploy/alerts-projector.yml');
	const alerts = fs.readFileSync(rules, 'utf8');
	for (const [name] of alerts.matchAll(/hooklog_projector_[a-z_]+/g))
		assert.match(down.text, new RegExp(`^${name} `, 'm'), name);
	for (const [, page] of alerts.matchAll(/runbook: (\S+)/g))
		assert.ok(fs.existsSync(path.join(root, 'docs/runbooks', `${page}.md`)), page);
	const valid = await exec(file, ['check', 'rules', rules], { env: { ...cleanEnv(), ...env } });
	assert.equal(valid.code, 0, valid.stdout + valid.stderr);
	await handle.kill();
});

test('`up` tells the same beside the receiver; a place that is taken is refused', async (t) => {
	const pg = await startPostgres(t);
	const log = await makeLog(t);
	await log.receiver.stop();
	const project = await makeProject(t, log, pg, { env: { HOOKLOG_ADMIN_LISTEN: '127.0.0.1:0' } });
	const up = await startUp(t, log.dir, { env: project.env });
	const address = (await up.waitFor(/ingest\.admin address=(\S+)/))[1];
	await until(async () => (await read(address)).of('seq') >= 1);
	const seen = await read(address);
	assert.equal(seen.of('lag_events'), 0);
	assert.match(seen.text, /^hooklog_ingest_requests_total/m);
	const taken = await run(['project', 'run', '--data', log.dir], { env: { ...project.env, HOOKLOG_PROJECTOR_LISTEN: address } });
	assert.notEqual(taken.code, 0);
	assert.match(taken.stderr, /projector\.listen[^]*ingest\.listen\.md/);
	await up.stop();
});
