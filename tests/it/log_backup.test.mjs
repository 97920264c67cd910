// SPDX-License-Identifier: Apache-2.0
// `hooklog log backup` of a running log, and `log restore`.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const env = { HOOKLOG_STORE_SEGMENT_BYTES_MAX: '1MiB' };

async function receiver(t, dir) {
	if (!fs.existsSync(path.join(dir, 'sources')))
		await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const handle = await startIngest(t, dir, { env });
	const send = (count, seed) => runOk(['simulate', '--count', String(count), '--seed', String(seed), '--data', dir],
		{ env: { HOOKLOG_INGEST_LISTEN: `127.0.0.1:${handle.port}` } });
	return { handle, send };
}

const log = async (dir, ...args) => (await runOk(['log', ...args, '--data', dir])).stdout;
const report = async (dir, ...args) => JSON.parse(await log(dir, ...args, '--json'));
const manifest = (dir) => fs.readFileSync(path.join(dir, 'MANIFEST'), 'utf8').split('\n').map((line) => line.split(' '));

test('a backup of a running log restores to the same log; the next one copies what is new', async (t) => {
	const dir = tempDir(t, 'log');
	const backup = path.join(tempDir(t, 'backup'), 'daily');
	const { handle, send } = await receiver(t, dir);
	await send(900, 1);
	const first = await report(dir, 'backup', backup);
	assert.equal(first.last_seq, 900);
	assert.ok(first.segments >= 3, JSON.stringify(first));
	assert.equal(first.segments_copied, first.segments);
	// While it is being written to.
	const sending = send(600, 2);
	const second = await report(dir, 'backup', backup);
	await sending;
	assert.ok(second.last_seq >= 900);
	// All but what was open then, and what came since.
	const kept = second.segments - second.segments_copied;
	assert.ok(kept >= first.segments - 1, JSON.stringify({ first, second }));
	const idle = await report(dir, 'backup', backup);
	const again = await report(dir, 'backup', backup);
	assert.equal(again.segments_copied, 0);
	assert.equal(again.chain, idle.chain);
	await handle.stop();
	// Nothing but what the manifest names.
	const named = manifest(backup).filter(([key]) => key === 'segment' || key === 'file').map((words) => (words[0] === 'segment' ? words[7] : words[3]));
	assert.deepEqual(fs.readdirSync(backup).filter((name) => !['MANIFEST', 'lock'].includes(name)).sort(), named.sort());
	assert.ok(!named.some((name) => name.includes('key')));
	const data = tempDir(t, 'restored');
	const restored = await report(data, 'restore', backup);
	assert.equal(restored.last_seq, 1500);
	assert.equal(restored.chain, again.chain);
	assert.deepEqual(fs.readdirSync(data), ['log']);
	assert.equal(await log(data, 'export'), await log(dir, 'export'));
	// It goes on where it ended, and its backup goes on, too.
	const other = await receiver(t, data);
	await other.send(100, 3);
	await other.handle.stop();
	await log(data, 'verify');
	assert.equal((await report(data, 'backup', backup)).last_seq, 1600);
	// The log it came from is now behind its own backup.
	const behind = await run(['log', 'backup', backup, '--data', dir]);
	assert.equal(behind.code, 9, behind.stderr);
	assert.match(behind.stderr, /log\.backup-conflict/);
});

test('no damaged backup is restored, and no log is overwritten', async (t) => {
	const dir = tempDir(t, 'log');
	const backup = tempDir(t, 'backup');
	const { handle, send } = await receiver(t, dir);
	await send(500, 1);
	await log(dir, 'backup', backup);
	await handle.stop();
	const data = path.join(tempDir(t, 'data'), 'd');
	for (const [word, ...rest] of manifest(backup)) {
		if (word !== 'segment' && word !== 'file')
			continue;
		const name = path.join(backup, word === 'segment' ? rest[6] : rest[2]);
		const bytes = fs.readFileSync(name);
		fs.chmodSync(name, 0o600);
		const wrong = Buffer.from(bytes);
		wrong[Math.floor(wrong.length / 2)] ^= 1;
		for (const content of [wrong, bytes.subarray(0, bytes.length - 1), null]) {
			if (content)
				fs.writeFileSync(name, content);
			else
				fs.rmSync(name);
			const result = await run(['log', 'restore', backup, '--data', data]);
			assert.equal(result.code, 8, result.stderr);
			assert.match(result.stderr, /log\.backup-damaged/);
			assert.deepEqual(fs.readdirSync(path.join(data, 'log')), ['lock']);
			assert.deepEqual(fs.readdirSync(data), ['log']);
		}
		fs.writeFileSync(name, bytes);
	}
	const text = fs.readFileSync(path.join(backup, 'MANIFEST'), 'utf8');
	fs.writeFileSync(path.join(backup, 'MANIFEST'), text.replace(/last_seq \d+/, 'last_seq 499'));
	assert.equal((await run(['log', 'restore', backup, '--data', data])).code, 8);
	fs.writeFileSync(path.join(backup, 'MANIFEST'), text);
	assert.equal((await report(data, 'restore', backup)).last_seq, 500);
	const twice = await run(['log', 'restore', backup, '--data', data]);
	assert.equal(twice.code, 9);
	assert.match(twice.stderr, /log\.not-empty/);
	assert.equal((await run(['log', 'restore', tempDir(t, 'none'), '--data', tempDir(t, 'x')])).code, 3);
	// Folders that hold something else are left alone.
	const strange = tempDir(t, 'strange');
	fs.writeFileSync(path.join(strange, 'thesis.txt'), 'x');
	assert.match((await run(['log', 'backup', strange, '--data', dir])).stderr, /thesis\.txt/);
	assert.match((await run(['log', 'backup', path.join(data, 'log'), '--data', dir])).stderr, /log\.backup-conflict/);
	const another = tempDir(t, 'another');
	await runOk(['log', 'import', '-', '--data', another], { input: await log(dir, 'export', '--to', '3') });
	const refused = await run(['log', 'backup', backup, '--data', another]);
	assert.equal(refused.code, 9);
	assert.match(refused.stderr, /another log/);
});

test('an interrupted backup leaves the one before valid', async (t) => {
	const dir = tempDir(t, 'log');
	const backup = tempDir(t, 'backup');
	const { handle, send } = await receiver(t, dir);
	await send(300, 1);
	await log(dir, 'backup', backup);
	const before = fs.readFileSync(path.join(backup, 'MANIFEST'));
	await send(300, 2);
	// What a kill right before the manifest leaves: the new copies are there, the old manifest, too.
	const old = new Set(fs.readdirSync(backup));
	const kept = tempDir(t, 'kept');
	for (const name of old)
		fs.copyFileSync(path.join(backup, name), path.join(kept, name));
	await log(dir, 'backup', backup);
	for (const name of fs.readdirSync(backup)) {
		if (!old.has(name))
			fs.copyFileSync(path.join(backup, name), path.join(kept, name));
	}
	assert.ok(before.equals(fs.readFileSync(path.join(kept, 'MANIFEST'))));
	const data = tempDir(t, 'data');
	assert.equal((await report(data, 'restore', kept)).last_seq, 300);
	assert.equal((await report(dir, 'backup', kept)).last_seq, 600);
	await handle.stop();
});
