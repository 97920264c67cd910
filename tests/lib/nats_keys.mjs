// SPDX-License-Identifier: Apache-2.0
// Keys and credentials of NATS (github.com/nats-io/nkeys, github.com/nats-io/jwt), made without its tools.
import crypto from 'node:crypto';

const KINDS = { operator: 14, account: 0, user: 20 };
const SEED = 18;

function base32(bytes) {
	let bits = '';
	for (const byte of bytes)
		bits += byte.toString(2).padStart(8, '0');
	return bits.match(/.{1,5}/g).map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five.padEnd(5, '0'), 2)]).join('');
}

// CRC-16/XMODEM, low byte first.
function checked(bytes) {
	let crc = 0;
	for (const byte of bytes) {
		crc ^= byte << 8;
		for (let i = 0; i < 8; i++)
			crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
	}
	return base32([...bytes, crc & 0xff, crc >> 8]);
}

export function makeKey(kind) {
	const pair = crypto.generateKeyPairSync('ed25519');
	const raw = (key, format) => key.export({ type: format, format: 'der' }).subarray(-32);
	const prefix = KINDS[kind] << 3;
	return {
		kind,
		publicKey: checked([prefix, ...raw(pair.publicKey, 'spki')]),
		seed: checked([(SEED << 3) | (prefix >> 5), (prefix & 31) << 3, ...raw(pair.privateKey, 'pkcs8')]),
		sign: (text) => crypto.sign(null, Buffer.from(text), pair.privateKey).toString('base64url'),
	};
}

function token(issuer, subject, claims) {
	const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
	const text = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part({ jti: crypto.randomUUID(), iat: Math.floor(Date.now() / 1000), iss: issuer.publicKey, name: subject.kind, sub: subject.publicKey, nats: { ...claims, type: subject.kind, version: 2 } })}`;
	return `${text}.${issuer.sign(text)}`;
}

// An operator with one account: what a server is configured with, and the credentials of new users.
export function makeOperator() {
	const [operator, account, system] = [makeKey('operator'), makeKey('account'), makeKey('account')];
	const some = { subs: -1, data: -1, payload: -1 };
	const limits = { ...some, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
	const stores = { ...limits, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
	return {
		config: `operator: "${token(operator, operator, {})}"\nsystem_account: ${system.publicKey}\nresolver: MEMORY\nresolver_preload: {\n${account.publicKey}: "${token(operator, account, { limits: stores })}"\n${system.publicKey}: "${token(operator, system, { limits })}"\n}`,
		credentials: (issuer = account) => {
			const user = makeKey('user');
			return `-----BEGIN NATS USER JWT-----\n${token(issuer, user, { pub: {}, sub: {}, ...some })}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${user.seed}\n------END USER NKEY SEED------\n`;
		},
	};
}
