// SPDX-License-Identifier: Apache-2.0
// A full disk as senders meet it: refused with a time to come back, taken again without a restart once there
// is room. What the log itself does then is in tests/crash/disk_test.c, on file systems that are really full.
//
// TEST-VARIANTS: release
import crypto from 'node:crypto';
import { test, assert } from '../lib/harness.mjs';
import { makeDisk } from '../lib/disk.mjs';
import { startIngest } from '../lib/hooklog.mjs';
import { makeDir, post, request, stored } from '../lib/load.mjs';

// So large that it finds no room among the pages the log has used before.
const noise = () => JSON.stringify(crypto.randomBytes(60000).toString('base64'));

// Before the last of the room is used, as configured, and when a write finds none.
for (const [how, floor] of [['below the floor', '64MiB'], ['to the last byte', '0']]) {
	test(`a disk that is full ${how} is told to senders, who are taken again at once when there is room`, async (t) => {
		const dir = await makeDir(t);
		const disk = makeDisk(t, dir);
		const receiver = await startIngest(t, dir, { env: { ...disk.env, HOOKLOG_STORE_FREE_BYTES_MIN: floor } });
		const acknowledged = [];
		const send = async (name) => {
			const answer = await post(receiver.port, request(noise(), name));
			if (answer.status === 202)
				acknowledged.push([name, answer.seq]);
			return answer;
		};
		const many = (what) => Promise.all(Array.from({ length: 20 }, (_, i) => send(`${what}-${i}`)));
		for (let round = 0; round < 3; round++) {
			for (const { status, text } of await many(`room-${round}`))
				assert.equal(status, 202, text);
			disk.full(true);
			for (const { status, text } of await many(`full-${round}`)) {
				assert.equal(status, 503, text);
				assert.match(text, /\r\nRetry-After: [1-9]\d*\r\n/);
				assert.match(text, /"id":"disk-full"/);
			}
			assert.equal((await post(receiver.port, 'GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n')).status, 503);
			assert.equal((await post(receiver.port, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')).status, 200);
			disk.full(false);
			assert.equal((await send(`again-${round}`)).status, 202, 'the first one after there is room');
			assert.equal((await post(receiver.port, 'GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n')).status, 200);
		}
		assert.equal(disk.refused() > 0, floor === '0');
		await receiver.kill();
		const events = await stored(dir);
		assert.deepEqual(events.map(({ seq }) => seq), events.map((_, i) => i + 1), 'no number is missing');
		assert.deepEqual(events.map(({ delivery, seq }) => [delivery, seq]), acknowledged.sort((a, b) => a[1] - b[1]));
	});
}
