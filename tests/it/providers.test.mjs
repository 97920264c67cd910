// SPDX-License-Identifier: Apache-2.0
// Each provider's deliveries as its own client library signs them, against the real receiver: accepted,
// refused after one flipped bit, and `source test` takes the same way.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { ndjson, run, runOk, startIngest, tempDir, until } from '../lib/hooklog.mjs';
import { npmPackage } from '../lib/npm.mjs';

const now = () => Math.floor(Date.now() / 1000);
const hmac = (secret, ...parts) => parts.reduce((mac, part) => mac.update(part), crypto.createHmac('sha256', secret));

// A receiver with one source: {source, secret, post, ask, events, test}. secret null: made by `source add`.
async function receive(t, provider, { secret = null, options = [], unsigned = false } = {}) {
	const dir = tempDir(t, 'providers');
	const args = ['source', 'add', 's', '--data', dir, '--provider', provider, ...options];
	if (secret !== null) {
		fs.writeFileSync(path.join(dir, 'given'), `${secret}\n`, { mode: 0o600 });
		args.push('--secret-file', path.join(dir, 'given'));
	}
	if (unsigned)
		args.push('--allow-unsigned');
	await runOk(args);
	const receiver = await startIngest(t, dir);
	const url = `${receiver.url}/in/s`;
	const made = () => fs.readFileSync(path.join(dir, 'sources/s.secret'), 'utf8').trim();
	const ask = async (body, headers, { method = 'POST', query = '' } = {}) => {
		const answer = await fetch(url + query, { method, headers, body, redirect: 'manual' });
		return { status: answer.status, headers: answer.headers, text: await answer.text() };
	};
	return {
		dir,
		url,
		secret: unsigned ? '' : secret ?? made(),
		ask,
		// Must be stored: {seq, duplicate}.
		async post(body, headers, options) {
			const answer = await ask(body, headers, options);
			assert.equal(answer.status, 202, answer.text);
			return JSON.parse(answer.text);
		},
		async events() {
			return ndjson((await runOk(['log', 'tail', '--count', '100000', '--json', '--data', dir])).stdout);
		},
		// `source test`: must be stored, and gives back the event.
		async test() {
			const { stdout } = await runOk(['source', 'test', 's', '--url', url, '--data', dir]);
			const { seq } = JSON.parse(stdout);
			return ndjson((await runOk(['log', 'show', String(seq), '--json', '--data', dir])).stdout)[0];
		},
	};
}

const flip = (data, bit) => {
	const copy = Buffer.from(data);
	copy[bit >> 3] ^= 1 << (bit & 7);
	return copy;
};

// The delivery is taken once; it is refused with any one bit of the body flipped, and with the signature
// header changed, empty, cut, longer or missing. Nothing of that is stored.
async function accepted(source, body, headers, signature) {
	const bytes = Buffer.from(body);
	const names = Object.keys(headers);
	const name = names.find((n) => n.toLowerCase() === signature.toLowerCase());
	assert.ok(name, `${signature} is not among ${names}`);
	const value = headers[name];
	const before = (await source.events()).length;
	const refused = async (what, wrongBody, wrongHeaders) => {
		const answer = await source.ask(wrongBody, wrongHeaders);
		assert.equal(answer.status, 401, `${what}: ${answer.status} ${answer.text}`);
	};
	const bits = bytes.length * 8;
	for (const bit of [0, 5, bits >> 1, bits - 1])
		await refused(`bit ${bit} flipped`, flip(bytes, bit), headers);
	const other = value.at(-3) === '7' ? '8' : '7';
	const wrong = { empty: '', cut: value.slice(0, -1), longer: `${value}0`, garbage: `${value} x`, changed: value.slice(0, -3) + other + value.slice(-2) };
	for (const [what, to] of Object.entries(wrong))
		await refused(`${name} ${what}`, bytes, { ...headers, [name]: to });
	const without = { ...headers };
	delete without[name];
	await refused(`no ${name}`, bytes, without);
	assert.equal((await source.events()).length, before);

	const answer = await source.post(bytes, headers);
	assert.deepEqual(answer, { seq: before + 1, duplicate: false });
	const stored = (await source.events()).at(-1);
	assert.equal(stored.verified, 'ok');
	assert.deepEqual(Buffer.from(stored.body ?? Buffer.from(stored.body_base64, 'base64')), bytes);
	assert.ok(!JSON.stringify(stored).includes(value), 'the proof is redacted');
	return stored;
}

