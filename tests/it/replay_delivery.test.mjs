// SPDX-License-Identifier: Apache-2.0
// Replays that send several events at once, are killed, refused, or pointed at the wrong place.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { ndjson, run, runOk, start, startIngest, tempDir, until } from '../lib/hooklog.mjs';

const COUNT = 400;
const replaySeq = (r) => Number(/(?:^|, )seq=(\d+)$/.exec(r.headers['x-hooklog-replay'])[1]);
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

// The names of the runs there are.
const runs = (dir) => (fs.existsSync(path.join(dir, 'replay')) ? fs.readdirSync(path.join(dir, 'replay')).filter((f) => f !== 'audit.ndjson') : []);

let shared = null;
async function filledLog() {
	if (shared)
		return shared;
	const dir = tempDir(program, 'delivery');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const receiver = await startIngest(program, dir);
	await runOk(['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', String(COUNT), '--seed', '5', '--data', dir]);
	await receiver.stop();
	const { stdout } = await runOk(['replay', '--target', '-', '--data', dir]);
	const events = ndjson(stdout);
	const entity = new Map(events.map((e) => [e.seq, JSON.parse(e.body).repository?.id ?? 'none']));
	shared = { dir, events, entity };
	return shared;
}

// Answers after answer(request, seq) -> {status, headers, body, delayMs}; keeps the order of arrival and of answers.
async function startServer(t, answer = () => ({})) {
	const server = { arrived: [], answered: [], atOnce: 0, atOnceMax: 0 };
	const listener = http.createServer((request, response) => {
		const parts = [];
		request.on('data', (part) => parts.push(part));
		request.on('end', () => {
			const seq = replaySeq(request);
			server.arrived.push(seq);
			server.atOnceMax = Math.max(server.atOnceMax, ++server.atOnce);
			const { status = 204, headers = {}, body = '', delayMs = 0 } = answer(request, seq, server);
			setTimeout(() => {
				server.atOnce--;
				server.answered.push({ seq, status });
				response.writeHead(status, headers);
				response.end(body);
			}, delayMs);
		});
	});
	await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
	t.cleanup(() => new Promise((resolve) => {
		listener.closeAllConnections();
		listener.close(resolve);
	}));
	server.port = listener.address().port;
	server.url = `http://127.0.0.1:${server.port}/hook`;
	return server;
}

// Of each entity, events arrive in the order of the log; a repetition may follow a kill.
function assertOrder(seqs, entity) {
	const last = new Map();
	for (const seq of seqs) {
		const key = entity.get(seq);
		assert.ok((last.get(key) ?? 0) < seq, `event ${seq} of ${key} after ${last.get(key)}`);
		last.set(key, seq);
	}
}

test('several at once, in order for each repository', async (t) => {
	const { dir, entity } = await filledLog();
	assert.ok(new Set(entity.values()).size > 3);
	const server = await startServer(t, () => ({ delayMs: Math.random() * 8 }));
	const { stdout } = await runOk(['replay', '--target', server.url, '--concurrency', '8', '--json', '--data', dir]);
	assert.ok(server.atOnceMax > 1, `${server.atOnceMax} at once`);
	assertOrder(server.arrived, entity);
	assert.deepEqual([...server.arrived].sort((a, b) => a - b), numbers(1, COUNT));
	const summary = JSON.parse(stdout);
	assert.equal(summary.sent, COUNT);
	assert.deepEqual(summary.statuses, { 204: COUNT });
	assert.equal(summary.next_seq, COUNT + 1);
	assert.equal(summary.complete, true);

	server.arrived.length = server.atOnceMax = 0;
	await runOk(['replay', '--target', server.url, '--concurrency', '8', '--total-order', '--to', '60', '--data', dir]);
	assert.equal(server.atOnceMax, 1);
	assert.deepEqual(server.arrived, numbers(1, 60));
});

