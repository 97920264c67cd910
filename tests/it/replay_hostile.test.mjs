// SPDX-License-Identifier: Apache-2.0
// TEST-VARIANTS: release
// A target that does everything wrong a target can do, while events for another one go on: nothing is lost, nothing
// overtakes within a repository, memory does not grow with what is to be sent.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { bin, cleanEnv, ndjson, runOk, start, tempDir, until } from '../lib/hooklog.mjs';
import { writeMixedEvents } from '../lib/mix.mjs';

const COUNT = 10000; // 100 MB of bodies
const MEMORY_MAX_KB = 72 * 1024; // for each target

let shared = null;
async function filledLog() {
	if (shared)
		return shared;
	const dir = path.join(tempDir(program, 'hostile'), 'data');
	const child = spawn(bin, ['log', 'import', '-', '--data', dir], { env: cleanEnv(), stdio: ['pipe', 'ignore', 'inherit'] });
	const ended = once(child, 'exit');
	await writeMixedEvents(child.stdin, COUNT);
	assert.deepEqual(await ended, [0, null]);
	const file = path.join(path.dirname(dir), 'events');
	await runOk(['replay', '--target', file, '--data', dir]);
	const entity = new Map(ndjson(fs.readFileSync(file, 'utf8')).map((e) => [e.seq, JSON.parse(e.body).repository?.id ?? 'none']));
	shared = { dir, entity };
	return shared;
}

// misdeed(seq, attempt) names what is done instead of an answer 202.
async function startServer(t, misdeed) {
	const server = { delivered: [], attempts: new Map(), done: new Map() };
	const listener = http.createServer((request, response) => {
		const seq = Number(/seq=(\d+)/.exec(request.headers['x-hooklog-replay'])[1]);
		const attempt = (server.attempts.get(seq) ?? 0) + 1;
		server.attempts.set(seq, attempt);
		const deed = misdeed(seq, attempt);
		server.done.set(deed, (server.done.get(deed) ?? 0) + 1);
		request.on('error', () => {});
		response.on('error', () => {});
		if (deed === 'close before the body')
			return void request.socket.destroy();
		request.resume();
		request.on('end', () => {
			if (deed === 'close')
				return void request.socket.destroy();
			if (deed === 'hang')
				return;
			if (deed === 'half an answer')
				return void request.socket.end('HTTP/1.1 202 Accep');
			if (deed === 'no HTTP')
				return void request.socket.end('250 OK\r\n\r\n');
			if (deed === 'endless') {
				// An answer as long as it is read; only its first MiB counts, and it counts as an answer.
				response.writeHead(202);
				const more = () => {
					while (response.write('x'.repeat(65536)))
						;
				};
				response.on('drain', more);
				return void more();
			}
			if (deed === 'redirect')
				return void response.writeHead(307, { Location: '/elsewhere' }).end();
			if (typeof deed === 'number')
				return void response.writeHead(deed, deed === 429 ? { 'Retry-After': '1' } : {}).end();
			server.delivered.push(seq);
			if (deed !== 'slow')
				return void response.writeHead(202).end('ok');
			response.writeHead(202);
			let left = 5;
			const drip = () => (left-- > 0 ? (response.write('.'), setTimeout(drip, 20)) : response.end());
			drip();
		});
	});
	await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
	t.cleanup(() => new Promise((resolve) => {
		listener.closeAllConnections();
		listener.close(resolve);
	}));
	server.url = `http://127.0.0.1:${listener.address().port}/hook`;
	return server;
}

// The same misdeeds in each run, spread over the log.
const deeds = ['slow', 'close', 500, 'close before the body', 502, 'slow', 'half an answer', 'no HTTP', 'slow', 500];
function hostile(seq, attempt) {
	if (seq % 97 === 0 && attempt <= 2)
		return deeds[(seq / 97) % deeds.length];
	if ((seq === 1500 || seq === 4000) && attempt === 1)
		return 429;
	if ((seq === 2222 || seq === 3333) && attempt === 1)
		return 'hang';
	return seq === 2500 ? 'redirect' : '';
}

function assertOrder(delivered, entity) {
	const last = new Map();
	for (const seq of delivered) {
		const key = entity.get(seq);
		assert.ok((last.get(key) ?? 0) <= seq, `event ${seq} of ${key} after ${last.get(key)}`);
		last.set(key, seq);
	}
}