test('github: signed by @octokit/webhooks-methods', async (t) => {
	const { sign } = await (await npmPackage('@octokit/webhooks-methods', '6.0.0')).import('dist-node/index.js');
	const source = await receive(t, 'github');
	const body = '{"action":"opened","number":1}';
	const stored = await accepted(source, body, {
		'content-type': 'application/json', 'x-github-event': 'issues', 'x-github-delivery': 'g-1', 'x-github-hook-id': '7',
		'x-hub-signature-256': await sign(source.secret, body),
	}, 'x-hub-signature-256');
	assert.deepEqual([stored.event, stored.delivery, stored.hook], ['issues', 'g-1', '7']);
	assert.equal((await source.test()).event, 'ping');
});

test('gitlab: the signing token, signed by standardwebhooks', async (t) => {
	const { Webhook } = (await npmPackage('standardwebhooks', '1.1.1')).require('standardwebhooks');
	const source = await receive(t, 'gitlab', { options: ['scheme=signing-token'] });
	assert.match(source.secret, /^whsec_/);
	const body = '{"object_kind":"push","ref":"refs/heads/main"}';
	const at = new Date();
	const headers = {
		'content-type': 'application/json', 'x-gitlab-event': 'Push Hook', 'idempotency-key': 'k-1', 'webhook-id': 'k-1',
		'webhook-timestamp': String(Math.floor(at / 1000)), 'webhook-signature': new Webhook(source.secret).sign('k-1', at, body),
	};
	const stored = await accepted(source, body, headers, 'webhook-signature');
	assert.deepEqual([stored.event, stored.delivery, stored.scheme], ['Push Hook', 'k-1', 'standard-v1']);
	// A resend has the same id and a time of its own.
	const later = new Date(Date.now() + 1000);
	const again = { ...headers, 'webhook-timestamp': String(Math.floor(later / 1000)), 'webhook-signature': new Webhook(source.secret).sign('k-1', later, body) };
	assert.deepEqual(await source.post(body, again), { seq: stored.seq, duplicate: true });
	// Ten minutes old, and rightly signed.
	const old = new Date(Date.now() - 600000);
	const late = { ...headers, 'webhook-timestamp': String(Math.floor(old / 1000)), 'webhook-signature': new Webhook(source.secret).sign('k-1', old, body) };
	assert.equal((await source.ask(body, late)).status, 401);
	// The token of the other scheme is no way in.
	assert.equal((await source.ask(body, { 'x-gitlab-event': 'Push Hook', 'webhook-id': 'k-2', 'x-gitlab-token': source.secret })).status, 401);
	assert.equal((await source.test()).event, 'Push Hook');
});

test('a rotated secret has the form of its provider', async (t) => {
	const { Webhook } = (await npmPackage('standardwebhooks', '1.1.1')).require('standardwebhooks');
	const source = await receive(t, 'standard-webhooks');
	await runOk(['source', 'rotate', 's', '--data', source.dir]);
	const conf = fs.readFileSync(path.join(source.dir, 'sources/s.conf'), 'utf8');
	const [fresh] = [...conf.matchAll(/^secret_file = (.*)$/gm)].map(([, file]) => fs.readFileSync(path.join(source.dir, 'sources', file), 'utf8').trim());
	assert.match(fresh, /^whsec_/);
	assert.notEqual(fresh, source.secret);
	const at = new Date();
	const body = '{"type":"x"}';
	const headers = (id, secret) => ({ 'webhook-id': id, 'webhook-timestamp': String(Math.floor(at / 1000)), 'webhook-signature': new Webhook(secret).sign(id, at, body) });
	// The receiver takes it up by itself; the old one goes on.
	await until(async () => (await source.ask(body, headers('1', fresh))).status === 202);
	await source.post(body, headers('2', source.secret));
	const made = await receive(t, 'stripe', { secret: 'whsec_0123456789abcdefghijABCDEFGHIJ' });
	const result = await run(['source', 'rotate', 's', '--data', made.dir]);
	assert.notEqual(result.code, 0);
	assert.match(result.stderr, /--secret-file/);
});

