// SPDX-License-Identifier: Apache-2.0
// TLS of the receiver's own: what it speaks, what it refuses, a certificate that is replaced while senders
// are connected, and that all the limits of a plain connection hold.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { test, assert } from '../lib/harness.mjs';
import { makePair, settings } from '../lib/certificate.mjs';
import { exec, ndjson, run, runOk, start, startIngest, startUp, tempDir, until } from '../lib/hooklog.mjs';

async function withSource(t) {
	const dir = tempDir(t, 'tls');
	await runOk(['source', 'add', 'open', '--data', dir, '--allow-unsigned']);
	return dir;
}

async function startTls(t, { name = 'hooks.example', pair, env, startOne = startIngest } = {}) {
	const dir = await withSource(t);
	const files = pair ?? await makePair(dir, name);
	const receiver = await startOne(t, dir, { env: settings(files, env) });
	return { dir, files, receiver, ca: fs.readFileSync(files.cert) };
}

const head = (length, more = '') => `POST /in/open HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: ${crypto.randomUUID()}\r\n`
	+ `Content-Type: application/json\r\nContent-Length: ${length}\r\n${more}\r\n`;

// A TLS connection that is checked against ca; .got is what came, .over a promise of its end.
function connect(where, { ca, ...options } = {}) {
	return new Promise((resolve, reject) => {
		const socket = tls.connect({ host: '127.0.0.1', ...where, ca, ...options }, () => resolve(socket));
		socket.got = '';
		socket.on('data', (data) => { socket.got += data; });
		socket.over = new Promise((done) => socket.on('close', done));
		socket.on('error', (error) => { socket.failed = error; reject(error); });
	});
}

async function post(where, ca, body = '{}') {
	const socket = await connect(where, { ca });
	socket.write(head(Buffer.byteLength(body), 'Connection: close\r\n'));
	socket.write(body);
	await socket.over;
	return { status: Number(socket.got.slice(9, 12)), text: socket.got, name: socket.peer };
}

// The name in the certificate that is shown to a new connection.
async function shownName(port) {
	const socket = await connect({ port }, { rejectUnauthorized: false });
	const name = socket.getPeerCertificate().subject.CN;
	socket.destroy();
	return name;
}

const stored = async (dir) => ndjson((await runOk(['replay', '--data', dir, '--target', '-'])).stdout);

for (const threading of ['pool', 'connection']) {
	test(`deliveries over TLS are stored as they are (${threading})`, async (t) => {
		const { dir, files, receiver } = await startTls(t, { env: { HOOKLOG_INGEST_THREADING: threading } });
		const bodies = ['{}', crypto.randomBytes(70000), crypto.randomBytes((threading === 'pool' ? 25 : 1) * 1024 * 1024)];
		for (const [i, body] of bodies.entries()) {
			const file = path.join(dir, `body${i}`);
			fs.writeFileSync(file, body);
			const answer = await exec('curl', ['-sS', '-i', '--cacert', files.cert, '-H', 'X-GitHub-Event: push', '-H', `X-GitHub-Delivery: d${i}`,
				'-H', 'Content-Type: application/json', '--data-binary', `@${file}`, `https://127.0.0.1:${receiver.port}/in/open`]);
			assert.equal(answer.code, 0, answer.stderr);
			assert.match(answer.stdout, new RegExp(`^HTTP/1.1 (100 Continue\r\n\r\nHTTP/1.1 )?202 [^]*X-Hooklog-Seq: ${i + 1}\r\n`));
			assert.match(answer.stdout, /Connection: close/i);
			const kept = await runOk(['log', 'show', String(i + 1), '--data', dir, '--body']);
			assert.ok(kept.bytes.equals(Buffer.from(body)), `body ${i} is another one`);
		}
		// Larger than what is taken: the answer comes although the body was not read.
		const huge = path.join(dir, 'huge');
		fs.writeFileSync(huge, Buffer.alloc(26 * 1024 * 1024 + 1));
		const refused = await exec('curl', ['-sS', '-i', '--cacert', files.cert, '-H', 'X-GitHub-Event: push', '-H', 'X-GitHub-Delivery: h', '-H', 'Expect:',
			'-H', 'Content-Type: application/json', '--data-binary', `@${huge}`, `https://127.0.0.1:${receiver.port}/in/open`]);
		assert.match(refused.stdout, /^HTTP\/1\.1 413 /, refused.stderr);
		await receiver.stop();
	});
}

