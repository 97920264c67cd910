// SPDX-License-Identifier: Apache-2.0
// Where the receiver listens and who it believes: unix sockets, sockets handed over by the service
// manager, trusted proxies, connections per address, overload.
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { makePair, settings } from '../lib/certificate.mjs';
import { bin, cleanEnv, exec, ndjson, run, runOk, start, startIngest, tempDir } from '../lib/hooklog.mjs';

const HEAD = { 'X-GitHub-Event': 'issues', 'Content-Type': 'application/json' };

async function openSource(t) {
	const dir = tempDir(t, 'listen');
	await runOk(['source', 'add', 'open', '--data', dir, '--allow-unsigned']);
	return dir;
}

// where: {port} or {socketPath}.
function post(where, { headers = {}, body = '{}' } = {}) {
	return new Promise((resolve, reject) => {
		const request = (where.secure ? https : http).request({ host: '127.0.0.1', rejectUnauthorized: false, ...where, method: 'POST', path: '/in/open', agent: false,
			headers: { ...HEAD, 'X-GitHub-Delivery': crypto.randomUUID(), 'Content-Length': Buffer.byteLength(body), ...headers } }, (response) => {
			response.resume();
			response.on('end', () => resolve(response));
		});
		request.on('error', reject);
		request.end(body);
	});
}

const remotes = async (dir) => ndjson((await runOk(['replay', '--data', dir, '--target', '-'])).stdout).map((e) => e.remote);

test('a unix socket is listened on, and one that a killed receiver left is replaced', async (t) => {
	const dir = await openSource(t);
	const socketPath = path.join(dir, 'in.sock');
	const env = { HOOKLOG_INGEST_LISTEN: `unix:${socketPath}`, HOOKLOG_INGEST_TRUSTED_PROXIES: 'unix' };
	const first = start(t, ['ingest', '--data', dir], { env });
	await first.waitFor(/ingest\.listening address=unix:/);
	assert.equal(fs.statSync(socketPath).mode & 0o777, 0o660);
	assert.equal((await post({ socketPath })).statusCode, 202);
	assert.equal((await post({ socketPath }, { headers: { 'X-Forwarded-For': '198.51.100.7' } })).statusCode, 202);
	const other = await openSource(t);
	const second = await run(['ingest', '--data', other], { env });
	assert.equal(second.code, 1, second.stderr);
	assert.match(second.stderr, /in use/);
	await first.kill();
	assert.ok(fs.existsSync(socketPath));
	const again = start(t, ['ingest', '--data', dir], { env });
	await again.waitFor(/ingest\.listening address=unix:/);
	assert.equal((await post({ socketPath })).statusCode, 202);
	await again.stop();
	assert.equal(fs.existsSync(socketPath), false);
	assert.deepEqual(await remotes(dir), ['unix', '198.51.100.7', 'unix']);
	fs.writeFileSync(socketPath, 'a file');
	const refused = await run(['ingest', '--data', dir], { env });
	assert.equal(refused.code, 4, refused.stderr);
	assert.equal(fs.readFileSync(socketPath, 'utf8'), 'a file');
});