test('gitlab: the secret token', async (t) => {
	const source = await receive(t, 'gitlab');
	const headers = { 'content-type': 'application/json', 'x-gitlab-event': 'Merge Request Hook', 'idempotency-key': 'k-1', 'x-gitlab-token': source.secret };
	const body = '{"object_kind":"merge_request"}';
	for (const wrong of ['', `${source.secret}0`, source.secret.slice(1), 'another secret of good length'])
		assert.equal((await source.ask(body, { ...headers, 'x-gitlab-token': wrong })).status, 401);
	assert.deepEqual(await source.post(body, headers), { seq: 1, duplicate: false });
	const [stored] = await source.events();
	assert.deepEqual([stored.event, stored.delivery, stored.scheme], ['Merge Request Hook', 'k-1', 'token']);
	assert.ok(!JSON.stringify(stored).includes(source.secret));
	assert.equal((await source.test()).event, 'Push Hook');
});

// What Gitea, Forgejo and Gogs sign is the JSON document, also when a form carries it encoded.
for (const [provider, prefix] of [['gitea', 'Gitea'], ['forgejo', 'Forgejo'], ['gogs', 'Gogs']]) {
	test(`${provider}: JSON and form bodies`, async (t) => {
		const source = await receive(t, provider);
		const json = `{"ref":"refs/heads/main","text":"ä + b & c = d"}`;
		const mac = hmac(source.secret, json).digest('hex');
		const headers = (delivery) => ({
			'content-type': 'application/json', [`X-${prefix}-Event`]: 'push', [`X-${prefix}-Delivery`]: delivery, [`X-${prefix}-Signature`]: mac,
			...(provider === 'gogs' ? {} : { 'X-Gogs-Signature': mac, 'X-Hub-Signature-256': `sha256=${mac}`, 'X-GitHub-Event': 'push', 'X-GitHub-Delivery': delivery }),
		});
		const stored = await accepted(source, json, headers('d-1'), `X-${prefix}-Signature`);
		assert.deepEqual([stored.event, stored.delivery], ['push', 'd-1']);
		const form = new URLSearchParams({ payload: json }).toString();
		const formHeaders = { ...headers('d-2'), 'content-type': 'application/x-www-form-urlencoded' };
		const second = await accepted(source, form, formHeaders, `X-${prefix}-Signature`);
		assert.equal(second.body, form);
		// As GitHub would sign the form.
		const encoded = hmac(source.secret, form).digest('hex');
		assert.equal((await source.ask(form, { ...formHeaders, [`X-${prefix}-Signature`]: encoded })).status, 401);
		// A field that was not signed.
		assert.equal((await source.ask(`${form}&extra=1`, formHeaders)).status, 401);
		if (provider !== 'gogs') {
			const disagree = await source.ask(json, { ...headers('d-3'), 'X-Gogs-Signature': hmac('other', json).digest('hex') });
			assert.equal(disagree.status, 401);
		}
		assert.equal((await source.test()).event, 'push');
	});
}

test('bitbucket-cloud: X-Hub-Signature with SHA-256', async (t) => {
	const source = await receive(t, 'bitbucket-cloud');
	const body = '{"push":{"changes":[]}}';
	const headers = { 'content-type': 'application/json', 'x-event-key': 'repo:push', 'x-hook-uuid': 'h-1', 'x-request-uuid': 'r-1', 'x-attempt-number': '1', 'x-hub-signature': `sha256=${hmac(source.secret, body).digest('hex')}` };
	const stored = await accepted(source, body, headers, 'x-hub-signature');
	assert.deepEqual([stored.event, stored.delivery, stored.hook], ['repo:push', 'r-1', 'h-1']);
	assert.deepEqual(await source.post(body, { ...headers, 'x-attempt-number': '2' }), { seq: stored.seq, duplicate: true });
	assert.equal((await source.test()).event, 'repo:push');
});

