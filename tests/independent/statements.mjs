// SPDX-License-Identifier: Apache-2.0
// The file checkpoints, from docs/on-disk-format.md alone: lines, signatures, the order of keys, hash trees.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

const FIELDS = {
	checkpoint: ['seq', 'chain', 'first', 'root', 'dicts', 'time'],
	seal: ['seq', 'chain', 'first', 'root', 'dicts', 'time', 'count', 'firstTime', 'lastTime', 'bytes', 'file'],
	key: ['newKey', 'time'],
};
const NUMBERS = ['seq', 'first', 'count', 'bytes'];
const TITLE = 'hooklog checkpoints 1';

export const sha256 = (...parts) => parts.reduce((h, part) => h.update(part), crypto.createHash('sha256')).digest();

function signed(message, key, signature) {
	const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(key, 'hex')]);
	const publicKey = crypto.createPublicKey({ key: spki, format: 'der', type: 'spki' });
	return crypto.verify(null, Buffer.from(message), publicKey, Buffer.from(signature, 'hex'));
}

// A line's fields, or null when it is no statement.
function parse(line) {
	const words = line.split(' ');
	const names = FIELDS[words[0]];
	if (names === undefined || words.length !== names.length + 3 || !/^[0-9a-f]{64}$/.test(words.at(-2)) || !/^[0-9a-f]{128}$/.test(words.at(-1)))
		return null;
	const st = { kind: words[0], key: words.at(-2), signature: words.at(-1), claim: words.slice(0, -1).join(' ') };
	names.forEach((name, i) => { st[name] = NUMBERS.includes(name) ? Number(words[i + 1]) : words[i + 1]; });
	return st;
}

// All statements of the log in dir, with .line; .keys: how often a new key was introduced by the one before,
// .lost: by itself. Throws when a line is not signed by the key whose turn it is.
export function readStatements(dir, logId) {
	const lines = fs.readFileSync(path.join(dir, 'checkpoints'), 'latin1').split('\n');
	if (lines.shift() !== TITLE)
		throw new Error('checkpoints: title');
	const found = lines.map((line, i) => ({ ...parse(line), line: i + 2 }));
	// Behind the last statement stands what is left of an append.
	while (found.length > 0 && found.at(-1).kind === undefined)
		found.pop();
	const result = { statements: [], keys: 0, lost: 0 };
	let key = null;
	for (const st of found) {
		if (st.kind === undefined || !signed(`hooklog checkpoint v1\n${logId.toString('hex')}\n${st.claim}`, st.key, st.signature))
			throw new Error(`checkpoints, line ${st.line}: signature`);
		if (st.kind === 'key') {
			if (st.key !== key && st.key !== st.newKey)
				throw new Error(`checkpoints, line ${st.line}: who introduces this key?`);
			result.keys += st.key === key;
			result.lost += key !== null && st.key !== key;
			key = st.newKey;
		} else if (st.key !== key) {
			throw new Error(`checkpoints, line ${st.line}: it was not the turn of this key`);
		} else {
			result.statements.push(st);
		}
	}
	return result;
}

// A hash tree (RFC 6962, section 2.1) that grows leaf by leaf.
export class Tree {
	#full = []; // roots of full trees, falling sizes

	add(chain) {
		let node = { size: 1, hash: sha256(Buffer.of(0), chain) };
		while (this.#full.length > 0 && this.#full.at(-1).size === node.size) {
			const left = this.#full.pop();
			node = { size: 2 * node.size, hash: sha256(Buffer.of(1), left.hash, node.hash) };
		}
		this.#full.push(node);
	}

	root() {
		return this.#full.map((node) => node.hash).reduceRight((right, left) => sha256(Buffer.of(1), left, right)).toString('hex');
	}
}

// What one segment's records amount to so far, to be held against what was signed of it.
export class Segment {
	#tree = new Tree();
	#named = new Set();
	#dicts = Buffer.alloc(32);

	constructor(first, dictionaries) {
		this.first = first;
		this.dictionaries = dictionaries;
		this.count = 0;
	}

	add(record) {
		this.#tree.add(record.chain);
		if (record.dictionary !== 0 && !this.#named.has(record.dictionary)) {
			this.#named.add(record.dictionary);
			this.#dicts = sha256(this.#dicts, sha256(this.dictionaries.get(record.dictionary)));
		}
		this.count++;
		this.firstTime ??= record.at;
		this.last = record;
	}

	// Throws unless st, about the last record added, is true.
	check(st) {
		const wrong = st.chain !== this.last.chain.toString('hex') ? 'chain value'
			: st.first !== this.first ? 'segment'
			: st.root !== this.#tree.root() ? 'root of the hash tree'
			: st.dicts !== this.#dicts.toString('hex') ? 'dictionaries' : null;
		if (wrong !== null)
			throw new Error(`checkpoints, line ${st.line}: ${wrong}`);
	}

	// The same of a finished segment's newest seal; data is the file.
	checkSeal(st, data) {
		const wrong = st.seq !== this.last.seq || st.count !== this.count ? 'number of records'
			: BigInt(st.firstTime) !== this.firstTime || BigInt(st.lastTime) !== this.last.at ? 'times'
			: st.bytes !== data.length || st.file !== sha256(data).toString('hex') ? 'file' : null;
		if (wrong !== null)
			throw new Error(`checkpoints, line ${st.line}: ${wrong} of the sealed segment`);
	}
}
