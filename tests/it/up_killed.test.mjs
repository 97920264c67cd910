// SPDX-License-Identifier: Apache-2.0
// `up` is killed and started again while `simulate` sends: what was acknowledged is in the log, once, and in the tables.
//
// TEST-VARIANTS: release
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { exec, ndjson, runOk, start, startUp, tempDir, until } from '../lib/hooklog.mjs';
import { soon } from '../lib/load.mjs';

const COUNT = 2000;
const KILLS = 2;
const SEED = 11;

test('killing up under simulate loses nothing that was acknowledged', { timeoutMs: 240000 }, async (t) => {
	const data = tempDir(t, 'up');
	let up = await startUp(t, data);
	await up.waitFor(/Try next/, { stream: 'stdout' });
	const { port } = up;
	const secret = path.join(data, 'sources/github.secret');
	const lastSeq = async () => {
		const { stdout } = await runOk(['log', 'stat', '--json', '--data', data]);
		return JSON.parse(stdout).last_seq;
	};
	const simulate = start(t, ['simulate', '--url', `http://127.0.0.1:${port}/in/github`, '--secret-file', secret, '--count', String(COUNT), '--seed', String(SEED), '--concurrency', '8', '--json', '--data', data]);
	for (let i = 1; i <= KILLS; i++) {
		await soon(async () => await lastSeq() > i * COUNT / (KILLS + 2), 'deliveries');
		assert.equal(simulate.ended, null, 'it was killed too late to prove anything');
		await up.kill();
		up = await startUp(t, data, { env: { HOOKLOG_INGEST_LISTEN: `127.0.0.1:${port}` } });
	}
	const ended = await simulate.wait(120000);
	const result = JSON.parse(simulate.stdout);
	t.note(JSON.stringify(result));
	assert.deepEqual(ended, { code: 0, signal: null }, simulate.stderr);
	assert.ok(result.retried > 0, 'nobody noticed the kills');
	// All were acknowledged, so all of them must be there, each once, as they were sent.
	assert.equal(result.accepted, COUNT);
	const sent = ndjson((await runOk(['simulate', '--count', String(COUNT), '--seed', String(SEED), '--output', '-', '--data', data])).stdout);
	const stored = new Map();
	for (const event of ndjson((await runOk(['replay', '--data', data, '--target', '-'], { timeoutMs: 120000 })).stdout)) {
		assert.ok(!stored.has(event.delivery), `${event.delivery} twice`);
		stored.set(event.delivery, event);
	}
	for (const { delivery, event } of sent)
		assert.equal(stored.get(delivery)?.event, event, delivery);
	assert.equal(stored.size, COUNT + 1); // and the ping of the first start
	await up.waitFor(/Try next/, { stream: 'stdout' });
	const query = async (sql) => (await exec('psql', [`host=${data}/postgres/run user=hooklog dbname=hooklog`, '-XAt', '-c', sql])).stdout.trim();
	await until(async () => await query('select count(*), max(seq) from hooklog.events') === `${COUNT + 1}|${COUNT + 1}`);
	await up.stop();
	assert.ok(fs.existsSync(secret));
});