test('bitbucket-datacenter: its unsigned ping is answered and forgotten', async (t) => {
	const source = await receive(t, 'bitbucket-datacenter');
	const body = '{"eventKey":"pr:opened"}';
	const headers = { 'content-type': 'application/json; charset=utf-8', 'x-event-key': 'pr:opened', 'x-request-id': 'r-1', 'x-hub-signature': `sha256=${hmac(source.secret, body).digest('hex')}` };
	const stored = await accepted(source, body, headers, 'x-hub-signature');
	assert.deepEqual([stored.event, stored.delivery], ['pr:opened', 'r-1']);
	const ping = await source.ask('{"test":true}', { 'content-type': 'application/json', 'x-event-key': 'diagnostics:ping', 'x-request-id': 'r-2' });
	assert.deepEqual([ping.status, JSON.parse(ping.text)], [200, { stored: false }]);
	assert.equal((await source.events()).length, stored.seq);
	assert.equal((await source.test()).event, 'repo:refs_changed');
});

// The libraries sign with the secret the receiver made.
for (const [library, version, names] of [['standardwebhooks', '1.1.1', ['webhook-id', 'webhook-timestamp', 'webhook-signature']], ['svix', '1.84.1', ['svix-id', 'svix-timestamp', 'svix-signature']]]) {
	test(`standard-webhooks: signed by ${library}`, async (t) => {
		const { Webhook } = (await npmPackage(library, version)).require(library);
		const source = await receive(t, 'standard-webhooks');
		const webhook = new Webhook(source.secret);
		const body = '{"type":"invoice.paid","timestamp":"2026-01-01T00:00:00Z","data":{"id":1}}';
		const headers = (id, at, others = '') => ({ 'content-type': 'application/json', [names[0]]: id, [names[1]]: String(Math.floor(at / 1000)), [names[2]]: others + webhook.sign(id, at, body) });
		const stored = await accepted(source, body, headers('msg_1', new Date()), names[2]);
		assert.deepEqual([stored.event, stored.delivery, stored.scheme], ['invoice.paid', 'msg_1', 'standard-v1']);
		// A retry has a new time and signature; one of several signatures is enough.
		const retry = headers('msg_1', new Date(Date.now() - 60000), `v1,${'A'.repeat(43)}= `);
		assert.deepEqual(await source.post(body, retry), { seq: stored.seq, duplicate: true });
		for (const off of [-302000, 310000])
			assert.equal((await source.ask(body, headers('msg_2', new Date(Date.now() + off)))).status, 401);
		assert.equal((await source.events()).length, stored.seq);
		assert.equal((await source.test()).event, 'hooklog.test');
	});
}

test('standard-webhooks: v1a, signed with an ed25519 key of Node', async (t) => {
	const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
	const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
	const source = await receive(t, 'standard-webhooks', { options: ['scheme=v1a'], secret: `whpk_${raw.toString('base64')}` });
	const body = '{"type":"user.created"}';
	const at = String(now());
	const signature = `v1a,${crypto.sign(null, Buffer.from(`m-1.${at}.${body}`), privateKey).toString('base64')}`;
	const headers = { 'content-type': 'application/json', 'webhook-id': 'm-1', 'webhook-timestamp': at, 'webhook-signature': signature };
	const stored = await accepted(source, body, headers, 'webhook-signature');
	assert.deepEqual([stored.event, stored.delivery, stored.scheme], ['user.created', 'm-1', 'standard-v1a']);
	// The public key is known to all: as a secret of the other scheme it would prove nothing.
	const forged = `v1,${crypto.createHmac('sha256', raw).update(`m-2.${at}.${body}`).digest('base64')}`;
	assert.equal((await source.ask(body, { ...headers, 'webhook-id': 'm-2', 'webhook-signature': forged })).status, 401);
	// Nobody here can sign for the sender.
	const result = await run(['source', 'test', 's', '--url', source.url, '--data', source.dir]);
	assert.notEqual(result.code, 0);
	assert.match(result.stderr, /public key/);
});