test('only TLS 1.2 and 1.3 with modern ciphers are spoken, and no HTTP', async (t) => {
	const { dir, receiver, ca } = await startTls(t);
	const { port } = receiver;
	const speaks = async (options) => {
		try {
			const socket = await connect({ port }, { ca, ...options });
			const spoken = `${socket.getProtocol()} ${socket.getCipher().name}`;
			socket.destroy();
			return spoken;
		} catch {
			return 'refused';
		}
	};
	const old = { ciphers: 'ALL:@SECLEVEL=0', minVersion: 'TLSv1' };
	assert.equal(await speaks({ ...old, maxVersion: 'TLSv1' }), 'refused');
	assert.equal(await speaks({ ...old, maxVersion: 'TLSv1.1' }), 'refused');
	assert.match(await speaks({ maxVersion: 'TLSv1.2' }), /^TLSv1\.2 ECDHE-ECDSA-AES/);
	assert.match(await speaks({}), /^TLSv1\.3 /);
	assert.equal(await speaks({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }), 'refused');
	// Who wants to negotiate once more, which costs us more than him, is cut off; and nothing is handed out to resume with.
	const again = await connect({ port }, { ca, maxVersion: 'TLSv1.2' });
	again.on('error', () => {});
	again.renegotiate({}, () => {});
	await again.over;
	const tickets = [];
	const asking = await connect({ port }, { ca });
	asking.on('session', (session) => tickets.push(session));
	asking.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
	await asking.over;
	assert.match(asking.got, /^HTTP\/1\.1 200 /);
	assert.equal(tickets.length, 0);
	const plain = net.connect(port, '127.0.0.1');
	let got = '';
	plain.on('data', (data) => { got += data.toString('latin1'); });
	const ended = new Promise((resolve) => plain.on('close', resolve));
	plain.on('error', () => {});
	plain.write(head(2) + '{}');
	await ended;
	assert.doesNotMatch(got, /HTTP/);
	assert.equal((await post({ port }, ca)).status, 202);
	await receiver.stop();
	assert.equal((await stored(dir)).length, 1);
});

test('silent, dripping and half handshakes are closed by the deadline while others are served', async (t) => {
	const { dir, receiver, ca } = await startTls(t, { env: { HOOKLOG_INGEST_REQUEST_TIMEOUT_MS: '1s' } });
	const { port } = receiver;
	// A real first message, taken from a client that speaks to nobody.
	const hello = await new Promise((resolve) => {
		const trap = net.createServer((socket) => socket.once('data', (data) => {
			resolve(data);
			socket.destroy();
			trap.close();
		})).listen(0, '127.0.0.1', () => tls.connect({ port: trap.address().port, host: '127.0.0.1' }).on('error', () => {}));
	});
	const ends = [];
	const raw = (begin) => {
		const socket = net.connect(port, '127.0.0.1');
		socket.on('error', () => {}).resume();
		ends.push(new Promise((resolve) => socket.on('close', resolve)));
		begin(socket);
		return socket;
	};
	// One byte at a time for as long as the connection lives: the test ends only if somebody closes it.
	const drip = (socket, bytes) => {
		let at = 0;
		const timer = setInterval(() => socket.write(bytes.subarray(at % bytes.length, (at++ % bytes.length) + 1)), 30);
		socket.on('close', () => clearInterval(timer));
		t.cleanup(() => clearInterval(timer));
	};
	for (let i = 0; i < 10; i++) {
		raw(() => {}); // silent
		raw((socket) => drip(socket, hello)); // a handshake that drips and never ends
		raw((socket) => socket.write(hello)); // one that stops half way
		raw((socket) => socket.write(hello.subarray(0, 40)));
		raw((socket) => socket.write(crypto.randomBytes(1 + i * 400))); // rubbish
		raw((socket) => { // a handshake with a byte in it changed
			const bytes = Buffer.from(hello);
			bytes[i * (bytes.length >> 4)] ^= 0xff;
			socket.write(bytes);
		});
	}
	for (let i = 0; i < 5; i++) {
		const header = await connect({ port }, { ca });
		header.on('error', () => {});
		drip(header, Buffer.from(`POST /in/open HTTP/1.1\r\nX-A: ${'a'.repeat(4000)}`));
		const body = await connect({ port }, { ca });
		body.on('error', () => {});
		body.write(head(100000));
		drip(body, Buffer.from('aaaa'));
		ends.push(header.over, body.over);
		// Encrypted rubbish in the place of a record.
		const broken = await connect({ port }, { ca });
		broken.on('error', () => {});
		ends.push(broken.over);
		broken.write(head(10));
	}
	assert.equal((await post({ port }, ca)).status, 202);
	await Promise.all(ends);
	assert.equal((await post({ port }, ca)).status, 202);
	await receiver.stop();
	assert.equal((await stored(dir)).length, 2);
});

