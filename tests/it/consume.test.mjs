// SPDX-License-Identifier: Apache-2.0
// TEST-TIMEOUT: 600
// From a broker into the log: every message once, whoever is killed when.
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { ndjson, run, runOk, start, startIngest, tempDir, until } from '../lib/hooklog.mjs';
import { startKafka, startNats } from '../lib/broker.mjs';

const COUNT = 600;

// A log that was filled over HTTP.
let shared = null;
async function filledLog() {
	if (shared)
		return shared;
	const dir = tempDir(program, 'consume');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const receiver = await startIngest(program, dir);
	await runOk(['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', String(COUNT), '--concurrency', '8', '--seed', '11', '--data', dir]);
	await receiver.stop();
	shared = { dir, events: await eventsOf(dir) };
	return shared;
}

async function eventsOf(dir) {
	return ndjson((await runOk(['replay', '--target', '-', '--data', dir])).stdout);
}

async function emptyLog(t) {
	const dir = tempDir(t, 'consumer');
	await runOk(['source', 'add', 'hooks', '--provider', 'github', '--data', dir]);
	return dir;
}

const consume = (dir, url, ...args) => ['consume', '--from', url, '--source', 'hooks', '--data', dir, ...args];
const drain = async (dir, url, ...args) => JSON.parse((await runOk(consume(dir, url, '--idle-exit', '--json', ...args))).stdout);
const github = (body, event = 'push') => `X-GitHub-Event=${event}\t${body}`;

// The same bodies, types and order; broker as origin and positions as ids.
function assertSame(got, want, position) {
	assert.equal(got.length, want.length);
	got.forEach((event, i) => {
		assert.equal(event.body, want[i].body, `event ${i + 1}`);
		assert.equal(event.event, want[i].event);
		assert.equal(event.origin, 'broker');
		assert.equal(event.verified, 'none');
		assert.equal(event.delivery, position(i));
		assert.equal(event.source, 'hooks');
	});
	assert.equal(new Set(got.map((event) => event.delivery)).size, got.length);
}

test('a stream of NATS goes into the log, once, in order', async (t) => {
	const { dir, events } = await filledLog();
	const nats = await startNats(t);
	await nats.makeStream('HOOKS', 'hooklog.>');
	await runOk(['replay', '--target', nats.url('HOOKS'), '--data', dir]);
	const to = await emptyLog(t);
	const first = await drain(to, nats.url('HOOKS'), '--cycles', '2', '--batch', '100');
	assert.equal(first.cycles, 2);
	assert.ok(first.added > 0 && first.added <= 200);
	const rest = await drain(to, nats.url('HOOKS'));
	assert.equal(first.added + rest.added, COUNT);
	assert.equal(rest.duplicates + rest.quarantined + rest.own, 0);
	assertSame(await eventsOf(to), events, (i) => `HOOKS/${i + 1}`);
	// A consumer of another name gets all of them again, and the log knows them.
	const again = await drain(to, nats.url('HOOKS', '?durable=second'));
	assert.deepEqual([again.taken, again.added, again.duplicates], [COUNT, 0, COUNT]);
	// The log that sent them does not take them back.
	await runOk(['source', 'add', 'hooks', '--provider', 'github', '--data', dir]);
	const back = await drain(dir, nats.url('HOOKS', '?durable=third'));
	assert.deepEqual([back.taken, back.added, back.own], [COUNT, 0, COUNT]);
	// Nor by way of the other one.
	await nats.makeStream('BACK', 'back.>');
	await runOk(['replay', '--target', nats.url('BACK', '?subject=back.{source}'), '--data', to]);
	const round = await drain(dir, nats.url('BACK'));
	assert.deepEqual([round.taken, round.added, round.own], [COUNT, 0, COUNT]);
});

