// SPDX-License-Identifier: Apache-2.0
// `hooklog simulate` against a real receiver and against servers that misbehave.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { ndjson, run, runOk, start, startIngest, tempDir, until } from '../lib/hooklog.mjs';

async function startReceiver(t) {
	const dir = tempDir(t, 'simulate');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const receiver = await startIngest(t, dir);
	// As the configuration would say it: simulate finds URL and secret by itself.
	const env = { HOOKLOG_INGEST_LISTEN: `127.0.0.1:${receiver.port}` };
	const simulate = (...args) => run(['simulate', '--json', '--data', dir, ...args], { env });
	const stored = async () => ndjson((await runOk(['replay', '--target', '-', '--data', dir])).stdout);
	return { dir, receiver, simulate, stored };
}

const done = (result) => {
	assert.equal(result.code, 0, result.stderr);
	return JSON.parse(result.stdout);
};

test('the same seed writes the same bytes', async (t) => {
	const dir = tempDir(t, 'simulate');
	const write = async (...args) => (await runOk(['simulate', '--output', '-', '--data', dir, ...args])).bytes;
	const once = await write('--count', '300', '--seed', '5');
	assert.ok(once.equals(await write('--count', '300', '--seed', '5')));
	assert.ok(!once.equals(await write('--count', '300', '--seed', '6')));
	// A longer run begins like a shorter one.
	const longer = await write('--count', '400', '--seed', '5');
	assert.ok(longer.subarray(0, once.length).equals(once));
	const events = ndjson(once.toString());
	assert.equal(events.length, 300);
	assert.equal(events[0].event, 'ping');
	assert.equal(new Set(events.map((e) => e.delivery)).size, 300);
});

test('a receiver takes everything, in order over one connection, and knows it the second time', async (t) => {
	const { dir, simulate, stored } = await startReceiver(t);
	const first = done(await simulate('--count', '120', '--seed', '3'));
	assert.equal(first.sent, 120);
	assert.equal(first.accepted, 120);
	assert.equal(first.duplicates, 0);
	assert.equal(first.refused, 0);
	assert.ok(first.latency_us.p50 > 0 && first.latency_us.p50 <= first.latency_us.p99 && first.latency_us.p99 <= first.latency_us.max);
	const again = done(await simulate('--count', '120', '--seed', '3'));
	assert.equal(again.duplicates, 120);
	const events = await stored();
	const want = ndjson((await runOk(['simulate', '--output', '-', '--count', '120', '--seed', '3', '--data', dir])).stdout);
	assert.deepEqual(events.map((e) => e.delivery), want.map((e) => e.delivery));
	assert.ok(events.every((e) => e.verified === 'ok'));
});

test('several connections, forms and duplicates', async (t) => {
	const { simulate, stored } = await startReceiver(t);
	const result = done(await simulate('--count', '200', '--concurrency', '4', '--form-share', '50', '--duplicate-share', '25', '--seed', '8'));
	assert.equal(result.sent, result.accepted);
	assert.equal(result.sent, 200 + result.duplicates);
	assert.ok(result.duplicates > 20 && result.duplicates < 80, String(result.duplicates));
	const events = await stored();
	assert.equal(events.length, 200);
	assert.equal(new Set(events.map((e) => e.delivery)).size, 200);
	const forms = events.filter((e) => e.content_type === 'application/x-www-form-urlencoded');
	assert.ok(forms.length > 60 && forms.length < 140, String(forms.length));
	for (const event of forms)
		JSON.parse(new URLSearchParams(event.body).get('payload'));
	assert.ok(events.every((e) => e.verified === 'ok'));
});

test('a wrong secret is told and fails', async (t) => {
	const { dir, simulate, stored } = await startReceiver(t);
	const secret = path.join(dir, 'wrong');
	fs.writeFileSync(secret, 'not the secret of the source', { mode: 0o600 });
	const result = await simulate('--count', '5', '--secret-file', secret);
	assert.equal(result.code, 1);
	assert.equal(JSON.parse(result.stdout).refused, 5);
	assert.match(result.stderr, /5 requests were refused, the first with status 401/);
	assert.equal((await stored()).length, 0);
});

test('429 and 503 are waited for', async (t) => {
	let count = 0;
	const seen = [];
	const server = http.createServer((request, response) => {
		request.resume();
		request.on('end', () => {
			const status = [503, 429][count++] ?? 202;
			seen.push(request.headers['x-github-delivery']);
			response.writeHead(status, status === 202 ? {} : { 'Retry-After': '1' });
			response.end('{"seq":1,"duplicate":false}');
		});
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	t.cleanup(() => {
		server.closeAllConnections();
		server.close();
	});
	const dir = tempDir(t, 'simulate');
	const result = done(await run(['simulate', '--json', '--url', `http://127.0.0.1:${server.address().port}/`, '--count', '3', '--data', dir]));
	assert.equal(result.sent, 3);
	assert.equal(result.retried, 2);
	assert.equal(seen.length, 5);
	assert.equal(new Set(seen.slice(0, 3)).size, 1);
	assert.equal(new Set(seen).size, 3);
});

test('nobody there, no source, wrong numbers', async (t) => {
	const dir = tempDir(t, 'simulate');
	const nobody = await run(['simulate', '--url', 'http://127.0.0.1:1/', '--data', dir]);
	assert.equal(nobody.code, 1);
	const none = await run(['simulate', '--data', dir]);
	assert.equal(none.code, 3);
	assert.match(none.stderr, /hooklog source add github/);
	for (const args of [['--concurrency', '0'], ['--form-share', '101'], ['--output', 'file'], ['--rate', 'x']])
		assert.equal((await run(['simulate', '--data', dir, ...args])).code, 2, args.join(' '));
});

test('an endless run stops when asked to', async (t) => {
	const { dir, receiver, stored } = await startReceiver(t);
	const endless = start(t, ['simulate', '--json', '--count', '0', '--concurrency', '2', '--data', dir], { env: { HOOKLOG_INGEST_LISTEN: `127.0.0.1:${receiver.port}` } });
	await until(async () => (await stored()).length > 20);
	endless.child.kill('SIGINT');
	assert.deepEqual(await endless.wait(), { code: 0, signal: null });
	const result = JSON.parse(endless.stdout);
	assert.equal(result.refused, 0);
	// Whatever was sent was answered.
	assert.equal((await stored()).length, result.accepted);
});