for (const secure of [false, true]) {
	test(`with a socket from the service manager a restart makes senders wait, not fail${secure ? ' (TLS)' : ''}`, async (t) => {
		const dir = await openSource(t);
		const env = { HOOKLOG_ADMIN_LISTEN: '127.0.0.1:1', ...(secure ? settings(await makePair(dir, 'hooks.example')) : {}) };
		// As systemd does it; node cannot hold a listening socket without accepting.
		const holder = spawn(path.join(path.dirname(bin), 'tests/tools/hold_socket'), [bin, 'ingest', '--data', dir], { env: cleanEnv(env), stdio: ['pipe', 'pipe', 'pipe'] });
		t.cleanup(() => holder.kill('SIGKILL'));
		let out = '';
		let err = '';
		holder.stdout.on('data', (data) => { out += data; });
		holder.stderr.on('data', (data) => { err += data; });
		const said = async (get, pattern) => {
			for (;;) {
				const match = pattern.exec(get());
				if (match)
					return match;
				if (holder.exitCode !== null)
					throw new Error(err);
				await new Promise((resolve) => setTimeout(resolve, 10));
			}
		};
		const [, port, adminPort] = await said(() => out, /^(\d+) (\d+)\n/);
		// Nobody accepts yet: this one waits in the queue.
		const early = post({ port, secure });
		for (let round = 1; round <= 3; round++) {
			holder.stdin.write('go\n');
			const [, pid] = await said(() => out.split('pid ').slice(round).join('pid '), /^(\d+)\n/);
			t.cleanup(() => { try { process.kill(Number(pid), 'SIGKILL'); } catch { /* it has ended */ } });
			if (round === 1)
				assert.equal((await early).statusCode, 202);
			assert.equal((await post({ port, secure })).statusCode, 202);
			assert.equal((await fetch(`http://127.0.0.1:${adminPort}/livez`)).status, 200);
			if (secure) {
				// A new certificate, on the socket that is not its own.
				await makePair(dir, `round${round}.example`);
				process.kill(Number(pid), 'SIGHUP');
				await said(() => err.split('ingest.certificate').slice(round).join(' '), /address/);
				assert.equal((await post({ port, secure })).statusCode, 202);
			}
			process.kill(Number(pid), 'SIGTERM');
			await said(() => out.split('exit ').slice(round).join('exit '), /^0\n/);
			// Sent while nobody is there, answered by the next one.
			if (round < 3) {
				const between = post({ port, secure });
				await new Promise((resolve) => setTimeout(resolve, 50));
				between.then((response) => assert.equal(response.statusCode, 202));
			}
		}
		holder.stdin.end();
		assert.equal((await remotes(dir)).length, secure ? 9 : 6);
		assert.match(err, new RegExp(`ingest\\.listening address=127\\.0\\.0\\.1:${port} `));
	});
}

test('only a trusted proxy tells who the sender is', async (t) => {
	const dir = await openSource(t);
	const headers = { 'X-Forwarded-For': '6.6.6.6, 198.51.100.7' };
	const bare = await startIngest(t, dir);
	assert.equal((await post({ port: bare.port }, { headers })).statusCode, 202);
	await bare.stop();
	const behind = await startIngest(t, dir, { env: { HOOKLOG_INGEST_TRUSTED_PROXIES: '127.0.0.0/8' } });
	assert.equal((await post({ port: behind.port }, { headers })).statusCode, 202);
	await behind.stop();
	const [first, second] = await remotes(dir);
	assert.match(first, /^127\.0\.0\.1:\d+$/);
	assert.equal(second, '198.51.100.7');
	const wrong = await run(['ingest', '--data', dir], { env: { HOOKLOG_INGEST_LISTEN: '127.0.0.1:0', HOOKLOG_INGEST_TRUSTED_PROXIES: 'proxy.example' } });
	assert.equal(wrong.code, 4, wrong.stderr);
	assert.match(wrong.stderr, /trusted_proxies/);
});

const connect = (port, host, localAddress) => new Promise((resolve, reject) => {
	const socket = net.connect({ port, host, localAddress }, () => resolve(socket));
	socket.on('error', reject);
	socket.untilClosed = new Promise((done) => socket.on('close', done));
	socket.on('close', () => { socket.gone = true; });
	socket.resume();
});

