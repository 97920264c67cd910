// SPDX-License-Identifier: Apache-2.0
// Slow, large, many, aborted and repeated requests, stops under load, faults in the middle. The same in
// large is tests/it/ingest_soak.test.mjs. Memory is measured, so it runs against the build without
// sanitizers.
//
// TEST-VARIANTS: release
// TEST-TIMEOUT: 600
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { head } from '../lib/framing.mjs';
import { makeDisk } from '../lib/disk.mjs';
import { ndjson, runOk, startIngest } from '../lib/hooklog.mjs';
import { abort, drip, fdCount, historyWithFaults, makeDir, MIB, post, request, rssBytes, sleep, soon, startReceiver, stopUnderLoad, stored } from '../lib/load.mjs';

test('aborted requests leave nothing behind', async (t) => {
	const receiver = await startReceiver(t);
	await abort(receiver.port, 8000);
	await soon(() => fdCount(receiver.pid) < 64, 'connections closed');
	await sleep(2500); // memory goes back to the system once it has been quiet
	const before = { rss: rssBytes(receiver.pid), fds: fdCount(receiver.pid) };
	await abort(receiver.port, 6000, { complete: false });
	await soon(() => fdCount(receiver.pid) <= before.fds, 'descriptors given back');
	const most = before.rss + MIB;
	await soon(() => rssBytes(receiver.pid) < most, 'memory given back');
	t.note(`resident memory grew by ${(rssBytes(receiver.pid) - before.rss) >> 10} KiB over 6000 aborted requests`);
	assert.equal((await post(receiver.port, request('{}'))).status, 202);
	await receiver.stop();
});

test('1000 dripping connections are cut off, and do not keep others out', { timeoutMs: 200000 }, async (t) => {
	const receiver = await startReceiver(t, { HOOKLOG_INGEST_CONNECTIONS_MAX: '1200', HOOKLOG_INGEST_REQUEST_TIMEOUT_MS: '3000' });
	const inHead = 'POST /in/gh HTTP/1.1\r\nHost: x\r\nX-A: ' + 'a'.repeat(4096);
	const inBody = head({ lines: ['Content-Length: 100000'] });
	for (const [name, prefix, text] of [['head', '', inHead], ['body', inBody, 'b']]) {
		const dripping = await drip(receiver.port, 1000, prefix === '' ? text : [prefix, ...'b'.repeat(2000)], 100);
		let failed = 0;
		while (dripping.open() > 0) {
			const answer = await post(receiver.port, request('{}'));
			failed += answer.status === 202 ? 0 : 1;
			await sleep(20);
		}
		dripping.stop();
		assert.equal(failed, 0, `${name}: ${failed} honest deliveries failed`);
	}
	const rss = rssBytes(receiver.pid);
	t.note(`resident memory ${Math.round(rss / MIB)} MiB`);
	assert.ok(rss < 300 * MIB, `${rss} bytes`);
	await receiver.stop();
});

test('many large bodies at once stay within the memory they may have', { timeoutMs: 200000 }, async (t) => {
	const receiver = await startReceiver(t);
	const body = 'x'.repeat(25 * MIB);
	const text = request(body, 'large');
	let peak = 0;
	const timer = setInterval(() => { peak = Math.max(peak, rssBytes(receiver.pid)); }, 20);
	const answers = await Promise.all(Array.from({ length: 48 }, () => post(receiver.port, text, { timeoutMs: 60000 })));
	clearInterval(timer);
	const statuses = [...new Set(answers.map((a) => a.status))].sort();
	t.note(`peak ${Math.round(peak / MIB)} MiB, answers ${statuses}`);
	assert.ok(statuses.every((status) => [0, 202, 503].includes(status)), `${statuses}`);
	assert.ok(peak < 600 * MIB, `${peak} bytes`);
	await soon(async () => (await post(receiver.port, request('{}'))).status === 202, 'normal service');
	await receiver.stop();
});

test('stopped under load ten times, nothing acknowledged is lost', { timeoutMs: 200000 }, async (t) => {
	const { acked, slowest } = await stopUnderLoad(t, 10);
	t.note(`${acked} acknowledged, slowest stop ${Math.round(slowest)} ms`);
});

