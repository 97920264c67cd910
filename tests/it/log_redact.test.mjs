// SPDX-License-Identifier: Apache-2.0
// `hooklog log redact`: the body is gone everywhere, everything else is still proven.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { ndjson, run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

async function receiver(t, dir, env = {}) {
	if (!fs.existsSync(path.join(dir, 'sources')))
		await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const handle = await startIngest(t, dir, { env: { HOOKLOG_STORE_SEGMENT_BYTES_MAX: '1MiB', ...env } });
	const send = async (count, seed) => JSON.parse((await runOk(['simulate', '--json', '--count', String(count), '--seed', String(seed), '--data', dir],
		{ env: { HOOKLOG_INGEST_LISTEN: `127.0.0.1:${handle.port}` } })).stdout);
	return { handle, send };
}

const log = async (dir, env, ...args) => (await runOk(['log', ...args, '--data', dir], { env })).stdout;
const json = async (...args) => JSON.parse(await log(...args, '--json'));
const sha256 = (data) => crypto.createHash('sha256').update(data).digest('hex');
const secret = 'carla.personal@example.com wants to be forgotten';
const imported = (body, delivery) => `${JSON.stringify({ source: 'gh', provider: 'github', event: 'issues', delivery, hook: '1', content_type: 'application/json', body })}\n`;

// Every byte of every file below the folder.
function holds(dir, text) {
	return fs.readdirSync(dir, { withFileTypes: true }).some((entry) => {
		const file = path.join(dir, entry.name);
		return entry.isDirectory() ? holds(file, text) : entry.isFile() && fs.readFileSync(file).includes(text);
	});
}

test('a body is erased from a stopped log, and the rest is proven', async (t) => {
	const dir = tempDir(t, 'log');
	const noise = Array.from({ length: 40 }, (_, i) => imported(`{"n":${i}}`, `d-${i}`));
	// Too short to be compressed: it stands in the file as it is.
	await runOk(['log', 'import', '-', '--data', dir], { input: noise.slice(0, 20).join('') + imported(secret, 'x').replace('"issues"', '"x"') + noise.slice(20).join('') });
	const before = ndjson(await log(dir, {}, 'export'));
	const chain = async (seq) => /^chain +(\w+)/m.exec(await log(dir, {}, 'show', String(seq)))[1];
	const chains = [await chain(21), await chain(41)];
	const kept = path.join(tempDir(t, 'kept'), 'all.archive');
	await log(dir, {}, 'export', '--format', 'archive', '--output', kept);
	const done = await json(dir, {}, 'redact', '21', '--reason', 'asked on "Friday"');
	assert.deepEqual([done.seq, done.audit_seq, done.before, done.local], [21, 42, false, true]);
	assert.ok(!holds(dir, secret));
	await log(dir, {}, 'verify');
	const after = ndjson(await log(dir, {}, 'export'));
	assert.equal(after.length, 42);
	for (let i = 0; i < 41; i++) {
		if (i !== 20)
			assert.deepEqual(after[i], before[i]);
	}
	assert.deepEqual(after[20], { ...before[20], flags: { ...before[20].flags, redacted: true }, erased_sha256: sha256(before[20].body), body: '', body_bytes: 0 });
	assert.deepEqual([await chain(21), await chain(41)], chains);
	const audit = JSON.parse(after[41].body);
	assert.equal(after[41].origin, 'operator');
	assert.equal(audit.redacted_seq, 21);
	assert.equal(audit.reason, 'asked on "Friday"');
	assert.equal(audit.body_sha256, sha256(before[20].body));
	assert.equal(audit.chain, chains[0]);
	assert.match(await log(dir, {}, 'show', '21'), /redacted +the body was erased/);
	assert.equal((await runOk(['log', 'show', '21', '--body', '--data', dir])).stdout, '');
	// Sending again leaves it out.
	const sent = ndjson((await runOk(['replay', '--target', '-', '--data', dir])).stdout);
	assert.deepEqual(sent.map((e) => e.seq).includes(21), false);
	assert.equal(sent.length, 41);
	// Its redelivery is still known; erasing twice says so; the audit stays.
	const again = await runOk(['log', 'import', '-', '--data', dir, '--json'], { input: imported(secret, 'x') });
	assert.equal(JSON.parse(again.stdout).duplicates, 1);
	const twice = await json(dir, {}, 'redact', '21', '--reason', 'again');
	assert.deepEqual([twice.before, twice.audit_seq, twice.local], [true, 42, false]);
	assert.equal((await run(['log', 'redact', '42', '--reason', 'no', '--data', dir])).code, 5);
	assert.equal((await run(['log', 'redact', '999', '--reason', 'no', '--data', dir])).code, 3);
	assert.equal((await run(['log', 'redact', '5', '--data', dir])).code, 2);
	// An archive made of it is as good as the log; the one from before shows that it is the same history.
	const copy = tempDir(t, 'copy');
	const file = path.join(tempDir(t, 'file'), 'redacted.archive');
	await log(dir, {}, 'export', '--format', 'archive', '--output', file);
	await log(copy, {}, 'import', file);
	await log(copy, {}, 'verify');
	assert.equal(await log(copy, {}, 'export'), await log(dir, {}, 'export'));
	assert.equal((await json(dir, {}, 'import', kept)).duplicates, 41);
	// Into another log it is skipped.
	const other = tempDir(t, 'other');
	await runOk(['log', 'import', '-', '--data', other], { input: imported('{}', 'first') });
	assert.deepEqual([(await json(other, {}, 'import', file)).skipped], [1]);
});

