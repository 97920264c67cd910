// SPDX-License-Identifier: Apache-2.0
// TEST-TIMEOUT: 600
// Replays to brokers: what their own clients find there, with kills on either side.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { ndjson, run, runOk, start, startIngest, tempDir, until } from '../lib/hooklog.mjs';
import { startKafka, startNats } from '../lib/broker.mjs';

const COUNT = 1500;
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const runs = (dir) => (fs.existsSync(path.join(dir, 'replay')) ? fs.readdirSync(path.join(dir, 'replay')).filter((f) => f !== 'audit.ndjson') : []);

let shared = null;
async function filledLog() {
	if (shared)
		return shared;
	const dir = tempDir(program, 'brokers');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const receiver = await startIngest(program, dir);
	await runOk(['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', String(COUNT), '--concurrency', '8', '--seed', '9', '--data', dir]);
	await receiver.stop();
	const { stdout } = await runOk(['replay', '--target', '-', '--data', dir]);
	const logId = JSON.parse((await runOk(['log', 'stat', '--json', '--data', dir])).stdout).log_id;
	shared = { dir, events: ndjson(stdout), logId };
	return shared;
}

// Every event once, at its place.
function assertStream(messages, events) {
	assert.deepEqual(messages.map((m) => Number(m.headers['Hooklog-Seq'])), events.map((e) => e.seq));
	messages.forEach((m, i) => assert.equal(m.body, events[i].body, `event ${i + 1}`));
}

test('a JetStream consumer finds every event once, in order, with its headers', async (t) => {
	const { dir, events, logId } = await filledLog();
	const nats = await startNats(t);
	await nats.makeStream('HOOKS', 'hooklog.>');
	const { stdout } = await runOk(['replay', '--target', nats.url('HOOKS'), '--json', '--data', dir]);
	assert.equal(JSON.parse(stdout).sent, COUNT);
	const messages = await nats.dump('HOOKS');
	assertStream(messages, events);
	messages.forEach((m, i) => {
		const stored = events[i];
		assert.equal(m.subject, `hooklog.github.${stored.event}`);
		assert.equal(m.headers['Nats-Msg-Id'], `${logId}/${stored.seq}`);
		assert.equal(m.headers['Hooklog-Log'], logId);
		assert.equal(m.headers['Hooklog-Delivery'], stored.delivery);
		assert.equal(m.headers['Hooklog-Event'], stored.event);
		assert.equal(m.headers['X-GitHub-Event'], stored.event);
		assert.equal(m.headers['Content-Type'], 'application/json');
		assert.ok(!Object.keys(m.headers).some((name) => /signature|authorization|^host$|content-length/i.test(name)));
	});
	// A second run over the same range changes nothing: the stream knows the ids.
	await runOk(['replay', '--target', nats.url('HOOKS'), '--from', '11', '--to', '400', '--data', dir]);
	assert.equal((await nats.dump('HOOKS')).length, COUNT);
	// A subject of one's own, a selection, and beside another publisher.
	await nats.makeStream('OTHER', 'acme.>');
	await runOk(['replay', '--target', nats.url('OTHER', '?subject=acme.{provider}.all&shared=yes'), '--event', 'push', '--limit', '20', '--data', dir]);
	const others = await nats.dump('OTHER');
	assert.ok(others.every((m) => m.subject === 'acme.github.all'));
	assertStream(others, events.filter((e) => e.event === 'push').slice(0, 20));
});

