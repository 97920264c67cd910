// SPDX-License-Identifier: Apache-2.0
// Refused deliveries: kept beside the log, shown, admitted once the secret is right, dropped.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { ndjson, run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const WRONG = 'the secret that was configured';
const RIGHT = 'the secret that the forge uses';

async function start(t, env = {}) {
	const dir = tempDir(t, 'quarantine');
	fs.writeFileSync(path.join(dir, 'given'), WRONG, { mode: 0o600 });
	await runOk(['source', 'add', 'gh', '--data', dir, '--secret-file', path.join(dir, 'given')]);
	const receiver = await startIngest(t, dir, { env });
	receiver.dir = dir;
	receiver.quarantine = (...args) => run(['quarantine', ...args, '--data', dir]);
	receiver.list = async (...args) => ndjson((await runOk(['quarantine', 'list', '--json', ...args, '--data', dir])).stdout);
	return receiver;
}

async function post(receiver, body, { secret = RIGHT, headers = {}, omit = [] } = {}) {
	const all = {
		'Content-Type': 'application/json',
		'X-GitHub-Event': 'issues',
		'X-GitHub-Delivery': crypto.randomUUID(),
		'X-Hub-Signature-256': `sha256=${crypto.createHmac('sha256', secret).update(body).digest('hex')}`,
		...headers,
	};
	omit.forEach((name) => delete all[name]);
	const response = await fetch(`${receiver.url}/in/gh`, { method: 'POST', body, headers: all });
	await response.arrayBuffer();
	return response.status;
}

// Corrects the secret as an operator would, and waits until the receiver knows.
async function correct(receiver) {
	const seen = receiver.stderr.length;
	fs.writeFileSync(path.join(receiver.dir, 'sources/gh.secret'), RIGHT, { mode: 0o600 });
	while (!/ingest\.sources /.test(receiver.stderr.slice(seen)))
		await new Promise((resolve) => setTimeout(resolve, 20));
}

const events = async (dir) => ndjson((await runOk(['replay', '--data', dir, '--target', '-'])).stdout);

test('a delivery refused for a wrong secret is admitted once the secret is right', async (t) => {
	const receiver = await start(t);
	const body = JSON.stringify({ action: 'opened', text: 'käse\n' });
	const before = Date.now();
	assert.equal(await post(receiver, body, { headers: { Authorization: 'Bearer very-secret' } }), 401);
	const [entry] = await receiver.list();
	assert.deepEqual([entry.id, entry.state, entry.status, entry.reason], [1, 'waiting', 401, 'ingest.signature']);
	assert.ok(Date.parse(entry.received_at) >= before - 1 && Date.parse(entry.received_at) <= Date.now() + 1);
	assert.equal((await receiver.quarantine('show', '1', '--body')).stdout, body);
	const shown = (await receiver.quarantine('show', '1')).stdout;
	assert.match(shown, /X-GitHub-Event: issues/);
	assert.match(shown, /Authorization: redacted:/);
	assert.deepEqual(JSON.parse((await receiver.quarantine('show', '1', '--json')).stdout).request.body, JSON.parse(body));

	const early = await receiver.quarantine('admit', '1');
	assert.equal(early.code, 1, early.stderr);
	assert.match(early.stderr, /signature/);
	await correct(receiver);
	const admitted = await receiver.quarantine('admit', '1', '--json');
	assert.deepEqual(JSON.parse(admitted.stdout), { id: 1, seq: 1, duplicate: false }, admitted.stderr);
	assert.equal((await receiver.quarantine('admit', '1')).code, 1);
	assert.deepEqual(await receiver.list(), []);
	assert.deepEqual((await receiver.list('--all')).map((e) => [e.state, e.seq]), [['admitted', 1]]);
	assert.equal(await post(receiver, body), 202);
	await receiver.stop();

	const [event] = await events(receiver.dir);
	assert.equal(event.body, body);
	assert.equal(event.verified, 'ok');
	const header = event.headers.find(([name]) => name === 'X-Hooklog-Received-At') ?? event.headers['X-Hooklog-Received-At'];
	assert.equal(Array.isArray(header) ? header[1] : header, entry.received_at);
	assert.equal(fs.readFileSync(path.join(receiver.dir, 'quarantine/ring')).includes('very-secret'), false);
});