test('one repository that fails again and again does not hold up the others', async (t) => {
	const { dir, events, entity } = await filledLog();
	const bad = entity.get(events.find((e) => entity.get(e.seq) !== 'none').seq);
	const tries = new Map();
	const server = await startServer(t, (_, seq) => {
		tries.set(seq, (tries.get(seq) ?? 0) + 1);
		return entity.get(seq) === bad && tries.get(seq) < 3 ? { status: 500 } : {};
	});
	const only = events.filter((e) => e.seq <= 60).map((e) => e.seq);
	const { stdout } = await runOk(['replay', '--target', server.url, '--concurrency', '4', '--to', '60', '--json', '--data', dir], { timeoutMs: 90000 });
	const delivered = server.answered.filter((a) => a.status === 204).map((a) => a.seq);
	assert.deepEqual([...delivered].sort((a, b) => a - b), only);
	assertOrder(delivered, entity);
	const firstBad = server.arrived.find((seq) => entity.get(seq) === bad);
	const waiting = server.arrived.indexOf(firstBad, server.arrived.indexOf(firstBad) + 1);
	assert.ok(server.arrived.slice(server.arrived.indexOf(firstBad) + 1, waiting).length > 0);
	assert.equal(JSON.parse(stdout).retried, [...tries.values()].reduce((sum, n) => sum + n - 1, 0));
});

for (const concurrency of [1, 6]) {
	test(`killed again and again, nothing is skipped and only what was in flight is repeated (${concurrency} at once)`, async (t) => {
		const { dir, entity } = await filledLog();
		const server = await startServer(t, () => ({ delayMs: 2 + Math.random() * 4 }));
		const before = new Set(runs(dir));
		const first = start(t, ['replay', '--target', server.url, '--concurrency', String(concurrency), '--data', dir]);
		await until(() => server.answered.length >= 20, { everyMs: 2 });
		await first.kill();
		const [name] = runs(dir).filter((r) => !before.has(r));
		assert.match((await runOk(['replay', 'runs', '--data', dir])).stdout, new RegExp(`^${name} +killed `, 'm'));
		let kills = 1;
		for (; kills < 6; kills++) {
			const seen = server.answered.length;
			const again = start(t, ['replay', '--resume', name, '--data', dir]);
			await until(() => server.answered.length >= seen + 10 + Math.random() * 30 || again.ended, { everyMs: 1 });
			await again.kill();
		}
		await until(() => server.atOnce === 0);
		await runOk(['replay', '--resume', name, '--data', dir]);
		assert.deepEqual([...new Set(server.arrived)].sort((a, b) => a - b), numbers(1, COUNT));
		assert.ok(server.arrived.length - COUNT <= kills * concurrency, `${server.arrived.length - COUNT} repeated`);
		assertOrder(server.arrived.filter((seq, i) => server.arrived.indexOf(seq) === i), entity);
		const shown = JSON.parse((await runOk(['replay', 'runs', name, '--json', '--data', dir])).stdout);
		assert.equal(shown.status, 'complete');
		assert.equal(shown.next_seq, COUNT + 1);
		// Once complete, there is nothing more to go on with.
		const arrived = server.arrived.length;
		await runOk(['replay', '--resume', name, '--data', dir]);
		assert.equal(server.arrived.length, arrived);
	});
}

test('what was refused is listed and can be sent again alone', async (t) => {
	const { dir } = await filledLog();
	const refuse = new Set([3, 17, 40]);
	const server = await startServer(t, (_, seq) => (refuse.has(seq) ? { status: 422, body: `no ${seq}` } : {}));
	const went = await run(['replay', '--target', server.url, '--to', '50', '--concurrency', '3', '--keep-going', '--json', '--data', dir]);
	assert.equal(went.code, 7);
	const summary = JSON.parse(went.stdout);
	assert.deepEqual(summary.statuses, { 204: 47, 422: 3 });
	const list = async () => JSON.parse((await runOk(['replay', 'runs', summary.run, '--json', '--data', dir])).stdout);
	assert.deepEqual((await list()).failures.map((f) => [f.seq, f.status, f.attempts]), [[3, 422, 1], [17, 422, 1], [40, 422, 1]]);
	assert.match((await runOk(['replay', 'runs', summary.run, '--data', dir])).stdout, / 17 +422 +.*no 17\n/);

	refuse.delete(17);
	server.arrived.length = 0;
	assert.equal((await run(['replay', '--retry-failed', summary.run, '--data', dir])).code, 7);
	assert.deepEqual([...server.arrived].sort((a, b) => a - b), [3, 17, 40]);
	assert.deepEqual((await list()).failures.map((f) => f.seq), [3, 40]);
	refuse.clear();
	server.arrived.length = 0;
	await runOk(['replay', '--retry-failed', summary.run, '--data', dir]);
	assert.deepEqual([...server.arrived].sort((a, b) => a - b), [3, 40]);
	const done = await list();
	assert.equal(done.failed, 0);
	assert.equal(done.status, 'complete');
});

