// SPDX-License-Identifier: Apache-2.0
// TEST-VARIANTS: release
// Whether docs/on-disk-format.md says enough: a reader made from it alone reads what hooklog wrote.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { root, tempDir } from '../lib/hooklog.mjs';
import { Environment } from './lmdb.mjs';
import { readLog } from './log.mjs';
import { sha256 } from './statements.mjs';
import { xxh3 } from './xxh3.mjs';

const build = process.env.TEST_BUILD ?? path.join(root, 'build/gcc');

function makeLog(t, ...size) {
	if (spawnSync('zstd', ['--version']).status !== 0)
		t.skip('the program zstd is missing');
	const dir = path.join(tempDir(t, 'log'), 'log');
	const made = spawnSync(`${build}-release/tests/independent/make_log`, [dir, ...size], { maxBuffer: 1 << 26 });
	assert.equal(made.status, 0, made.stderr?.toString());
	const lines = made.stdout.toString().trimEnd().split('\n').map((line) => line.split(' '));
	const redacted = new Map(lines.filter((line) => line[0] === 'redacted').map(([, seq, audit]) => [Number(seq), Number(audit)]));
	return { dir, redacted, events: lines.filter((line) => line[0] !== 'redacted') };
}

test('a reader from the format page alone reads every byte', (t) => {
	const { dir, redacted, events } = makeLog(t);
	const seen = { reused: 0, raw: 0, zstd: 0, withDictionary: 0, large: 0, redacted: 0 };
	const result = readLog(dir, (r) => {
		if (r.seq > events.length) { // audit events
			assert.equal(redacted.get(JSON.parse(r.body).redacted_seq), r.seq);
			return;
		}
		const [seq, delivery, hash, sameKey] = events[r.seq - 1];
		assert.equal(r.seq, Number(seq));
		assert.equal(r.envelope.get('del')?.toString() ?? '', delivery);
		assert.equal(r.envelope.get('src').toString(), 'gh');
		assert.equal(r.redacted, redacted.has(r.seq));
		assert.equal((r.redacted ? r.redaction.body : sha256(r.body)).toString('hex'), hash);
		assert.ok(!r.redacted || r.body.length === 0);
		assert.equal(r.sameKey, Number(sameKey));
		assert.equal(r.reused, sameKey !== '0');
		seen.reused += r.reused;
		seen.raw += !r.zstd;
		seen.zstd += r.zstd;
		seen.withDictionary += r.dictionary !== 0;
		seen.large += r.body.length >= 25000000;
		seen.redacted += r.redacted;
	});
	assert.equal(result.records, events.length + redacted.size);
	assert.ok(result.segments >= 3 && result.dictionaries >= 2, JSON.stringify(result));
	assert.equal(result.seals, result.segments - 1, 'every finished segment is sealed');
	assert.ok(result.statements > result.seals && result.keys === 1 && result.lost === 0 && result.redacted === 4, JSON.stringify(result));
	assert.ok(Object.values(seen).every((count) => count > 0), JSON.stringify(seen));
	t.note(`${JSON.stringify(result)}, ${JSON.stringify(seen)}`);
});

// The log in dir, with where everything stands in its files.
class Damaged {
	constructor(dir) {
		this.dir = dir;
		this.files = new Map();
		this.records = new Map();
		this.metas = new Map();
		for (const name of fs.readdirSync(dir).filter((entry) => /\.mdb$/.test(entry) && entry !== 'index.mdb').sort()) {
			fs.chmodSync(path.join(dir, name), 0o600); // sealed segments may not be written to
			const data = fs.readFileSync(path.join(dir, name));
			const environment = new Environment(data);
			this.files.set(name, data);
			for (const [key, value] of environment.entries(environment.open('events')))
				this.records.set(Number(key.readBigUInt64BE(0)), { name, value });
			for (const [key, value] of environment.entries(environment.open('meta')))
				this.metas.set(`${name} ${key}`, { name, value });
		}
	}

	write(name, data) {
		fs.writeFileSync(path.join(this.dir, name), data);
	}

	// Has the reader look at a log in which change() has been done to the memory of the file, and undoes it.
	notices(what, name, change, wanted, options) {
		const data = this.files.get(name) ?? fs.readFileSync(path.join(this.dir, name));
		const before = Buffer.from(data);
		this.write(name, change(data) ?? data);
		try {
			assert.throws(() => readLog(this.dir, undefined, options), wanted, what);
		} finally {
			before.copy(data);
			this.write(name, before);
		}
	}

	// A byte of a record; seal: the checksum is made to fit.
	record(seq, offset, wanted, { seal = false, options, bit = 1 } = {}) {
		const { name, value } = this.records.get(seq);
		this.notices(`byte ${offset} of record ${seq}${seal ? ', with checksum' : ''}`, name, () => {
			value[offset] ^= bit;
			if (seal)
				value.writeBigUInt64LE(xxh3(value.subarray(8)));
		}, wanted, options);
	}
}