test('killed with -9 again and again, a replay to JetStream leaves every event once, in order', async (t) => {
	const { dir, events } = await filledLog();
	const nats = await startNats(t);
	await nats.makeStream('HOOKS', 'hooklog.>');
	const before = new Set(runs(dir));
	let handle = start(t, ['replay', '--target', nats.url('HOOKS'), '--rate', '2500', '--data', dir]);
	const name = await until(() => runs(dir).find((run) => !before.has(run)));
	let kills = 0;
	for (; kills < 8; kills++) {
		await new Promise((resolve) => setTimeout(resolve, 30 + Math.random() * 120));
		if (handle.ended)
			break;
		await handle.kill();
		handle = start(t, ['replay', '--resume', name, '--rate', '2500', '--data', dir]);
	}
	assert.ok(kills > 2, `${kills} kills`);
	await handle.wait();
	assert.equal(handle.ended.code, 0, handle.stderr);
	assertStream(await nats.dump('HOOKS'), events);
});

test('a NATS server that is away at the start or goes away is waited for', async (t) => {
	const { dir, events } = await filledLog();
	const nats = await startNats(t);
	const [server] = nats.servers;
	await nats.makeStream('HOOKS', 'hooklog.>');
	await server.kill();
	const refused = await run(['replay', '--target', nats.url('HOOKS'), '--retries', '0', '--data', dir]);
	assert.equal(refused.code, 7);
	assert.match(refused.stderr, /broker\.unreachable/);
	const name = /--resume (\S+)/.exec(refused.stderr)[1];

	const handle = start(t, ['replay', '--resume', name, '--retries', '20', '--rate', '1000', '--data', dir]);
	await new Promise((resolve) => setTimeout(resolve, 300));
	await server.start();
	for (let i = 0; i < 2; i++) {
		const had = (await nats.dump('HOOKS')).length;
		await until(async () => (await nats.dump('HOOKS')).length > had + 100, { what: 'the replay goes on' });
		await server.kill();
		await server.start();
	}
	await handle.wait();
	assert.equal(handle.ended.code, 0, handle.stderr);
	assertStream(await nats.dump('HOOKS'), events);
});

test('what NATS does not take is told apart', async (t) => {
	const { dir, events } = await filledLog();
	const nats = await startNats(t, { config: 'max_payload: 12000' });
	await nats.makeStream('HOOKS', 'hooklog.>');
	const missing = await run(['replay', '--target', nats.url('NONE'), '--data', dir]);
	assert.equal(missing.code, 7);
	assert.match(missing.stderr, /there is no stream NONE[\s\S]*broker\.refused/);
	const small = String(events.find((e) => e.body.length < 8000).seq);
	const outside = await run(['replay', '--from', small, '--to', small, '--target', nats.url('HOOKS', '?subject=elsewhere'), '--retries', '1', '--data', dir]);
	assert.equal(outside.code, 7);
	assert.match(outside.stderr, /broker\.unreachable/);
	for (const query of ['?colour=blue', '?creds=relative', '?subject=a.*', '?subject=a..b', '?subject='])
		assert.equal((await run(['replay', '--target', nats.url('HOOKS', query), '--data', dir])).code, 2, query);
	assert.equal((await run(['replay', '--target', `nats://u:p@${nats.hosts}/HOOKS`, '--data', dir])).code, 2);
	assert.equal((await nats.dump('HOOKS')).length, 0);

	// Too large for the server: refused alone, listed, and the rest is there.
	const large = events.filter((e) => e.body.length > 12000).map((e) => e.seq);
	assert.ok(large.length > 0 && large.length < COUNT / 2, `${large.length} large ones`);
	const stopped = await run(['replay', '--target', nats.url('HOOKS'), '--data', dir]);
	assert.equal(stopped.code, 7);
	assert.match(stopped.stderr, /event \d+ cannot be sent/);
	const name = /--resume (\S+)/.exec(stopped.stderr)[1];
	const rest = await run(['replay', '--resume', name, '--keep-going', '--json', '--data', dir]);
	assert.equal(rest.code, 7);
	const there = await nats.dump('HOOKS');
	const failed = JSON.parse((await runOk(['replay', 'runs', name, '--json', '--data', dir])).stdout).failures.map((f) => f.seq);
	assert.ok(large.every((seq) => failed.includes(seq)));
	assertStream(there, events.filter((e) => !failed.includes(e.seq)));
});

