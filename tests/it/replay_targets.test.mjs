// SPDX-License-Identifier: Apache-2.0
// What each kind of target receives, read by the official libraries where there are some.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { ndjson, run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';
import { npmPackage } from '../lib/npm.mjs';
import { selfSigned } from '../lib/tls.mjs';

const COUNT = 120;

let shared = null;
async function filledLog() {
	if (shared)
		return shared;
	const dir = tempDir(program, 'targets');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const receiver = await startIngest(program, dir);
	await runOk(['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', String(COUNT), '--seed', '23', '--data', dir]);
	await receiver.stop();
	const { stdout } = await runOk(['replay', '--target', '-', '--data', dir]);
	const secret = path.join(dir, 'whsec');
	fs.writeFileSync(secret, `whsec_${crypto.randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
	const logId = JSON.parse((await runOk(['log', 'stat', '--json', '--data', dir])).stdout).log_id;
	shared = { dir, events: ndjson(stdout), secret, logId };
	return shared;
}

async function startServer(t) {
	const requests = [];
	const listener = http.createServer((request, response) => {
		const parts = [];
		request.on('data', (part) => parts.push(part));
		request.on('end', () => {
			requests.push({ method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(parts).toString() });
			response.writeHead(202);
			response.end();
		});
	});
	await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
	t.cleanup(() => new Promise((resolve) => {
		listener.closeAllConnections();
		listener.close(resolve);
	}));
	return { requests, port: listener.address().port, url: `http://127.0.0.1:${listener.address().port}/hook` };
}

test('the official library takes CloudEvents in all three forms', async (t) => {
	const { HTTP } = (await npmPackage('cloudevents', '10.0.0')).require('cloudevents');
	const { Webhook } = (await npmPackage('standardwebhooks', '1.1.1')).require('standardwebhooks');
	const { dir, events, secret, logId } = await filledLog();
	const server = await startServer(t);
	const key = fs.readFileSync(secret, 'utf8').trim();
	const check = (event, i) => {
		const stored = events[i];
		const payload = JSON.parse(stored.body);
		assert.equal(event.specversion, '1.0');
		assert.equal(event.id, String(i + 1));
		assert.equal(event.source, `urn:hooklog:${logId}`);
		assert.equal(event.type, `com.github.${stored.event}${payload.action ? `.${payload.action}` : ''}`);
		assert.equal(event.hooklogdelivery, stored.delivery);
		assert.equal(event.hooklogsource, 'github');
		assert.equal(Date.parse(event.time), Date.parse(stored.received_at));
		assert.deepEqual(event.data, payload);
		assert.equal(event.validate(), true);
	};
	const replay = (format) => runOk(['replay', '--target', server.url, '--format', format, '--secret-file', secret, '--data', dir]);
	for (const format of ['cloudevents', 'cloudevents-binary', 'cloudevents-batch']) {
		server.requests.length = 0;
		await replay(format);
		for (const request of server.requests)
			new Webhook(key).verify(request.body, request.headers);
		const got = server.requests.flatMap((request) => HTTP.toEvent({ headers: request.headers, body: request.body }));
		assert.equal(got.length, COUNT);
		got.forEach(check);
		if (format === 'cloudevents-batch')
			assert.ok(server.requests.length < 5);
		else
			assert.equal(server.requests.length, COUNT);
	}
	assert.match(server.requests[0].headers['x-hooklog-replay'], /seq=1, last=\d+$/);

	const file = path.join(tempDir(t, 'ce'), 'events.ndjson');
	await runOk(['replay', '--target', file, '--format', 'cloudevents', '--data', dir]);
	const lines = ndjson(fs.readFileSync(file, 'utf8'));
	assert.deepEqual(lines.map((l) => l.id), events.map((e) => String(e.seq)));
	assert.deepEqual(lines.map((l) => l.data), events.map((e) => JSON.parse(e.body)));
});

test('the official library takes Standard Webhooks, with the same id whenever it is sent', async (t) => {
	const { Webhook } = (await npmPackage('standardwebhooks', '1.1.1')).require('standardwebhooks');
	const { dir, events, secret, logId } = await filledLog();
	const server = await startServer(t);
	const key = fs.readFileSync(secret, 'utf8').trim();
	const replay = (...args) => run(['replay', '--target', server.url, '--format', 'standard-webhooks', '--secret-file', secret, '--data', dir, ...args]);
	assert.equal((await replay()).code, 0);
	assert.equal(server.requests.length, COUNT);
	for (const [i, { headers, body }] of server.requests.entries()) {
		const message = new Webhook(key).verify(body, headers);
		assert.equal(message.type, `github.${events[i].event}`);
		assert.deepEqual(message.data, JSON.parse(events[i].body));
		assert.equal(headers['webhook-id'], `msg_${logId}_${i + 1}`);
		assert.throws(() => new Webhook(key).verify(`${body} `, headers));
	}
	assert.equal((await replay('--from', '7', '--to', '7')).code, 0);
	assert.equal(server.requests.at(-1).headers['webhook-id'], server.requests[6].headers['webhook-id']);
	// The source's own secret is no such key.
	const wrong = await run(['replay', '--target', server.url, '--format', 'standard-webhooks', '--secret-file', path.join(dir, 'sources/github.secret'), '--data', dir]);
	assert.equal(wrong.code, 2);
});

test('a file of HTTP messages can be sent again as it is', async (t) => {
	const { dir, events } = await filledLog();
	const server = await startServer(t);
	const file = path.join(tempDir(t, 'raw'), 'events.http');
	await runOk(['replay', '--target', file, '--format', 'http', '--data', dir]);
	await new Promise((resolve, reject) => {
		const socket = net.connect(server.port, '127.0.0.1');
		socket.on('error', reject);
		let answers = '';
		socket.on('data', (data) => {
			answers += data;
			if (answers.split('HTTP/1.1 202').length === COUNT + 1)
				socket.end();
		});
		socket.on('close', resolve);
		socket.write(fs.readFileSync(file));
	});
	assert.equal(server.requests.length, COUNT);
	for (const [i, request] of server.requests.entries()) {
		assert.equal(request.method, 'POST');
		assert.equal(request.url, '/in/github');
		assert.equal(request.body, events[i].body);
		assert.equal(request.headers['x-github-delivery'], events[i].delivery);
		assert.equal(request.headers['x-hub-signature-256'], undefined);
	}
});

// As much of msgpack (spec.md) as our files use.
function unpack(bytes, at) {
	const take = (n) => bytes.subarray(at, (at += n));
	const number = (n) => Number(BigInt(`0x${take(n).toString('hex')}`));
	const many = (n, pairs) => Array.from({ length: n }, () => (pairs ? [value(), value()] : value()));
	function value() {
		const c = bytes[at++];
		if (c < 0x80)
			return c;
		if (c < 0x90)
			return Object.fromEntries(many(c & 15, true));
		if (c < 0xa0)
			return many(c & 15);
		if (c < 0xc0)
			return take(c & 31).toString();
		switch (c) {
		case 0xc0: return null;
		case 0xc4: return take(number(1));
		case 0xc5: return take(number(2));
		case 0xc6: return take(number(4));
		case 0xcc: return number(1);
		case 0xcd: return number(2);
		case 0xce: return number(4);
		case 0xcf: return number(8);
		case 0xd9: return take(number(1)).toString();
		case 0xda: return take(number(2)).toString();
		case 0xdc: return many(number(2));
		case 0xde: return Object.fromEntries(many(number(2), true));
		default: throw new Error(`msgpack byte ${c} at ${at - 1}`);
		}
	}
	return [value(), at];
}

test('a msgpack file holds everything', async (t) => {
	const { dir, events } = await filledLog();
	const file = path.join(tempDir(t, 'pack'), 'events.msgpack');
	await runOk(['replay', '--target', file, '--format', 'msgpack', '--data', dir]);
	const bytes = fs.readFileSync(file);
	let at = 0;
	for (const stored of events) {
		let event;
		[event, at] = unpack(bytes, at);
		assert.equal(event.seq, stored.seq);
		assert.equal(event.body.toString(), stored.body);
		assert.equal(new Date(Math.floor(event.received_at_us / 1000)).toISOString().slice(0, 23), stored.received_at.slice(0, 23));
		assert.ok(Object.values(event.envelope).some((v) => String(v) === stored.delivery));
	}
	assert.equal(at, bytes.length);
});

test('a format the target cannot take is refused', async (t) => {
	const { dir } = await filledLog();
	const server = await startServer(t);
	for (const [target, format] of [[server.url, 'ndjson'], [server.url, 'http'], ['-', 'original'], ['-', 'standard-webhooks'], [server.url, 'morse'], ['-', 'cloudevents-batch']]) {
		const result = await run(['replay', '--target', target, '--format', format, '--data', dir]);
		assert.equal(result.code, 2, `${target} ${format}`);
		assert.match(result.stderr, /format/);
	}
	assert.equal(server.requests.length, 0);
});

test('over HTTP/2 the same requests arrive', async (t) => {
	const { dir, events, secret } = await filledLog();
	const requests = [];
	const sessions = new Set();
	const server = http2.createServer();
	server.on('session', (session) => {
		sessions.add(session);
		session.on('error', () => {});
	});
	server.on('stream', (stream, headers) => {
		const parts = [];
		stream.on('data', (part) => parts.push(part));
		stream.on('end', () => {
			requests.push({ headers, body: Buffer.concat(parts).toString() });
			stream.respond({ ':status': requests.length === 3 ? 503 : 202 });
			stream.end();
		});
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	t.cleanup(() => {
		sessions.forEach((session) => session.destroy());
		server.close();
	});
	const target = `http://127.0.0.1:${server.address().port}/hook`;
	const key = fs.readFileSync(secret, 'utf8').trim();
	await runOk(['replay', '--target', target, '--http2', '--secret-file', secret, '--concurrency', '4', '--data', dir]);
	assert.equal(requests.length, COUNT + 1); // one was busy
	assert.deepEqual(new Set(requests.map((r) => r.body)), new Set(events.map((event) => event.body)));
	for (const { headers, body } of requests) {
		assert.deepEqual([headers[':method'], headers[':path'], headers[':scheme']], ['POST', '/hook', 'http']);
		assert.equal(headers['x-hub-signature-256'], `sha256=${crypto.createHmac('sha256', key).update(body).digest('hex')}`);
	}
	// A server that only knows 1.1 cannot be spoken to like that, and without the option is.
	const old = await startServer(t);
	const refused = await run(['replay', '--target', old.url, '--http2', '--retries', '0', '--to', '1', '--data', dir]);
	assert.equal(refused.code, 7);
	assert.equal(old.requests.length, 0);
});

test('over TLS a target must show who it is, and is offered HTTP/2', async (t) => {
	const { dir, events, secret } = await filledLog();
	const own = await selfSigned(dir, 'target');
	const other = await selfSigned(dir, 'other');
	const requests = [];
	const sessions = new Set();
	// Speaks both, whatever was agreed on in the handshake.
	const server = http2.createSecureServer({ cert: fs.readFileSync(own.cert), key: fs.readFileSync(own.key), allowHTTP1: true }, (request, response) => {
		const parts = [];
		request.on('data', (part) => parts.push(part));
		request.on('end', () => {
			requests.push({ version: request.httpVersion, url: request.url, signature: request.headers['x-hub-signature-256'], body: Buffer.concat(parts).toString() });
			response.writeHead(202).end();
		});
	});
	server.on('session', (session) => {
		sessions.add(session);
		session.on('error', () => {});
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	t.cleanup(() => {
		sessions.forEach((session) => session.destroy());
		server.close();
	});
	const replay = (ca, ...args) => run(['replay', '--target', `https://localhost:${server.address().port}/hook`, '--secret-file', secret, '--retries', '0', '--data', dir, ...args], { env: ca === '' ? {} : { HOOKLOG_REPLAY_CA_FILE: ca } });
	for (const ca of ['', other.cert]) {
		const stranger = await replay(ca);
		assert.equal(stranger.code, 7, stranger.stderr);
		assert.match(stranger.stderr, /certificate/i);
		assert.match(stranger.stderr, /replay\.unreachable/);
	}
	const missing = await replay(path.join(dir, 'none.pem'));
	assert.equal(missing.code, 2, missing.stderr);
	assert.match(missing.stderr, /none\.pem/);
	assert.equal(requests.length, 0);
	const key = fs.readFileSync(secret, 'utf8').trim();
	for (const [version, ...args] of [['2.0', '--http2', '--concurrency', '4'], ['1.1']]) {
		requests.length = 0;
		const sent = await replay(own.cert, ...args);
		assert.equal(sent.code, 0, sent.stderr);
		assert.deepEqual(new Set(requests.map((r) => r.body)), new Set(events.map((e) => e.body)));
		for (const { version: spoken, url, signature, body } of requests) {
			assert.deepEqual([spoken, url], [version, '/hook']);
			assert.equal(signature, `sha256=${crypto.createHmac('sha256', key).update(body).digest('hex')}`);
		}
	}
});
