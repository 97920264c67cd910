// SPDX-License-Identifier: Apache-2.0
// A log of any length with GitHub's published example payloads in it, over and over: each copy of the set
// has objects of its own with ids of their own, so that the tables grow with the log.
import fs from 'node:fs';
import path from 'node:path';
import { once } from 'node:events';
import { npmPackage } from './npm.mjs';

const COPY_STEP = 100000000000; // above every id in the examples; 90,000 copies fit a double

// The payload's JSON in pieces; every second one is what becomes another value in each copy.
function template(payload) {
	const marks = [];
	const mark = (value, kind) => `\u0001${marks.push({ value, kind }) - 1}\u0001`;
	const walk = (value, name) => {
		if (Array.isArray(value))
			return value.map((one) => walk(one, name));
		if (value !== null && typeof value === 'object')
			return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, walk(one, key)]));
		if (Number.isInteger(value) && /(^|_)id$/.test(name))
			return mark(value, 'number');
		if (typeof value === 'string' && /^[0-9a-f]{40}$/.test(value) && !/^0+$/.test(value))
			return mark(value, 'hash');
		if (typeof value === 'string' && /(^|_)node_id$/.test(name))
			return mark(value, 'text');
		return value;
	};
	return JSON.stringify(walk(payload, '')).split(/"\\u0001(\d+)\\u0001"/).map((piece, i) => (i % 2 === 1 ? marks[Number(piece)] : piece));
}

function fill(pieces, copy) {
	let text = '';
	for (const piece of pieces) {
		if (typeof piece === 'string')
			text += piece;
		else if (piece.kind === 'number')
			text += piece.value + copy * COPY_STEP;
		else if (piece.kind === 'hash')
			text += `"${copy.toString(16).padStart(8, '0')}${piece.value.slice(8)}"`;
		else
			text += JSON.stringify(`${piece.value}${copy}`);
	}
	return text;
}

// Yields {event, body} for ever. A copy is the whole set, or with `lonely` every single event, none of which then
// has anything in common with another one.
export async function* mixedEvents({ lonely = false } = {}) {
	const examples = await npmPackage('@octokit/webhooks-examples', '7.6.1');
	const forms = [];
	for (const { name, examples: payloads } of JSON.parse(fs.readFileSync(path.join(examples.dir, 'api.github.com/index.json'), 'utf8')))
		for (const payload of payloads)
			forms.push({ event: name, pieces: template(payload) });
	for (let i = 0; ; i++) {
		const { event, pieces } = forms[i % forms.length];
		yield { event, body: fill(pieces, lonely ? i : Math.floor(i / forms.length)) };
	}
}

// What GitHub sends with each, as hooklog keeps it.
function requestOf(event, delivery, body) {
	const headers = { Host: 'hooks.example.com', 'User-Agent': 'GitHub-Hookshot/1a2b3c4', 'Content-Length': String(Buffer.byteLength(body)), Accept: '*/*', 'Content-Type': 'application/json', 'X-GitHub-Delivery': delivery, 'X-GitHub-Event': event, 'X-GitHub-Hook-ID': '1', 'X-GitHub-Hook-Installation-Target-ID': '186853002', 'X-GitHub-Hook-Installation-Target-Type': 'repository', 'X-Hub-Signature-256': 'redacted:3f2a9c11d0b4e5f6a7b8c9d0e1f2a3b4' };
	return { verified: 'ok', scheme: 'hmac-sha256', key_id: 'github', method: 'POST', path: '/in/github', remote: '192.0.2.7:41234', headers: Object.entries(headers) };
}

// Writes `count` of them to a stream, as `hooklog log import` takes them, and ends it. With `whole` each has the rest of
// its request, too.
export async function writeMixedEvents(out, count, { whole = false, ...options } = {}) {
	let seq = 0;
	for await (const { event, body } of mixedEvents(options)) {
		if (seq++ === count)
			break;
		const delivery = `72d3162e-cc78-11e3-81ab-${String(seq).padStart(12, '0')}`;
		const line = JSON.stringify({
			seq, received_at: new Date(1767225600000 + seq * 100).toISOString(), origin: 'webhook', source: 'github', provider: 'github', event,
			delivery, hook: '1', content_type: 'application/json', ...(whole ? requestOf(event, delivery, body) : {}), body,
		});
		if (!out.write(`${line}\n`))
			await once(out, 'drain');
	}
	out.end();
	await once(out, 'finish');
}
