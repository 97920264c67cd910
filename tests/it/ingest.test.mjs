// SPDX-License-Identifier: Apache-2.0
// The receiver as a sender meets it: `hooklog ingest` over real sockets, under both threading models.
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { bin, cleanEnv, exec, run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const SECRET = 'a secret of sufficient length';
const MODELS = ['connection', 'pool'];
const MIB = 1024 * 1024;

async function makeSources(t, dir) {
	const file = path.join(dir, 'given');
	fs.writeFileSync(file, SECRET, { mode: 0o600 });
	await runOk(['source', 'add', 'gh', '--data', dir, '--secret-file', file]);
	await runOk(['source', 'add', 'open', '--data', dir, '--allow-unsigned']);
	return dir;
}

async function startReceiver(t, env = {}) {
	const dir = await makeSources(t, tempDir(t, 'ingest'));
	const receiver = await startIngest(t, dir, { env });
	receiver.dir = dir;
	return receiver;
}

function sign(body, secret = SECRET) {
	return `sha256=${crypto.createHmac('sha256', secret).update(body).digest('hex')}`;
}

// A request as bytes. headers: lines to add; omit: names to leave out.
function request(body, { path: target = '/in/gh', method = 'POST', version = 'HTTP/1.1', delivery = crypto.randomUUID(), headers = [], omit = [], secret = SECRET, length = true } = {}) {
	const lines = [
		['Host', 'localhost'],
		['Content-Type', 'application/json'],
		['X-GitHub-Event', 'issues'],
		['X-GitHub-Delivery', delivery],
		['X-GitHub-Hook-ID', '17'],
		['X-Hub-Signature-256', sign(body, secret)],
	];
	if (length)
		lines.push(['Content-Length', String(Buffer.byteLength(body))]);
	const head = lines.filter(([name]) => !omit.includes(name)).map(([name, value]) => `${name}: ${value}`);
	return Buffer.concat([Buffer.from(`${method} ${target} ${version}\r\n${[...head, ...headers].join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body)]);
}

// Sends bytes and reads until the receiver closes: {text, status, answers, body}.
function send(port, ...parts) {
	return new Promise((resolve) => {
		const socket = net.connect(port, '127.0.0.1');
		const got = [];
		const end = () => {
			const text = Buffer.concat(got).toString('latin1');
			const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);
			const answers = text.match(/HTTP\/1\.1 \d+/g)?.length ?? 0;
			const body = text.slice(text.indexOf('\r\n\r\n') + 4);
			resolve({ text, status, answers, body });
		};
		socket.on('data', (data) => got.push(data));
		socket.on('error', () => {});
		socket.on('close', end);
		for (const part of parts)
			socket.write(part);
	});
}

async function stored(port, bytes) {
	const answer = await send(port, bytes);
	assert.equal(answer.status, 202, answer.text);
	return JSON.parse(answer.body);
}

const BODY = '{"action":"opened"}';
const drop = (...omit) => ({ omit });
const add = (...headers) => ({ headers });

const REFUSED = [
	['two Content-Length', 400, request(BODY, add(`Content-Length: ${BODY.length}`))],
	['two different Content-Length', 400, request(BODY, add('Content-Length: 5'))],
	['Content-Length with Transfer-Encoding', 400, request(BODY, add('Transfer-Encoding: chunked'))],
	['two Transfer-Encoding', 400, request('', { length: false, headers: ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'] })],
	['a coding besides chunked', 400, request('', { length: false, headers: ['Transfer-Encoding: gzip, chunked'] })],
	['identity as coding', 400, request('', { length: false, headers: ['Transfer-Encoding: identity'] })],
	['chunked with a tab before it', 400, request('', { length: false, headers: ['Transfer-Encoding: \x0bchunked'] })],
	['chunks in HTTP/1.0', 400, request('', { version: 'HTTP/1.0', length: false, headers: ['Transfer-Encoding: chunked'] })],
	['two Host', 400, request(BODY, add('Host: other'))],
	['no Host', 400, request(BODY, drop('Host'))],
	['two Content-Type', 400, request(BODY, add('Content-Type: text/plain'))],
	['two signatures', 401, request(BODY, add(`X-Hub-Signature-256: ${sign(BODY)}`))],
	['two old signatures', 401, request(BODY, add('X-Hub-Signature: sha1=0', 'X-Hub-Signature: sha1=1'))],
	['two deliveries', 400, request(BODY, add('x-github-delivery: 2'))],
	['two events', 400, request(BODY, add('X-Github-Event: push'))],
	['two hooks', 400, request(BODY, add('X-GitHub-Hook-ID: 18'))],
	['a space before the colon', 400, request(BODY, add('X-A : b'))],
	['Content-Length with a space before the colon', 400, request(BODY, { length: false, headers: [`Content-Length : ${BODY.length}`] })],
	['a control byte in a name', 400, request(BODY, add('X\x01A: b'))],
	['a bracket in a name', 400, request(BODY, add('X(A): b'))],
	['a control byte in a value', 400, request(BODY, add('X-A: b\x02c'))],
	['65 headers', 400, request(BODY, add(...Array.from({ length: 60 }, (_, i) => `X-A${i}: b`)))],
	['HTTP/1.9', 400, request(BODY, { version: 'HTTP/1.9' })],
	['HTTP/2.0', [400, 505], request(BODY, { version: 'HTTP/2.0' })],
	['no version', [0, 400], 'POST /in/gh\r\n\r\n'],
	['a control byte in the path', [0, 400], request(BODY, { path: '/in/g\x01h' })],
	['no event', 400, request(BODY, drop('X-GitHub-Event'))],
	['no delivery', 400, request(BODY, drop('X-GitHub-Delivery'))],
	['a delivery with blanks', 400, request(BODY, { delivery: 'a b' })],
	['no signature', 401, request(BODY, drop('X-Hub-Signature-256'))],
	['only the old signature', 401, request(BODY, { omit: ['X-Hub-Signature-256'], headers: [`X-Hub-Signature: sha1=${crypto.createHmac('sha1', SECRET).update(BODY).digest('hex')}`] })],
	['an empty signature', 401, request(BODY, { omit: ['X-Hub-Signature-256'], headers: ['X-Hub-Signature-256:'] })],
	['bad hex', 401, request(BODY, { omit: ['X-Hub-Signature-256'], headers: [`X-Hub-Signature-256: sha256=${'g'.repeat(64)}`] })],
	['63 digits', 401, request(BODY, { omit: ['X-Hub-Signature-256'], headers: [`X-Hub-Signature-256: ${sign(BODY).slice(0, -1)}`] })],
	['65 digits', 401, request(BODY, { omit: ['X-Hub-Signature-256'], headers: [`X-Hub-Signature-256: ${sign(BODY)}0`] })],
	['another prefix', 401, request(BODY, { omit: ['X-Hub-Signature-256'], headers: [`X-Hub-Signature-256: ${sign(BODY).replace('sha256', 'sha512')}`] })],
	['another secret', 401, request(BODY, { secret: 'another secret of good length' })],
	['an unknown source', 404, request(BODY, { path: '/in/nobody' })],
	['an unknown path', 404, request(BODY, { path: '/' })],
	['a path below a source', 404, request(BODY, { path: '/in/gh/x' })],
	['an escaped source', 404, request(BODY, { path: '/in/%67h' })],
	['GET', 405, request('', { method: 'GET', length: false })],
	['GET with a body', 405, request(BODY, { method: 'GET' })],
	['PUT', 405, request(BODY, { method: 'PUT' })],
	['DELETE with a body', 405, request(BODY, { method: 'DELETE' })],
	['OPTIONS', 405, request('', { method: 'OPTIONS', length: false })],
	['gzip', 415, request(BODY, add('Content-Encoding: gzip'))],
	['26214401 announced bytes', 413, request('', { length: false, headers: ['Content-Length: 26214401'] })],
];

for (const model of MODELS) {
	test(`${model}: what is wrong is refused, closed and not stored`, async (t) => {
		const receiver = await startReceiver(t, { HOOKLOG_INGEST_THREADING: model });
		// A request that is well-formed but refused has another one behind it: it must not be read.
		const hidden = request('{"smuggled":true}');
		for (const [name, want, bytes] of REFUSED) {
			const answer = await send(receiver.port, bytes, hidden);
			const allowed = [want].flat();
			assert.ok(allowed.includes(answer.status), `${name}: want ${allowed}, got ${answer.status} ${answer.text}`);
			assert.ok(answer.answers <= 1, `${name}: ${answer.text}`);
			// Those the HTTP library itself refuses have its own text.
			if (answer.body.startsWith('{')) {
				const { error, id } = JSON.parse(answer.body);
				assert.ok(error && /^ingest\.[a-z-]+$/.test(id), answer.body);
				assert.match(answer.text, /\r\nConnection: close\r\n/);
			}
			if (answer.status === 405)
				assert.match(answer.text, /\r\nAllow: POST\r\n/);
		}
		const unknown = await send(receiver.port, request(BODY, { path: '/in/nobody' }));
		const nowhere = await send(receiver.port, request(BODY, { path: '/nowhere' }));
		assert.equal(unknown.body, nowhere.body);
		// Nothing of all that got a number.
		assert.deepEqual(await stored(receiver.port, request(BODY)), { seq: 1, duplicate: false });
		await receiver.stop();
	});

	test(`${model}: bodies of every size and framing are stored as they are`, async (t) => {
		const receiver = await startReceiver(t, { HOOKLOG_INGEST_THREADING: model });
		const { port } = receiver;
		let seq = 0;
		for (const size of [0, 1, 2047, 2048, 2049, 16383, 16384, 16385, 65536, MIB, 25 * MIB]) {
			const body = Buffer.alloc(size, 'x');
			assert.deepEqual(await stored(port, request(body)), { seq: ++seq, duplicate: false }, `${size} bytes`);
		}
		assert.equal((await send(port, request(Buffer.alloc(25 * MIB + 1)))).status, 413);
		const chunks = ['{"a"', ':', '1}'];
		const chunked = Buffer.concat([request('{"a":1}', { length: false, headers: ['Transfer-Encoding: chunked'] }).subarray(0, -7),
			Buffer.from(`${chunks.map((c) => `${c.length.toString(16)}\r\n${c}\r\n`).join('')}0\r\n\r\n`)]);
		assert.equal((await stored(port, chunked)).seq, ++seq);
		const big = Buffer.alloc(25 * MIB + 1, 'y');
		const head = request(big, { length: false, headers: ['Transfer-Encoding: chunked'] }).subarray(0, -big.length);
		assert.equal((await send(port, head, `${big.length.toString(16)}\r\n`, big, '\r\n0\r\n\r\n')).status, 413);
		const form = request(`payload=${encodeURIComponent('{"zen":"a b"}')}`, { omit: ['Content-Type'], headers: ['Content-Type: application/x-www-form-urlencoded'] });
		assert.equal((await stored(port, form)).seq, ++seq);
		const bigForm = request(Buffer.concat([Buffer.from('payload='), Buffer.alloc(26 * MIB, 'z')]), { omit: ['Content-Type'], headers: ['Content-Type: application/x-www-form-urlencoded'] });
		assert.equal((await stored(port, bigForm)).seq, ++seq);
		await receiver.stop();
	});

	test(`${model}: a repeated delivery gets the number of the first`, async (t) => {
		const receiver = await startReceiver(t, { HOOKLOG_INGEST_THREADING: model });
		const first = request(BODY, { delivery: 'one' });
		assert.deepEqual(await stored(receiver.port, first), { seq: 1, duplicate: false });
		assert.deepEqual(await stored(receiver.port, request(BODY, { delivery: 'two' })), { seq: 2, duplicate: false });
		assert.deepEqual(await stored(receiver.port, first), { seq: 1, duplicate: true });
		const answer = await send(receiver.port, first);
		assert.match(answer.text, /\r\nX-Hooklog-Seq: 1\r\n/);
		await receiver.stop();
	});

	test(`${model}: a header folded over two lines hides no second request`, async (t) => {
		const receiver = await startReceiver(t, { HOOKLOG_INGEST_THREADING: model });
		const hidden = request('{"smuggled":true}', { delivery: 'hidden' });
		const folded = request('', { length: false, headers: ['Content-Len: 0\r\n gth'] });
		const answer = await send(receiver.port, folded, hidden);
		assert.ok(answer.answers <= 1, answer.text);
		const after = await stored(receiver.port, request('{"smuggled":true}', { delivery: 'hidden' }));
		assert.equal(after.duplicate, false);
		await receiver.stop();
	});

	test(`${model}: a slow drip is cut off by the deadline`, async (t) => {
		const receiver = await startReceiver(t, { HOOKLOG_INGEST_THREADING: model, HOOKLOG_INGEST_REQUEST_TIMEOUT_MS: '700' });
		const bytes = request(Buffer.alloc(4096, 'x'));
		for (const already of [0, bytes.length - 4096]) {
			const socket = net.connect(receiver.port, '127.0.0.1');
			const got = [];
			let at = already;
			socket.write(bytes.subarray(0, already));
			const timer = setInterval(() => socket.write(bytes.subarray(at, ++at)), 20);
			await new Promise((resolve) => {
				socket.on('data', (data) => got.push(data)).on('error', () => {}).on('close', resolve);
			});
			clearInterval(timer);
			assert.ok(at < bytes.length, 'the whole request was read');
			assert.equal(Buffer.concat(got).length, 0);
		}
		assert.equal((await stored(receiver.port, request(BODY))).seq, 1);
		await receiver.stop();
	});

	test(`${model}: a stop loses nothing that was acknowledged`, async (t) => {
		const env = { HOOKLOG_INGEST_THREADING: model };
		const receiver = await startReceiver(t, env);
		const acknowledged = [];
		let stopping = false;
		const sender = async (number) => {
			for (let i = 0; !stopping || i < 5; i++) {
				const body = JSON.stringify({ number, i, filler: 'f'.repeat(2000) });
				const answer = await send(receiver.port, request(body, { delivery: `${number}-${i}` }));
				if (answer.status === 202)
					acknowledged.push({ delivery: `${number}-${i}`, body, seq: JSON.parse(answer.body).seq });
				else if (stopping)
					return;
			}
		};
		const senders = Array.from({ length: 16 }, (_, number) => sender(number));
		await new Promise((resolve) => setTimeout(resolve, 500));
		stopping = true;
		await receiver.stop();
		await Promise.all(senders);
		assert.ok(acknowledged.length > 16, `${acknowledged.length} acknowledged`);
		const again = await startIngest(t, receiver.dir, { env });
		for (const { delivery, body, seq } of acknowledged)
			assert.deepEqual(await stored(again.port, request(body, { delivery })), { seq, duplicate: true });
		t.note(`${acknowledged.length} acknowledged`);
		await again.stop();
	});
}

test('kept connections serve several requests and are closed at a stop', async (t) => {
	for (const model of MODELS) {
		const receiver = await startReceiver(t, { HOOKLOG_INGEST_THREADING: model, HOOKLOG_INGEST_KEEP_ALIVE: 'true' });
		const answer = await send(receiver.port, request(BODY), request(BODY), request(BODY, add('Connection: close')));
		assert.equal(answer.answers, 3, answer.text);
		assert.match(answer.body, /"seq":3/);
		const refused = await send(receiver.port, request(BODY, { secret: 'another secret of good length' }), request(BODY));
		assert.equal(refused.status, 401);
		assert.equal(refused.answers, 1);
		const idle = send(receiver.port, request(BODY));
		await receiver.stop();
		await idle;
	}
});

test('curl sends large bodies and is told early that one is too large', async (t) => {
	const receiver = await startReceiver(t);
	const file = path.join(receiver.dir, 'body');
	for (const [size, want] of [[25 * MIB, '202'], [25 * MIB + 1, '413']]) {
		const body = Buffer.alloc(size, 'x');
		fs.writeFileSync(file, body);
		const { stdout } = await exec('curl', ['-sS', '-o', path.join(receiver.dir, 'answer'), '-w', '%{http_code}',
			'-H', 'X-GitHub-Event: push', '-H', `X-GitHub-Delivery: ${size}`, '-H', `X-Hub-Signature-256: ${sign(body)}`,
			'-H', 'Content-Type: application/json', '-H', 'Expect: 100-continue', '--data-binary', `@${file}`, `${receiver.url}/in/gh`]);
		assert.equal(stdout, want);
	}
	await receiver.stop();
});

test('health is asked for by GET and HEAD', async (t) => {
	const receiver = await startReceiver(t);
	const ask = (method, target) => send(receiver.port, `${method} ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
	for (const target of ['/livez', '/readyz', '/readyz?verbose']) {
		assert.equal((await ask('GET', target)).status, 200);
		const head = await ask('HEAD', target);
		assert.equal(head.status, 200);
		assert.equal(head.body, '');
	}
	const wrong = await ask('POST', '/livez');
	assert.equal(wrong.status, 405);
	assert.match(wrong.text, /\r\nAllow: GET, HEAD\r\n/);
	await receiver.stop();
});

test('sources come and go, and secrets rotate, without a restart', async (t) => {
	const receiver = await startReceiver(t);
	const { port, dir } = receiver;
	const folder = path.join(dir, 'sources');
	const next = 'the secret that comes next';
	assert.equal((await send(port, request(BODY, { secret: next }))).status, 401);
	fs.writeFileSync(path.join(folder, 'gh.next'), `${next}\n`, { mode: 0o600 });
	fs.appendFileSync(path.join(folder, 'gh.conf'), 'secret_file = gh.next\n');
	await receiver.waitFor(/ingest\.sources count=2/);
	await stored(port, request(BODY, { secret: next }));
	await stored(port, request(BODY));
	const listed = (await runOk(['source', 'list', '--json', '--data', dir])).stdout;
	assert.equal(listed.includes(SECRET) || listed.includes(next), false);
	assert.equal(JSON.parse(listed.split('\n')[0]).keys.length, 2);
	// A mistake leaves the old sources in use.
	fs.writeFileSync(path.join(folder, 'bad.conf'), 'provider = nobody\n');
	await receiver.waitFor(/error ingest\.source [^\n]*bad\.conf/);
	await stored(port, request(BODY, { secret: next }));
	await receiver.stop();
	const refused = await run(['ingest', '--data', dir], { env: { HOOKLOG_INGEST_LISTEN: '127.0.0.1:0' } });
	assert.equal(refused.code, 4, refused.stderr);
	assert.match(refused.stderr, /bad\.conf.*provider/);
});

test('source test sends a ping that is stored', async (t) => {
	const receiver = await startReceiver(t);
	for (const [seq, name] of [[1, 'gh'], [2, 'open']]) {
		const { stdout } = await runOk(['source', 'test', name, '--data', receiver.dir, '--url', `${receiver.url}/in/${name}`]);
		assert.deepEqual(JSON.parse(stdout), { seq, duplicate: false });
	}
	const wrong = await run(['source', 'test', 'gh', '--data', receiver.dir, '--url', `${receiver.url}/in/nobody`]);
	assert.equal(wrong.code, 1);
	assert.match(wrong.stdout, /ingest\.not-found/);
	assert.equal((await run(['source', 'test', 'nobody', '--data', receiver.dir])).code, 3);
	await receiver.stop();
});

test('secrets never show', async (t) => {
	const receiver = await startReceiver(t, { HOOKLOG_LOG_LEVEL: 'debug' });
	await stored(receiver.port, request(BODY, add('Authorization: Bearer very-secret-token', 'Cookie: very-secret-cookie', 'X-Plain: plain value')));
	await receiver.stop();
	const { stdout } = await runOk(['replay', '--data', receiver.dir, '--target', '-']);
	assert.ok(stdout.includes('plain value'));
	assert.match(stdout, /redacted:[0-9a-f]{16}/);
	for (const secret of ['very-secret-token', 'very-secret-cookie', SECRET, sign(BODY)])
		assert.equal((stdout + receiver.stderr + receiver.stdout).includes(secret), false);
});

test('an address that cannot be had is explained', async (t) => {
	const receiver = await startReceiver(t);
	const other = await makeSources(t, tempDir(t, 'ingest'));
	const ingest = (listen) => run(['ingest', '--data', other], { env: { HOOKLOG_INGEST_LISTEN: listen } });
	const taken = await ingest(`127.0.0.1:${receiver.port}`);
	assert.equal(taken.code, 1, taken.stderr);
	assert.match(taken.stderr, /in use/);
	assert.match(taken.stderr, /docs\/runbooks\/ingest\.listen\.md/);
	for (const listen of ['8080', '127.0.0.1:x', '203.0.113.1:0']) {
		const wrong = await ingest(listen);
		assert.equal(wrong.code, 4, wrong.stderr);
		assert.match(wrong.stderr, /ingest\.listen/);
	}
	await receiver.stop();
});

test('a log line cannot be forged by a sender', async (t) => {
	const receiver = await startReceiver(t);
	await send(receiver.port, request(BODY, { delivery: 'a\\x0aerror', secret: 'another secret of good length' }));
	await send(receiver.port, Buffer.from('POST /in/gh HTTP/1.1\r\nX: \x1b[31mred\x07\r\n\r\n', 'latin1'));
	await send(receiver.port, '\x1b[31m\r\n\r\n');
	await receiver.stop();
	for (const line of receiver.stderr.trimEnd().split('\n'))
		assert.match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z (debug|info|warn|error) [a-z.-]+( [a-z_]+=("([^"\\]|\\.)*"|[!-~]*))*$/);
	assert.doesNotMatch(receiver.stderr, /[^\n\x20-\x7e]/);
});

test('each request has a line with one id, from debug on', async (t) => {
	const dir = await makeSources(t, tempDir(t, 'ingest'));
	const receiver = await startIngest(t, dir, { env: { HOOKLOG_LOG_LEVEL: 'debug' } });
	assert.equal((await send(receiver.port, request(BODY, { delivery: 'one' }))).status, 202);
	assert.equal((await send(receiver.port, request(BODY, { delivery: 'one' }))).status, 202);
	assert.equal((await send(receiver.port, request(BODY, { secret: 'some other secret' }))).status, 401);
	assert.equal((await send(receiver.port, 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n')).status, 404);
	await receiver.stop();
	const lines = receiver.stderr.split('\n').map((line) => /^\S+ (\w+) (ingest\.(?:stored|signature|not-found)) ?(.*)$/.exec(line)).filter(Boolean);
	assert.deepEqual(lines.map(([, level, id]) => `${level} ${id}`), ['debug ingest.stored', 'debug ingest.stored', 'warn ingest.signature', 'debug ingest.not-found']);
	assert.match(lines[0][3], /^source=\S+ seq=1 duplicate=0 events=1 event=\S+ delivery=one bytes=\d+ us=\d+$/);
	assert.match(lines[1][3], / seq=1 duplicate=1 /);
});

test('a full disk is 503 and heals by itself', async (t) => {
	const mount = tempDir(t, 'ingest-full');
	if ((await exec('unshare', ['-m', 'mount', '-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', mount])).code !== 0)
		t.skip('unshare -m or mounting is not allowed here');
	// The mount is seen by the receiver alone and goes when it ends; /proc leads into it.
	const dir = await makeSources(t, tempDir(t, 'ingest'));
	const script = `mount -t tmpfs -o size=24m tmpfs "$1" && cp -a "$2/sources" "$1/" && exec "$3" ingest --data "$1"`;
	const child = spawn('unshare', ['-m', 'sh', '-c', script, 'sh', mount, dir, bin], { env: cleanEnv({ HOOKLOG_INGEST_LISTEN: '127.0.0.1:0', HOOKLOG_STORE_FREE_BYTES_MIN: '0' }), stdio: ['ignore', 'ignore', 'pipe'] });
	t.cleanup(() => child.kill('SIGKILL'));
	let said = '';
	child.stderr.on('data', (data) => { said += data; });
	const ended = new Promise((resolve) => child.on('close', (code) => resolve(code)));
	const port = await new Promise((resolve, reject) => {
		const timer = setInterval(() => {
			const match = /ingest\.listening address=127\.0\.0\.1:(\d+)/.exec(said);
			if (match || child.exitCode !== null) {
				clearInterval(timer);
				if (match)
					resolve(Number(match[1]));
				else
					reject(new Error(said));
			}
		}, 20);
	});
	const inside = `/proc/${child.pid}/root${mount}`;
	fs.writeFileSync(path.join(inside, 'filler'), Buffer.alloc(8 * MIB));
	const acknowledged = [];
	let refused = null;
	for (let i = 0; i < 200 && !refused; i++) {
		const body = crypto.randomBytes(512 * 1024);
		const answer = await send(port, request(body, { delivery: `d${i}` }));
		if (answer.status === 202)
			acknowledged.push({ delivery: `d${i}`, body, seq: JSON.parse(answer.body).seq });
		else
			refused = answer;
	}
	assert.ok(refused, 'the disk never filled up');
	assert.equal(refused.status, 503, refused.text);
	assert.match(refused.text, /\r\nRetry-After: \d+\r\n/);
	assert.ok(acknowledged.length > 0);
	const health = (target) => send(port, `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
	assert.equal((await health('/livez')).status, 200);
	assert.equal((await health('/readyz')).status, 503);
	fs.rmSync(path.join(inside, 'filler'));
	let healed = null;
	for (let i = 0; i < 200 && healed?.status !== 202; i++) {
		healed = await send(port, request(BODY, { delivery: 'healed' }));
		if (healed.status !== 202)
			await new Promise((resolve) => setTimeout(resolve, 50));
	}
	assert.equal(healed.status, 202, healed.text);
	assert.equal((await health('/readyz')).status, 200);
	for (const { delivery, body, seq } of acknowledged)
		assert.deepEqual(await stored(port, request(body, { delivery })), { seq, duplicate: true });
	child.kill('SIGTERM');
	assert.equal(await ended, 0, said);
});