test('beside a running writer, in the archive and in the next backup', async (t) => {
	const dir = tempDir(t, 'log');
	const archive = tempDir(t, 'archive');
	const backup = tempDir(t, 'backup');
	const env = { HOOKLOG_STORE_ARCHIVE_DIR: archive };
	const { handle, send } = await receiver(t, dir, env);
	await runOk(['log', 'import', '-', '--data', dir], { input: imported(secret, 'one') });
	await send(700, 1);
	await runOk(['log', 'import', '-', '--data', dir], { input: imported(secret, 'two') });
	const seq = (await json(dir, {}, 'stat')).last_seq;
	await log(dir, env, 'archive');
	await log(dir, {}, 'backup', backup);
	assert.ok(holds(archive, secret) && holds(backup, secret));
	// The first is in an archived segment, the last in the open one.
	const sending = send(300, 2);
	const first = await json(dir, env, 'redact', '1', '--reason', 'r');
	assert.deepEqual([first.local, first.archived], [true, true]);
	const last = await json(dir, env, 'redact', String(seq), '--reason', 'r');
	assert.deepEqual([last.local, last.archived], [true, false]);
	await sending;
	assert.ok(!holds(dir, secret));
	assert.ok(!holds(archive, secret));
	await log(dir, {}, 'backup', backup);
	assert.ok(!holds(backup, secret));
	await log(dir, env, 'archive');
	await log(dir, {}, 'verify');
	// The running receiver reads the new files, not those it had open.
	assert.equal((await json(dir, {}, 'show', '1')).body, '');
	assert.equal((await send(700, 1)).duplicates, 700);
	await handle.stop();
	const restored = tempDir(t, 'restored');
	await log(restored, {}, 'restore', backup);
	assert.equal((await json(restored, {}, 'show', '1')).flags.redacted, true);
	// Where the segment is in the archive only.
	await log(dir, env, 'prune', '--keep-segments', '1', '--yes');
	const next = await json(dir, env, 'redact', '2', '--reason', 'r');
	assert.deepEqual([next.local, next.archived], [false, true]);
	assert.equal((await json(dir, env, 'show', '2')).flags.redacted, true);
	assert.equal((await json(dir, env, 'show', '1')).flags.redacted, true);
	const whole = tempDir(t, 'whole');
	await log(whole, {}, 'restore', archive);
	assert.equal((await json(whole, {}, 'show', '2')).body, '');
});
