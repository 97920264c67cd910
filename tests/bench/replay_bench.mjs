// SPDX-License-Identifier: Apache-2.0
// How fast a log is replayed: as NDJSON into a file, beside `cat` of the same NDJSON into another one, and
// over HTTP, signed, to a server on this machine that reads everything and does nothing with it.
// Prints one line each.
//
//	replay_bench.mjs [EVENTS [CONNECTIONS]]       needs HOOKLOG_BIN; method in docs/benchmarks.md
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Worker, isMainThread, parentPort } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';

// The sink, in a thread of its own: no HTTP library, so that it is not what is measured.
if (!isMainThread) {
	const answer = 'HTTP/1.1 204 No Content\r\n\r\n';
	const server = net.createServer((socket) => {
		let head = Buffer.alloc(0); // of the request that is being read
		let left = 0; // of its body
		socket.on('error', () => {});
		socket.on('data', (data) => {
			let at = 0;
			let answers = 0;
			while (at < data.length) {
				if (left > 0) {
					const n = Math.min(left, data.length - at);
					left -= n;
					at += n;
					answers += left === 0 ? 1 : 0;
					continue;
				}
				head = Buffer.concat([head, data.subarray(at)]);
				at = data.length;
				const end = head.indexOf('\r\n\r\n');
				if (end < 0)
					continue;
				left = Number(/\r\ncontent-length: *(\d+)/i.exec(head.subarray(0, end + 2).toString('latin1'))[1]);
				const body = head.subarray(end + 4);
				const n = Math.min(left, body.length);
				left -= n;
				answers += left === 0 ? 1 : 0;
				at = data.length - (body.length - n);
				head = Buffer.alloc(0);
			}
			if (answers > 0)
				socket.write(answer.repeat(answers));
		});
	});
	server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
} else {
	const { test, assert, program } = await import('../lib/harness.mjs');
	const { exec, runOk, startIngest, tempDir } = await import('../lib/hooklog.mjs');
	const EVENTS = Number(process.argv[2] ?? 50000);
	const CONNECTIONS = process.argv[3] ?? '16';

	test('replay', { timeoutMs: 1800000 }, async (t) => {
		const dir = tempDir(program, 'bench');
		const data = path.join(dir, 'data');
		const long = { timeoutMs: 900000 };
		await runOk(['source', 'add', 'github', '--provider', 'github', '--data', data]);
		const ingest = await startIngest(program, data);
		await runOk(['simulate', '--data', data, '--url', `${ingest.url}/in/github`, '--count', String(EVENTS), '--concurrency', '8'], long);
		await ingest.stop();

		const seconds = async (work) => {
			const began = process.hrtime.bigint();
			await work();
			return Number(process.hrtime.bigint() - began) / 1e9;
		};
		const file = path.join(dir, 'events.ndjson');
		const ours = await seconds(() => runOk(['replay', '--data', data, '--target', file], long));
		// Synced as well, as ours is.
		const cat = await seconds(() => exec('/bin/sh', ['-c', 'cat "$0" >"$1" && sync "$1"', file, path.join(dir, 'copy')], long));
		const { size } = fs.statSync(file);
		t.note(`ndjson: ${Math.round(EVENTS / ours)} events/s, ${Math.round(size / ours / 1e6)} MB/s; cat ${Math.round(EVENTS / cat)} events/s; ratio ${(cat / ours).toFixed(3)}; ${Math.round(size / EVENTS)} bytes/event`);

		const sink = new Worker(fileURLToPath(import.meta.url));
		program.cleanup(() => sink.terminate());
		const port = await new Promise((resolve) => sink.once('message', resolve));
		const secret = path.join(dir, 'secret');
		fs.writeFileSync(secret, 'a secret for the benchmark\n');
		let sent = 0;
		const http = await seconds(async () => {
			const { stdout } = await runOk(['replay', '--data', data, '--target', `http://127.0.0.1:${port}/`, '--secret-file', secret, '--concurrency', CONNECTIONS, '--json'], long);
			({ sent } = JSON.parse(stdout));
		});
		assert.equal(sent, EVENTS);
		t.note(`http: ${Math.round(EVENTS / http)} events/s, ${CONNECTIONS} connections, signed`);
	});
}