test('a history with kills, a full and a slow disk and pauses has no anomaly', { timeoutMs: 200000 }, async (t) => {
	const result = await historyWithFaults(t, { operations: 4000, clients: 16, faults: 8 });
	assert.ok(result.ok > 1500 && result.refused > 100 && result.unknown > 10, JSON.stringify(result));
	assert.ok(Math.min(result.kills, result.fulls, result.slow, result.pauses) >= 1, JSON.stringify(result));
});

// GitHub hangs up after 10 s. Here the sender does so after 9, and that is a failure.
test('a disk that takes one to eight seconds to sync: an answer in time, and never a lie', { timeoutMs: 200000 }, async (t) => {
	await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(async (seconds) => {
		const dir = await makeDir(t);
		const disk = makeDisk(t, dir);
		const receiver = await startIngest(t, dir, { env: disk.env });
		assert.equal((await post(receiver.port, request('{}', 'warm'))).status, 202);
		disk.slow(1000 * seconds);
		await soon(() => disk.begun() === disk.ended(), 'no sync under way');
		const before = disk.ended();
		const answers = await Promise.all([1, 2, 3].map(async (n) => {
			const answer = await post(receiver.port, request('{}', `slow-${n}`), { timeoutMs: 9000 });
			return { ...answer, synced: disk.ended() > before, delivery: `slow-${n}` };
		}));
		for (const { status, synced, text } of answers) {
			assert.ok(status === 202 || status === 503, `${seconds} s: no answer in time\n${text}`);
			assert.ok(status !== 202 || synced, `${seconds} s: acknowledged before any sync had ended`);
			assert.ok(status !== 503 || /\r\nRetry-After: \d+\r\n/.test(text), text);
		}
		// What came first had the disk to itself, so well below the limit it must be stored.
		assert.ok(seconds >= 4 || answers.some(({ status }) => status === 202), `${seconds} s: ${answers.map((a) => a.status)}`);
		assert.ok(seconds <= 5 || answers.every(({ status }) => status === 503), `${seconds} s: ${answers.map((a) => a.status)}`);
		disk.slow(0);
		await receiver.kill();
		const events = await stored(dir);
		for (const { status, delivery, seq } of answers)
			assert.ok(status !== 202 || events.some((event) => event.delivery === delivery && event.seq === seq), `${delivery} is missing`);
		// Sent again, each is there exactly once, whatever the first answer was.
		const again = await startIngest(t, dir);
		for (const { delivery } of answers)
			assert.equal((await post(again.port, request('{}', delivery))).status, 202);
		await again.stop();
		assert.deepEqual((await stored(dir)).map((event) => event.delivery).sort(), ['slow-1', 'slow-2', 'slow-3', 'warm']);
	}));
});

test('a delivery that is sent again is recognised, one that only looks like it is kept', async (t) => {
	const receiver = await startReceiver(t);
	const send = (body, delivery, lines = []) => post(receiver.port, request(body, delivery, lines));
	const first = await send('{"n":1}', 'a');
	assert.equal(first.seq, 1);
	assert.equal((await send('{"n":1}', 'a')).seq, 1);
	// Another event name: not signed, so it changes nothing about what is known.
	const renamed = await post(receiver.port, request('{"n":1}', 'a').replace('X-GitHub-Event: issues', 'X-GitHub-Event: push'));
	assert.equal(renamed.seq, 1);
	assert.equal((await send('{"n":1}', 'b')).seq, 2);
	assert.equal((await send('{"n":2}', 'a')).seq, 3);
	assert.equal((await send('{"n":1}', 'a', ['X-GitHub-Hook-ID: 5'])).seq, 4);
	await receiver.stop();
	const events = await stored(receiver.dir);
	assert.deepEqual(events.map((e) => [e.seq, e.delivery, e.body]), [[1, 'a', '{"n":1}'], [2, 'b', '{"n":1}'], [3, 'a', '{"n":2}'], [4, 'a', '{"n":1}']]);
	assert.ok(JSON.stringify(events[2]).includes('same_key'), JSON.stringify(events[2]));
});