test('a changed byte of any kind is noticed', (t) => {
	const { dir, redacted } = makeLog(t, 'small');
	const log = new Damaged(dir);
	const alone = { signed: false }; // so that it is not the signature of the file that tells
	readLog(dir);
	let ordinary = 0;
	readLog(dir, (r) => { ordinary ||= r.zstd && r.dictionary !== 0 && !r.redacted && r.seq; });
	assert.ok(ordinary > 0);
	// Every field of a record: by the checksum.
	for (const offset of [0, 8, 9, 10, 12, 16, 24, 32, 40, 44, 48, 79, 80, 90])
		log.record(ordinary, offset, /checksum/, { options: alone });
	// With a checksum that fits: by what it says, or the chain.
	const fields = { 8: /version|left/, 9: /codec|chain/, 10: /delivery|flags/, 12: /chain/, 16: /another one/, 24: /chain|time/, 32: /delivery/,
		40: /chain|lengths/, 44: /chain|lengths/, 48: /chain/, 79: /chain/, 80: /chain/, 90: /chain/ };
	for (const [offset, wanted] of Object.entries(fields))
		log.record(ordinary, Number(offset), wanted, { seal: true, options: alone });
	log.record(ordinary, 11, /flags/, { seal: true, bit: 128, options: alone });
	// Of a redacted one, where the chain cannot tell: audit event, time, value before, hash, length, envelope, header.
	const [erased, audit] = [...redacted][1];
	assert.ok(log.records.get(erased).value.readUInt32LE(12) !== 0, 'one with a dictionary');
	for (const offset of [80, 88, 96, 128, 160, 164, 180, log.records.get(erased).value.length - 1])
		log.record(erased, offset, /redaction|chain|msgpack|envelope/, { seal: true, options: alone });
	for (const offset of [9, 12, 24, 32, 40])
		log.record(erased, offset, /redaction|chain|lacks|delivery|time|lengths|does not follow/, { seal: true, options: alone });
	log.record(audit, 100, /chain/, { seal: true, options: alone });
	// What a segment says of itself.
	const name = log.records.get(ordinary).name;
	const dictionary = [...log.metas.keys()].find((key) => key.startsWith(`${name} dict.`)).split(' ')[1];
	for (const [key, offset, wanted] of [['log_id', 3, /belongs elsewhere/], ['first_seq', 7, /belongs elsewhere/], ['prev_chain', 9, /does not follow/],
		[dictionary, 2, /dictionary/], [dictionary, 300, /dictionary/]]) {
		const { value } = log.metas.get(`${name} ${key}`);
		log.notices(`meta ${key}`, name, () => { value[offset] ^= 1; }, wanted, alone);
	}
	// LMDB's own pages; a byte nobody reads, which only the seal knows; the end cut off.
	log.notices('page number', name, (data) => { data[2 * 4096] ^= 1; }, /page|environment|not/i, alone);
	log.notices('unused byte', name, (data) => { data[300] ^= 1; }, /file of the sealed segment/);
	log.notices('cut off', name, (data) => data.subarray(0, data.length - 4096), undefined, alone);
	log.notices('the id in LOG', 'LOG', (data) => { const at = data.indexOf('\nid ') + 5; data[at] = data[at] === 0x30 ? 0x31 : 0x30; }, /signature|elsewhere/);
	log.notices('head', 'head', () => Buffer.alloc(8, 0x11), /head/);
	const last = [...log.files.keys()].at(-1);
	fs.renameSync(path.join(dir, last), path.join(dir, 'away'));
	assert.throws(() => readLog(dir, undefined, alone), /head/);
	fs.renameSync(path.join(dir, 'away'), path.join(dir, last));
	readLog(dir);
});

test('what was signed is noticed when it is changed, or when the log is another one', (t) => {
	const { dir } = makeLog(t, 'small');
	const log = new Damaged(dir);
	const lines = fs.readFileSync(path.join(dir, 'checkpoints'), 'utf8').trimEnd().split('\n');
	const put = (changed) => Buffer.from(`${changed.join('\n')}\n`);
	// Each word of a line of each kind.
	for (const kind of ['checkpoint', 'seal', 'key']) {
		const at = lines.slice(0, -1).findLastIndex((line) => line.startsWith(`${kind} `)); // half a last line would be no damage
		const count = lines[at].split(' ').length;
		for (let i = 0; i < count; i++) {
			const words = lines[at].split(' ');
			words[i] = words[i].replace(/.$/, (c) => (c === '0' ? '1' : '0'));
			log.notices(`word ${i} of ${kind}`, 'checkpoints', () => put(lines.map((line, n) => (n === at ? words.join(' ') : line))), /checkpoints/);
		}
	}
	const key = lines.findLastIndex((line) => line.startsWith('key '));
	log.notices('the new key is not introduced', 'checkpoints', () => put(lines.filter((_, i) => i !== key)), /turn of this key/);
	log.notices('the old key signs on', 'checkpoints', () => put([...lines, lines[2]]), /turn of this key/);
	log.notices('no title', 'checkpoints', () => put(lines.slice(1)), /title/);
	// Half a line at the end is what a power cut leaves.
	const whole = fs.readFileSync(path.join(dir, 'checkpoints'));
	fs.appendFileSync(path.join(dir, 'checkpoints'), 'seal 12 abc');
	readLog(dir);
	fs.writeFileSync(path.join(dir, 'checkpoints'), whole);
	// History rewritten from the last event of a segment on, with checksums and chain all right.
	const numbers = [...log.records.keys()];
	const { name: lastErased } = log.records.get(1200);
	const forged = numbers.findLast((seq) => log.records.get(seq).name === lastErased); // none is redacted behind it
	let chain = log.records.get(forged - 1).value.subarray(48, 80);
	for (let seq = forged; seq <= numbers.length; seq++) {
		const { name, value } = log.records.get(seq);
		if (seq === forged)
			value.writeBigInt64LE(value.readBigInt64LE(24) + 1n, 24);
		if (name !== log.records.get(seq - 1).name)
			chain.copy(log.metas.get(`${name} prev_chain`).value);
		chain = sha256(chain, value.subarray(8, 48), value.subarray(80));
		chain.copy(value, 48);
		value.writeBigUInt64LE(xxh3(value.subarray(8)));
	}
	for (const [name, data] of log.files)
		log.write(name, data);
	readLog(dir, undefined, { signed: false }); // in itself it is perfect
	assert.throws(() => readLog(dir), /chain value/);
});
