// SPDX-License-Identifier: Apache-2.0
// From one hooklog to another: the same events, numbers, times and tables, whatever happens on the way; and
// who is believed about them.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { program, test, assert } from '../lib/harness.mjs';
import { ndjson, runOk, start, startIngest, tempDir } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeProject } from '../lib/project.mjs';

const COUNT = 150;
const KILLS = 50;
const pg = await startPostgres(program);

async function makeLog(t, ...options) {
	const dir = tempDir(t, 'log');
	await runOk(['source', 'add', 'github', '--provider', 'github', ...options, '--data', dir]);
	return { dir, secret: path.join(dir, 'sources/github.secret'), receiver: await startIngest(t, dir) };
}

async function filledLog(t, count = COUNT) {
	const log = await makeLog(t);
	await runOk(['simulate', '--url', `${log.receiver.url}/in/github`, '--source', 'github', '--count', String(count), '--seed', '23', '--data', log.dir]);
	return log;
}

const read = async (log) => ndjson((await runOk(['replay', '--target', '-', '--data', log.dir])).stdout);
const to = (log, url = `${log.receiver.url}/in/github`) => ['--target', url, '--format', 'hooklog', '--secret-file', log.secret];

// Every row of every table, as text.
async function tables(t, log) {
	await log.receiver.stop();
	const project = await makeProject(t, { dir: log.dir, sent: COUNT }, pg);
	await project.catchUp();
	const names = (await project.query("select table_schema || '.' || table_name from information_schema.tables where table_schema = 'gh_g1' and table_type = 'BASE TABLE' order by 1")).map((row) => Object.values(row)[0] ?? row[0]);
	assert.ok(names.length > 10);
	const all = {};
	for (const name of names)
		all[name] = (await project.query(`select t::text from ${name} t order by 1`)).map((row) => Object.values(row)[0] ?? row[0]);
	return all;
}

test(`after ${KILLS} kills a second hooklog has the same events, in order, with their times, and the same tables`, { timeoutMs: 300000 }, async (t) => {
	const log = await filledLog(t);
	const other = await makeLog(t, '--trust-replays');
	const runs = path.join(log.dir, 'replay');
	const first = start(t, ['replay', ...to(other), '--rate', '40', '--data', log.dir]);
	let name;
	while (!name) {
		name = fs.existsSync(runs) ? fs.readdirSync(runs).find((file) => fs.existsSync(path.join(runs, file, 'failed.ndjson'))) : undefined;
		await new Promise((resolve) => setTimeout(resolve, 1));
	}
	await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
	await first.kill();
	let cut = 1;
	for (let i = 1; i < KILLS; i++) {
		const again = start(t, ['replay', '--resume', name, '--data', log.dir]);
		await new Promise((resolve) => setTimeout(resolve, Math.random() * 150));
		cut += again.ended ? 0 : 1;
		await again.kill();
	}
	const [{ next_seq: at }] = ndjson((await runOk(['replay', 'runs', name, '--json', '--data', log.dir])).stdout);
	t.note(`${cut} kills came before its end; after the last one it was at event ${at}`);
	await runOk(['replay', '--resume', name, '--data', log.dir]);
	const [events, copies] = [await read(log), await read(other)];
	assert.equal(copies.length, events.length);
	for (const [i, copy] of copies.entries())
		for (const member of ['seq', 'received_at', 'origin', 'event', 'delivery', 'hook', 'body', 'body_xxh128', 'content_type', 'source', 'provider', 'verified', 'path'])
			assert.equal(copy[member], events[i][member], `${member} of ${i + 1}`);
	const [theirs, ours] = [await tables(t, other), await tables(t, log)];
	assert.equal(ours['gh_g1.events'].length, COUNT);
	assert.deepEqual(theirs, ours);
});

test('without trust the words of a replay are kept, and not believed', async (t) => {
	const log = await filledLog(t, 5);
	const other = await makeLog(t);
	await runOk(['replay', ...to(other), '--data', log.dir]);
	const [events, copies] = [await read(log), await read(other)];
	for (const [i, copy] of copies.entries()) {
		const header = (wanted) => copy.headers.find(([n]) => n.toLowerCase() === wanted)?.[1];
		assert.equal(copy.delivery, events[i].delivery);
		assert.notEqual(copy.received_at, events[i].received_at);
		assert.equal(header('x-hooklog-first-received-at'), events[i].received_at);
		assert.equal(header('x-hooklog-first-origin'), 'webhook');
		assert.equal(header('x-hooklog-signature'), undefined);
	}
});

