// SPDX-License-Identifier: Apache-2.0
// How fast a log is replayed: as NDJSON into a file, beside `cat` of the same NDJSON into another one, and
// over HTTP, signed, to a server on this machine that reads everything and does nothing with it; and how long
// after the receiver's answer a push subscription has delivered. Prints one line each.
//
//	replay_bench.mjs [EVENTS [CONNECTIONS [SECONDS]]]     needs HOOKLOG_BIN; method in docs/benchmarks.md
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';

const now = () => performance.timeOrigin + performance.now(); // the same in all threads

// Notes when each delivery arrives, and tells when asked.
if (!isMainThread && workerData === 'clocked') {
	const arrived = [];
	const server = http.createServer((request, response) => {
		request.resume();
		request.on('end', () => {
			arrived.push([request.headers['x-github-delivery'], now()]);
			response.writeHead(204).end();
		});
	});
	parentPort.on('message', () => parentPort.postMessage(arrived));
	server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
} else if (!isMainThread) {
	// The sink, in a thread of its own: no HTTP library, so that it is not what is measured.
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
	const { bin, cleanEnv, exec, runOk, start, startIngest, tempDir } = await import('../lib/hooklog.mjs');
	const { writeMixedEvents } = await import('../lib/mix.mjs');
	const EVENTS = Number(process.argv[2] ?? 100000);
	const ROUNDS = 5;
	const CONNECTIONS = process.argv[3] ?? '16';
	const SECONDS = Number(process.argv[4] ?? 20);

	test('replay', { timeoutMs: 1800000 }, async (t) => {
		const dir = tempDir(program, 'bench');
		const data = path.join(dir, 'data');
		const long = { timeoutMs: 900000 };
		const filler = spawn(bin, ['log', 'import', '-', '--data', data], { env: cleanEnv(), stdio: ['pipe', 'ignore', 'inherit'] });
		const filled = once(filler, 'exit');
		await writeMixedEvents(filler.stdin, EVENTS, { whole: true });
		assert.deepEqual(await filled, [0, null]);

		const seconds = async (work) => {
			const began = process.hrtime.bigint();
			await work();
			return Number(process.hrtime.bigint() - began) / 1e9;
		};
		const file = path.join(dir, 'events.ndjson');
		const copy = path.join(dir, 'copy');
		const ours = [];
		const cats = [];
		for (let round = 0; round < ROUNDS; round++) {
			fs.rmSync(file, { force: true });
			fs.rmSync(copy, { force: true });
			await exec('sync', [], long);
			ours.push(EVENTS / await seconds(() => runOk(['replay', '--data', data, '--target', file], long)));
			await exec('sync', [], long);
			// Ours leaves nothing of the file in the page cache, from which the other one shall read, as ours reads the log.
			await exec('/bin/sh', ['-c', 'cat "$0" >/dev/null', file], long);
			// Synced as well, as ours is.
			cats.push(EVENTS / await seconds(() => exec('/bin/sh', ['-c', 'cat "$0" >"$1" && sync "$1"', file, copy], long)));
		}
		const { size } = fs.statSync(file);
		const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
		const show = (values) => `${Math.round(median(values))} events/s (${Math.round(Math.min(...values))}-${Math.round(Math.max(...values))})`;
		t.note(`ndjson: ${show(ours)}, ${Math.round(median(ours) * size / EVENTS / 1e6)} MB/s; cat ${show(cats)}; ratio ${(median(ours) / median(cats)).toFixed(3)}; ${Math.round(size / EVENTS)} bytes/event; medians of ${ROUNDS} rounds`);

		const sink = new Worker(fileURLToPath(import.meta.url));
		program.cleanup(() => sink.terminate());
		const port = await new Promise((resolve) => sink.once('message', resolve));
		const secret = path.join(dir, 'secret');
		fs.writeFileSync(secret, 'a secret for the benchmark\n', { mode: 0o600 });
		let sent = 0;
		const overHttp = await seconds(async () => {
			const { stdout } = await runOk(['replay', '--data', data, '--target', `http://127.0.0.1:${port}/`, '--secret-file', secret, '--concurrency', CONNECTIONS, '--json'], long);
			({ sent } = JSON.parse(stdout));
		});
		assert.equal(sent, EVENTS);
		t.note(`http: ${Math.round(EVENTS / overHttp)} events/s, ${CONNECTIONS} connections, signed`);
	});

	// Events of 10 KB at an even pace, from the answer 202, when each is on disk, to its arrival.
	test('push subscription', { timeoutMs: 600000 }, async (t) => {
		const RATE = 500;
		const data = path.join(tempDir(program, 'bench'), 'data');
		await runOk(['source', 'add', 'github', '--provider', 'github', '--data', data]);
		const key = fs.readFileSync(path.join(data, 'sources/github.secret'), 'utf8').trim();
		const ingest = await startIngest(program, data, { env: { HOOKLOG_INGEST_KEEP_ALIVE: 'true' } });
		const sink = new Worker(fileURLToPath(import.meta.url), { workerData: 'clocked' });
		program.cleanup(() => sink.terminate());
		const port = await new Promise((resolve) => sink.once('message', resolve));
		const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
		program.cleanup(() => agent.destroy());
		const stored = new Map();
		const post = (n) => new Promise((resolve, reject) => {
			const body = JSON.stringify({ n, repository: { id: n % 50, full_name: `acme/${n % 50}` }, text: 'lorem ipsum '.repeat(850) });
			const delivery = crypto.randomUUID();
			const request = http.request(`${ingest.url}/in/github`, { method: 'POST', agent, headers: { 'Content-Type': 'application/json', 'X-GitHub-Event': 'push', 'X-GitHub-Delivery': delivery, 'X-Hub-Signature-256': `sha256=${crypto.createHmac('sha256', key).update(body).digest('hex')}` } }, (response) => {
				assert.equal(response.statusCode, 202);
				stored.set(delivery, now());
				response.resume();
				response.on('end', resolve);
			});
			request.on('error', reject);
			request.end(body);
		});
		await post(0);
		await runOk(['subscription', 'add', 'bench', '--target', `http://127.0.0.1:${port}/`, '--concurrency', '8', '--data', data]);
		const served = start(program, ['subscription', 'run', '--data', data]);
		await served.waitFor(/subscription\.started/);
		stored.clear();
		const posts = [];
		const began = now();
		for (let n = 1; n <= RATE * SECONDS; n++) {
			const early = began + n * 1000 / RATE - now();
			if (early > 1)
				await new Promise((resolve) => setTimeout(resolve, early));
			posts.push(post(n));
		}
		await Promise.all(posts);
		let arrived = [];
		while (arrived.length < stored.size) {
			await new Promise((resolve) => setTimeout(resolve, 100));
			arrived = await new Promise((resolve) => {
				sink.once('message', resolve);
				sink.postMessage('');
			});
		}
		// An event may arrive before this process has seen the answer.
		const ms = arrived.map(([delivery, at]) => Math.max(0, at - stored.get(delivery))).sort((a, b) => a - b);
		const at = (part) => ms[Math.min(ms.length - 1, Math.floor(ms.length * part))].toFixed(1);
		t.note(`push: ${stored.size} events at ${(stored.size * 1000 / (now() - began)).toFixed(0)}/s, on disk to delivered p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`);
		await served.stop();
	});
}