test('stripe: signed by stripe', async (t) => {
	const stripe = (await npmPackage('stripe', '23.1.0')).require('stripe')('sk_test_0');
	const secret = 'whsec_0123456789abcdefghijABCDEFGHIJ';
	const source = await receive(t, 'stripe', { secret });
	const payload = '{"id":"evt_1","object":"event","type":"invoice.paid"}';
	const sign = (timestamp, key = secret) => stripe.webhooks.generateTestHeaderString({ payload, secret: key, timestamp });
	const headers = { 'content-type': 'application/json', 'stripe-signature': sign(now()) };
	const stored = await accepted(source, payload, headers, 'stripe-signature');
	assert.deepEqual([stored.event, stored.delivery, stored.scheme], ['invoice.paid', 'evt_1', 'stripe-v1']);
	assert.deepEqual(await source.post(payload, { ...headers, 'stripe-signature': sign(now() - 100) }), { seq: stored.seq, duplicate: true });
	for (const at of [now() - 302, now() + 310])
		assert.equal((await source.ask(payload, { ...headers, 'stripe-signature': sign(at) })).status, 401);
	// The key is not the decoded secret.
	const at = now();
	const decoded = hmac(Buffer.from(secret.slice(6), 'base64'), `${at}.`, payload).digest('hex');
	assert.equal((await source.ask(payload, { ...headers, 'stripe-signature': `t=${at},v1=${decoded}` })).status, 401);
	assert.equal((await source.test()).event, 'hooklog.test');
	// Stripe makes the secret.
	const result = await run(['source', 'add', 'other', '--provider', 'stripe', '--data', source.dir]);
	assert.notEqual(result.code, 0);
	assert.match(result.stderr, /--secret-file/);
});

// Slack publishes no signer, only a verifier, which is asked about what is sent here.
test('slack: events, the challenge, commands', async (t) => {
	const { verifySlackRequest } = (await npmPackage('@slack/bolt', '4.7.3')).require('@slack/bolt');
	const secret = '8f742231b10e8888abcd99yyyzzz85a5';
	const source = await receive(t, 'slack', { secret });
	const headersFor = (body, at = now(), type = 'application/json') => {
		const headers = { 'content-type': type, 'x-slack-request-timestamp': String(at), 'x-slack-signature': `v0=${hmac(secret, `v0:${at}:`, body).digest('hex')}` };
		verifySlackRequest({ signingSecret: secret, body, headers: { ...headers, 'x-slack-request-timestamp': at } , nowMilliseconds: at * 1000 });
		return headers;
	};
	const body = '{"type":"event_callback","event_id":"Ev1","event":{"type":"message","text":"hi"}}';
	const stored = await accepted(source, body, headersFor(body), 'x-slack-signature');
	assert.deepEqual([stored.event, stored.delivery], ['message', 'Ev1']);
	assert.deepEqual(await source.post(body, { ...headersFor(body), 'x-slack-retry-num': '1' }), { seq: stored.seq, duplicate: true });
	assert.equal((await source.ask(body, headersFor(body, now() - 302))).status, 401);

	const challenge = '{"token":"t","challenge":"3eZbrw1aBm2rZgRNFdxV","type":"url_verification"}';
	assert.equal((await source.ask(challenge, { 'content-type': 'application/json' })).status, 401);
	const answer = await source.ask(challenge, headersFor(challenge));
	assert.deepEqual([answer.status, answer.text, answer.headers.get('content-type')], [200, '3eZbrw1aBm2rZgRNFdxV', 'text/plain']);

	const command = 'token=t&command=%2Fdeploy&text=now&trigger_id=1.2.3';
	const reply = await source.ask(command, headersFor(command, now(), 'application/x-www-form-urlencoded'));
	assert.deepEqual([reply.status, reply.text], [200, '']);
	assert.equal(reply.headers.get('x-hooklog-seq'), String(stored.seq + 2));
	assert.deepEqual((await source.events()).map((e) => e.event), ['message', 'url_verification', 'slash_command']);
	assert.equal((await source.test()).event, 'hooklog_test');
});