test('a topic of Kafka goes into the log, beside a running receiver', async (t) => {
	const { dir, events } = await filledLog();
	const few = events.slice(0, 200);
	const kafka = await startKafka(t, { partitions: 3 });
	await runOk(['replay', '--target', kafka.url(), '--to', '200', '--data', dir]);
	const to = await emptyLog(t);
	const receiver = await startIngest(t, to);
	const { added, taken } = await drain(to, kafka.url('?group=g1'));
	assert.deepEqual([taken, added], [200, 200]);
	const got = await eventsOf(to);
	assert.ok(got.every((e) => e.origin === 'broker' && /^hooks\/[012]\/\d+$/.test(e.delivery)));
	assert.equal(new Set(got.map((e) => e.delivery)).size, 200);
	assert.deepEqual(got.map((e) => e.body).sort(), few.map((e) => e.body).sort());
	// Offsets are committed, for this group.
	await kafka.put([github('{"n":1}')]);
	assert.equal((await drain(to, kafka.url('?group=g1'))).taken, 1);
	const other = await drain(to, kafka.url('?group=g2'));
	assert.deepEqual([other.taken, other.added, other.duplicates], [201, 0, 201]);
	await receiver.stop();
	// Without the receiver it writes the log itself.
	await kafka.put([github('{"n":2}')]);
	assert.equal((await drain(to, kafka.url('?group=g1'))).last_seq, 202);
});

for (const kind of ['NATS', 'Kafka']) {
	test(`killed with -9 again and again, every message of ${kind} is in the log once`, { timeoutMs: 240000 }, async (t) => {
		const { dir, events } = await filledLog();
		const count = kind === 'NATS' ? COUNT : 250; // the mock cluster keeps 5 MB
		const broker = kind === 'NATS' ? await startNats(t) : await startKafka(t, { partitions: 3 });
		await broker.makeStream?.('HOOKS', 'hooklog.>');
		const url = kind === 'NATS' ? broker.url('HOOKS') : broker.url();
		await runOk(['replay', '--target', url, '--to', String(count), '--data', dir]);
		const to = await emptyLog(t);
		let kills = 0;
		let ended = false;
		for (; kills < 12 && !ended; kills++) {
			const handle = start(t, consume(to, url, '--batch', '7', '--idle-exit'));
			await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 250));
			ended = handle.ended !== null;
			await handle.kill();
		}
		assert.ok(kills > 4, `${kills} kills`);
		// What NATS had handed out at a kill comes again after a minute.
		await until(async () => {
			await drain(to, url);
			return (await eventsOf(to)).length >= count;
		}, { timeoutMs: 150000, everyMs: 2000, what: 'all messages are there' });
		const got = await eventsOf(to);
		assert.equal(got.length, count);
		assert.equal(new Set(got.map((e) => e.delivery)).size, count);
		assert.deepEqual(got.map((e) => e.body).sort(), events.slice(0, count).map((e) => e.body).sort());
	});
}

test('between two batches there is as much time as is asked for', async (t) => {
	const nats = await startNats(t);
	await nats.makeStream('HOOKS', 'hooks');
	await nats.put('hooks', [1, 2, 3, 4].map((n) => github(`{"n":${n}}`)));
	const to = await emptyLog(t);
	// The last batch has nothing to wait for.
	const first = JSON.parse((await runOk(consume(to, nats.url('HOOKS'), '--batch', '1', '--cycles', '1', '--sleep', '86400', '--json'))).stdout);
	assert.deepEqual([first.cycles, first.taken], [1, 1]);
	// With a day between them, two of these cannot have been taken; and the end is not waited for.
	const handle = start(t, consume(to, nats.url('HOOKS'), '--batch', '1', '--cycles', '3', '--sleep', '86400', '--json'));
	await until(async () => (await eventsOf(to)).length === 2, { what: 'the next message is in the log' });
	await handle.stop();
	assert.equal(handle.ended.code, 0, handle.stderr);
	const second = JSON.parse(handle.stdout);
	assert.deepEqual([second.cycles, second.taken], [1, 1]);
	assert.equal((await drain(to, nats.url('HOOKS'))).taken, 2);
	assert.deepEqual((await eventsOf(to)).map((e) => e.body), [1, 2, 3, 4].map((n) => `{"n":${n}}`));
});