// Its most resident memory, without pages of the log, as long as it runs.
function watchMemory(handle) {
	let most = 0;
	const timer = setInterval(() => {
		try {
			most = Math.max(most, Number(/RssAnon:\s+(\d+)/.exec(fs.readFileSync(`/proc/${handle.pid}/status`, 'utf8'))?.[1] ?? 0));
		} catch {
			clearInterval(timer);
		}
	}, 20);
	return () => (clearInterval(timer), most);
}

test('a run gets everything through', { timeoutMs: 120000 }, async (t) => {
	const { dir, entity } = await filledLog();
	const server = await startServer(t, hostile);
	const handle = start(t, ['replay', '--target', server.url, '--concurrency', '8', '--retries', '9', '--keep-going', '--json', '--data', dir]);
	const memory = watchMemory(handle);
	await handle.wait();
	assert.equal(handle.ended.code, 7, handle.stderr); // one was refused
	const summary = JSON.parse(handle.stdout);
	assert.deepEqual([summary.sent, summary.refused, summary.complete], [COUNT - 1, 1, true]);
	assert.equal(summary.statuses['307'], 1);
	// Every one, once, but for those whose acknowledgement was never sent; these are not in `delivered`.
	assert.deepEqual([...server.delivered].sort((a, b) => a - b), [...entity.keys()].filter((seq) => seq !== 2500));
	assertOrder(server.delivered, entity);
	// When a kept connection turns out to be closed, libcurl itself sends once more.
	const again = [...server.attempts.values()].reduce((sum, n) => sum + n - 1, 0);
	assert.ok(summary.retried > 0 && summary.retried <= again, `${summary.retried} of ${again}`);
	for (const deed of new Set(deeds.concat(429, 'hang', 'redirect')))
		assert.ok(server.done.get(deed) > 0, `never happened: ${deed}`);
	t.note(`resident at most ${memory()} KiB`);
	assert.ok(memory() < MEMORY_MAX_KB, `${memory()} KiB`);
});

test('an answer without an end counts as soon as it is long enough', { timeoutMs: 60000 }, async (t) => {
	const { dir } = await filledLog();
	const server = await startServer(t, (seq) => (seq === 2 ? 'endless' : ''));
	const handle = start(t, ['replay', '--target', server.url, '--to', '3', '--retries', '0', '--data', dir]);
	const memory = watchMemory(handle);
	await handle.wait();
	assert.equal(handle.ended.code, 0, handle.stderr);
	assert.deepEqual([...server.attempts], [[1, 1], [2, 1], [3, 1]]);
	assert.ok(memory() < MEMORY_MAX_KB, `${memory()} KiB`);
});

test('two subscriptions: the hostile one is served to its end, the other one does not notice', { timeoutMs: 120000 }, async (t) => {
	const { dir, entity } = await filledLog();
	let down = true;
	const bad = await startServer(t, (seq, attempt) => {
		const deed = hostile(seq, attempt);
		return down ? 503 : deed === 'hang' ? 'close' : deed; // a hanging one has a test of its own
	});
	const good = await startServer(t, () => '');
	for (const [name, server] of Object.entries({ bad, good }))
		await runOk(['subscription', 'add', name, '--target', server.url, '--from', '1', '--concurrency', '8', '--data', dir]);
	const show = async (name) => JSON.parse((await runOk(['subscription', 'show', name, '--json', '--data', dir])).stdout);
	const served = start(t, ['subscription', 'run', '--data', dir]);
	const memory = watchMemory(served);
	// All of it, while the other one's breaker is open.
	await until(async () => (await show('good')).next_seq === COUNT + 1, { timeoutMs: 60000 });
	await until(async () => (await show('bad')).status === 'unreachable');
	assert.deepEqual([...good.delivered].sort((a, b) => a - b), [...entity.keys()]);
	assertOrder(good.delivered, entity);
	assert.equal(bad.delivered.length, 0);
	// Eight at once until it opened; then one event alone after each pause.
	const tried = [...bad.attempts.values()].reduce((sum, n) => sum + n, 0);
	assert.ok(tried < 100, `${tried} attempts at a target that is down`);
	down = false;
	await until(async () => (await show('bad')).next_seq === COUNT + 1, { timeoutMs: 90000 });
	assert.equal((await show('bad')).status, 'active');
	assert.deepEqual([...bad.delivered].sort((a, b) => a - b), [...entity.keys()].filter((seq) => seq !== 2500));
	assertOrder(bad.delivered, entity);
	t.note(`resident at most ${memory()} KiB`);
	assert.ok(memory() < 2 * MEMORY_MAX_KB, `${memory()} KiB`);
	await served.stop({ timeoutMs: 30000 });
});