test('cloudevents: binary, structured and batch, made by cloudevents', async (t) => {
	const { CloudEvent, HTTP } = (await npmPackage('cloudevents', '10.0.0')).require('cloudevents');
	const source = await receive(t, 'cloudevents', { options: ['allowed_origin=sender.example'] });
	const event = (id) => new CloudEvent({ id, source: '/orders', type: 'order.made', data: { n: 1, text: 'ä €' } });
	const token = { authorization: `Bearer ${source.secret}` };
	for (const [mode, id] of [['binary', '1'], ['structured', '2']]) {
		const message = HTTP[mode](event(id));
		const body = typeof message.body === 'string' ? message.body : JSON.stringify(message.body);
		const changed = Buffer.from(source.secret);
		changed[5] ^= 1;
		for (const authorization of ['', 'Bearer', `Bearer ${changed}`, `Bearer ${source.secret}0`])
			assert.equal((await source.ask(body, { ...message.headers, authorization })).status, 401);
		assert.equal((await source.ask(body, message.headers)).status, 401);
		const { seq } = await source.post(body, { ...message.headers, ...token });
		assert.equal(seq, Number(id));
		const again = await source.post(body, message.headers, { query: `?access_token=${source.secret}` });
		assert.deepEqual(again, { seq, duplicate: true });
		const stored = (await source.events()).at(-1);
		assert.deepEqual([stored.event, stored.delivery, stored.hook, stored.body, stored.scheme], ['order.made', id, '/orders', body, 'bearer']);
	}
	// In the URL the token is redacted, too.
	const third = HTTP.structured(event('3'));
	await source.post(third.body, third.headers, { query: `?a=1&access_token=${source.secret}&b=2` });
	const stored = (await source.events()).at(-1);
	assert.match(stored.query, /^a=1&access_token=redacted:[0-9a-f]{16}&b=2$/);
	assert.ok(!JSON.stringify(await source.events()).includes(source.secret));

	const batch = ['4', '2', '5'].map((id) => HTTP.structured(event(id)).body);
	const headers = { 'content-type': 'application/cloudevents-batch+json; charset=utf-8', 'x-hooklog-batch': '9/9', ...token };
	const bad = await source.ask(`[${batch[0]},{"id":"x"}]`, headers);
	assert.equal(bad.status, 400);
	assert.equal((await source.events()).length, 3);
	const answer = await source.post(`[${batch.join(', ')}]`, headers);
	assert.equal(answer.events.length, 3);
	assert.deepEqual([answer.events[0], answer.events[2]].map((e) => e.seq), answer.events[1].duplicate ? [4, 5] : [4, 6]);
	const all = await source.events();
	assert.equal(all[3].body, batch[0]);
	const places = (e) => e.headers.filter(([name]) => /^x-hooklog-batch$/i.test(name)).map(([, value]) => value);
	assert.deepEqual([places(all[2]), places(all[3]), places(all.at(-1))], [[], ['1/3'], ['3/3']]);
	assert.equal(all[3].content_type, 'application/cloudevents+json');
	assert.deepEqual(await source.post('[]', headers), { events: [] });
	assert.equal((await source.ask('<e/>', { ...headers, 'content-type': 'application/cloudevents+xml' })).status, 415);

	// The handshake: whole origins only.
	const options = (origin, more = {}) => source.ask(undefined, { 'webhook-request-origin': origin, ...more }, { method: 'OPTIONS' });
	const allowed = await options('sender.example', { 'webhook-request-rate': '100' });
	assert.equal(allowed.status, 200);
	assert.equal(allowed.headers.get('webhook-allowed-origin'), 'sender.example');
	assert.equal(allowed.headers.get('webhook-allowed-rate'), '*');
	assert.equal(allowed.headers.get('allow'), 'POST, OPTIONS');
	for (const origin of ['sender.example.evil.example', 'sender.exampl', 'SENDER.example', '*']) {
		const refused = await options(origin);
		assert.equal(refused.status, 403);
		assert.equal(refused.headers.get('webhook-allowed-origin'), null);
	}
	assert.equal((await source.test()).event, 'hooklog.test');
});

