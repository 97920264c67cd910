// SPDX-License-Identifier: Apache-2.0
// XXH3-64 for inputs of more than 16 bytes, and XXH3-128, with seed 0, from their specification (xxhash's doc/xxhash_spec.md).
const SECRET = Buffer.from(
	'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221' +
	'b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8' +
	'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb' +
	'170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e', 'hex');
const MASK = (1n << 64n) - 1n;
const P32 = [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn];
const P64 = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n];

const secretAt = (offset) => SECRET.readBigUInt64LE(offset);

function fold(a, b) {
	const product = a * b;
	return (product ^ (product >> 64n)) & MASK;
}

function avalanche(h) {
	h ^= h >> 37n;
	h = (h * 0x165667919e3779f9n) & MASK;
	return h ^ (h >> 32n);
}

function mix(data, at, secret) {
	return fold(data.readBigUInt64LE(at) ^ secretAt(secret), data.readBigUInt64LE(at + 8) ^ secretAt(secret + 8));
}

function small(data) {
	const n = data.length;
	let sum = BigInt(n) * P64[0];
	for (let pair = Math.floor((n - 1) / 32); pair >= 0; pair--)
		sum += mix(data, 16 * pair, 32 * pair) + mix(data, n - 16 * (pair + 1), 32 * pair + 16);
	return avalanche(sum & MASK);
}

function middle(data) {
	const n = data.length;
	let sum = BigInt(n) * P64[0];
	for (let i = 0; i < 8; i++)
		sum += mix(data, 16 * i, 16 * i);
	sum = avalanche(sum & MASK);
	for (let i = 8; i < Math.floor(n / 16); i++)
		sum += mix(data, 16 * i, 16 * (i - 8) + 3);
	return avalanche((sum + mix(data, n - 16, 136 - 17)) & MASK);
}

// The eight sums over more than 240 bytes.
function accumulate(data) {
	const n = data.length;
	const sums = [P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]];
	const keys = Array.from({ length: 192 - 7 }, (_, i) => secretAt(i));
	const stripe = (at, secret) => {
		for (let lane = 0; lane < 8; lane++) {
			const value = data.readBigUInt64LE(at + 8 * lane);
			const keyed = value ^ keys[secret + 8 * lane];
			sums[lane ^ 1] += value;
			sums[lane] = (sums[lane] + (keyed & 0xffffffffn) * (keyed >> 32n)) & MASK;
		}
		for (let lane = 0; lane < 8; lane++)
			sums[lane] &= MASK;
	};
	const blocks = Math.floor((n - 1) / 1024);
	for (let block = 0; block < blocks; block++) {
		for (let i = 0; i < 16; i++)
			stripe(1024 * block + 64 * i, 8 * i);
		for (let lane = 0; lane < 8; lane++) {
			const s = sums[lane];
			sums[lane] = ((s ^ (s >> 47n) ^ keys[128 + 8 * lane]) * P32[0]) & MASK;
		}
	}
	for (let i = 0; i < Math.floor((n - 1 - 1024 * blocks) / 64); i++)
		stripe(1024 * blocks + 64 * i, 8 * i);
	stripe(n - 64, 192 - 64 - 7);
	return sums;
}

function merge(sums, secret, start) {
	let result = start & MASK;
	for (let i = 0; i < 4; i++)
		result += fold(sums[2 * i] ^ secretAt(secret + 16 * i), sums[2 * i + 1] ^ secretAt(secret + 16 * i + 8));
	return avalanche(result & MASK);
}

function large(data) {
	return merge(accumulate(data), 11, BigInt(data.length) * P64[0]);
}

export function xxh3(data) {
	if (data.length <= 16)
		throw new Error('nothing so short is hashed in a log');
	return data.length <= 128 ? small(data) : data.length <= 240 ? middle(data) : large(data);
}

// XXH64's own way to spread bits.
function spread(h) {
	h = ((h ^ (h >> 33n)) * P64[1]) & MASK;
	h = ((h ^ (h >> 29n)) * P64[2]) & MASK;
	return h ^ (h >> 32n);
}

const swap = (h, bytes) => {
	let out = 0n;
	for (let i = 0n; i < bytes; i++)
		out |= ((h >> (8n * i)) & 0xffn) << (8n * (bytes - 1n - i));
	return out;
};

