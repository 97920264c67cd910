// SPDX-License-Identifier: Apache-2.0
// `hooklog log archive`, `log segments`, `log prune`, and reading from the archive.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { ndjson, run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

async function receiver(t, dir, extra = {}) {
	if (!fs.existsSync(path.join(dir, 'sources')))
		await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const handle = await startIngest(t, dir, { env: { HOOKLOG_STORE_SEGMENT_BYTES_MAX: '1MiB', ...extra } });
	const send = async (count, seed) => JSON.parse((await runOk(['simulate', '--json', '--count', String(count), '--seed', String(seed), '--data', dir],
		{ env: { HOOKLOG_INGEST_LISTEN: `127.0.0.1:${handle.port}` } })).stdout);
	return { handle, send };
}

const log = async (dir, env, ...args) => (await runOk(['log', ...args, '--data', dir], { env })).stdout;
const segments = async (dir, env) => ndjson(await log(dir, env, 'segments', '--json'));
const states = (list) => list.map((s) => s.state);

test('archived segments are read as if they had never left the log', async (t) => {
	const dir = tempDir(t, 'log');
	const archive = path.join(tempDir(t, 'archive'), 'a');
	const env = { HOOKLOG_STORE_ARCHIVE_DIR: archive };
	const { handle, send } = await receiver(t, dir, env);
	await send(900, 1);
	const before = await log(dir, {}, 'export');
	assert.ok(states(await segments(dir, {})).slice(0, -1).every((s) => s === 'sealed'));
	const first = JSON.parse(await log(dir, {}, 'archive', archive, '--json'));
	assert.ok(first.segments >= 2);
	assert.equal(first.segments_copied, first.segments);
	assert.equal(JSON.parse(await log(dir, env, 'archive', '--json')).segments_copied, 0);
	const list = await segments(dir, env);
	assert.deepEqual(states(list), [...Array(list.length - 1).fill('archived'), 'open']);
	const today = new Date().toISOString().slice(0, 4);
	for (const s of list.slice(0, -1)) {
		assert.match(s.archive_file, new RegExp(`^${today}-\\d\\d-\\d\\d_0*${s.first_seq}-0*${s.last_seq}\\.mdb$`));
		assert.equal(fs.statSync(path.join(archive, s.archive_file)).mode & 0o777, 0o444);
	}
	// A dry run says what the real one does.
	await handle.stop(); // the index is complete after an orderly end
	const dry = ndjson(await log(dir, env, 'prune', '--keep-segments', '1', '--json'));
	assert.equal(dry.length, list.length - 1);
	assert.ok(dry.every((p) => !p.removed));
	assert.equal((await segments(dir, {})).length, list.length);
	const again = await receiver(t, dir, env);
	const pruned = ndjson(await log(dir, env, 'prune', '--keep-segments', '1', '--yes', '--json'));
	assert.deepEqual(pruned.map((p) => [p.first_seq, p.last_seq]), dry.map((p) => [p.first_seq, p.last_seq]));
	const after = await segments(dir, env);
	assert.deepEqual(states(after), [...Array(list.length - 1).fill('removed'), 'open']);
	assert.equal((await segments(dir, {})).length, 1);
	assert.equal(fs.readFileSync(path.join(dir, 'log', 'removed'), 'utf8').trim().split('\n').length, pruned.length);
	// Everything can be read, by number, by time, by replay; the archive is not written to.
	const files = fs.readdirSync(archive).sort();
	assert.equal(await log(dir, env, 'export'), before);
	assert.equal((await runOk(['replay', '--target', '-', '--data', dir], { env })).stdout, before);
	assert.equal(JSON.parse(await log(dir, env, 'show', '1', '--json')).seq, 1);
	assert.deepEqual(fs.readdirSync(archive).sort(), files);
	// Redeliveries of what is gone are known, also by an index made anew from the archive.
	assert.equal((await again.send(900, 1)).duplicates, 900);
	await again.handle.stop();
	fs.rmSync(path.join(dir, 'log', 'index.mdb'));
	const third = await receiver(t, dir, env);
	assert.equal((await third.send(900, 1)).duplicates, 900);
	await third.send(10, 9);
	await third.handle.stop();
	await log(dir, {}, 'verify');
	// Without the archive the log starts later, and says so.
	const gone = await run(['log', 'show', '1', '--data', dir]);
	assert.equal(gone.code, 3);
	assert.match(gone.stderr, /log starts with \d+; mount the archive[^]*log\.removed\.md/);
	assert.equal(JSON.parse(await log(dir, {}, 'stat', '--json')).first_seq, after.at(-1).first_seq);
	const replay = await run(['replay', '--from', '1', '--target', '-', '--data', dir]);
	assert.notEqual(replay.code, 0);
	assert.match(replay.stderr, /range-gone|log\.removed/);
	// Nor can a subscription go back to what is not held; where it stood it stays.
	const subscription = (...args) => run(['subscription', ...args, '--data', dir]);
	assert.equal((await subscription('add', 'one', '--pull')).code, 0);
	const stood = JSON.parse((await subscription('show', 'one', '--json')).stdout).next_seq;
	const seek = await subscription('seek', 'one', '--from', String(after.at(-1).first_seq - 1));
	assert.equal(seek.code, 3);
	assert.match(seek.stderr, new RegExp(`not in the log any more; it begins with ${after.at(-1).first_seq}\\b[^]*replay\\.range-gone`));
	assert.equal(JSON.parse((await subscription('show', 'one', '--json')).stdout).next_seq, stood);
	assert.equal((await subscription('seek', 'one', '--from', String(after.at(-1).first_seq))).code, 0);
	// An archive is a backup, too, of what it holds.
	const restored = tempDir(t, 'restored');
	assert.equal(JSON.parse(await log(restored, {}, 'restore', archive, '--json')).last_seq, pruned.at(-1).last_seq);
	assert.equal(await log(restored, {}, 'export'), before.split('\n').slice(0, pruned.at(-1).last_seq).join('\n') + '\n');
	// And the next archive run goes on.
	assert.equal(JSON.parse(await log(dir, env, 'archive', '--json')).segments, first.segments);
});

