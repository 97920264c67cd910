// SPDX-License-Identifier: Apache-2.0
// The key that signs checkpoints: changed, lost, backed up or not; and a log set back to an older backup.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const event = (i) => `${JSON.stringify({ source: 'gh', provider: 'github', event: 'x', delivery: `d-${i}`, hook: '1', content_type: 'application/json', body: `{"n":${i}}` })}\n`;
const events = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => event(from + i)).join('');
const add = (dir, from, to) => runOk(['log', 'import', '-', '--data', dir], { input: events(from, to) });
const key = async (dir) => (await runOk(['log', 'key', '--data', dir])).stdout.trim();
const log = async (dir, ...args) => (await runOk(['log', ...args, '--data', dir])).stdout;
const verify = async (dir, ...args) => JSON.parse((await run(['log', 'verify', '--json', ...args, '--data', dir])).stdout);
const mode = (file) => (fs.statSync(file).mode & 0o777).toString(8);
const newest = (dir) => fs.readFileSync(path.join(dir, 'log/checkpoints'), 'utf8').trimEnd().split('\n').at(-1);

test('the key is changed beside a running receiver', async (t) => {
	const dir = tempDir(t, 'key');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const env = { HOOKLOG_STORE_SEGMENT_BYTES_MAX: '1MiB' };
	const receiver = await startIngest(t, dir, { env });
	const send = (seed) => runOk(['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', '500', '--seed', String(seed), '--data', dir]);
	await send(1);
	const first = await key(dir);
	const sending = send(2);
	const second = (await log(dir, 'rotate-key')).trim();
	await sending;
	assert.notEqual(first, second);
	assert.equal(await key(dir), second);
	for (const k of [first, second]) {
		const report = await verify(dir, '--key', k);
		assert.deepEqual(report.errors, []);
	}
	// What the new key vouches for before the receiver has ended: all that came before it.
	const lines = fs.readFileSync(path.join(dir, 'log/checkpoints'), 'utf8').split('\n');
	assert.ok(lines.some((line) => line.startsWith('checkpoint ') && line.includes(` ${second} `)));
	assert.ok(lines.some((line) => line.startsWith('seal ') && line.includes(` ${second} `)));
	await receiver.stop();
	assert.equal(mode(path.join(dir, 'log/checkpoint.key')), '600');
	assert.ok(!fs.existsSync(path.join(dir, 'log/checkpoint.key.next')));
	assert.equal((await run(['log', 'rotate-key', '--data', tempDir(t, 'none')])).code, 3);
});

test('a lost key is a warning, and what the new one signs does not pass for the old one', async (t) => {
	const dir = tempDir(t, 'key');
	await add(dir, 1, 5);
	const first = await key(dir);
	fs.rmSync(path.join(dir, 'log/checkpoint.key'));
	await add(dir, 6, 9);
	const second = await key(dir);
	assert.notEqual(first, second);
	const report = await verify(dir);
	assert.equal(report.sound, true);
	assert.match(report.warnings[0].text, /brings a key that the one before did not sign/);
	assert.match((await verify(dir, '--key', first)).errors[0].text, /does not go back to the given key/);
	assert.deepEqual((await verify(dir, '--key', second)).errors, []);
	assert.match(await log(dir, 'key', '--history'), /NOT signed by the one before/);
});

test('the key is in a backup only when asked for', async (t) => {
	const dir = tempDir(t, 'key');
	const backup = tempDir(t, 'backup');
	await add(dir, 1, 5);
	const first = await key(dir);
	const has = () => fs.readdirSync(backup).some((name) => name.includes('key'));
	await log(dir, 'backup', backup);
	assert.ok(!has());
	await log(dir, 'backup', backup, '--with-key');
	assert.ok(has());
	assert.equal(mode(path.join(backup, 'checkpoint.key')), '600');
	const whole = tempDir(t, 'whole');
	await log(whole, 'restore', backup);
	assert.equal(mode(path.join(whole, 'log/checkpoint.key')), '600');
	await add(whole, 6, 7);
	assert.equal(await key(whole), first);
	assert.deepEqual((await verify(whole, '--key', first)).warnings, []);
	// The next one without it takes it out again.
	await add(dir, 6, 6);
	await log(dir, 'backup', backup);
	assert.ok(!has());
	const without = tempDir(t, 'without');
	fs.renameSync(path.join(dir, 'log/checkpoint.key'), path.join(dir, 'away'));
	assert.equal((await run(['log', 'backup', backup, '--with-key', '--data', dir])).code, 3);
	fs.renameSync(path.join(dir, 'away'), path.join(dir, 'log/checkpoint.key'));
	await log(without, 'restore', backup);
	assert.deepEqual((await verify(without, '--key', first)).errors, [], 'what was signed before is as good as ever');
	await add(without, 7, 8);
	assert.notEqual(await key(without), first);
	assert.match((await verify(without, '--key', first)).errors[0].text, /does not go back to the given key/);
});

test('a log restored from an older backup is noticed by whoever kept a checkpoint', async (t) => {
	const dir = tempDir(t, 'key');
	const backup = tempDir(t, 'backup');
	await add(dir, 1, 5);
	await log(dir, 'backup', backup, '--with-key');
	await add(dir, 6, 10);
	const noted = path.join(tempDir(t, 'noted'), 'line');
	fs.writeFileSync(noted, `${newest(dir)}\n`);
	assert.deepEqual((await verify(dir, '--noted', noted)).errors, []);
	const back = tempDir(t, 'back');
	await log(back, 'restore', backup);
	// In itself it is sound; it ends too early for what was signed.
	assert.equal((await verify(back)).sound, true);
	assert.match((await verify(back, '--noted', noted)).errors[0].text, /was signed, but the log ends before it/);
	// Even when it went on, with the right key, and is as long again.
	await add(back, 21, 30);
	assert.equal((await verify(back)).sound, true);
	assert.match((await verify(back, '--noted', noted)).errors[0].text, /history was rewritten/);
	// The original refuses to be backed up into the fork's folder, and the other way round.
	await log(dir, 'backup', backup);
	const refused = await run(['log', 'backup', backup, '--data', back]);
	assert.equal(refused.code, 9);
	assert.match(refused.stderr, /log\.backup-conflict/);
	// The newer statements beside the older segments: the receiver does not start.
	fs.copyFileSync(path.join(dir, 'log/checkpoints'), path.join(back, 'log/checkpoints'));
	const started = await run(['log', 'import', '-', '--data', back], { input: event(99) });
	assert.equal(started.code, 8, started.stderr);
	assert.match(started.stderr, /log\.rewritten/);
	// A whole file of checkpoints will do; what is none is said.
	assert.deepEqual((await verify(dir, '--noted', path.join(dir, 'log/checkpoints'))).errors, []);
	fs.writeFileSync(noted, `${newest(dir).replace(/.$/, (c) => (c === '0' ? '1' : '0'))}\nx y\n`);
	assert.deepEqual((await verify(dir, '--noted', noted)).errors.map((e) => e.text).sort(),
		['a noted checkpoint is not signed for this log', 'there are noted lines that are no checkpoints']);
});