test('a batch is admitted as one, with the token that is right today', async (t) => {
	const receiver = await start(t);
	fs.writeFileSync(path.join(receiver.dir, 'given'), WRONG, { mode: 0o600 });
	await runOk(['source', 'add', 'ce', '--provider', 'cloudevents', '--data', receiver.dir, '--secret-file', path.join(receiver.dir, 'given')]);
	const part = (id) => ({ specversion: '1.0', id, source: '/orders', type: 'order.made', data: { id } });
	const send = async (parts) => (await fetch(`${receiver.url}/in/ce`, { method: 'POST', body: JSON.stringify(parts),
		headers: { 'Content-Type': 'application/cloudevents-batch+json', Authorization: `Bearer ${RIGHT}` } })).status;
	while (await send([part('a'), part('b'), part('c')]) === 404)
		await new Promise((resolve) => setTimeout(resolve, 50));
	const [entry] = await receiver.list();
	assert.equal(entry.reason, 'ingest.signature');
	assert.equal((await receiver.quarantine('admit', String(entry.id))).code, 1);
	const seen = receiver.stderr.length;
	fs.writeFileSync(path.join(receiver.dir, 'sources/ce.secret'), RIGHT, { mode: 0o600 });
	while (!/ingest\.sources /.test(receiver.stderr.slice(seen)))
		await new Promise((resolve) => setTimeout(resolve, 20));
	const admitted = await receiver.quarantine('admit', String(entry.id));
	assert.equal(admitted.code, 0, admitted.stderr);
	await receiver.stop();
	assert.deepEqual((await events(receiver.dir)).map((e) => [e.seq, e.delivery, e.verified]), [[1, 'a', 'ok'], [2, 'b', 'ok'], [3, 'c', 'ok']]);
});

// What a sender states outright is kept as a salted hash, and compared with today's secrets.
for (const [name, options, requests] of [
	['a token in the URL', ['--provider', 'cloudevents'], (secret) => [
		{ url: `?a=1&access_token=${encodeURIComponent(secret)}&b=2` },
		// Spelled in other ways, it is the same.
		{ url: `?access_token=${[...Buffer.from(secret)].map((b) => `%${b.toString(16)}`).join('')}` },
		{ url: `?access_token=${encodeURIComponent(secret).replaceAll('%20', '+')}` },
	]],
	['a generic key of the query', ['--provider', 'generic', 'auth=query', 'query_key=key', 'event_header=ce-type', 'id_header=ce-id'],
		(secret) => [{ url: `?key=${encodeURIComponent(secret)}` }]],
	['Basic credentials', ['--provider', 'generic', 'auth=basic', 'event_header=ce-type', 'id_header=ce-id'], (secret) => [
		{ headers: { Authorization: `Basic ${Buffer.from(secret).toString('base64')}` } },
		{ headers: { Authorization: `bAsIc ${Buffer.from(secret).toString('base64')}` } },
	]],
	['a bearer', ['--provider', 'generic', 'auth=bearer', 'event_header=ce-type', 'id_header=ce-id'],
		(secret) => [{ headers: { Authorization: `BEARER ${secret}` } }]],
	['a header', ['--provider', 'generic', 'auth=header', 'token_header=X-Token', 'event_header=ce-type', 'id_header=ce-id'],
		(secret) => [{ headers: { 'X-Token': secret } }]],
]) {
	test(`${name} is known again once the secret is right, and only then`, async (t) => {
		const wrong = 'user:the secret that was given first';
		const right = 'user:the secret & 100% that is sent';
		const dir = tempDir(t, 'quarantine');
		const given = path.join(dir, 'given');
		fs.writeFileSync(given, wrong, { mode: 0o600 });
		const [flag, provider, ...pairs] = options;
		await runOk(['source', 'add', 's', ...pairs, flag, provider, '--data', dir, '--secret-file', given]);
		const receiver = await startIngest(t, dir);
		const all = [...requests(right), ...requests('user:another secret altogether')];
		for (const [i, { url = '', headers = {} }] of all.entries()) {
			const response = await fetch(`${receiver.url}/in/s${url}`, { method: 'POST', body: '{"n":1}',
				headers: { 'Content-Type': 'application/json', 'ce-specversion': '1.0', 'ce-id': `d${i}`, 'ce-source': '/s', 'ce-type': 't', ...headers } });
			assert.equal(response.status, 401, await response.text());
		}
		assert.equal((await run(['quarantine', 'admit', '1', '--data', dir])).code, 1);
		const seen = receiver.stderr.length;
		fs.writeFileSync(path.join(dir, 'sources/s.secret'), right, { mode: 0o600 });
		while (!/ingest\.sources /.test(receiver.stderr.slice(seen)))
			await new Promise((resolve) => setTimeout(resolve, 20));
		const wanted = requests(right).length;
		for (let i = 1; i <= all.length; i++) {
			const admitted = await run(['quarantine', 'admit', String(i), '--data', dir]);
			assert.equal(admitted.code, i <= wanted ? 0 : 1, `${i}: ${admitted.stdout}${admitted.stderr}`);
		}
		await receiver.stop();
		const found = await events(dir);
		assert.deepEqual(found.map((e) => [e.delivery, e.verified]), requests(right).map((_, i) => [`d${i}`, 'ok']));
		// Neither log nor quarantine tells it.
		for (const file of ['quarantine/ring', ...fs.readdirSync(path.join(dir, 'log')).map((f) => `log/${f}`)]) {
			const bytes = fs.readFileSync(path.join(dir, file));
			for (const spelled of [right, encodeURIComponent(right), Buffer.from(right).toString('base64'), right.replaceAll(' ', '+')])
				assert.ok(!bytes.includes(spelled), `${file} has the secret`);
		}
	});
}

