// SPDX-License-Identifier: Apache-2.0
// Signed checkpoints and proofs, checked by code that shares nothing with hooklog: node:crypto and
// docs/on-disk-format.md.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { expand } from '../independent/log.mjs';
import { ndjson, run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const COUNT = 60;
const sha256 = (...parts) => crypto.createHash('sha256').update(Buffer.concat(parts.map((p) => Buffer.from(p)))).digest();
const hex = (text) => Buffer.from(text, 'hex');
const ed25519 = (raw) => crypto.createPublicKey({ key: Buffer.concat([hex('302a300506032b6570032100'), raw]), format: 'der', type: 'spki' });

let shared = null;
async function filledLog() {
	if (shared)
		return shared;
	const dir = tempDir(program, 'proof');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const receiver = await startIngest(program, dir);
	await runOk(['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', String(COUNT), '--seed', '3', '--data', dir]);
	await receiver.stop();
	const key = (await runOk(['log', 'key', '--data', dir])).stdout.trim();
	const id = /^id (\w+)$/m.exec(fs.readFileSync(path.join(dir, 'log/LOG'), 'utf8'))[1];
	shared = { dir, key, id };
	return shared;
}

// A line of checkpoints: its fields, or an error.
function parseStatement(line, logId) {
	const words = line.split(' ');
	const names = {
		checkpoint: ['seq', 'chain', 'first', 'root', 'dicts', 'time'],
		seal: ['seq', 'chain', 'first', 'root', 'dicts', 'time', 'count', 'firstTime', 'lastTime', 'bytes', 'file'],
		key: ['newKey', 'time'],
	}[words[0]];
	assert.ok(names, line);
	assert.equal(words.length, names.length + 3, line);
	const st = { kind: words[0], key: words.at(-2), signature: words.at(-1) };
	names.forEach((name, i) => { st[name] = words[i + 1]; });
	const message = `hooklog checkpoint v1\n${logId}\n${words.slice(0, -1).join(' ')}`;
	assert.ok(crypto.verify(null, Buffer.from(message), ed25519(hex(st.key)), hex(st.signature)), `signature of ${line}`);
	return st;
}

// RFC 9162, section 2.1.3.2.
function rootFromPath(leaf, index, size, hashes) {
	let fn = BigInt(index);
	let sn = BigInt(size) - 1n;
	let r = leaf;
	for (const p of hashes) {
		assert.ok(sn > 0n, 'path too long');
		if ((fn & 1n) === 1n || fn === sn) {
			r = sha256([1], p, r);
			while ((fn & 1n) === 0n && fn !== 0n) {
				fn >>= 1n;
				sn >>= 1n;
			}
		} else {
			r = sha256([1], r, p);
		}
		fn >>= 1n;
		sn >>= 1n;
	}
	assert.equal(sn, 0n, 'path too short');
	return r;
}

// The key signed the statement, or a key that the lines lead to from it.
function leadsFrom(lines, statement, trustedKey, logId) {
	const keys = lines.map((line) => parseStatement(`key ${line}`, logId));
	for (let i = 1; i < keys.length; i++)
		assert.equal(keys[i].key, keys[i - 1].newKey);
	if (keys.length > 0)
		assert.equal(statement.key, keys.at(-1).newKey);
	assert.ok([statement, ...keys].some((st) => st.key === trustedKey), 'the trusted key');
}

// The lines of one proof by their first word.
function words(text) {
	const lines = text.split('\n');
	assert.equal(lines.pop(), '');
	assert.equal(lines.shift(), 'hooklog proof 1');
	const all = {};
	for (const line of lines) {
		const space = line.indexOf(' ');
		(all[line.slice(0, space)] ??= []).push(line.slice(space + 1));
	}
	return all;
}

// Throws unless the text proves something with this key; gives back what.
function checkOne(text, trustedKey) {
	const all = words(text);
	const st = parseStatement(all.statement[0], all.log[0]);
	leadsFrom(all.key ?? [], st, trustedKey, all.log[0]);
	const redacted = all.redacted && hex(all.redacted[0]);
	const header = redacted ? redacted.subarray(0, 40) : hex(all.header[0]);
	assert.equal(header[0], redacted ? 2 : 1);
	const seq = header.readBigUInt64LE(8);
	assert.equal(String(seq), all.seq[0]);
	assert.ok(BigInt(st.first) <= seq && seq <= BigInt(st.seq));
	const chain = redacted ? redacted.subarray(40, 72) : sha256(hex(all.previous[0]), header, hex(all.payload[0]));
	const root = rootFromPath(sha256([0], chain), seq - BigInt(st.first), BigInt(st.seq) - BigInt(st.first) + 1n, (all.path ?? []).map(hex));
	assert.equal(root.toString('hex'), st.root);
	const dicts = (all.dict ?? []).reduce((fold, d) => sha256(fold, hex(d)), Buffer.alloc(32));
	assert.equal(dicts.toString('hex'), st.dicts);
	if (!redacted && header.readUInt32LE(4) !== 0)
		assert.ok(all.dict.includes(sha256(hex(all.dictionary[0])).toString('hex')));
	return { seq, st, log: all.log[0], redacted, chain, codec: header[1], plainBytes: header.readUInt32LE(32), envelopeBytes: header.readUInt32LE(36),
		dictionary: all.dictionary && hex(all.dictionary[0]), payload: redacted ?? hex(all.payload[0]) };
}

function checkProof(text, trustedKey) {
	const second = text.indexOf('\nhooklog proof 1\n') + 1;
	if (second === 0) {
		const proof = checkOne(text, trustedKey);
		assert.ok(!proof.redacted, 'without its audit event');
		return proof;
	}
	const proof = checkOne(text.slice(0, second), trustedKey);
	const audit = checkOne(text.slice(second), trustedKey);
	const r = proof.redacted;
	const part = (from, to) => r.subarray(from - 8, to - 8);
	assert.equal(audit.log, proof.log);
	assert.equal(audit.seq, part(80, 88).readBigUInt64LE());
	if (audit.codec === 1)
		expand([audit], audit.dictionary, tempDir(program, 'zstd'));
	const claim = `{"redacted_seq":${proof.seq},"record_sha256":"${part(128, 160).toString('hex')}","chain_before":"${part(96, 128).toString('hex')}",` +
		`"chain":"${proof.chain.toString('hex')}","body_sha256":"`;
	const kept = `"kept_sha256":"${sha256(part(9, 48), r.subarray(96 - 8)).toString('hex')}"`;
	const body = (audit.plain ?? audit.payload).subarray(audit.envelopeBytes).toString();
	assert.ok(body.startsWith(claim), body);
	assert.ok(body.includes(kept), body);
	return { ...proof, audit: audit.seq };
}

test('every line of checkpoints is signed by the key that log key prints', async () => {
	const { dir, key, id } = await filledLog();
	const lines = fs.readFileSync(path.join(dir, 'log/checkpoints'), 'utf8').split('\n');
	assert.equal(lines.shift(), 'hooklog checkpoints 1');
	assert.equal(lines.pop(), '');
	const statements = lines.map((line) => parseStatement(line, id));
	assert.ok(statements.length >= 2);
	assert.ok(statements.every((st) => st.key === key));
	assert.equal(statements.at(-1).seq, String(COUNT));
	const pem = (await runOk(['log', 'key', '--pem', '--data', dir])).stdout;
	assert.equal(crypto.createPublicKey(pem).export({ format: 'der', type: 'spki' }).subarray(12).toString('hex'), key);
	const stat = JSON.parse((await runOk(['log', 'stat', '--json', '--data', dir])).stdout);
	assert.equal(stat.key, key);
	assert.equal(stat.signed_seq, COUNT);
	await runOk(['log', 'verify', '--key', key, '--data', dir]);
	assert.equal((await run(['log', 'verify', '--key', key.replace(/^./, (c) => (c === '0' ? '1' : '0')), '--data', dir])).code, 8);
});

test('proofs are right for code that is not ours, and need no log', async (t) => {
	const { dir, key } = await filledLog();
	const elsewhere = tempDir(t);
	const file = path.join(elsewhere, 'proof');
	for (const seq of [1, 2, 31, 32, 33, COUNT]) {
		await runOk(['log', 'prove', String(seq), '--out', file, '--data', dir]);
		const text = fs.readFileSync(file, 'utf8');
		assert.equal(checkProof(text, key).seq, BigInt(seq));
		const body = (await runOk(['log', 'show', String(seq), '--body', '--data', dir])).bytes;
		const checked = await runOk(['log', 'check-proof', file, '--key', key, '--body', '--data', elsewhere]);
		assert.ok(checked.bytes.equals(body));
		const [event] = ndjson((await runOk(['log', 'check-proof', file, '--key', key, '--json', '--data', elsewhere])).stdout);
		assert.equal(event.seq, seq);
		assert.match((await runOk(['log', 'check-proof', file, '--key', key])).stdout, /^proven: /);
	}
});

test('what is wrong with a proof is said with exit code 8', async (t) => {
	const { dir, key } = await filledLog();
	const file = path.join(tempDir(t), 'proof');
	const text = (await runOk(['log', 'prove', '7', '--data', dir])).stdout;
	const wrong = (c) => (c === '0' ? '1' : '0');
	for (const word of ['log', 'previous', 'header', 'payload', 'path', 'statement']) {
		const changed = text.replace(new RegExp(`^(${word} .*)(.)$`, 'm'), (_, head, last) => head + wrong(last));
		assert.notEqual(changed, text);
		assert.throws(() => checkProof(changed, key), undefined, word);
		fs.writeFileSync(file, changed);
		const result = await run(['log', 'check-proof', file, '--key', key]);
		assert.equal(result.code, 8, `${word}: ${result.stderr}`);
		assert.match(result.stderr, /NOT PROVEN/);
		assert.equal(result.stdout, '');
	}
	fs.writeFileSync(file, text);
	assert.equal((await run(['log', 'check-proof', file, '--key', wrong(key[0]) + key.slice(1)])).code, 8);
	assert.equal((await run(['log', 'check-proof', file])).code, 2);
	assert.equal((await run(['log', 'prove', '999', '--data', dir])).code, 3);
	assert.equal((await run(['log', 'prove', 'x', '--data', dir])).code, 2);
});

test('a redacted event is shown to have been there, and what was proven stays proven', async (t) => {
	const dir = tempDir(t, 'redacted');
	const event = (i) => `${JSON.stringify({ source: 'gh', provider: 'github', event: 'x', delivery: `d-${i}`, hook: '1', content_type: 'application/json', body: `{"n":${i}}` })}\n`;
	await runOk(['log', 'import', '-', '--data', dir], { input: Array.from({ length: 12 }, (_, i) => event(i)).join('') });
	const key = (await runOk(['log', 'key', '--data', dir])).stdout.trim();
	const file = path.join(dir, 'proof');
	const prove = async (seq) => (await runOk(['log', 'prove', String(seq), '--data', dir])).stdout;
	const check = (text, ...more) => {
		fs.writeFileSync(file, text);
		return run(['log', 'check-proof', file, '--key', key, ...more]);
	};
	const before = await prove(5);
	await runOk(['log', 'redact', '5', '--reason', 'asked for', '--data', dir]);
	assert.equal((await check(before, '--body')).stdout, '{"n":4}');
	checkProof(before, key);
	const text = await prove(5);
	assert.deepEqual([checkProof(text, key).seq, checkProof(text, key).audit], [5n, 13n]);
	const said = await check(text);
	assert.equal(said.code, 0, said.stderr);
	assert.match(said.stdout, /event 5 was in the log; its body was erased by redaction \(audit event 13\)/);
	assert.match(said.stdout, /"reason":"asked for"/);
	assert.equal((await check(text, '--body')).stdout, '');
	assert.equal(ndjson((await check(text, '--json')).stdout)[0].flags.redacted, true);
	assert.equal(checkProof(await prove(6), key).seq, 6n);
	const changed = text.replace(/^(redacted .*)(.)$/m, (_, head, last) => head + (last === '0' ? '1' : '0'));
	assert.equal((await check(changed)).code, 8);
	assert.throws(() => checkProof(changed, key));
});

test('after a change of the key, old and new proofs can be checked with the old and with the new one', async (t) => {
	const dir = tempDir(t, 'rotated');
	const event = (i) => `${JSON.stringify({ source: 'gh', provider: 'github', event: 'x', delivery: `d-${i}`, hook: '1', content_type: 'application/json', body: `{"n":${i}}` })}\n`;
	const add = (from) => runOk(['log', 'import', '-', '--data', dir], { input: event(from) + event(from + 1) });
	const prove = async (seq) => (await runOk(['log', 'prove', String(seq), '--data', dir])).stdout;
	const file = path.join(dir, 'proof');
	await add(1);
	const keys = [(await runOk(['log', 'key', '--data', dir])).stdout.trim()];
	const early = await prove(1);
	for (const from of [3, 5]) {
		keys.push((await runOk(['log', 'rotate-key', '--data', dir])).stdout.trim());
		await add(from);
	}
	const history = ndjson((await runOk(['log', 'key', '--history', '--json', '--data', dir])).stdout);
	assert.deepEqual(history.map((h) => h.key), keys);
	assert.deepEqual(history.map((h) => h.introduced_by), ['first', 'previous', 'previous']);
	const late = await prove(1);
	const check = async (text, key) => {
		fs.writeFileSync(file, text);
		const { code } = await run(['log', 'check-proof', file, '--key', key]);
		assert.ok(code === 0 || code === 8, `exit ${code}`);
		let node = true;
		try {
			checkProof(text, key);
		} catch {
			node = false;
		}
		assert.equal(node, code === 0);
		return node;
	};
	for (const key of keys)
		assert.ok(await check(late, key));
	assert.ok(await check(early, keys[0]));
	assert.ok(!(await check(early, keys[1])), 'the new key has not signed this one');
	// The lines between the keys must be there, in order, and whole.
	const lines = late.match(/^key .*\n/gm);
	assert.equal(lines.length, 2);
	assert.ok(!(await check(late.replace(lines[0], ''), keys[0])));
	assert.ok(await check(late.replace(lines[0], ''), keys[1]));
	assert.ok(!(await check(late.replace(lines[1], ''), keys[0])));
	assert.ok(!(await check(late.replace(lines[1], ''), keys[2])), 'half a path leads nowhere');
	assert.ok(!(await check(late.replace(lines.join(''), lines[1] + lines[0]), keys[0])));
	assert.ok(!(await check(late.replace(lines[1], lines[1].replace(/.\n$/, (end) => (end[0] === '0' ? '1\n' : '0\n'))), keys[0])));
	assert.ok(!(await check(late, '00'.repeat(32))));
});
