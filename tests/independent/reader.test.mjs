// SPDX-License-Identifier: Apache-2.0
// TEST-VARIANTS: release
// Whether docs/on-disk-format.md says enough: a reader made from it alone reads what hooklog wrote.
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { root, tempDir } from '../lib/hooklog.mjs';
import { readLog } from './log.mjs';

const build = process.env.TEST_BUILD ?? path.join(root, 'build/gcc');

function makeLog(t) {
	if (spawnSync('zstd', ['--version']).status !== 0)
		t.skip('the program zstd is missing');
	const dir = path.join(tempDir(t, 'log'), 'log');
	const made = spawnSync(`${build}-release/tests/independent/make_log`, [dir], { maxBuffer: 1 << 26 });
	assert.equal(made.status, 0, made.stderr?.toString());
	const events = made.stdout.toString().trimEnd().split('\n').map((line) => line.split(' '));
	return { dir, events };
}

const sha256 = (data) => crypto.createHash('sha256').update(data).digest('hex');

test('a reader from the format page alone reads every byte', (t) => {
	const { dir, events } = makeLog(t);
	const seen = { reused: 0, raw: 0, zstd: 0, withDictionary: 0, large: 0 };
	const result = readLog(dir, (r) => {
		const [seq, delivery, hash, sameKey] = events[r.seq - 1];
		assert.equal(r.seq, Number(seq));
		assert.equal(r.envelope.get('del')?.toString() ?? '', delivery);
		assert.equal(r.envelope.get('src').toString(), 'gh');
		assert.equal(sha256(r.body), hash);
		assert.equal(r.sameKey, Number(sameKey));
		assert.equal(r.reused, sameKey !== '0');
		seen.reused += r.reused;
		seen.raw += !r.zstd;
		seen.zstd += r.zstd;
		seen.withDictionary += r.dictionary !== 0;
		seen.large += r.body.length >= 25000000;
	});
	assert.equal(result.records, events.length);
	assert.ok(result.segments >= 3 && result.dictionaries >= 2, JSON.stringify(result));
	assert.ok(Object.values(seen).every((count) => count > 0), JSON.stringify(seen));
	t.note(`${result.records} records, ${result.segments} segments, ${result.dictionaries} dictionaries, ${JSON.stringify(seen)}`);
});

test('the reader notices what is wrong', (t) => {
	const { dir } = makeLog(t);
	const file = path.join(dir, fs.readdirSync(dir).filter((name) => /^\d{20}\.mdb$/.test(name)).sort()[0]);
	const whole = fs.readFileSync(file);
	fs.chmodSync(file, 0o600); // sealed segments may not be written to
	const text = whole.indexOf('second body'); // too short to be compressed away
	assert.ok(text > 0);
	for (const at of [text, text - 100]) {
		const data = Buffer.from(whole);
		data[at] ^= 4;
		fs.writeFileSync(file, data);
		assert.throws(() => readLog(dir), /record|belongs|page/);
	}
	fs.writeFileSync(file, whole.subarray(0, whole.length - 4096));
	assert.throws(() => readLog(dir));
	fs.rmSync(file);
	fs.writeFileSync(path.join(dir, 'head'), Buffer.alloc(8, 0x11));
	assert.throws(() => readLog(dir), /head/);
});
