// SPDX-License-Identifier: Apache-2.0
// The index of deliveries when its file is not what was written. It is derived: the receiver ends when it finds out, and the
// next start makes it anew.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const PAGE = 4096;
const HEADER = 16; // of an LMDB page: flags at 10, the end of the list of entries at 12
const LEAF = 2;
const KEY = 20; // bytes of a delivery's key, as no other one in the file

// Shortens the value of every delivery the file has. Gives back how many.
function damage(file) {
	const data = fs.readFileSync(file);
	let count = 0;
	for (let page = 0; page < data.length; page += PAGE) {
		if (data.readUInt16LE(page + 10) !== LEAF)
			continue;
		for (let slot = page + HEADER; slot < page + data.readUInt16LE(page + 12); slot += 2) {
			const node = page + data.readUInt16LE(slot);
			if (node + 8 > data.length || data.readUInt16LE(node + 6) !== KEY)
				continue;
			data.writeUInt16LE(5, node);
			count++;
		}
	}
	fs.writeFileSync(file, data);
	return count;
}

test('a damaged index ends the receiver, and the next start makes it anew', async (t) => {
	const dir = tempDir(t, 'index');
	const index = path.join(dir, 'log', 'index.mdb');
	const simulate = (url) => runOk(['simulate', '--url', `${url}/in/github`, '--source', 'github', '--count', '300', '--json', '--data', dir]);
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	let receiver = await startIngest(t, dir);
	await simulate(receiver.url);
	await receiver.stop();
	assert.ok(damage(index) >= 300);
	assert.equal((await run(['log', 'verify', '--data', dir])).code, 8);
	receiver = await startIngest(t, dir);
	assert.deepEqual(await receiver.wait(), { code: 5, signal: null });
	assert.match(receiver.stderr, /error log\.index .*index\.mdb is damaged; nothing more is accepted until a restart/);
	assert.ok(!fs.existsSync(index));
	receiver = await startIngest(t, dir);
	const { duplicates } = JSON.parse((await simulate(receiver.url)).stdout);
	assert.equal(duplicates, 300);
	await receiver.stop();
	await runOk(['log', 'verify', '--data', dir]);
});
