// SPDX-License-Identifier: Apache-2.0
// Reads a log from docs/on-disk-format.md alone: no code of hooklog, no liblmdb. Checks every checksum,
// number, time, chain value, body hash, dictionary, redaction and signed statement. Payloads are decompressed
// by the program zstd.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Environment } from './lmdb.mjs';
import { readStatements, Segment, sha256 } from './statements.mjs';
import { xxh128, xxh3 } from './xxh3.mjs';

const HEADER = 80;
const REDACTED = 2;
const REDACTION = 116;
const KEY_REUSED = 1;

function fail(text) {
	throw new Error(text);
}

function describe(dir) {
	const lines = fs.readFileSync(path.join(dir, 'LOG'), 'utf8').split('\n');
	if (lines[0] !== 'hooklog log')
		fail('LOG does not describe a log');
	const values = new Map(lines.slice(1).map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
	if (values.get('format') !== '2')
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
	if (value[8] < 1 || value[8] > REDACTED || value[9] > 1 || (value.readUInt16LE(10) & ~KEY_REUSED) !== 0)
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
		redacted: value[8] === REDACTED,
	};
	if (r.envelopeBytes > r.plainBytes || (r.reused ? r.sameKey === 0 || r.sameKey >= seq : r.sameKey !== 0))
		fail(`record ${seq}: lengths or first delivery`);
	if (r.redacted)
		r.redaction = parseRedaction(r, value);
	return r;
}

function parseRedaction(r, value) {
	const p = r.payload;
	if (p.length !== REDACTION + r.envelopeBytes)
		fail(`record ${r.seq}: length of what is left`);
	return {
		audit: Number(p.readBigUInt64LE(0)),
		at: p.readBigInt64LE(8),
		before: p.subarray(16, 48),
		original: p.subarray(48, 80),
		body: p.subarray(84, 116),
		kept: sha256(value.subarray(9, 48), value.subarray(HEADER + 16)),
	};
}

// Follows the chain over r from the value before.
function link(chain, r) {
	const next = r.redacted ? r.chain : sha256(chain, r.chained, r.payload);
	if (!next.equals(r.chain) || (r.redacted && !r.redaction.before.equals(chain)))
		fail(`record ${r.seq}: chain`);
	return next;
}

// Whether the audit event says of the redacted record what it says of itself.
function confirm(r, audit) {
	const d = r.redaction;
	const hex = (name, value) => `,"${name}":"${value.toString('hex')}"`;
	const claim = `{"redacted_seq":${r.seq}${hex('record_sha256', d.original)}${hex('chain_before', d.before)}${hex('chain', r.chain)}` +
		`${hex('body_sha256', d.body)}${hex('kept_sha256', d.kept)}`;
	if (audit === undefined || d.audit <= r.seq || audit.at !== d.at || !audit.body.toString().startsWith(claim))
		fail(`record ${r.seq}: its audit event does not confirm the redaction`);
}

function isAudit(envelope) {
	const text = (name) => envelope.get(name)?.toString();
	return text('prov') === 'hooklog' && text('ev') === 'redaction' && envelope.get('o') === 6;
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
// redacted, segment}) and returns {records, segments, dictionaries, chain, statements, seals, keys, lost, redacted};
// throws at the first thing that is wrong. signed false: as if nothing had been signed.
export function readLog(dir, found = () => {}, { signed = true } = {}) {
	const id = describe(dir);
	const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'reader-'));
	const { statements, keys, lost } = signed ? readStatements(dir, id) : { statements: [] };
	const state = { next: 0, at: 0n, chain: sha256('hooklog log v1', id), records: 0, dictionaries: 0, redacted: [], audits: new Map(), seals: 0,
		claims: group(statements) };
	const names = fs.readdirSync(dir).filter((name) => /^\d{20}\.mdb$/.test(name)).sort();
	try {
		for (const [i, name] of names.entries())
			readSegment(dir, name, i + 1 < names.length, id, state, scratch, found);
	} finally {
		fs.rmSync(scratch, { recursive: true });
	}
	const head = fs.readFileSync(path.join(dir, 'head'));
	if (head.length === 8 && Number(head.readBigUInt64LE(0)) >= state.next)
		fail('the log ends before head');
	for (const st of statements) {
		if (st.seq >= state.next)
			fail(`the log ends before line ${st.line} of checkpoints`);
	}
	for (const r of state.redacted)
		confirm(r, state.audits.get(r.redaction.audit));
	return { records: state.records, segments: names.length, dictionaries: state.dictionaries, chain: state.chain.toString('hex'),
		statements: statements.length, seals: state.seals, keys, lost, redacted: state.redacted.length };
}