test('410 ends a replay at once', async (t) => {
	const { dir } = await filledLog();
	const server = await startServer(t, (_, seq) => ({ status: seq >= 5 ? 410 : 204 }));
	for (const extra of [[], ['--concurrency', '4']]) {
		server.arrived.length = 0;
		const result = await run(['replay', '--target', server.url, '--keep-going', '--data', dir, ...extra]);
		assert.equal(result.code, 7);
		assert.match(result.stderr, /replay\.gone/);
		assert.ok(server.arrived.length <= 12, `${server.arrived.length}`);
	}
});

test('a target that is down is left alone for a while, and found again', async (t) => {
	const { dir } = await filledLog();
	let down = true;
	const server = await startServer(t, (_, seq, s) => {
		down = down && s.arrived.length <= 10;
		return { status: down ? 503 : 204 };
	});
	const { stdout } = await runOk(['replay', '--target', server.url, '--to', '100', '--concurrency', '8', '--retries', '10', '--json', '--data', dir]);
	const summary = JSON.parse(stdout);
	assert.equal(summary.sent, 100);
	assert.equal(summary.breaker_opened, 1);
	// Eight at once, then one probe at a time.
	assert.equal(server.answered.filter((a) => a.status === 503).length, 10);

	down = true;
	server.arrived.length = 0;
	const dead = await run(['replay', '--target', 'http://127.0.0.1:1/', '--to', '100', '--concurrency', '8', '--retries', '1', '--data', dir]);
	assert.equal(dead.code, 7);
	assert.match(dead.stderr, /replay\.unreachable/);
	assert.match(dead.stderr, /sent 0, .*next: --resume \S+ \(seq 1\)\n$/);
});

test('every run leaves an audit record, without what may be secret', async (t) => {
	const { dir } = await filledLog();
	const server = await startServer(t);
	const audit = () => ndjson(fs.readFileSync(path.join(dir, 'replay/audit.ndjson'), 'utf8'));
	const before = fs.existsSync(path.join(dir, 'replay/audit.ndjson')) ? audit().length : 0;
	await runOk(['replay', '--target', `${server.url}?token=opensesame`, '--event', 'push', '--to', '30', '--data', dir]);
	await runOk(['replay', '--target', '-', '--to', '1', '--data', dir]);
	const lines = audit().slice(before);
	assert.deepEqual(lines.map((l) => l.action), ['start', 'end', 'start', 'end']);
	assert.equal(lines[0].options.target, server.url);
	assert.equal(lines[0].options.event, 'push');
	assert.equal(lines[0].uid, process.getuid());
	assert.equal(lines[0].name, lines[1].name);
	assert.equal(lines[1].complete, true);
	assert.equal(lines[3].sent, 1);
	assert.ok(!JSON.stringify(lines).includes('opensesame'));
	assert.equal(fs.statSync(path.join(dir, 'replay/audit.ndjson')).mode & 0o777, 0o600);
	// A dry run sends nothing and is not noted.
	await runOk(['replay', '--dry-run', '--target', server.url, '--data', dir]);
	assert.equal(audit().length, before + 4);
});