test('nothing that is sent can forge a log line or leave a terminal sequence in one', async (t) => {
	const receiver = await startReceiver(t, { HOOKLOG_LOG_LEVEL: 'debug' });
	const evil = ['a\\nb', '\x1b[2J', '" level=error', 'x\x9b31m', '%s%n%x', '${jndi:ldap://x}', "'; drop table x; --", '<script>alert(1)</script>', '\x7f', '=,=', '\\"', '{{7*7}}',
		'../../etc/passwd', '\xff\xfe', '2026-01-01T00:00:00Z error fake.id x=y'];
	for (let i = 0; i < 200; i++) {
		const value = evil[i % evil.length] + i;
		const lines = [`X-GitHub-Delivery: ${value}`, `X-Hub-Signature-256: ${i % 2 ? value : `sha256=${crypto.randomBytes(32).toString('hex')}`}`];
		const target = i % 5 === 0 ? `/in/${encodeURI(value).replaceAll(' ', '')}` : '/in/gh';
		await post(receiver.port, head({ start: `POST ${target} HTTP/1.1`, omit: ['X-GitHub-Delivery', 'X-Hub-Signature-256'], lines: [...lines, 'Content-Length: 2'] }) + '{}');
	}
	await receiver.stop();
	const lines = receiver.stderr.trimEnd().split('\n');
	for (const line of lines)
		assert.match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z (debug|info|warn|error) (ingest|store|log|base)[a-z.-]*( [a-z_]+=("([^"\\]|\\.)*"|[!-~]*))*$/);
	assert.doesNotMatch(receiver.stderr, /[^\n\x20-\x7e]/);
	assert.doesNotMatch(receiver.stderr, /^[^ ]+ error fake/m);
	assert.ok(fs.existsSync(path.join(receiver.dir, 'log')));
});

test('nothing that was stored or kept does anything to the terminal that shows it', async (t) => {
	const receiver = await startReceiver(t);
	await runOk(['source', 'add', 'open', '--allow-unsigned', '--data', receiver.dir]);
	const evil = ['\x1b[2J', '\u009b31m', '\u202edrow', '\u2066x', 'a\rb', '\x7f', '\x07', '\x08\x08', '\u0085', '"\\', '<script>alert(1)</script>', '%s%n', '\xff\xfe', 'tab\there', 'caf\u00e9 \u4f60'];
	const statuses = new Set();
	for (let i = 0; i < 200; i++) {
		const value = evil[i % evil.length] + i;
		const where = ['event', 'delivery', 'hook', 'header', 'type', 'query', 'body'][i % 7];
		const at = (name, otherwise) => (where === name ? value : otherwise);
		const body = Buffer.from(at('body', '{}'), value.includes('\xff') ? 'latin1' : 'utf8');
		// Every fourth to a source that refuses it and keeps it.
		const target = `/in/${i % 4 === 0 ? 'gh' : 'open'}${where === 'query' ? `?q=${encodeURIComponent(value)}` : ''}`;
		const text = `POST ${target} HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: ${at('event', 'e')}\r\nX-GitHub-Delivery: ${at('delivery', `d${i}`)}\r\nX-GitHub-Hook-ID: ${at('hook', '1')}\r\n`
			+ `X-Other: ${at('header', '1')}\r\nContent-Type: ${at('type', 'application/json')}\r\nX-Hub-Signature-256: sha256=${'0'.repeat(64)}\r\nContent-Length: ${body.length}\r\n\r\n`;
		let answer;
		do // until the new source is known
			answer = await post(receiver.port, Buffer.concat([Buffer.from(text), body]).toString('latin1'));
		while (answer.status === 404);
		statuses.add(answer.status);
	}
	assert.deepEqual([...statuses].sort(), [202, 400, 401]);
	const kept = ndjson((await runOk(['quarantine', 'list', '--json', '--data', receiver.dir])).stdout);
	await receiver.stop();
	const events = await stored(receiver.dir);
	assert.ok(events.length > 50 && kept.length > 5, `${events.length} stored, ${kept.length} kept`);
	const shown = [
		['log', 'tail', '--count', '1000'],
		['source', 'list'],
		['quarantine', 'list'],
		...kept.map(({ id }) => ['quarantine', 'show', String(id)]),
		...events.slice(0, 60).map(({ seq }) => ['log', 'show', String(seq)]),
	];
	for (const args of shown) {
		const { stdout } = await runOk([...args, '--data', receiver.dir]);
		assert.doesNotMatch(stdout, /[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u202a-\u202e\u2066-\u2069\ufffd]/, args.join(' '));
	}
	// As JSON every line is one object, and says exactly what was sent.
	const again = ndjson((await runOk(['log', 'tail', '--count', '1000', '--json', '--data', receiver.dir])).stdout);
	assert.deepEqual(again.map((event) => event.body ?? event.body_base64), events.map((event) => event.body ?? event.body_base64));
});
