// SPDX-License-Identifier: Apache-2.0
// What tests/it/ingest_load.test.mjs does, in large.
//
// TEST-SOAK
// TEST-VARIANTS: release
// TEST-TIMEOUT: 7200
// TEST-ALONE
import { test, assert } from '../lib/harness.mjs';
import { head } from '../lib/framing.mjs';
import { abort, drip, fdCount, flood, historyWithFaults, MIB, post, request, rssBytes, sleep, soon, startReceiver, stopUnderLoad } from '../lib/load.mjs';

test('100,000 aborted requests leave nothing behind', { timeoutMs: 1800000 }, async (t) => {
	const receiver = await startReceiver(t);
	// What malloc keeps between pieces in use grows ever slower; 100,000 are near the end of it.
	await abort(receiver.port, 10000);
	await abort(receiver.port, 90000, { complete: false });
	await sleep(5000);
	const before = { rss: rssBytes(receiver.pid), fds: fdCount(receiver.pid) };
	await abort(receiver.port, 100000, { complete: false });
	await soon(() => fdCount(receiver.pid) <= before.fds, 'descriptors given back');
	await soon(() => rssBytes(receiver.pid) < before.rss + MIB, 'memory given back');
	t.note(`memory grew by ${(rssBytes(receiver.pid) - before.rss) >> 10} KiB`);
	await receiver.stop();
});

test('10,000 connections: no crash, and service goes on', { timeoutMs: 600000 }, async (t) => {
	const receiver = await startReceiver(t);
	const many = flood(receiver.port, 10000, 'POST /in/gh HTTP/1.1\r\nHost: x\r\nX: ' + 'a'.repeat(5000));
	let peak = 0;
	for (let i = 0; i < 100; i++) {
		peak = Math.max(peak, rssBytes(receiver.pid));
		await sleep(200);
	}
	t.note(`memory ${Math.round(peak / MIB)} MiB, ${many.connected()} connected`);
	assert.ok(many.connected() > 1000, `${many.connected()}`);
	assert.ok(peak < 600 * MIB, `${peak}`);
	many.stop();
	// A connection that meets a full queue tries again after a second and after three: begin new ones meanwhile.
	let served = false;
	await soon(() => {
		post(receiver.port, request('{}')).then(({ status }) => { served ||= status === 202; });
		return served;
	}, 'service', 5000);
	await receiver.stop();
});

test('more slow senders than there are connections: service is back once their deadline has passed', { timeoutMs: 600000 }, async (t) => {
	const receiver = await startReceiver(t);
	const bodies = [head({ lines: ['Content-Length: 100000'] }), ...'b'.repeat(2000)];
	for (const text of ['POST /in/gh HTTP/1.1\r\nHost: x\r\nX-A: ' + 'a'.repeat(4096), bodies]) {
		const dripping = await drip(receiver.port, 1000, text, 1000);
		let refused = 0;
		await soon(async () => {
			const { status } = await post(receiver.port, request('{}'), { timeoutMs: 2000 });
			refused += status === 202 ? 0 : 1;
			return status === 202;
		}, 'service while they go on', 8000); // 5 s for a head, or for the first bytes of a body
		// Whoever was let in later is cut off as well.
		await soon(() => dripping.open() === 0, 'all of them cut off', 60000);
		dripping.stop();
		t.note(`${refused} honest deliveries failed before, ${Math.round(rssBytes(receiver.pid) / MIB)} MiB`);
		assert.ok(rssBytes(receiver.pid) < 300 * MIB);
		for (let i = 0; i < 100; i++)
			assert.equal((await post(receiver.port, request('{}'))).status, 202);
	}
	await receiver.stop();
});

test('512 bodies of 25 MB at once', { timeoutMs: 900000 }, async (t) => {
	const receiver = await startReceiver(t);
	const text = Buffer.from(request('x'.repeat(25 * MIB), 'large'), 'latin1').toString('latin1');
	let peak = 0;
	const timer = setInterval(() => { peak = Math.max(peak, rssBytes(receiver.pid)); }, 20);
	const statuses = {};
	// In steps: the sender holds each body too.
	for (let i = 0; i < 8; i++) {
		for (const { status } of await Promise.all(Array.from({ length: 64 }, () => post(receiver.port, text, { timeoutMs: 120000 }))))
			statuses[status] = (statuses[status] ?? 0) + 1;
	}
	clearInterval(timer);
	t.note(`peak ${Math.round(peak / MIB)} MiB, answers ${JSON.stringify(statuses)}`);
	assert.ok(peak < 600 * MIB, `${peak}`);
	assert.ok(Object.keys(statuses).every((status) => ['0', '202', '503'].includes(status)));
	await soon(async () => (await post(receiver.port, request('{}'))).status === 202, 'service', 10000);
	await receiver.stop();
});

test('stopped under load 100 times, nothing acknowledged is lost', { timeoutMs: 1800000 }, async (t) => {
	const { acked, slowest } = await stopUnderLoad(t, 100);
	t.note(`${acked} acknowledged, slowest stop ${Math.round(slowest)} ms`);
	assert.ok(slowest < 10000);
});

test('a history of 100,000 operations with kills, full and slow disks and pauses has no anomaly', { timeoutMs: 3600000 }, async (t) => {
	const result = await historyWithFaults(t, { operations: 100000, faults: 200 });
	assert.ok(result.ok > 50000 && result.refused > 5000 && result.unknown > 1000, JSON.stringify(result));
	// While nobody answers, operations pass too, and with them some of the moments for a fault.
	assert.ok(Math.min(result.kills, result.fulls, result.slow, result.pauses) >= 40, JSON.stringify(result));
});