test('over the limit of connections TLS is answered 503 too', async (t) => {
	const { receiver, ca } = await startTls(t, { env: { HOOKLOG_INGEST_CONNECTIONS_MAX: '8' } });
	const idle = [];
	for (let i = 0; i < 8; i++)
		idle.push(await connect({ port: receiver.port }, { ca }));
	const answer = await post({ port: receiver.port }, ca);
	assert.equal(answer.status, 503);
	assert.match(answer.text, /\r\nRetry-After: \d+\r\n/);
	idle.forEach((socket) => socket.destroy());
	let after = 0;
	for (let i = 0; i < 100 && after !== 202; i++)
		after = (await post({ port: receiver.port }, ca)).status;
	assert.equal(after, 202);
	await receiver.stop();
});

test('SIGHUP takes up a new certificate; who is connected is served to the end', async (t) => {
	const { dir, files, receiver, ca } = await startTls(t, { name: 'first.example', env: { HOOKLOG_INGEST_KEEP_ALIVE: 'true', HOOKLOG_ADMIN_LISTEN: '127.0.0.1:0' } });
	const { port } = receiver;
	const half = await connect({ port }, { ca });
	half.write(head(4));
	half.write('{}');
	const kept = await connect({ port }, { ca });
	kept.write(`${head(2)}{}`);
	await until(() => /\r\n\r\n.*\n/.test(kept.got));
	assert.doesNotMatch(kept.got, /Connection: close/i);
	await makePair(dir, 'second.example');
	assert.equal(await shownName(port), 'first.example');
	receiver.child.kill('SIGHUP');
	await receiver.waitFor(/ingest\.certificate/);
	assert.equal(await shownName(port), 'second.example');
	half.write('  ');
	await half.over;
	assert.match(half.got, /^HTTP\/1\.1 202 /);
	assert.match(half.got, /Connection: close/i);
	// The kept one gets one more answer, which says that it is the last.
	kept.got = '';
	kept.write(`${head(2)}{}`);
	await kept.over;
	assert.match(kept.got, /^HTTP\/1\.1 202 [^]*Connection: close/i);
	assert.equal((await post({ port }, fs.readFileSync(files.cert))).status, 202);
	// Nothing new in the files: nothing to do.
	receiver.child.kill('SIGHUP');
	await receiver.waitFor(/ingest\.sources[^]*ingest\.sources/);
	assert.equal((receiver.stderr.match(/ingest\.certificate/g)).length, 1);
	await receiver.stop();
	assert.equal((await stored(dir)).length, 4);
});

test('files that do not fit are refused at SIGHUP, and the old certificate stays', async (t) => {
	const { dir, files, receiver, ca } = await startTls(t, { name: 'first.example', env: { HOOKLOG_ADMIN_LISTEN: '127.0.0.1:0' } });
	const [, admin] = await receiver.waitFor(/ingest\.admin [^\n]*address=(\S+)/);
	const other = path.join(dir, 'other');
	fs.mkdirSync(other);
	const second = await makePair(dir, 'second.example', { to: other });
	fs.copyFileSync(second.cert, files.cert); // but not yet its key, as while a renewal is under way
	receiver.child.kill('SIGHUP');
	await receiver.waitFor(/error ingest\.tls .*is not that of the first certificate/);
	assert.equal((await post({ port: receiver.port }, ca)).status, 202);
	assert.match(await (await fetch(`http://${admin}/metrics`)).text(), /^hooklog_ingest_certificate_reloads_failed_total 1$/m);
	fs.copyFileSync(second.key, files.key);
	receiver.child.kill('SIGHUP');
	await receiver.waitFor(/ingest\.certificate/);
	assert.equal(await shownName(receiver.port), 'second.example');
	assert.match(await (await fetch(`http://${admin}/metrics`)).text(), /^hooklog_ingest_certificate_reloads_total 1$/m);
	await receiver.stop();
});