test('generic: an HMAC with template, time and id, refused after one flipped bit', async (t) => {
	const source = await receive(t, 'generic', { options: ['auth=hmac', 'signature_header=X-Sig', 'signature_prefix=sha512=', 'signature_hash=sha512', 'signature_encoding=base64', 'signature_template={timestamp}|{id}|{body}', 'timestamp_header=X-Time', 'id_header=X-Id', 'event_pointer=/event/name'] });
	const body = '{"event":{"name":"made"}}';
	const at = String(now());
	const headers = { 'content-type': 'application/json', 'X-Time': at, 'X-Id': 'i-1', 'X-Sig': `sha512=${crypto.createHmac('sha512', source.secret).update(`${at}|i-1|${body}`).digest('base64')}` };
	const stored = await accepted(source, body, headers, 'X-Sig');
	assert.deepEqual([stored.event, stored.delivery, stored.scheme], ['made', 'i-1', 'hmac-sha512']);
	assert.equal((await source.ask(body, { ...headers, 'X-Id': 'i-2' })).status, 401);
	await source.test();
});

for (const [auth, options, proof] of [
	['basic', [], (secret) => ({ authorization: `Basic ${Buffer.from(secret).toString('base64')}` })],
	['bearer', [], (secret) => ({ authorization: `Bearer ${secret}` })],
	['header', ['token_header=X-Api-Key'], (secret) => ({ 'x-api-key': secret })],
	['query', ['query_key=key'], () => ({})],
]) {
	test(`generic: ${auth}`, async (t) => {
		const source = await receive(t, 'generic', { options: [`auth=${auth}`, 'event_header=X-Event', ...options] });
		const body = 'any bytes';
		const changed = Buffer.from(source.secret);
		changed[3] ^= 1;
		const send = (secret) => source.ask(body, { 'x-event': 'e', ...proof(String(secret)) }, { query: auth === 'query' ? `?key=${encodeURIComponent(secret)}` : '' });
		for (const wrong of [changed, '', `${source.secret}0`, source.secret.slice(1)])
			assert.equal((await send(wrong)).status, 401);
		assert.equal((await source.ask(body, { 'x-event': 'e' })).status, 401);
		const first = await send(source.secret);
		assert.deepEqual([first.status, JSON.parse(first.text)], [202, { seq: 1, duplicate: false }]);
		// The body is its own id.
		assert.deepEqual(JSON.parse((await send(source.secret)).text), { seq: 1, duplicate: true });
		const [stored] = await source.events();
		assert.equal(stored.delivery, `sha256:${crypto.createHash('sha256').update(body).digest('hex')}`);
		assert.ok(!JSON.stringify(stored).includes(source.secret));
		assert.equal((await source.test()).event, 'hooklog.test');
	});
}

test('generic: nothing is checked only when that is said twice', async (t) => {
	const dir = tempDir(t, 'providers');
	for (const args of [['auth=none'], ['--allow-unsigned'], []]) {
		const result = await run(['source', 'add', 's', '--provider', 'generic', '--data', dir, ...args]);
		assert.notEqual(result.code, 0);
	}
	const source = await receive(t, 'generic', { options: ['auth=none'], unsigned: true });
	assert.deepEqual(await source.post('x', {}), { seq: 1, duplicate: false });
	assert.equal((await source.events())[0].scheme, 'none');
});
