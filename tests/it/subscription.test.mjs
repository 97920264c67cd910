// SPDX-License-Identifier: Apache-2.0
// Targets that follow the log: live, through outages, kills, pauses and seeks, and beside each other.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { run, runOk, start, startIngest, startUp, tempDir, until } from '../lib/hooklog.mjs';

const replaySeq = (r) => Number(/(?:^|, )seq=(\d+)$/.exec(r.headers['x-hooklog-replay'])[1]);
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const sorted = (list) => [...list].sort((a, b) => a - b);

// answer(seq, server) -> status, or null for never.
async function startServer(t, answer = () => 204) {
	const server = { arrived: [], delivered: [], headers: [] };
	const listener = http.createServer((request, response) => {
		request.resume();
		request.on('end', () => {
			const seq = replaySeq(request);
			server.arrived.push(seq);
			server.headers.push(request.headers);
			const status = answer(seq, server);
			if (status === null)
				return;
			if (status < 300)
				server.delivered.push(seq);
			response.writeHead(status);
			response.end();
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

// A log that a receiver writes; more(n) makes it n events longer.
async function live(t) {
	const dir = tempDir(t, 'sub');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const receiver = await startIngest(t, dir);
	let seed = 1;
	const more = (n) => runOk(['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', String(n), '--seed', String(seed++), '--data', dir]);
	const sub = (...args) => runOk(['subscription', ...args, '--data', dir]);
	const show = async (name) => JSON.parse((await sub('show', name, '--json')).stdout);
	const last = async () => JSON.parse((await runOk(['log', 'stat', '--json', '--data', dir])).stdout).last_seq;
	const serve = () => start(t, ['subscription', 'run', '--data', dir]);
	return { dir, more, sub, show, last, serve };
}

test('a subscription gets what was and what comes, once', async (t) => {
	const { more, sub, show, last, serve } = await live(t);
	const server = await startServer(t);
	await more(30);
	await sub('add', 'all', '--target', server.url, '--from', '1', '--concurrency', '4');
	await sub('add', 'new', '--target', server.url);
	await sub('add', 'pushes', '--target', server.url, '--from', '1', '--event', 'push');
	assert.equal((await show('all')).status, 'not served');
	assert.equal((await show('all')).lag, await last());
	await sub('remove', 'new');
	const served = serve();
	await until(async () => (await show('all')).lag === 0 && (await show('pushes')).lag === 0);
	await more(20);
	const end = await last();
	await until(async () => (await show('all')).next_seq === end + 1 && (await show('pushes')).next_seq === end + 1);
	const of = (name) => server.delivered.filter((_, i) => server.headers[i]['x-hooklog-replay'].startsWith(`run=${name},`));
	assert.deepEqual(sorted(of('all')), numbers(1, end));
	assert.ok(of('pushes').length > 0 && of('pushes').length < end);
	assert.equal((await show('all')).sent, end);
	assert.equal((await show('all')).status, 'active');
	assert.match((await sub('list')).stdout, /^all +active +next \d+ +lag 0 .*\npushes +active /);
	await served.stop();
});

test('nothing is lost or repeated over stops, and at most what was under way over kills', async (t) => {
	const { more, sub, show, last, serve } = await live(t);
	const server = await startServer(t);
	await more(60);
	await sub('add', 'one', '--target', server.url, '--from', '1', '--rate', '150');
	for (let i = 0; i < 3; i++) {
		const seen = server.delivered.length;
		const served = serve();
		await until(() => server.delivered.length > seen + 3);
		await served.stop();
	}
	assert.deepEqual(server.delivered, numbers(1, server.delivered.length));
	let kills = 0;
	for (; kills < 4; kills++) {
		const seen = server.delivered.length;
		const served = serve();
		await until(() => server.delivered.length > seen + 3, { everyMs: 1 });
		await served.kill();
	}
	const served = serve();
	const end = await last();
	await until(async () => (await show('one')).next_seq === end + 1);
	assert.deepEqual(sorted(new Set(server.delivered)), numbers(1, end));
	assert.ok(server.delivered.length - end <= kills, `${server.delivered.length - end} repeated`);
	await served.stop();
});

test('pause, resume and seek', async (t) => {
	const { more, sub, show, last, serve } = await live(t);
	const server = await startServer(t);
	await more(20);
	await sub('add', 'one', '--target', server.url, '--from', '1');
	const served = serve();
	const end = await last();
	await until(async () => (await show('one')).next_seq === end + 1);
	await sub('pause', 'one');
	assert.equal((await show('one')).status, 'paused');
	await new Promise((resolve) => setTimeout(resolve, 600)); // it looks every 200 ms
	await more(5);
	const later = await last();
	assert.equal((await show('one')).lag, later - end);
	assert.equal(server.delivered.length, end);
	await sub('resume', 'one');
	await until(async () => (await show('one')).next_seq === later + 1);
	assert.deepEqual(server.delivered, numbers(1, later));
	await sub('seek', 'one', '--from', '10');
	await until(() => server.delivered.length === later + (later - 9));
	assert.deepEqual(server.delivered.slice(later), numbers(10, later));
	await sub('seek', 'one', '--since', '2001-01-01');
	await until(() => server.delivered.length === later + (later - 9) + later);
	assert.equal((await run(['subscription', 'seek', 'one'])).code !== 0, true);
	await sub('remove', 'one');
	await until(async () => !(await sub('list')).stdout.includes('one'));
	await served.stop();
});

test('what is refused goes to a list, and can be sent again', async (t) => {
	const { more, sub, show, last, serve } = await live(t);
	const bad = new Set([4, 9]);
	const server = await startServer(t, (seq) => (bad.has(seq) ? 422 : 204));
	await more(15);
	await sub('add', 'one', '--target', server.url, '--from', '1');
	const served = serve();
	const end = await last();
	await until(async () => (await show('one')).next_seq === end + 1);
	const shown = await show('one');
	assert.deepEqual(shown.failures.map((f) => [f.seq, f.status]), [[4, 422], [9, 422]]);
	assert.equal(shown.sent, end - 2);
	bad.delete(9);
	await sub('retry', 'one');
	await until(async () => (await show('one')).failed === 1);
	await until(() => server.arrived.filter((seq) => seq === 4).length === 2);
	assert.deepEqual(server.arrived.slice(end), [4, 9]);
	await served.stop();
});

test('a target that hangs, is down or is gone holds up nobody else', async (t) => {
	const { more, sub, show, last, serve } = await live(t);
	let down = true;
	const good = await startServer(t);
	const hanging = await startServer(t, () => null);
	const dead = await startServer(t, () => (down ? 503 : 204));
	const gone = await startServer(t, (seq) => (seq < 3 ? 204 : 410));
	await more(12);
	for (const [name, server] of Object.entries({ good, hanging, dead, gone }))
		await sub('add', name, '--target', server.url, '--from', '1');
	const served = serve();
	const end = await last();
	await until(async () => (await show('good')).next_seq === end + 1);
	await until(async () => (await show('gone')).status === 'stopped');
	assert.match((await show('gone')).error, /410/);
	assert.match(served.stderr, /error subscription\.stopped [^\n]*name=gone/);
	await until(async () => (await show('dead')).status === 'unreachable');
	assert.equal((await show('dead')).next_seq, 1);
	await more(3);
	const later = await last();
	await until(async () => (await show('good')).next_seq === later + 1);
	down = false;
	await until(async () => (await show('dead')).next_seq === later + 1);
	assert.deepEqual(dead.delivered, numbers(1, later));
	assert.equal((await show('hanging')).sent, 0);
	await sub('seek', 'gone', '--from', '1');
	await sub('resume', 'gone');
	await until(() => gone.delivered.length === 4);
	await served.stop({ timeoutMs: 30000 });
});

test('what cannot be is refused', async (t) => {
	const { dir, sub, serve } = await live(t);
	const server = await startServer(t);
	const add = (...args) => run(['subscription', 'add', ...args, '--data', dir]);
	for (const args of [['a b', '--target', server.url], ['../x', '--target', server.url], ['1x', '--target', server.url], ['x'], ['x', '--target', '-'],
		['x', '--target', '/tmp/x'], ['x', '--target', server.url, '--format', 'cloudevents-batch'], ['x', '--target', server.url, '--origin', 'wind'],
		['x', '--target', server.url, '--from', '1', '--since', '2020-01-01']])
		assert.equal((await add(...args)).code, 2, args.join(' '));
	// A position nothing has reached would pass over what comes before it.
	const beyond = await add('x', '--target', server.url, '--from', '999999');
	assert.equal(beyond.code, 2);
	assert.match(beyond.stderr, /the log ends at event \d+: --from can be \d+ at most/);
	assert.equal((await add('x', '--target', server.url)).code, 0);
	assert.equal((await run(['subscription', 'seek', 'x', '--from', '999999', '--data', dir])).code, 2);
	assert.equal((await add('x', '--target', server.url)).code, 9);
	assert.equal((await run(['subscription', 'show', 'y', '--data', dir])).code, 3);
	assert.equal((await run(['subscription', 'pause', '../log', '--data', dir])).code, 3);
	const lines = fs.readFileSync(path.join(dir, 'subscriptions/audit.ndjson'), 'utf8').trim().split('\n').map((l) => JSON.parse(l));
	assert.equal(lines[0].action, 'add');
	assert.equal(lines[0].name, 'x');
	// A private address is refused when it is sent to, and says so.
	await sub('add', 'inside', '--target', 'http://127.0.0.2:9/', '--from', '1');
	await runOk(['log', 'stat', '--data', dir]);
	const served = serve();
	await until(async () => JSON.parse((await sub('show', 'x', '--json')).stdout).status === 'active');
	await served.stop();
});

test('`up` serves subscriptions, too', async (t) => {
	const dir = tempDir(t, 'up');
	const server = await startServer(t);
	const up = await startUp(t, dir);
	await up.waitFor(/up\.ready/);
	await runOk(['subscription', 'add', 'one', '--target', server.url, '--from', '1', '--data', dir]);
	await until(() => server.delivered.length === 1);
	await runOk(['simulate', '--url', `${up.url}/in/github`, '--source', 'github', '--count', '10', '--data', dir]);
	await until(() => server.delivered.length === 11);
	assert.deepEqual(server.delivered, numbers(1, 11));
	await up.stop();
});