for (const threading of ['pool', 'connection']) {
	test(`no delivery fails while certificates change under load (${threading})`, async (t) => {
		const { dir, receiver, files } = await startTls(t, { name: 'c0.example', env: { HOOKLOG_INGEST_THREADING: threading } });
		let going = true;
		let sent = 0;
		const names = new Set();
		const sender = async () => {
			while (going) {
				const socket = await connect({ port: receiver.port }, { rejectUnauthorized: false });
				names.add(socket.getPeerCertificate().subject.CN);
				socket.write(`${head(2)}{}`);
				await socket.over;
				assert.match(socket.got, /^HTTP\/1\.1 202 /);
				sent++;
			}
		};
		const senders = [1, 2, 3, 4].map(sender);
		for (let i = 1; i <= 4; i++) {
			await makePair(dir, `c${i}.example`);
			const before = receiver.stderr.length;
			receiver.child.kill('SIGHUP');
			await until(() => /ingest\.certificate/.test(receiver.stderr.slice(before)));
			await until(() => names.has(`c${i}.example`));
		}
		going = false;
		await Promise.all(senders);
		assert.equal(await shownName(receiver.port), 'c4.example');
		await receiver.stop();
		assert.equal((await stored(dir)).length, sent);
		assert.ok(files);
	});
}

test('a stop answers what is under way, over TLS as well', async (t) => {
	const { dir, receiver, ca } = await startTls(t);
	const half = await connect({ port: receiver.port }, { ca });
	half.write(head(4, 'Expect: 100-continue\r\n'));
	await until(() => half.got.startsWith('HTTP/1.1 100 ')); // its request has begun
	half.got = '';
	half.write('{}');
	receiver.child.kill('SIGTERM');
	await receiver.waitFor(/ingest\.stopping/);
	half.write('  ');
	await half.over;
	assert.match(half.got, /^HTTP\/1\.1 202 /);
	assert.deepEqual(await receiver.wait(), { code: 0, signal: null });
	assert.equal((await stored(dir)).length, 1);
});

test('a unix socket may speak TLS too, and the commands of the machine find it', async (t) => {
	const dir = tempDir(t, 'tls');
	await runOk(['source', 'add', 'github', '--data', dir]);
	const files = await makePair(dir, 'hooks.example');
	const socketPath = path.join(dir, 'in.sock');
	const env = settings(files, { HOOKLOG_INGEST_LISTEN: `unix:${socketPath}` });
	const receiver = start(t, ['ingest', '--data', dir], { env });
	await receiver.waitFor(/ingest\.listening/);
	const tested = await runOk(['source', 'test', 'github', '--data', dir], { env });
	assert.match(tested.stdout, /"seq":1/);
	const sent = await runOk(['simulate', '--count', '5', '--data', dir], { env });
	assert.match(sent.stdout + sent.stderr, /accepted 5/);
	await receiver.stop();
});

test('source test, simulate and up use https, and know the receiver by its key', async (t) => {
	const dir = tempDir(t, 'tls');
	await runOk(['source', 'add', 'github', '--data', dir]);
	const files = await makePair(dir, 'hooks.example', { key: ['rsa:2048'] });
	const receiver = await startIngest(t, dir, { env: settings(files) });
	const env = settings(files, { HOOKLOG_INGEST_LISTEN: `127.0.0.1:${receiver.port}` });
	const tested = await runOk(['source', 'test', 'github', '--data', dir], { env });
	assert.match(tested.stdout, /"seq":1/);
	assert.match(tested.stderr, /POST https:\/\/127\.0\.0\.1/);
	assert.match((await runOk(['simulate', '--count', '20', '--data', dir], { env })).stdout, /accepted 20/);
	// A server that holds another key is not our receiver, whatever its certificate says.
	const other = path.join(dir, 'other');
	fs.mkdirSync(other);
	const foreign = await makePair(dir, 'hooks.example', { to: other });
	const refused = await run(['source', 'test', 'github', '--data', dir], { env: { ...env, ...settings(foreign) } });
	assert.equal(refused.code, 1, refused.stderr);
	assert.match(refused.stderr, /public key/);
	// A named URL is somebody's on the internet: checked as any.
	const named = await run(['source', 'test', 'github', '--data', dir, '--url', `https://127.0.0.1:${receiver.port}/in/github`], { env });
	assert.equal(named.code, 1, named.stderr);
	assert.match(named.stderr, /certificate/);
	await receiver.stop();
});