test('nothing is removed whose copy is not whole', async (t) => {
	const dir = tempDir(t, 'log');
	const archive = tempDir(t, 'archive');
	const env = { HOOKLOG_STORE_ARCHIVE_DIR: archive };
	const { handle, send } = await receiver(t, dir);
	await send(900, 1);
	await handle.stop();
	const prune = (...args) => run(['log', 'prune', '--yes', '--json', '--data', dir, ...args], { env });
	const held = async () => (await segments(dir, {})).length;
	const all = await held();
	assert.ok(all >= 3);
	const none = await prune('--keep-segments', '1');
	assert.equal(none.code, 3);
	assert.match(none.stderr, /log\.not-archived/);
	await log(dir, env, 'archive');
	const list = await segments(dir, env);
	// The second copy is damaged: the first segment goes, the second stays.
	const victim = path.join(archive, list[1].archive_file);
	const bytes = fs.readFileSync(victim);
	fs.chmodSync(victim, 0o600);
	const wrong = Buffer.from(bytes);
	wrong[wrong.length >> 1] ^= 4;
	fs.writeFileSync(victim, wrong);
	const partly = await prune('--keep-segments', '1');
	assert.equal(partly.code, 8);
	assert.match(partly.stderr, /log\.backup-damaged/);
	assert.deepEqual(ndjson(partly.stdout).map((p) => p.first_seq), [1]);
	assert.equal(await held(), all - 1);
	fs.rmSync(victim);
	assert.equal((await prune('--keep-segments', '1')).code, 8);
	fs.writeFileSync(victim, bytes);
	// The log's own file is another one than the archived one.
	const own = path.join(dir, 'log', list[1].name);
	const mode = fs.statSync(own).mode;
	fs.chmodSync(own, 0o600);
	fs.appendFileSync(own, 'x');
	const other = await prune('--keep-segments', '1');
	assert.equal(other.code, 9);
	assert.match(other.stderr, /log\.not-archived/);
	fs.truncateSync(own, bytes.length);
	fs.chmodSync(own, mode);
	// Rules: nothing is a week old; both must hold.
	assert.equal((await prune('--older-than', '1w')).stdout, '');
	assert.equal((await prune('--older-than', '1w', '--keep-segments', '1')).stdout, '');
	assert.equal((await prune('--keep-segments', String(all))).stdout, '');
	assert.equal(await held(), all - 1);
	for (const args of [[], ['--older-than', 'soon'], ['--older-than', '5'], ['--keep-segments', '0']])
		assert.equal((await prune(...args)).code, 2, args.join(' '));
	// Without its index the log would forget deliveries.
	const index = path.join(dir, 'log', 'index.mdb');
	fs.renameSync(index, `${index}.away`);
	const blind = await prune('--keep-segments', '1');
	assert.equal(blind.code, 9);
	assert.match(blind.stderr, /log\.not-indexed/);
	fs.renameSync(`${index}.away`, index);
	assert.equal((await prune('--older-than', '0s')).code, 0);
	assert.equal(await held(), 1);
	await log(dir, {}, 'verify');
	assert.equal(ndjson(await log(dir, env, 'export')).length, 900);
});
