// SPDX-License-Identifier: Apache-2.0
// Reads a log from docs/on-disk-format.md alone: no code of hooklog, no liblmdb. Checks every checksum,
// number, time, chain value, body hash and dictionary. Payloads are decompressed by the program zstd.
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Environment } from './lmdb.mjs';
import { xxh3 } from './xxh3.mjs';

const HEADER = 80;
const KEY_REUSED = 1;

const sha256 = (...parts) => parts.reduce((h, part) => h.update(part), crypto.createHash('sha256')).digest();

function fail(text) {
	throw new Error(text);
}

function describe(dir) {
	const lines = fs.readFileSync(path.join(dir, 'LOG'), 'utf8').split('\n');
	if (lines[0] !== 'hooklog log')
		fail('LOG does not describe a log');
	const values = new Map(lines.slice(1).map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
	if (values.get('format') !== '1')
		fail(`format ${values.get('format')}`);
	return Buffer.from(values.get('id'), 'hex');
}

// msgpack as far as envelopes use it.
function unpack(data) {
	let at = 0;
	const take = (bytes) => data.subarray(at, (at += bytes));
	const number = (bytes) => take(bytes).readUIntBE(0, bytes);
	const many = (count, item) => Array.from({ length: count }, item);
	const value = () => {
		const tag = number(1);
		if (tag < 0x80)
			return tag;
		if (tag < 0x90)
			return new Map(many(tag & 15, () => [value().toString(), value()]));
		if (tag < 0xa0)
			return many(tag & 15, value);
		if (tag < 0xc0)
			return take(tag & 31);
		switch (tag) {
		case 0xc4: case 0xd9: return take(number(1));
		case 0xc5: case 0xda: return take(number(2));
		case 0xc6: case 0xdb: return take(number(4));
		case 0xcc: return number(1);
		case 0xcd: return number(2);
		case 0xce: return number(4);
		case 0xdc: return many(number(2), value);
		case 0xde: return new Map(many(number(2), () => [value().toString(), value()]));
		default: return fail(`msgpack tag ${tag}`);
		}
	};
	const result = value();
	if (at !== data.length)
		fail('bytes behind the envelope');
	return result;
}

// Sets plain of each {payload, plainBytes}. One frame after the other through one process, then cut at the known lengths.
export function expand(frames, dictionary, scratch) {
	const args = ['-d', '-c', '-q', '--memory=512MB'];
	if (dictionary) {
		const file = path.join(scratch, 'dictionary');
		fs.writeFileSync(file, dictionary);
		args.push('-D', file);
	}
	const total = frames.reduce((sum, f) => sum + f.plainBytes, 0);
	const run = spawnSync('zstd', args, { input: Buffer.concat(frames.map((f) => f.payload)), maxBuffer: total + 4096 });
	if (run.status !== 0 || run.stdout.length !== total)
		fail(`zstd gave ${run.stdout?.length} bytes of ${total}: ${run.stderr}`);
	let at = 0;
	for (const f of frames)
		f.plain = run.stdout.subarray(at, (at += f.plainBytes));
}

function parse(key, value) {
	const seq = key.length === 8 ? Number(key.readBigUInt64BE(0)) : fail('a key is not 8 bytes');
	if (value.length < HEADER)
		fail(`record ${seq} is too short`);
	if (value.readBigUInt64LE(0) !== xxh3(value.subarray(8)))
		fail(`record ${seq}: checksum`);
	if (value[8] !== 1 || value[9] > 1 || (value.readUInt16LE(10) & ~KEY_REUSED) !== 0)
		fail(`record ${seq}: version, codec or flags`);
	if (Number(value.readBigUInt64LE(16)) !== seq)
		fail(`record ${seq} says it is another one`);
	const r = {
		seq,
		zstd: value[9] === 1,
		reused: (value.readUInt16LE(10) & KEY_REUSED) !== 0,
		dictionary: value.readUInt32LE(12),
		at: value.readBigInt64LE(24),
		sameKey: Number(value.readBigUInt64LE(32)),
		plainBytes: value.readUInt32LE(40),
		envelopeBytes: value.readUInt32LE(44),
		chain: value.subarray(48, HEADER),
		chained: value.subarray(8, 48),
		payload: value.subarray(HEADER),
	};
	if (r.envelopeBytes > r.plainBytes || (r.reused ? r.sameKey === 0 || r.sameKey >= seq : r.sameKey !== 0))
		fail(`record ${seq}: lengths or first delivery`);
	return r;
}

function dictionaries(meta) {
	const found = new Map();
	for (const [name, value] of meta) {
		if (!name.startsWith('dict.'))
			continue;
		const hash = xxh3(value.subarray(8));
		const id = Number(hash & 0xffffffffn) || 1;
		if (value.readBigUInt64BE(0) !== hash || name !== `dict.${id.toString(16).padStart(8, '0')}`)
			fail(`dictionary ${name}`);
		found.set(id, value.subarray(8));
	}
	return found;
}

// Gives every record of the log in dir to found({seq, at, reused, sameKey, zstd, dictionary, envelope, body,
// segment}) and returns {records, segments, dictionaries, chain}; throws at the first thing that is wrong.
export function readLog(dir, found = () => {}) {
	const id = describe(dir);
	const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'reader-'));
	const state = { next: 0, at: 0n, chain: sha256('hooklog log v1', id), records: 0, dictionaries: 0 };
	const names = fs.readdirSync(dir).filter((name) => /^\d{20}\.mdb$/.test(name)).sort();
	try {
		for (const name of names)
			readSegment(dir, name, id, state, scratch, found);
	} finally {
		fs.rmSync(scratch, { recursive: true });
	}
	const head = fs.readFileSync(path.join(dir, 'head'));
	if (head.length === 8 && Number(head.readBigUInt64LE(0)) >= state.next)
		fail('the log ends before head');
	return { records: state.records, segments: names.length, dictionaries: state.dictionaries, chain: state.chain.toString('hex') };
}

