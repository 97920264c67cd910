// SPDX-License-Identifier: Apache-2.0
// Reads LMDB 0.9 environments of one file, little-endian 64-bit, databases without flags, as the log has
// them. Knows nothing of the log.
const MAGIC = 0xbeefc0de;
const HEADER = 16;
const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
const BIG = 1; // a node's data lies on pages of its own
const SUB = 2; // a node's data describes a database

const u64 = (data, at) => Number(data.readBigUInt64LE(at));

function database(data, at) {
	return { pageSize: data.readUInt32LE(at), flags: data.readUInt16LE(at + 4), entries: u64(data, at + 32), root: data.readBigUInt64LE(at + 40) };
}

function meta(data, at) {
	if (data.length < at + 152 || data.readUInt32LE(at + HEADER) !== MAGIC || data.readUInt32LE(at + 20) !== 1)
		return null;
	return { free: database(data, at + 40), main: database(data, at + 88), last: u64(data, at + 136), txn: u64(data, at + 144) };
}

export class Environment {
	constructor(data) {
		this.data = data;
		const first = meta(data, 0);
		if (first === null)
			throw new Error('not an LMDB file');
		this.pageSize = first.free.pageSize;
		const second = meta(data, this.pageSize);
		const newest = second !== null && second.txn > first.txn ? second : first;
		if ((newest.last + 1) * this.pageSize > data.length)
			throw new Error('the file is cut off');
		this.main = newest.main;
	}

	// The page's bytes; for overflow pages all of them.
	#page(number) {
		const at = number * this.pageSize;
		const page = this.data.subarray(at, at + this.pageSize);
		if (page.length < this.pageSize || u64(page, 0) !== number)
			throw new Error(`page ${number} says it is another one`);
		return page;
	}

	#value(node, keyBytes, size, flags) {
		const start = 8 + keyBytes;
		if ((flags & BIG) === 0)
			return node.subarray(start, start + size);
		const number = u64(node, start);
		const page = this.#page(number);
		if ((page.readUInt16LE(10) & OVERFLOW) === 0 || page.readUInt32LE(12) * this.pageSize < HEADER + size)
			throw new Error(`page ${number} does not hold a large value`);
		const at = number * this.pageSize + HEADER;
		return this.data.subarray(at, at + size);
	}

	// All entries of a database in order, [key, value, flags].
	*entries(db) {
		const pages = db.root === 0xffffffffffffffffn ? [] : [Number(db.root)];
		while (pages.length > 0) {
			const number = pages.pop();
			const page = this.#page(number);
			const kind = page.readUInt16LE(10);
			const count = (page.readUInt16LE(12) - HEADER) / 2;
			const children = [];
			for (let i = 0; i < count; i++) {
				const node = page.subarray(page.readUInt16LE(HEADER + 2 * i));
				const low = node.readUInt16LE(0) + node.readUInt16LE(2) * 0x10000;
				const flags = node.readUInt16LE(4);
				const keyBytes = node.readUInt16LE(6);
				if ((kind & BRANCH) !== 0)
					children.push(low + flags * 0x100000000);
				else if ((kind & LEAF) !== 0)
					yield [node.subarray(8, 8 + keyBytes), this.#value(node, keyBytes, low, flags), flags];
				else
					throw new Error(`page ${number} is neither branch nor leaf`);
			}
			pages.push(...children.reverse());
		}
	}

	// The named database.
	open(name) {
		for (const [key, value, flags] of this.entries(this.main)) {
			if (key.toString() === name && (flags & SUB) !== 0)
				return database(value, 0);
		}
		throw new Error(`there is no database ${name}`);
	}
}
