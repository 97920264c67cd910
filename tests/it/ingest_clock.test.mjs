// SPDX-License-Identifier: Apache-2.0
// Captured deliveries that are sent again, and clocks that are wrong. The receiver's clock is set by libfaketime, which stands
// still where it is told to, so that the second a timestamp becomes too old is exact.
//
// TEST-VARIANTS: release
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { exec, ndjson, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const AT = 1790000000; // the receiver's clock, seconds since 1970
const WINDOW = 300;
const KEY = Buffer.from('the key of the tests, 32 bytes..');
const hmac = (key, text, form) => crypto.createHmac('sha256', key).update(text).digest(form);

// How a delivery of each provider with a signed timestamp is made.
const PROVIDERS = {
	'standard-webhooks': { secret: `whsec_${KEY.toString('base64')}`, sign: (at, id, body) => ({ 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': `v1,${hmac(KEY, `${id}.${at}.${body}`, 'base64')}` }) },
	gitlab: { secret: `whsec_${KEY.toString('base64')}`, options: ['scheme=signing-token'], sign: (at, id, body) => ({ 'X-Gitlab-Event': 'Push Hook', 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': `v1,${hmac(KEY, `${id}.${at}.${body}`, 'base64')}` }) },
	stripe: { secret: 'whsec_the whole text is the key', sign: (at, id, body, secret) => ({ 'Stripe-Signature': `t=${at},v1=${hmac(secret, `${at}.${body}`, 'hex')}` }) },
	slack: { secret: 'the signing secret of an app', sign: (at, id, body, secret) => ({ 'X-Slack-Request-Timestamp': String(at), 'X-Slack-Signature': `v0=${hmac(secret, `v0:${at}:${body}`, 'hex')}` }) },
	generic: { secret: 'the secret of anybody at all', options: ['auth=hmac', 'signature_header=X-Sign', 'timestamp_header=X-Time', 'signature_template={timestamp}.{body}'],
		sign: (at, id, body, secret) => ({ 'X-Time': String(at), 'X-Sign': hmac(secret, `${at}.${body}`, 'hex') }) },
};

// Where libfaketime is: the program of the same package says it to what it starts.
async function frozen(at) {
	const found = await exec('faketime', ['-m', '-f', '+0', 'sh', '-c', 'echo "$LD_PRELOAD"']);
	assert.equal(found.code, 0, found.stderr);
	const text = new Date(at * 1000).toISOString().slice(0, 19).replace('T', ' ');
	return { LD_PRELOAD: found.stdout.trim(), FAKETIME: text, FAKETIME_DONT_FAKE_MONOTONIC: '1', DONT_FAKE_MONOTONIC: '1', TZ: 'UTC' };
}

async function receiveAt(t, at, dir) {
	const receiver = await startIngest(t, dir, { env: await frozen(at) });
	receiver.post = async (source, body, headers) => {
		const answer = await fetch(`${receiver.url}/in/${source}`, { method: 'POST', body, headers: { 'Content-Type': 'application/json', ...headers } });
		return { status: answer.status, text: await answer.text() };
	};
	return receiver;
}

async function makeSources(t) {
	const dir = tempDir(t, 'clock');
	for (const [name, { secret, options = [] }] of Object.entries(PROVIDERS)) {
		fs.writeFileSync(path.join(dir, 'given'), secret, { mode: 0o600 });
		await runOk(['source', 'add', name, ...options, '--provider', name, '--data', dir, '--secret-file', path.join(dir, 'given')]);
	}
	return dir;
}

const stored = async (dir) => ndjson((await runOk(['replay', '--data', dir, '--target', '-'])).stdout);
const delivery = (name, at, id = crypto.randomUUID()) => {
	const { secret, sign } = PROVIDERS[name];
	const body = JSON.stringify({ id, type: 't', event_id: id });
	return { body, headers: sign(at, id, body, secret) };
};

test('a signed time is taken within 300 seconds of the clock, and not one second beyond', async (t) => {
	const dir = await makeSources(t);
	const receiver = await receiveAt(t, AT, dir);
	const taken = [0, 1, -1, WINDOW, -WINDOW];
	const refused = [WINDOW + 1, -WINDOW - 1, 3600, -3600, 86400 * 365, -AT];
	for (const name of Object.keys(PROVIDERS)) {
		for (const off of refused) {
			const { body, headers } = delivery(name, AT + off);
			const { status, text } = await receiver.post(name, body, headers);
			assert.equal(status, 401, `${name} ${off}: ${text}`);
			assert.match(text, /timestamp/, `${name} ${off}`);
		}
		for (const off of taken) {
			const { body, headers } = delivery(name, AT + off);
			const { status, text } = await receiver.post(name, body, headers);
			assert.ok([200, 202].includes(status), `${name} ${off}: ${status} ${text}`);
		}
		// A time that was changed afterwards is covered by the signature.
		const { body, headers } = delivery(name, AT - 3600);
		const now = Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, value.replace(String(AT - 3600), String(AT))]));
		assert.equal((await receiver.post(name, body, now)).status, 401, name);
	}
	await receiver.stop();
	const events = await stored(dir);
	assert.equal(events.length, taken.length * Object.keys(PROVIDERS).length);
	assert.ok(events.every((event) => Date.parse(event.received_at) === AT * 1000), 'the receiver had another clock');
});

test('a receiver whose clock is an hour off refuses signed times, and keeps what it refused', async (t) => {
	for (const off of [3600, -3600]) {
		const dir = await makeSources(t);
		const receiver = await receiveAt(t, AT + off, dir);
		for (const name of Object.keys(PROVIDERS)) {
			const { body, headers } = delivery(name, AT);
			assert.equal((await receiver.post(name, body, headers)).status, 401, name);
		}
		// Who signs no time is not affected.
		await runOk(['source', 'add', 'gh', '--data', dir]);
		const secret = fs.readFileSync(path.join(dir, 'sources/gh.secret'), 'utf8').trim();
		let answer;
		do // until the receiver has taken the new source up
			answer = await receiver.post('gh', '{}', { 'X-GitHub-Event': 'push', 'X-GitHub-Delivery': 'd', 'X-Hub-Signature-256': `sha256=${hmac(secret, '{}', 'hex')}` });
		while (answer.status === 404);
		assert.equal(answer.status, 202, answer.text);
		const kept = ndjson((await runOk(['quarantine', 'list', '--json', '--data', dir])).stdout);
		assert.equal(kept.length, Object.keys(PROVIDERS).length);
		await receiver.stop();
		assert.equal((await stored(dir)).length, 1);
	}
});

test('a captured delivery sent again has one effect, and none once it is too old', async (t) => {
	const dir = await makeSources(t);
	const captured = Object.keys(PROVIDERS).map((name) => ({ name, ...delivery(name, AT) }));
	const receiver = await receiveAt(t, AT + 10, dir);
	const numbers = [];
	for (const { name, body, headers } of captured) {
		const first = await receiver.post(name, body, headers);
		assert.ok([200, 202].includes(first.status), first.text);
		const again = await receiver.post(name, body, headers);
		assert.match(again.text, /"duplicate":true/, `${name}: ${again.text}`);
		numbers.push(JSON.parse(first.text).seq);
		// To another source, and under another id where the id is signed.
		for (const other of Object.keys(PROVIDERS).filter((n) => n !== name && PROVIDERS[n].secret !== PROVIDERS[name].secret))
			assert.notEqual((await receiver.post(other, body, headers)).status, 202, `${name} to ${other}`);
		if (headers['webhook-id'])
			assert.equal((await receiver.post(name, body, { ...headers, 'webhook-id': 'another' })).status, 401);
	}
	await receiver.stop();
	assert.equal(new Set(numbers).size, captured.length);
	const later = await receiveAt(t, AT + WINDOW + 1, dir);
	for (const { name, body, headers } of captured)
		assert.equal((await later.post(name, body, headers)).status, 401, name);
	await later.stop();
	assert.equal((await stored(dir)).length, captured.length);
});