test('a target that is no public address is refused unless it is allowed', async (t) => {
	const { dir } = await filledLog();
	const server = await startServer(t);
	const { port } = server;
	const replay = (url, ...args) => run(['replay', '--target', url, '--retries', '0', '--to', '1', '--data', dir, ...args]);
	const elsewhere = ['2130706433', '0x7f000001', '0177.0.0.1', '127.1', '127.0.0.2', '0.0.0.0', '0', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::]',
		'10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '100.64.0.1', '192.0.0.1', '192.0.2.1', '198.18.0.1',
		'198.51.100.7', '203.0.113.9', '224.0.0.1', '240.0.0.1', '255.255.255.255', '[fe80::1]', '[fc00::1]', '[fd12:3456::1]', '[ff02::1]',
		'[2001:db8::1]', '[2002:7f00:1::]', '[64:ff9b::7f00:1]', '[::ffff:10.0.0.1]', '[2001::1]', '[::127.0.0.1]', '[::ffff:0:7f00:1]',
		'[64:ff9b:1::7f00:1]', '[fec0::1]', '[::ffff:169.254.169.254]', '0.1', '192.88.99.1', '[100::1]', '[::1%25lo]'];
	for (const host of elsewhere) {
		const result = await replay(`http://${host}:${port}/`);
		assert.equal(result.code, 2, `${host}: ${result.stderr}`);
		assert.match(result.stderr, /replay\.address|no URL/, host);
	}
	for (const url of [`http://user:pw@127.0.0.1:${port}/`, `http://user@127.0.0.1:${port}/`, 'http:///x', `gopher://127.0.0.1:${port}/`, `ftp://127.0.0.1:${port}/`])
		assert.equal((await replay(url)).code, 2, url);
	assert.equal(server.arrived.length, 0);

	// Somebody who may be asked sends on to somebody who may not: nobody follows.
	for (const status of [301, 302, 303, 307, 308]) {
		const asked = [];
		const gate = http.createServer((request, response) => {
			asked.push(request.url);
			request.resume();
			response.writeHead(status, { Location: `http://127.0.0.1:${port}/` }).end();
		});
		await new Promise((resolve) => gate.listen(0, '127.0.0.1', resolve));
		assert.equal((await replay(`http://127.0.0.1:${gate.address().port}/`)).code, 7, String(status));
		gate.closeAllConnections();
		await new Promise((resolve) => gate.close(resolve));
		assert.equal(asked.length, 1);
	}
	assert.equal(server.arrived.length, 0);

	// The control: this machine, written as such; then by permission.
	for (const host of ['127.0.0.1', 'localhost'])
		assert.equal((await replay(`http://${host}:${port}/`)).code, 0, host);
	assert.equal((await replay(`http://2130706433:${port}/`, '--allow-private')).code, 0);
	const allowed = { env: { HOOKLOG_REPLAY_ALLOW: 'staging.local, 127.0.0.0/8' } };
	assert.equal((await run(['replay', '--target', `http://127.1:${port}/`, '--to', '1', '--data', dir], allowed)).code, 0);
	assert.equal((await run(['replay', '--target', `http://127.1:${port}/`, '--to', '1', '--data', dir], { env: { HOOKLOG_REPLAY_ALLOW: '127.1' } })).code, 0);
	assert.equal(server.arrived.length, 5);
});

test('a run is carried out by one process, with what it was started with', async (t) => {
	const { dir } = await filledLog();
	const server = await startServer(t, () => ({ delayMs: 20 }));
	const before = new Set(runs(dir));
	const first = start(t, ['replay', '--target', server.url, '--to', '60', '--data', dir]);
	await until(() => server.arrived.length > 3);
	const [name] = runs(dir).filter((r) => !before.has(r));
	const second = await run(['replay', '--resume', name, '--data', dir]);
	assert.match(second.stderr, /replay\.running/);
	assert.notEqual(second.code, 0);
	assert.match((await runOk(['replay', 'runs', '--data', dir])).stdout, new RegExp(`^${name} +running `, 'm'));
	assert.equal((await run(['replay', '--resume', name, '--from', '2', '--data', dir])).code, 2);
	assert.equal((await run(['replay', '--resume', 'rNothing', '--data', dir])).code, 3);
	assert.equal((await run(['replay', '--resume', '../log', '--data', dir])).code, 3);
	assert.deepEqual(await first.wait(), { code: 0, signal: null });
	assert.deepEqual(server.arrived, numbers(1, 60));
});

test('a damaged record is refused, and says so', async (t) => {
	const { dir } = await filledLog();
	const server = await startServer(t, (_, seq) => ({ status: seq === 2 ? 422 : 204 }));
	const stopped = await run(['replay', '--target', server.url, '--to', '5', '--data', dir]);
	const [, name] = /--resume (\S+)/.exec(stopped.stderr);
	const state = path.join(dir, 'replay', name, 'state');
	const bytes = fs.readFileSync(state);
	for (const wrong of [bytes.subarray(0, 100), Buffer.concat([Buffer.from('NOTHLOGX'), bytes.subarray(8)])]) {
		fs.writeFileSync(state, wrong);
		const result = await run(['replay', '--resume', name, '--data', dir]);
		assert.equal(result.code, 8);
		assert.match(result.stderr, /replay\.record/);
		assert.match((await run(['replay', 'runs', name, '--data', dir])).stderr, /replay\.record/);
	}
	assert.deepEqual(server.arrived, [1, 2]);
	fs.rmSync(path.join(dir, 'replay', name), { recursive: true });
});