test('a message that is no delivery is set aside alone', async (t) => {
	for (const kind of ['nats', 'kafka']) {
		const nats = kind === 'nats' ? await startNats(t) : null;
		const kafka = kind === 'kafka' ? await startKafka(t, { partitions: 1 }) : null;
		await nats?.makeStream('HOOKS', 'hooks');
		const put = (lines) => (nats ? nats.put('hooks', lines) : kafka.put(lines));
		const url = nats ? nats.url('HOOKS') : kafka.url();
		const place = (n) => (nats ? `HOOKS/${n}` : `hooks/0/${n - 1}`);
		await put([github('{"n":1}'), github('{"n":'), github('\\0'), '{"n":4}', github('{"n":5}', 'issues'),
			'Content-Type=text/plain\tX-GitHub-Event=push\tno JSON', `${nats ? '' : `Huge=${'x'.repeat(200000)}\t`}X-GitHub-Event=push\t{"n"}`, github('{"n":8}')]);
		const to = await emptyLog(t);
		const result = await drain(to, url);
		assert.deepEqual([result.taken, result.added, result.quarantined], [8, 4, 4], kind);
		const got = await eventsOf(to);
		assert.deepEqual(got.map((e) => [e.event, e.body, e.delivery]), [['push', '{"n":1}', place(1)], ['issues', '{"n":5}', place(5)],
			['push', 'no JSON', place(6)], ['push', '{"n":8}', place(8)]]);
		const list = ndjson((await runOk(['quarantine', 'list', '--json', '--data', to])).stdout);
		assert.equal(list.length, 4);
		assert.ok(list.every((q) => (q.reason_id ?? q.reason) === 'ingest.message' || /github/i.test(q.error ?? '')), JSON.stringify(list));
		// Admitted by hand, it keeps its origin and its position.
		const id = String(list[1].id);
		await runOk(['quarantine', 'admit', id, '--unverified', '--data', to]);
		const admitted = (await eventsOf(to)).at(-1);
		assert.equal(admitted.origin, 'broker');
		assert.equal((await drain(to, url)).taken, 0);
		// A type for messages that name none.
		await put(['{"n":9}']);
		assert.equal((await drain(to, url, '--event', 'ping')).added, 1);
		assert.equal((await eventsOf(to)).at(-1).event, 'ping');
	}
});

test('what the quarantine cannot keep stays in the broker', async (t) => {
	const nats = await startNats(t);
	await nats.makeStream('HOOKS', 'hooks');
	await nats.put('hooks', [github('{"n":1}'), github('{')]);
	const to = await emptyLog(t);
	const off = { env: { HOOKLOG_QUARANTINE_BYTES_MAX: '0' } };
	const stopped = await run(consume(to, nats.url('HOOKS'), '--idle-exit'), off);
	assert.notEqual(stopped.code, 0);
	assert.match(stopped.stderr, /HOOKS\/2[\s\S]*ingest\.message/);
	const result = await drain(to, nats.url('HOOKS'));
	assert.deepEqual([result.taken, result.quarantined], [2, 1]);
	assert.deepEqual((await eventsOf(to)).map((e) => e.delivery), ['HOOKS/1']);
});

test('a broker that is away is waited for, and errors are told apart', async (t) => {
	const nats = await startNats(t);
	const [server] = nats.servers;
	await nats.makeStream('HOOKS', 'hooks');
	const to = await emptyLog(t);
	assert.equal((await run(consume(to, nats.url('NONE'), '--idle-exit'))).code, 7);
	assert.equal((await run(['consume', '--from', nats.url('HOOKS'), '--source', 'none', '--idle-exit', '--data', to])).code, 3);
	for (const args of [['--from', 'http://a/b', '--source', 'hooks'], ['--source', 'hooks'], ['--from', nats.url('HOOKS')],
		['--from', nats.url('HOOKS', '?shared=yes'), '--source', 'hooks'], ['--from', nats.url('HOOKS'), '--source', 'hooks', '--batch', '0']])
		assert.equal((await run(['consume', ...args, '--data', to])).code, 2, args.join(' '));
	await server.kill();
	const away = await run(consume(to, nats.url('HOOKS'), '--idle-exit', '--retries', '1'));
	assert.equal(away.code, 7);
	assert.match(away.stderr, /broker\.unreachable/);

	const handle = start(t, consume(to, nats.url('HOOKS'), '--json'));
	await handle.waitFor(/broker\.unreachable/);
	await server.start();
	for (let i = 1; i <= 2; i++) {
		await nats.put('hooks', [github(`{"n":${i}}`)]);
		await until(async () => (await eventsOf(to)).length === i, { what: `message ${i} arrives` });
		await server.kill();
		await server.start();
	}
	await handle.stop();
	assert.equal(JSON.parse(handle.stdout).added, 2);
});
