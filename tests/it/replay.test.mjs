// SPDX-License-Identifier: Apache-2.0
// `hooklog replay` as an operator uses it: out of a real log, into files, other receivers and servers.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { bin, exec, ndjson, run, runOk, start, startIngest, tempDir, until } from '../lib/hooklog.mjs';
import { xxh128 } from '../independent/xxh3.mjs';

const COUNT = 150;
const SEED = '11';

// One log for all tests, which only read it.
let sharedLog = null;
async function filledLog() {
	if (sharedLog)
		return sharedLog;
	const dir = tempDir(program, 'replay');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const receiver = await startIngest(program, dir);
	await runOk(['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', String(COUNT), '--seed', SEED, '--data', dir]);
	await receiver.stop();
	const { stdout } = await runOk(['replay', '--target', '-', '--data', dir]);
	sharedLog = { dir, events: ndjson(stdout) };
	return sharedLog;
}

const replaySeq = (r) => Number(/(?:^|, )seq=(\d+)$/.exec(r.headers['x-hooklog-replay'] ?? 'seq=0')[1]);

// A server that answers with what answer(request, number) gives: {status, headers, body}.
async function startServer(t, answer = () => ({ status: 200 })) {
	const requests = [];
	const server = http.createServer((request, response) => {
		const parts = [];
		request.on('data', (part) => parts.push(part));
		request.on('end', () => {
			const got = { method: request.method, url: request.url, headers: request.headers, raw: request.rawHeaders, body: Buffer.concat(parts) };
			requests.push(got);
			const { status, headers = {}, body = '' } = answer(got, requests.length);
			response.writeHead(status, headers);
			response.end(body);
		});
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	t.cleanup(() => new Promise((resolve) => {
		server.closeAllConnections();
		server.close(resolve);
	}));
	return { requests, url: `http://127.0.0.1:${server.address().port}/hook`, seqs: () => requests.map((r) => replaySeq(r)) };
}

const seqs = (result) => ndjson(result.stdout).map((event) => event.seq);
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

test('stdout gets every event, byte for byte', async () => {
	const { dir, events } = await filledLog();
	assert.deepEqual(events.map((e) => e.seq), numbers(1, COUNT));
	const { stdout } = await runOk(['simulate', '--output', '-', '--count', String(COUNT), '--seed', SEED, '--data', dir]);
	const sent = stdout.split('\n').filter(Boolean);
	assert.equal(sent.length, COUNT);
	for (const [i, line] of sent.entries()) {
		const body = line.slice(line.indexOf(',"body":') + 8, -1);
		assert.equal(events[i].body, body);
		assert.equal(events[i].body_xxh128, xxh128(Buffer.from(body)).toString('hex'));
		assert.equal(events[i].delivery, JSON.parse(line).delivery);
	}
});

test('selects by sequence, time, event, action, repository, source and delivery', async () => {
	const { dir, events } = await filledLog();
	const pick = async (...args) => seqs(await runOk(['replay', '--target', '-', '--data', dir, ...args]));
	const want = (matches) => events.filter(matches).map((e) => e.seq);
	const payload = (e) => JSON.parse(e.body);

	assert.deepEqual(await pick('--from', '10', '--to', '20'), numbers(10, 20));
	assert.deepEqual(await pick('--from', String(COUNT)), [COUNT]);
	assert.deepEqual(await pick('--from', String(COUNT + 1)), []);
	assert.deepEqual(await pick('--limit', '7'), numbers(1, 7));

	const at = events[Math.floor(COUNT / 2)].received_at;
	assert.deepEqual(await pick('--since', at), want((e) => e.received_at >= at));
	assert.deepEqual(await pick('--until', at), want((e) => e.received_at < at));
	assert.deepEqual(await pick('--since', '2001-01-01', '--until', '2001-01-02'), []);

	const pushes = want((e) => e.event === 'push');
	assert.ok(pushes.length > 1);
	assert.deepEqual(await pick('--event', 'push'), pushes);
	const opened = want((e) => e.event === 'pull_request' && payload(e).action === 'opened');
	assert.ok(opened.length > 0);
	assert.deepEqual(await pick('--event', 'pull_request.opened'), opened);
	assert.deepEqual(await pick('--event', 'push,star'), want((e) => e.event === 'push' || e.event === 'star'));

	const repository = payload(events[opened[0] - 1]).repository;
	const about = want((e) => payload(e).repository?.id === repository.id);
	assert.ok(about.length < COUNT);
	assert.deepEqual(await pick('--repository', String(repository.id)), about);
	assert.deepEqual(await pick('--repository', repository.full_name.toUpperCase()), want((e) => payload(e).repository?.full_name === repository.full_name));
	assert.deepEqual(await pick('--repository', 'nobody/nothing'), []);

	assert.deepEqual(await pick('--source', 'github', '--to', '3'), [1, 2, 3]);
	assert.deepEqual(await pick('--source', 'other'), []);
	assert.deepEqual(await pick('--delivery', events[41].delivery), [42]);
});

test('selects by provider, origin, action, sender and values of the payload, and counts', async () => {
	const { dir, events } = await filledLog();
	const pick = async (...args) => seqs(await runOk(['replay', '--target', '-', '--data', dir, ...args]));
	const want = (matches) => events.filter((e) => matches(JSON.parse(e.body), e)).map((e) => e.seq);

	assert.deepEqual(await pick('--provider', 'gitlab,github', '--to', '3'), [1, 2, 3]);
	assert.deepEqual(await pick('--provider', 'gitlab'), []);
	assert.deepEqual(await pick('--origin', 'webhook', '--to', '2'), [1, 2]);
	assert.deepEqual(await pick('--origin', 'backfill,poll'), []);
	const opened = want((p) => p.action === 'opened');
	assert.ok(opened.length > 1);
	assert.deepEqual(await pick('--action', 'opened'), opened);
	const { login, id } = JSON.parse(events.find((e) => JSON.parse(e.body).sender).body).sender;
	const caused = want((p) => p.sender?.id === id);
	assert.ok(caused.length < COUNT);
	assert.deepEqual(await pick('--sender', login.toUpperCase()), caused);
	assert.deepEqual(await pick('--sender', `nobody,${id}`), caused);
	const merged = want((p) => p.pull_request?.merged === true);
	assert.deepEqual(await pick('--where', 'pull_request.merged=true'), merged);
	const high = want((p) => p.number >= 2 && p.action === 'opened');
	assert.deepEqual(await pick('--where', 'number>=2 and action=opened'), high);

	assert.equal((await runOk(['replay', '--count', '--action', 'opened', '--data', dir])).stdout, `${opened.length}\n`);
	assert.deepEqual(JSON.parse((await runOk(['replay', '--count', '--json', '--data', dir])).stdout), { count: COUNT });
});

test('a wrong command line sends nothing', async (t) => {
	const { dir } = await filledLog();
	const server = await startServer(t);
	for (const args of [['--from', '9', '--to', '8'], ['--from', '0'], ['--event', 'push,'], ['--repository', 'nothing'], ['--origin', 'wind'], ['--where', 'number'], ['--sender', ''], ['--since', '2002-01-01', '--until', '2001-01-01']]) {
		const result = await run(['replay', '--target', server.url, '--data', dir, ...args]);
		assert.equal(result.code, 2, `${args}: ${result.stderr}`);
	}
	assert.equal((await run(['replay', '--data', dir])).code, 2);
	assert.equal((await run(['replay', '--target', 'carrier://pigeon', '--data', dir])).code, 2);
	assert.equal((await run(['replay', '--target', '-', '--data', path.join(dir, 'nowhere')])).code, 3);
	assert.equal(server.requests.length, 0);
});

test('a dry run tells what would be sent', async (t) => {
	const { dir, events } = await filledLog();
	const server = await startServer(t);
	const { stdout } = await runOk(['replay', '--target', server.url, '--dry-run', '--json', '--data', dir, '--from', '5']);
	const plan = JSON.parse(stdout);
	const selected = events.slice(4);
	assert.equal(plan.sent, selected.length);
	assert.equal(plan.first_seq, 5);
	assert.equal(plan.last_seq, COUNT);
	assert.equal(plan.body_bytes, selected.reduce((sum, e) => sum + e.body_bytes, 0));
	for (const { provider, event, count } of plan.events)
		assert.equal(provider === 'github' && count, selected.filter((e) => e.event === event).length, event);
	const text = await runOk(['replay', '--dry-run', '--data', dir]);
	assert.match(text.stdout, new RegExp(`^would send ${COUNT} events, \\d+ bytes, seq 1 to ${COUNT}\n`));
	assert.equal(server.requests.length, 0);
});

test('a file is written as a whole and never overwritten by accident', async (t) => {
	const { dir, events } = await filledLog();
	const folder = tempDir(t, 'out');
	const file = path.join(folder, 'events.ndjson');
	const first = await runOk(['replay', '--target', file, '--data', dir]);
	assert.match(first.stderr, new RegExp(`sent ${COUNT}, refused 0, retried 0, elapsed `));
	assert.deepEqual(ndjson(fs.readFileSync(file, 'utf8')), events);
	assert.equal((await run(['replay', '--target', `file:${file}`, '--data', dir, '--to', '1'])).code, 9);
	assert.equal(ndjson(fs.readFileSync(file, 'utf8')).length, COUNT);
	await runOk(['replay', '--target', `file:${file}`, '--force', '--data', dir, '--to', '1']);
	assert.equal(ndjson(fs.readFileSync(file, 'utf8')).length, 1);
	assert.deepEqual(fs.readdirSync(folder), ['events.ndjson']);
	// Where no file can be is said at once, and leaves no run to go on with.
	const runs = () => fs.readdirSync(path.join(dir, 'replay')).filter((name) => name !== 'audit.ndjson');
	const before = runs();
	for (const nowhere of [path.join(folder, 'none', 'x'), path.join(file, 'x')]) {
		const { code, stderr } = await run(['replay', '--target', nowhere, '--data', dir]);
		assert.equal(code, 2, stderr);
		assert.match(stderr, new RegExp(`cannot write beside ${nowhere}: `));
		assert.doesNotMatch(stderr, /--resume/);
	}
	assert.deepEqual(runs(), before);
});

test('a second hooklog ends up with the same events', async (t) => {
	const { dir, events } = await filledLog();
	const other = tempDir(t, 'other');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', other]);
	const receiver = await startIngest(t, other);
	const secret = path.join(other, 'sources/github.secret');
	assert.notEqual(fs.readFileSync(secret, 'utf8'), fs.readFileSync(path.join(dir, 'sources/github.secret'), 'utf8'));
	const target = ['replay', '--target', `${receiver.url}/in/github`, '--data', dir];

	// Without the other's secret nothing gets in, least of all with the source's own signature.
	const unsigned = await run(target);
	assert.equal(unsigned.code, 7);
	assert.match(unsigned.stderr, /sent 0, refused 1, .*next: --resume \S+ \(seq 1\)\n/);

	await runOk([...target, '--secret-file', secret]);
	// Once more: the other side knows them all.
	await runOk([...target, '--secret-file', secret]);
	const copies = ndjson((await runOk(['replay', '--target', '-', '--data', other])).stdout);
	assert.equal(copies.length, COUNT);
	for (const [i, copy] of copies.entries()) {
		for (const key of ['event', 'delivery', 'hook', 'body', 'body_xxh128', 'content_type'])
			assert.equal(copy[key], events[i][key], `${key} of ${i + 1}`);
		assert.equal(copy.verified, 'ok');
	}
});

test('a request is the original one, without what is not ours to give', async (t) => {
	const { dir, events } = await filledLog();
	const server = await startServer(t);
	await runOk(['replay', '--target', server.url, '--data', dir, '--to', '3']);
	assert.equal(server.requests.length, 3);
	for (const [i, request] of server.requests.entries()) {
		assert.equal(request.method, 'POST');
		assert.equal(request.url, '/hook');
		assert.equal(request.body.toString(), events[i].body);
		assert.equal(request.headers['x-github-event'], events[i].event);
		assert.equal(request.headers['x-github-delivery'], events[i].delivery);
		assert.match(request.headers['x-hooklog-replay'], new RegExp(`^run=r\\d{8}T\\d{6}-[0-9a-f]{6}, seq=${i + 1}$`));
		assert.equal(request.headers['x-hooklog-delivery'], events[i].delivery);
		assert.match(request.headers['x-hooklog-log'], /^[0-9a-f]{32}$/);
		assert.ok(!request.raw.some((text) => /signature|redacted|expect/i.test(text)), request.raw.join());
	}

	const secret = path.join(tempDir(t, 'secret'), 'secret');
	fs.writeFileSync(secret, '  another secret of good length\n', { mode: 0o600 });
	await runOk(['replay', '--target', server.url, '--secret-file', secret, '--data', dir, '--to', '1']);
	const mac = crypto.createHmac('sha256', 'another secret of good length').update(events[0].body).digest('hex');
	assert.equal(server.requests[3].headers['x-hub-signature-256'], `sha256=${mac}`);
	fs.chmodSync(secret, 0o644);
	const open = await run(['replay', '--target', server.url, '--secret-file', secret, '--data', dir]);
	assert.equal(open.code, 2);
	assert.match(open.stderr, /can be read by others[\s\S]*chmod o-rwx/);
	fs.chmodSync(secret, 0o600);
	fs.writeFileSync(secret, 'short\n');
	assert.equal((await run(['replay', '--target', server.url, '--secret-file', secret, '--data', dir])).code, 2);
});

test('a refusal stops the replay and says how to go on', async (t) => {
	const { dir } = await filledLog();
	const refuse = new Set([4, 6]);
	const server = await startServer(t, (request) => {
		const seq = replaySeq(request);
		return refuse.has(seq) ? { status: 422, body: 'not in this harbour' } : { status: 204 };
	});
	const stopped = await run(['replay', '--target', server.url, '--data', dir, '--to', '8']);
	assert.equal(stopped.code, 7);
	assert.match(stopped.stderr, /refused event 4 with 422: not in this harbour/);
	assert.match(stopped.stderr, /replay\.refused/);
	assert.match(stopped.stderr, /sent 3, refused 1, retried 0, .*next: --resume \S+ \(seq 4\)\n/);
	assert.deepEqual(server.seqs(), [1, 2, 3, 4]);

	server.requests.length = 0;
	const went = await run(['replay', '--target', server.url, '--data', dir, '--from', '4', '--to', '8', '--keep-going', '--json']);
	assert.equal(went.code, 7);
	assert.deepEqual(server.seqs(), [4, 5, 6, 7, 8]);
	const summary = JSON.parse(went.stdout);
	assert.equal(summary.sent, 3);
	assert.equal(summary.refused, 2);
	assert.equal(summary.complete, true);
});

test('429 and 5xx are tried again', async (t) => {
	const { dir } = await filledLog();
	const statuses = [503, 200, 429, 500, 200, 200];
	const server = await startServer(t, (_, number) => ({ status: statuses[number - 1] ?? 200, headers: { 'Retry-After': '0' } }));
	const { stderr } = await runOk(['replay', '--target', server.url, '--data', dir, '--to', '3']);
	assert.deepEqual(server.seqs(), [1, 1, 2, 2, 2, 3]);
	assert.match(stderr, /sent 3, refused 0, retried 3, /);
});

test('nobody there, and somebody who is always busy', async (t) => {
	const { dir } = await filledLog();
	const server = await startServer(t, () => ({ status: 503 }));
	const busy = await run(['replay', '--target', server.url, '--retries', '1', '--keep-going', '--data', dir]);
	assert.equal(busy.code, 7);
	assert.match(busy.stderr, /replay\.unreachable/);
	assert.match(busy.stderr, /sent 0, refused 0, retried 1, .*next: --resume \S+ \(seq 1\)\n/);
	assert.equal(server.requests.length, 2);
	const nobody = await run(['replay', '--target', 'http://127.0.0.1:1/', '--retries', '0', '--data', dir]);
	assert.equal(nobody.code, 7);
	assert.match(nobody.stderr, /next: --resume \S+ \(seq 1\)\n/);
});

test('a target that is the log itself is refused', async (t) => {
	const { dir } = await filledLog();
	const server = await startServer(t, (request) => ({ status: 409, body: `{"error":"this is log ${request.headers['x-hooklog-log']}"}` }));
	const result = await run(['replay', '--target', server.url, '--keep-going', '--data', dir]);
	assert.equal(result.code, 9);
	assert.match(result.stderr, /replay\.loop/);
	assert.equal(server.requests.length, 1);
});

test('an interrupted replay goes on without a gap or a repetition', async (t) => {
	const { dir } = await filledLog();
	const server = await startServer(t);
	const replay = start(t, ['replay', '--target', server.url, '--rate', '25', '--data', dir]);
	await until(() => server.requests.length >= 5);
	replay.child.kill('SIGINT');
	assert.deepEqual(await replay.wait(), { code: 130, signal: null });
	const next = /next: --resume (\S+) \(seq (\d+)\)\n$/.exec(replay.stderr);
	assert.ok(next, replay.stderr);
	assert.ok(Number(next[2]) <= COUNT);
	await runOk(['replay', '--resume', next[1], '--data', dir]);
	assert.deepEqual(server.seqs(), numbers(1, COUNT));
});

test('an interrupted file is not there', async (t) => {
	const { dir } = await filledLog();
	const folder = tempDir(t, 'out');
	const replay = start(t, ['replay', '--target', path.join(folder, 'x'), '--rate', '1', '--data', dir]);
	await until(() => fs.readdirSync(folder).length === 1);
	replay.child.kill('SIGTERM');
	assert.deepEqual(await replay.wait(), { code: 130, signal: null });
	assert.deepEqual(fs.readdirSync(folder), []);
	// What went into the file is gone with it.
	assert.match(replay.stderr, /sent 0, refused 0, retried 0, .*next: --resume \S+ \(seq 1\)\n$/);
});

test('a target that is full is told', async (t) => {
	if (!fs.existsSync('/dev/full'))
		t.skip('no /dev/full');
	const { dir } = await filledLog();
	const full = await exec('/bin/sh', ['-c', 'exec "$0" replay --target - --data "$1" >/dev/full', bin, dir]);
	assert.equal(full.code, 1);
	assert.match(full.stderr, /write stdout: No space left/);
	assert.match(full.stderr, /sent 0, .*next: --from 1\n$/);
});

test('a log can be replayed while it is written', async (t) => {
	const dir = tempDir(t, 'live');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const receiver = await startIngest(t, dir);
	const more = start(t, ['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', '0', '--rate', '200', '--data', dir]);
	await until(async () => ndjson((await runOk(['replay', '--target', '-', '--data', dir])).stdout).length > 20);
	// It ends at what was the end when it started, although the log grows on.
	const { stdout } = await runOk(['replay', '--target', '-', '--data', dir]);
	const got = seqs({ stdout });
	assert.deepEqual(got, numbers(1, got.length));
	assert.equal(more.ended, null);
	await more.stop({ signal: 'SIGINT' });
	await receiver.stop();
});

test('a replay into the very log it reads is refused, and appends nothing', async (t) => {
	const { dir } = await filledLog();
	const receiver = await startIngest(t, dir);
	const secret = path.join(dir, 'sources/github.secret');
	const result = await run(['replay', '--data', dir, '--target', `${receiver.url}/in/github`, '--secret-file', secret, '--keep-going']);
	assert.equal(result.code, 9);
	assert.match(result.stderr, /replay\.loop/);
	const stat = JSON.parse((await runOk(['log', 'stat', '--json', '--data', dir])).stdout);
	assert.equal(stat.last_seq, COUNT);
	await receiver.stop();
});