// What a hooklog sends, with some of it replaced.
function relay(secret, body, { at = Math.floor(Date.now() / 1000), received = '2026-01-02T03:04:05Z', origin = 'backfill', event = 'push', delivery = crypto.randomUUID(), hook = '7', sign = {} } = {}) {
	const covered = { at, received, origin, event, delivery, hook, body, secret, ...sign };
	const text = ['hooklog-relay-1', covered.at, covered.received, covered.origin, covered.event, covered.delivery, covered.hook, crypto.createHash('sha256').update(covered.body).digest('hex')].join('\n');
	return {
		'Content-Type': 'application/json',
		'X-Hooklog-First-Received-At': received, 'X-Hooklog-First-Origin': origin, 'X-Hooklog-Event': event, 'X-Hooklog-Delivery': delivery, 'X-Hooklog-Hook': hook,
		'X-Hooklog-Signature': `t=${at},v1=${crypto.createHmac('sha256', covered.secret).update(text).digest('hex')}`,
	};
}

test('what is signed is believed, and nothing else', async (t) => {
	const log = await makeLog(t, '--trust-replays');
	const secret = fs.readFileSync(log.secret, 'utf8').trim();
	const body = '{"zen":"x"}';
	const post = async (headers, text = body) => {
		const response = await fetch(`${log.receiver.url}/in/github`, { method: 'POST', headers, body: text });
		await response.arrayBuffer();
		return response.status;
	};
	const now = Math.floor(Date.now() / 1000);
	assert.equal(await post(relay(secret, body)), 202);
	for (const [what, sign] of Object.entries({
		time: { received: '2026-01-02T03:04:06Z' }, origin: { origin: 'webhook' }, event: { event: 'issues' }, delivery: { delivery: 'other' },
		hook: { hook: '8' }, body: { body: '{}' }, secret: { secret: 'another secret' }, moment: { at: now - 1 }, empty: { secret: '' },
	}))
		assert.equal(await post(relay(secret, body, { sign })), 401, what);
	assert.equal(await post(relay(secret, body, { at: now - 400 })), 401);
	assert.equal(await post(relay(secret, body, { at: now + 400 })), 401);
	assert.equal(await post(relay(secret, body, { received: 'yesterday' })), 400);
	assert.equal(await post(relay(secret, body, { origin: 'nowhere' })), 400);
	for (const value of ['', 't=', 't=1', 't=1,v1=', `t=x,v1=${'0'.repeat(64)}`, `t=1,v1=${'0'.repeat(63)}`, `t=99999999999999999999,v1=${'0'.repeat(64)}`])
		assert.equal(await post({ ...relay(secret, body), 'X-Hooklog-Signature': value }), 401, value);
	// The provider's own deliveries are judged as ever.
	const own = (key) => ({ 'Content-Type': 'application/json', 'X-GitHub-Event': 'ping', 'X-GitHub-Delivery': crypto.randomUUID(), 'X-Hub-Signature-256': `sha256=${crypto.createHmac('sha256', key).update(body).digest('hex')}` });
	assert.equal(await post(own(secret)), 202);
	assert.equal(await post(own('wrong')), 401);
	// Time never goes back in this log, and never ahead of its clock.
	assert.equal(await post(relay(secret, body, { received: '2020-01-01T00:00:00Z', origin: 'operator' })), 202);
	assert.equal(await post(relay(secret, body, { received: '2090-01-01T00:00:00Z' })), 202);
	const [first, webhook, early, late] = await read(log);
	assert.deepEqual([first.received_at, first.origin, first.event, first.hook, first.scheme], ['2026-01-02T03:04:05.000000Z', 'backfill', 'push', '7', 'hooklog-relay']);
	assert.deepEqual([webhook.origin, early.origin], ['webhook', 'replay']);
	assert.equal(early.received_at, webhook.received_at);
	assert.ok(late.received_at >= webhook.received_at && Date.parse(late.received_at) <= Date.now());
	await log.receiver.stop();
	await runOk(['log', 'verify', '--data', log.dir]);
});

test('nobody is trusted without a secret', async (t) => {
	const { run } = await import('../lib/hooklog.mjs');
	const dir = tempDir(t, 'log');
	const refused = await run(['source', 'add', 'open', '--provider', 'github', '--allow-unsigned', '--trust-replays', '--data', dir]);
	assert.notEqual(refused.code, 0);
	assert.match(refused.stderr, /trust anybody/);
});