function group(statements) {
	const bySeq = new Map();
	for (const st of statements)
		bySeq.set(st.seq, [...(bySeq.get(st.seq) ?? []), st]);
	return bySeq;
}

// What the file says of itself: its dictionaries and its records, undecoded.
function openSegment(data, name, first, id, state) {
	const environment = new Environment(data);
	const meta = new Map();
	for (const [key, value] of environment.entries(environment.open('meta')))
		meta.set(key.toString(), value);
	if (!meta.get('log_id')?.equals(id) || Number(meta.get('first_seq').readBigUInt64BE(0)) !== first)
		fail(`${name} belongs elsewhere`);
	if (state.next === 0 && first > 1) // older segments were removed
		state.chain = meta.get('prev_chain');
	else if (first !== (state.next || 1) || !meta.get('prev_chain').equals(state.chain))
		fail(`${name} does not follow the segment before`);
	const known = dictionaries(meta);
	const database = environment.open('events');
	const records = [...environment.entries(database)].map(([key, value]) => parse(key, value));
	if (records.length !== database.entries)
		fail(`${name} holds ${records.length} records and says ${database.entries}`);
	return { known, records };
}

// Sets plain of all records but the redacted ones.
function expandAll(records, known, name, scratch) {
	for (const number of new Set(records.map((r) => r.dictionary))) {
		if (number !== 0 && !known.has(number))
			fail(`${name} lacks dictionary ${number}`);
		const frames = records.filter((r) => r.zstd && !r.redacted && r.dictionary === number);
		if (frames.length > 0)
			expand(frames, known.get(number), scratch);
	}
}

function decode(r) {
	const plain = r.redacted ? r.payload.subarray(REDACTION) : r.zstd ? r.plain : r.payload;
	if (plain.length !== (r.redacted ? r.envelopeBytes : r.plainBytes))
		fail(`record ${r.seq}: length`);
	r.envelope = unpack(plain.subarray(0, r.envelopeBytes));
	r.body = plain.subarray(r.envelopeBytes);
	if (!r.redacted && !r.envelope.get('xxh').equals(xxh128(r.body)))
		fail(`record ${r.seq}: hash of the body`);
}

function readSegment(dir, name, finished, id, state, scratch, found) {
	const first = Number(name.slice(0, 20));
	const data = fs.readFileSync(path.join(dir, name));
	const { known, records } = openSegment(data, name, first, id, state);
	state.next = first;
	state.dictionaries += known.size;
	for (const r of records) {
		if (r.seq !== state.next++ || r.at < state.at)
			fail(`record ${r.seq}: number or time`);
		state.chain = link(state.chain, r);
		state.at = r.at;
	}
	expandAll(records, known, name, scratch);
	const segment = new Segment(first, known);
	let seal = null;
	for (const r of records) {
		segment.add(r);
		for (const st of state.claims.get(r.seq) ?? []) {
			segment.check(st);
			seal = st.kind === 'seal' ? st : seal;
		}
	}
	// Of several seals the last one counts for the file.
	if (finished && seal !== null) {
		segment.checkSeal(seal, data);
		state.seals++;
	}
	for (const r of records) {
		decode(r);
		if (r.redacted)
			state.redacted.push(r);
		if (isAudit(r.envelope))
			state.audits.set(r.seq, r);
		found({ ...r, segment: first });
	}
	state.records += records.length;
}