function readSegment(dir, name, id, state, scratch, found) {
	const first = Number(name.slice(0, 20));
	const environment = new Environment(fs.readFileSync(path.join(dir, name)));
	const meta = new Map();
	for (const [key, value] of environment.entries(environment.open('meta')))
		meta.set(key.toString(), value);
	if (!meta.get('log_id')?.equals(id) || Number(meta.get('first_seq').readBigUInt64BE(0)) !== first)
		fail(`${name} belongs elsewhere`);
	if (state.next === 0 && first > 1) // older segments were removed
		state.chain = meta.get('prev_chain');
	else if (first !== (state.next || 1) || !meta.get('prev_chain').equals(state.chain))
		fail(`${name} does not follow the segment before`);
	state.next = first;
	const known = dictionaries(meta);
	state.dictionaries += known.size;
	const database = environment.open('events');
	const records = [];
	for (const [key, value] of environment.entries(database)) {
		const r = parse(key, value);
		state.chain = sha256(state.chain, r.chained, r.payload);
		if (r.seq !== state.next++ || r.at < state.at || !state.chain.equals(r.chain))
			fail(`record ${r.seq}: number, time or chain`);
		state.at = r.at;
		records.push(r);
	}
	if (records.length !== database.entries)
		fail(`${name} holds ${records.length} records and says ${database.entries}`);
	for (const number of new Set(records.map((r) => r.dictionary))) {
		if (number !== 0 && !known.has(number))
			fail(`${name} lacks dictionary ${number}`);
		const frames = records.filter((r) => r.zstd && r.dictionary === number);
		if (frames.length > 0)
			expand(frames, known.get(number), scratch);
	}
	for (const r of records) {
		const plain = r.zstd ? r.plain : r.payload;
		if (plain.length !== r.plainBytes)
			fail(`record ${r.seq}: length`);
		const envelope = unpack(plain.subarray(0, r.envelopeBytes));
		const body = plain.subarray(r.envelopeBytes);
		if (!envelope.get('sha').equals(sha256(body)))
			fail(`record ${r.seq}: hash of the body`);
		found({ ...r, envelope, body, segment: first });
	}
	state.records += records.length;
}