test('without a receiver the command writes the log itself', async (t) => {
	const receiver = await start(t);
	assert.equal(await post(receiver, '{"n":1}'), 401);
	assert.equal(await post(receiver, '{"n":2}'), 401);
	assert.equal(await post(receiver, '{"n":3}', { omit: ['X-Hub-Signature-256'] }), 401);
	assert.equal(await post(receiver, '{"n":4}', { omit: ['X-GitHub-Delivery'] }), 400);
	await receiver.stop();
	fs.writeFileSync(path.join(receiver.dir, 'sources/gh.secret'), RIGHT, { mode: 0o600 });
	const some = await receiver.quarantine('admit', '2', '3');
	assert.equal(some.code, 7, some.stderr);
	assert.match(some.stdout, /request 2 +stored as 1/);
	assert.match(some.stderr, /not signed/);
	const forced = await receiver.quarantine('admit', '3', '--unverified');
	assert.equal(forced.code, 0, forced.stderr);
	assert.equal((await receiver.quarantine('drop', '1')).code, 0);
	assert.equal((await receiver.quarantine('admit', '1')).code, 1);
	assert.equal((await receiver.quarantine('admit', '99')).code, 3);
	assert.equal((await receiver.quarantine('admit', 'x')).code, 2);
	assert.equal((await receiver.quarantine('drop', '--all')).code, 0);
	assert.deepEqual(await receiver.list(), []);
	const stored = await events(receiver.dir);
	assert.deepEqual(stored.map((e) => [e.body, e.verified]), [['{"n":2}', 'ok'], ['{"n":3}', 'failed']]);
});

test('the ring is bounded, and a flood of rubbish is not kept', async (t) => {
	const receiver = await start(t, { HOOKLOG_QUARANTINE_BYTES_MAX: '256KiB', HOOKLOG_QUARANTINE_REQUESTS_PER_SECOND_MAX: '20' });
	const file = path.join(receiver.dir, 'quarantine/ring');
	assert.equal(await post(receiver, 'x'.repeat(40 * 1024)), 401);
	assert.equal(fs.existsSync(file), false, 'a body over an eighth of the ring is not kept');
	const started = Date.now();
	const answers = await Promise.all(Array.from({ length: 300 }, () => post(receiver, 'y'.repeat(20 * 1024))));
	const seconds = (Date.now() - started) / 1000 + 1;
	assert.ok(answers.every((status) => status === 401));
	const listed = await receiver.list();
	const kept = listed.at(-1).id;
	assert.ok(kept >= 10 && kept <= 20 * seconds + 1, `${kept} kept in ${seconds} s`);
	assert.equal(fs.statSync(file).size, 256 * 1024);
	assert.ok(listed.length >= 5 && listed.length <= 12, `${listed.length} in the ring`);
	// What is our own trouble, what has no source and what has no body is not kept.
	assert.equal((await fetch(`${receiver.url}/in/nobody`, { method: 'POST', body: 'x' })).status, 404);
	assert.equal(await post(receiver, ''), 401);
	assert.equal((await receiver.list()).at(-1).id, kept);
	await receiver.stop();
	const off = await startIngest(t, receiver.dir, { env: { HOOKLOG_QUARANTINE_BYTES_MAX: '0' } });
	off.dir = receiver.dir;
	assert.equal(await post(off, 'z'), 401);
	assert.equal((await receiver.list()).at(-1).id, kept);
	await off.stop();
});

test('hostile text of a refused delivery does not reach the terminal', async (t) => {
	const receiver = await start(t);
	assert.equal(await post(receiver, '{}', { headers: { 'X-A': 'csi \x9b31m' } }), 401);
	const { stdout } = await receiver.quarantine('show', '1');
	assert.match(stdout, /X-A: csi (\\x[0-9a-f]{2})+31m/);
	assert.doesNotMatch(stdout, /[^\n\x20-\x7e]/);
	await receiver.stop();
});

test('a damaged ring is made anew', async (t) => {
	const receiver = await start(t);
	assert.equal(await post(receiver, '{}'), 401);
	await receiver.stop();
	fs.writeFileSync(path.join(receiver.dir, 'quarantine/ring'), 'rubbish');
	const listed = await receiver.quarantine('list');
	assert.equal(listed.code, 8, listed.stderr);
	const again = await startIngest(t, receiver.dir);
	again.dir = receiver.dir;
	assert.equal(await post(again, '{}'), 401);
	assert.deepEqual((await receiver.list()).map((e) => e.id), [1]);
	await again.stop();
});
