// SPDX-License-Identifier: Apache-2.0
// A replay to JetStream beside a bare publisher of the same messages (nats_bench.c), one after the other on the
// same server, several times. Prints the best of each and their ratio.
//
//	broker_bench.mjs [EVENTS [ROUNDS]]       needs HOOKLOG_BIN; method in docs/benchmarks.md
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { bin, exec, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';
import { startNats } from '../lib/broker.mjs';

const EVENTS = Number(process.argv[2] ?? 20000);
const ROUNDS = Number(process.argv[3] ?? 3);

test('JetStream', { timeoutMs: 1800000 }, async (t) => {
	const data = path.join(tempDir(program, 'bench'), 'data');
	const long = { timeoutMs: 600000 };
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', data]);
	const ingest = await startIngest(program, data);
	await runOk(['simulate', '--data', data, '--url', `${ingest.url}/in/github`, '--count', String(EVENTS), '--concurrency', '8'], long);
	await ingest.stop();
	const best = { ours: 0, bare: 0 };
	let bytes = 0;
	for (let round = 0; round < ROUNDS; round++) {
		const nats = await startNats(t);
		await nats.makeStream('HOOKS', 'hooklog.>');
		await nats.makeStream('BARES', 'nothing.>');
		const ours = JSON.parse((await runOk(['replay', '--data', data, '--target', nats.url('HOOKS'), '--json'], long)).stdout);
		assert.equal(ours.sent, EVENTS);
		const { code, stdout, stderr } = await exec(path.join(path.dirname(bin), 'tests/bench/nats_bench'), [`nats://${nats.hosts}`, 'HOOKS', 'BARES', 'nothing'], long);
		assert.equal(code, 0, stderr);
		const bare = JSON.parse(stdout);
		assert.equal(bare.events, EVENTS);
		assert.equal(bare.body_bytes, ours.body_bytes);
		best.ours = Math.max(best.ours, EVENTS * 1000 / ours.elapsed_ms);
		best.bare = Math.max(best.bare, EVENTS * 1000 / bare.elapsed_ms);
		bytes = ours.body_bytes;
		await nats.servers[0].kill();
	}
	t.note(`jetstream: ${Math.round(best.ours)} events/s; bare publisher ${Math.round(best.bare)} events/s; ratio ${(best.ours / best.bare).toFixed(3)}; ${Math.round(bytes / EVENTS)} bytes/event, best of ${ROUNDS}`);
});