// Each gives [low, high].
function upTo3(data) {
	const n = data.length;
	const low = BigInt(data[n - 1] | (n << 8)) | (BigInt(data[0]) << 16n) | (BigInt(data[n >> 1]) << 24n);
	const swapped = swap(low, 4n);
	const high = ((swapped << 13n) | (swapped >> 19n)) & 0xffffffffn;
	const key = (at) => BigInt((SECRET.readUInt32LE(at) ^ SECRET.readUInt32LE(at + 4)) >>> 0);
	return [spread(low ^ key(0)), spread(high ^ key(8))];
}

function upTo8(data) {
	const n = data.length;
	const both = BigInt(data.readUInt32LE(0)) + (BigInt(data.readUInt32LE(n - 4)) << 32n);
	const product = (both ^ secretAt(16) ^ secretAt(24)) * (P64[0] + BigInt(n << 2));
	let low = product & MASK;
	const high = ((product >> 64n) + (low << 1n)) & MASK;
	low ^= high >> 3n;
	low = ((low ^ (low >> 35n)) * 0x9fb21c651e98df25n) & MASK;
	return [low ^ (low >> 28n), avalanche(high)];
}

function upTo16(data) {
	const n = data.length;
	const last = data.readBigUInt64LE(n - 8);
	let product = (data.readBigUInt64LE(0) ^ last ^ secretAt(32) ^ secretAt(40)) * P64[0];
	let low = ((product & MASK) + (BigInt(n - 1) << 54n)) & MASK;
	const keyed = last ^ secretAt(48) ^ secretAt(56);
	const high = ((product >> 64n) + keyed + (keyed & 0xffffffffn) * (P32[1] - 1n)) & MASK;
	low ^= swap(high, 8n);
	product = low * P64[1];
	return [avalanche(product & MASK), avalanche(((product >> 64n) + high * P64[1]) & MASK)];
}

function mixPair(sums, data, first, second, secret) {
	const plain = (at) => data.readBigUInt64LE(at) + data.readBigUInt64LE(at + 8);
	sums[0] = ((sums[0] + mix(data, first, secret)) ^ plain(second)) & MASK;
	sums[1] = ((sums[1] + mix(data, second, secret + 16)) ^ plain(first)) & MASK;
}

function upTo240(data) {
	const n = data.length;
	const sums = [(BigInt(n) * P64[0]) & MASK, 0n];
	if (n <= 128) {
		for (let pair = Math.floor((n - 1) / 32); pair >= 0; pair--)
			mixPair(sums, data, 16 * pair, n - 16 * (pair + 1), 32 * pair);
	} else {
		for (let i = 0; i < 4; i++)
			mixPair(sums, data, 32 * i, 32 * i + 16, 32 * i);
		sums[0] = avalanche(sums[0]);
		sums[1] = avalanche(sums[1]);
		for (let i = 4; i < Math.floor(n / 32); i++)
			mixPair(sums, data, 32 * i, 32 * i + 16, 32 * (i - 4) + 3);
		mixPair(sums, data, n - 16, n - 32, 136 - 17 - 16);
	}
	const high = (sums[0] * P64[0] + sums[1] * P64[3] + BigInt(n) * P64[1]) & MASK;
	return [avalanche((sums[0] + sums[1]) & MASK), (-avalanche(high)) & MASK];
}

function above240(data) {
	const sums = accumulate(data);
	const n = BigInt(data.length);
	return [merge(sums, 11, n * P64[0]), merge(sums, 192 - 64 - 11, ~(n * P64[1]))];
}

// The 16 bytes that `xxh128sum` prints.
export function xxh128(data) {
	const n = data.length;
	const [low, high] = n > 240 ? above240(data) : n > 16 ? upTo240(data) : n > 8 ? upTo16(data) : n > 3 ? upTo8(data)
		: n > 0 ? upTo3(data) : [spread(secretAt(64) ^ secretAt(72)), spread(secretAt(80) ^ secretAt(88))];
	const out = Buffer.alloc(16);
	out.writeBigUInt64BE(high, 0);
	out.writeBigUInt64BE(low, 8);
	return out;
}