for (const secure of [false, true]) {
	test(`one address has only so many connections; others have theirs${secure ? ' (TLS)' : ''}`, async (t) => {
		// Needs two addresses that are not the loopback: those of a private network.
		const dir = await openSource(t);
		const probe = await exec('unshare', ['-rn', 'sh', '-c', 'ip link set lo up && ip addr add 192.0.2.1/32 dev lo && echo ok']);
		if (!probe.stdout.includes('ok'))
			t.skip('no network namespace with ip here');
		const inner = `
set -e
ip link set lo up
ip addr add 192.0.2.1/32 dev lo; ip addr add 192.0.2.2/32 dev lo
exec "$@"`;
		const client = path.join(dir, 'client.mjs');
		fs.writeFileSync(client, `
import { spawn } from 'node:child_process';
import net from 'node:net';
import tls from 'node:tls';
const [bin, dir] = process.argv.slice(2);
const child = spawn(bin, ['ingest', '--data', dir], { stdio: ['ignore', 'ignore', 'pipe'] });
let said = '';
await new Promise((resolve) => child.stderr.on('data', (d) => { said += d; if (/ingest\\.listening/.test(said)) resolve(); }));
const port = Number(/address=[^ ]*:(\\d+)/.exec(said)[1]);
const connect = (localAddress) => new Promise((resolve) => {
	const socket = net.connect({ port, host: '192.0.2.1', localAddress }, () => resolve(socket));
	socket.on('error', () => {});
	socket.on('close', () => { socket.gone = true; });
	socket.resume();
});
const many = [];
for (let i = 0; i < 10; i++)
	many.push(await connect('192.0.2.2'));
while (many.filter((s) => s.gone).length < 5)
	await new Promise((resolve) => setTimeout(resolve, 10));
const ask = (localAddress) => new Promise((resolve) => {
	const socket = ${secure ? 'tls' : 'net'}.connect({ port, host: '192.0.2.1', localAddress, rejectUnauthorized: false });
	let got = '';
	socket.on('data', (d) => { got += d; }).on('error', () => {}).on('close', () => resolve(got.slice(9, 12)));
	socket.write('GET /livez HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n');
});
const other = await ask('192.0.2.1');
const same = await ask('192.0.2.2');
many.filter((s) => !s.gone).forEach((s) => s.end());
let after = '';
while (after !== '200')
	after = await ask('192.0.2.2');
console.log(JSON.stringify({ gone: many.filter((s) => s.gone).length, other, same, after }));
child.kill('SIGTERM');
`);
		const result = await exec('unshare', ['-rn', 'sh', '-c', inner, 'sh', process.execPath, client, bin, dir],
			{ env: cleanEnv({ ...(secure ? settings(await makePair(dir, 'hooks.example')) : {}), HOOKLOG_INGEST_LISTEN: '0.0.0.0:0', HOOKLOG_INGEST_CONNECTIONS_PER_ADDRESS_MAX: '5' }) });
		assert.equal(result.code, 0, result.stderr);
		const { other, same, after } = JSON.parse(result.stdout);
		assert.deepEqual({ other, same, after }, { other: '200', same: '', after: '200' });
	});
}

test('over the limit of connections a request is answered 503 at once', async (t) => {
	const dir = await openSource(t);
	const receiver = await startIngest(t, dir, { env: { HOOKLOG_INGEST_CONNECTIONS_MAX: '8' } });
	const idle = [];
	for (let i = 0; i < 8; i++)
		idle.push(await connect(receiver.port, '127.0.0.1'));
	const answer = await post({ port: receiver.port });
	assert.equal(answer.statusCode, 503);
	assert.ok(Number(answer.headers['retry-after']) > 0);
	assert.equal(answer.headers.connection, 'close');
	idle.forEach((socket) => socket.destroy());
	let after = 0;
	for (let i = 0; i < 100 && after !== 202; i++)
		after = (await post({ port: receiver.port })).statusCode;
	assert.equal(after, 202);
	await receiver.stop();
});

test('a kept connection is closed after anything that is not clean', async (t) => {
	const dir = await openSource(t);
	const receiver = await startIngest(t, dir, { env: { HOOKLOG_INGEST_KEEP_ALIVE: 'true' } });
	const head = (extra) => `POST /in/open HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: e\r\nX-GitHub-Delivery: ${crypto.randomUUID()}\r\n${extra}\r\n`;
	const clean = head('Content-Length: 2\r\n') + '{}';
	const answers = async (...parts) => {
		const socket = await connect(receiver.port, '127.0.0.1');
		let got = '';
		socket.on('data', (data) => { got += data; });
		socket.end(parts.join(''));
		await socket.untilClosed;
		return (got.match(/HTTP\/1\.1 \d+/g) ?? []).map((line) => Number(line.slice(9)));
	};
	assert.deepEqual(await answers(clean, clean, clean), [202, 202, 202]);
	const chunked = head('Transfer-Encoding: chunked\r\n') + '2\r\n{}\r\n0\r\n\r\n';
	assert.deepEqual(await answers(clean, chunked, clean), [202, 202]);
	assert.deepEqual(await answers(head('Content-Length: 2\r\nX A: b\r\n') + '{}', clean), [400]);
	assert.deepEqual(await answers(clean.replace('HTTP/1.1', 'HTTP/1.0'), clean), [202]);
	await receiver.stop();
});
