// SPDX-License-Identifier: Apache-2.0
// XXH3-64 with seed 0 for inputs of more than 16 bytes, from its specification (xxhash's doc/xxhash_spec.md).
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

function large(data) {
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
	let result = BigInt(n) * P64[0];
	for (let i = 0; i < 4; i++)
		result += fold(sums[2 * i] ^ keys[11 + 16 * i], sums[2 * i + 1] ^ keys[11 + 16 * i + 8]);
	return avalanche(result & MASK);
}

export function xxh3(data) {
	if (data.length <= 16)
		throw new Error('nothing so short is hashed in a log');
	return data.length <= 128 ? small(data) : data.length <= 240 ? middle(data) : large(data);
}