test('somebody else who writes to the stream is noticed, and does no harm', async (t) => {
	const { dir, events } = await filledLog();
	const nats = await startNats(t);
	await nats.makeStream('HOOKS', 'hooklog.>');
	const handle = start(t, ['replay', '--target', nats.url('HOOKS'), '--rate', '800', '--retries', '50', '--data', dir]);
	for (let i = 0; i < 3; i++) {
		const had = (await nats.dump('HOOKS')).length;
		await until(async () => (await nats.dump('HOOKS')).length > had + 50);
		await nats.put('hooklog.somebody', [`other ${i}`]);
	}
	await handle.wait();
	assert.equal(handle.ended.code, 0, handle.stderr);
	const all = await nats.dump('HOOKS');
	assert.equal(all.length, COUNT + 3);
	assertStream(all.filter((m) => m.subject !== 'hooklog.somebody'), events);
	assert.match(handle.stderr, /retried [1-9]/);
});

test('a cluster of three, each node killed in turn: every event once, at its place', { timeoutMs: 300000 }, async (t) => {
	const { dir, events } = await filledLog();
	const nats = await startNats(t, { size: 3 });
	await nats.makeStream('HOOKS', 'hooklog.>', 3);
	const handle = start(t, ['replay', '--target', nats.url('HOOKS'), '--rate', '50', '--retries', '60', '--json', '--data', dir]);
	const count = async () => (await nats.dump('HOOKS').catch(() => [])).length;
	let last = 0;
	for (const server of nats.servers) {
		await until(async () => (await count()) >= last + 60 || handle.ended, { what: 'the replay goes on', everyMs: 200 });
		assert.equal(handle.ended, null, 'the replay ended before each node was killed');
		await server.kill();
		await new Promise((resolve) => setTimeout(resolve, 1000));
		await server.start();
		last = await until(count, { what: 'the stream answers', everyMs: 200 });
	}
	await handle.wait(240000);
	assert.equal(handle.ended.code, 0, handle.stderr);
	assert.equal(JSON.parse(handle.stdout).sent, COUNT);
	assertStream(await nats.dump('HOOKS'), events);
});

// The mock cluster keeps 5 MB of a partition.
const FEW = 400;

// Every event at least once and, in each partition, in the order of the log; the partition follows from the
// repository. more: repetitions that are allowed, of those under way at a kill.
function assertTopic(messages, events, more = 0) {
	const seqs = (list) => list.map((m) => Number(m.headers['Hooklog-Seq']));
	const unique = [...new Set(seqs(messages))].sort((a, b) => a - b);
	assert.deepEqual(unique, events.map((e) => e.seq));
	assert.ok(messages.length <= events.length + more, `${messages.length - events.length} repetitions`);
	const stored = new Map(events.map((e) => [e.seq, e]));
	const places = new Map();
	for (const m of messages) {
		const event = stored.get(Number(m.headers['Hooklog-Seq']));
		assert.equal(m.body, event.body);
		const repository = JSON.parse(event.body).repository?.id ?? 'none';
		const place = `${m.partition} ${m.key}`;
		assert.equal(places.get(repository) ?? place, place, `repository ${repository}`);
		places.set(repository, place);
	}
	for (const partition of new Set(messages.map((m) => m.partition))) {
		const seen = new Set();
		const first = seqs(messages.filter((m) => m.partition === partition)).filter((seq) => !seen.has(seq) && seen.add(seq));
		assert.deepEqual(first, [...first].sort((a, b) => a - b), `order in partition ${partition}`);
	}
	return places;
}

