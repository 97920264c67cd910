// SPDX-License-Identifier: Apache-2.0
// `hooklog log export` and `log import`, from stopped and running logs.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { ndjson, run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

async function receiver(t, name) {
	const dir = tempDir(t, name);
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const handle = await startIngest(t, dir, { env: { HOOKLOG_STORE_SEGMENT_BYTES_MAX: '1MiB' } });
	const send = (count, seed) => runOk(['simulate', '--count', String(count), '--seed', String(seed), '--data', dir],
		{ env: { HOOKLOG_INGEST_LISTEN: `127.0.0.1:${handle.port}` } });
	return { dir, handle, send };
}

const log = async (dir, ...args) => (await runOk(['log', ...args, '--data', dir])).stdout;
const report = async (dir, ...args) => JSON.parse(await log(dir, ...args, '--json'));

test('a running log is exported, and imported where no log is, bit by bit', async (t) => {
	const { dir, handle, send } = await receiver(t, 'export');
	await send(400, 1);
	const files = tempDir(t, 'files');
	const archive = path.join(files, 'a.archive');
	const exported = await report(dir, 'export', '--format', 'archive', '--output', archive);
	assert.equal(exported.events, 400);
	assert.equal(exported.bytes, fs.statSync(archive).size);
	assert.deepEqual(fs.readdirSync(files), ['a.archive']);
	const copy = tempDir(t, 'copy');
	const imported = await report(copy, 'import', archive);
	assert.deepEqual(imported, { mode: 'lossless', events: 400, added: 400, duplicates: 0, skipped: 0, first_seq: 1, last_seq: 400 });
	assert.equal(await log(copy, 'export'), await log(dir, 'export'));
	const last = async (d) => /^chain +(\w+)/m.exec(await log(d, 'show', '400'))[1];
	assert.equal(await last(copy), await last(dir));
	assert.equal(exported.chain, await last(dir));
	await log(copy, 'verify');
	// It is a log like any other: it takes events, and knows those it has.
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', copy]);
	const other = await startIngest(t, copy);
	const again = await report(copy, 'import', archive);
	assert.deepEqual([again.mode, again.added, again.duplicates], ['merge', 0, 400]);
	await other.stop();
	await handle.stop();
});

test('lines go into a running log; what it knows is not stored twice', async (t) => {
	const a = await receiver(t, 'a');
	const b = await receiver(t, 'b');
	await a.send(60, 1);
	await b.send(30, 1);
	const lines = path.join(tempDir(t, 'lines'), 'a.ndjson');
	await report(a.dir, 'export', '--output', lines);
	const first = await report(b.dir, 'import', lines);
	assert.deepEqual(first, { mode: 'merge', events: 60, added: 30, duplicates: 30, skipped: 0, first_seq: 31, last_seq: 60 });
	assert.equal((await report(b.dir, 'import', lines, '--origin', 'import')).added, 0);
	const want = ndjson(fs.readFileSync(lines, 'utf8'));
	const got = ndjson(await log(b.dir, 'export', '--from', '31'));
	const bare = ({ seq, received_at, ...rest }) => rest;
	assert.deepEqual(got.map(bare), want.slice(30).map(bare));
	const c = tempDir(t, 'c');
	assert.equal((await report(c, 'import', lines, '--origin', 'import')).added, 60);
	assert.ok(ndjson(await log(c, 'export')).every((event) => event.origin === 'import'));
	await log(c, 'verify');
	// From stdin, with a range.
	const some = await log(a.dir, 'export', '--from', '10', '--to', '19');
	const d = tempDir(t, 'd');
	const piped = await runOk(['log', 'import', '-', '--data', d, '--json'], { input: some });
	assert.equal(JSON.parse(piped.stdout).added, 10);
	await a.handle.stop();
	await b.handle.stop();
});

test('wrong input is told, with its place; a cut archive makes no log', async (t) => {
	const { dir, handle, send } = await receiver(t, 'wrong');
	await send(20, 1);
	await handle.stop();
	const files = tempDir(t, 'files');
	const archive = path.join(files, 'a');
	await log(dir, 'export', '--format', 'archive', '--output', archive);
	const bytes = fs.readFileSync(archive);
	fs.writeFileSync(path.join(files, 'cut'), bytes.subarray(0, bytes.length - 10));
	const none = tempDir(t, 'none');
	const cut = await run(['log', 'import', path.join(files, 'cut'), '--data', none]);
	assert.equal(cut.code, 8);
	assert.match(cut.stderr, /log\.archive-damaged/);
	assert.equal((await run(['log', 'stat', '--data', none])).code, 3);
	assert.deepEqual(fs.readdirSync(none).filter((name) => name.includes('tmp')), []);
	const lines = (await log(dir, 'export')).split('\n');
	lines[4] = lines[4].replace('"body":{', '"body":{"x":1,');
	const bad = await run(['log', 'import', '-', '--data', none, '--json'], { input: lines.join('\n') });
	assert.equal(bad.code, 1);
	assert.match(bad.stderr, /line 5: the body does not have the body_xxh128 the line states/);
	assert.equal(JSON.parse(bad.stdout).added, 4);
	assert.equal((await run(['log', 'export', '--format', 'xml', '--data', dir])).code, 2);
	assert.equal((await run(['log', 'import', '-', '--origin', 'x', '--data', dir])).code, 2);
	assert.equal(await log(dir, 'export', '--from', '21'), '');
	// A time after everything gives nothing, one before gives all.
	assert.equal(await log(dir, 'export', '--since', '2999-01-01'), '');
	assert.equal(ndjson(await log(dir, 'export', '--since', '2001-01-01', '--until', '2999-01-01')).length, 20);
	const full = await run(['log', 'export', '--data', dir, '--output', '/dev/full/x']);
	assert.equal(full.code, 1);
});