test('what is wrong with the files is said at the start', async (t) => {
	const dir = await withSource(t);
	const files = await makePair(dir, 'hooks.example');
	const other = path.join(dir, 'other');
	fs.mkdirSync(other);
	const foreign = await makePair(dir, 'other.example', { to: other });
	const refuses = async (env, pattern) => {
		const ended = await run(['ingest', '--data', dir], { env: { HOOKLOG_INGEST_LISTEN: '127.0.0.1:0', ...env } });
		assert.equal(ended.code, 4, ended.stderr);
		assert.match(ended.stderr, pattern);
		assert.match(ended.stderr, /ingest\.tls/);
	};
	await refuses(settings({ cert: files.cert, key: foreign.key }), /is not that of the first certificate/);
	await refuses(settings({ cert: files.cert, key: path.join(dir, 'none.pem') }), /none\.pem/);
	await refuses(settings({ cert: path.join(dir, 'none.pem'), key: files.key }), /none\.pem/);
	await refuses({ HOOKLOG_INGEST_TLS_CERTIFICATE_FILE: files.cert }, /both or neither/);
	await refuses({ HOOKLOG_INGEST_TLS_KEY_FILE: files.key }, /both or neither/);
	await refuses(settings({ cert: files.key, key: files.key }), /no certificate in PEM/);
	fs.chmodSync(files.key, 0o644);
	await refuses(settings(files), /can be read by others .*chmod o-rwx/);
});

test('a certificate that ends soon, or has ended, is told and still served', async (t) => {
	const soon = await startTls(t, { name: 'soon.example', pair: await makePair(tempDir(t, 'pair'), 'soon.example', { days: 5 }), env: { HOOKLOG_ADMIN_LISTEN: '127.0.0.1:0' } });
	await soon.receiver.waitFor(/warn ingest\.tls-expiry name=soon\.example .*expires soon/);
	const [, admin] = await soon.receiver.waitFor(/ingest\.admin [^\n]*address=(\S+)/);
	const end = Date.parse(new crypto.X509Certificate(soon.ca).validTo) / 1000;
	assert.match(await (await fetch(`http://${admin}/metrics`)).text(), new RegExp(`^hooklog_ingest_certificate_not_after_timestamp_seconds ${end}$`, 'm'));
	assert.match(await (await fetch(`http://${admin}/readyz?verbose`)).text(), /\[\+\] certificate: soon\.example, until 20/);
	assert.equal((await post({ port: soon.receiver.port }, soon.ca)).status, 202);
	await soon.receiver.stop();
	const over = await startTls(t, { pair: await makePair(tempDir(t, 'pair'), 'over.example', { at: '400 days ago' }), env: { HOOKLOG_ADMIN_LISTEN: '127.0.0.1:0' } });
	await over.receiver.waitFor(/warn ingest\.tls-expiry .*has expired/);
	const [, overAdmin] = await over.receiver.waitFor(/ingest\.admin [^\n]*address=(\S+)/);
	const ready = await fetch(`http://${overAdmin}/readyz?verbose`);
	assert.equal(ready.status, 200);
	assert.match(await ready.text(), /\[!\] certificate: over\.example/);
	await over.receiver.stop();
});

test('up prints an https URL and proves itself through it', async (t) => {
	const dir = tempDir(t, 'tls');
	const files = await makePair(tempDir(t, 'pair'), 'hooks.example');
	fs.chmodSync(files.key, 0o640);
	const up = await startUp(t, dir, { env: settings(files) });
	await up.waitFor(/sending one signed ping to https:\/\/127\.0\.0\.1/, { stream: 'stdout' });
	await up.waitFor(/answer 202/, { stream: 'stdout' });
	await up.waitFor(/webhook URL {2}https:\/\/127\.0\.0\.1:\d+\/in\/github/, { stream: 'stdout' });
	await up.stop();
});