test('a Kafka consumer finds every event once, in order for each repository', async (t) => {
	const { dir, events: all, logId } = await filledLog();
	const events = all.slice(0, FEW);
	const kafka = await startKafka(t, { partitions: 4 });
	await runOk(['replay', '--target', kafka.url(), '--to', String(FEW), '--data', dir]);
	const messages = await kafka.dump();
	const places = assertTopic(messages, events);
	assert.ok(new Set([...places.values()].map((place) => place.split(' ')[0])).size > 1, 'more than one partition is used');
	for (const m of messages) {
		const event = events[Number(m.headers['Hooklog-Seq']) - 1];
		assert.equal(m.headers['Hooklog-Log'], logId);
		assert.equal(m.headers['Hooklog-Delivery'], event.delivery);
		assert.equal(m.headers['Hooklog-Event'], event.event);
		assert.equal(m.headers['X-GitHub-Event'], event.event);
	}
});

test('killed with -9 again and again, a replay to Kafka skips nothing', async (t) => {
	const { dir, events: all } = await filledLog();
	const events = all.slice(0, FEW);
	const kafka = await startKafka(t);
	const before = new Set(runs(dir));
	const options = ['--rate', '700', '--data', dir];
	let handle = start(t, ['replay', '--target', kafka.url(), '--to', String(FEW), ...options]);
	const name = await until(() => runs(dir).find((run) => !before.has(run)));
	let kills = 0;
	for (; kills < 6; kills++) {
		await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 200));
		if (handle.ended)
			break;
		await handle.kill();
		handle = start(t, ['replay', '--resume', name, ...options]);
	}
	assert.ok(kills > 1, `${kills} kills`);
	await handle.wait();
	assert.equal(handle.ended.code, 0, handle.stderr);
	// At 700/s and linger.ms 5 there are few under way.
	assertTopic(await kafka.dump(), events, 50 * kills);
});

test('a Kafka cluster that is away at the start, or goes away, is waited for', async (t) => {
	const { dir, events: all } = await filledLog();
	const events = all.slice(0, FEW);
	const kafka = await startKafka(t);
	await kafka.down(1);
	const refused = await run(['replay', '--target', kafka.url(), '--to', String(FEW), '--retries', '0', '--data', dir]);
	assert.equal(refused.code, 7);
	assert.match(refused.stderr, /broker\.unreachable/);
	const name = /--resume (\S+)/.exec(refused.stderr)[1];
	await kafka.up(1);
	const handle = start(t, ['replay', '--resume', name, '--rate', '100', '--retries', '20', '--data', dir]);
	for (let i = 0; i < 2; i++) {
		const had = (await kafka.dump()).length;
		await until(async () => (await kafka.dump()).length > had + 50, { what: 'the replay goes on' });
		await kafka.down(1);
		await new Promise((resolve) => setTimeout(resolve, 500));
		await kafka.up(1);
	}
	await handle.wait();
	assert.equal(handle.ended.code, 0, handle.stderr);
	assertTopic(await kafka.dump(), events);
});

test('settings of Kafka come from a file, and are checked', async (t) => {
	const { dir, events } = await filledLog();
	const kafka = await startKafka(t);
	const file = path.join(tempDir(t, 'kafka'), 'client.conf');
	const replay = (text, ...args) => {
		fs.writeFileSync(file, text);
		return run(['replay', '--target', kafka.url(`?config=${file}`), '--from', '1', '--to', '300', '--data', dir, ...args]);
	};
	for (const text of ['colour = blue\n', 'no equals sign\n', 'linger.ms = blue\n']) {
		const { code, stderr } = await replay(text);
		assert.equal(code, 2, text);
		assert.match(stderr, /client\.conf:1/);
	}
	// What is too large is refused alone.
	const { code, stderr } = await replay('# a comment\n\nmessage.max.bytes = 12000\n', '--keep-going');
	const first = events.slice(0, 300);
	assert.equal(code, 7, stderr);
	const messages = await kafka.dump();
	const failed = first.filter((e) => !messages.some((m) => Number(m.headers['Hooklog-Seq']) === e.seq));
	assert.ok(failed.length > 0 && failed.every((e) => e.body.length > 9000));
	assertTopic(messages, first.filter((e) => !failed.includes(e)));
});
