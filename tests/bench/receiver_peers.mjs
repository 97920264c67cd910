// SPDX-License-Identifier: Apache-2.0
// The receiver beside what people would run instead, in one run and with one load generator:
//
//	HOOKLOG_BIN=build/gcc-release/hooklog node tests/bench/receiver_peers.mjs [SECONDS [CONNECTIONS]]
//
// hooklog: verified, deduplicated, on disk. nothing stored: the same HTTP work and HMAC in a Node program
// without storage (the C program tests/bench/ingest_bench measures the limit of the same HTTP library).
// node + PostgreSQL: @octokit/webhooks' verification and one INSERT per delivery, as most receivers are
// written. Redis: XADD with appendfsync always, without HTTP and signature. Bodies are 12.6 KB. The load
// comes from one Node program with one request at a time per connection, the same for all; it is itself a
// limit, so ratios of what is faster than it are too small. What the receiver can do is for ingest_bench.
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { debianProgram } from '../lib/debian.mjs';
import { startIngest, runOk, tempDir } from '../lib/hooklog.mjs';
import { npmPackage } from '../lib/npm.mjs';
import { startPostgres } from '../lib/postgres.mjs';

const SECONDS = Number(process.argv[2] ?? 3);
const CONNECTIONS = Number(process.argv[3] ?? 64);
const SECRET = 'a secret for the benchmark';
const BODIES = Array.from({ length: 64 }, (_, i) => Buffer.from(JSON.stringify({ i, text: crypto.randomBytes(4700).toString('hex'), filler: 'lorem ipsum '.repeat(260) }).slice(0, 12600)));
const SIGNATURES = BODIES.map((body) => `sha256=${crypto.createHmac('sha256', SECRET).update(body).digest('hex')}`);
const results = [];

function report(name, count, seconds, latencies) {
	latencies.sort((a, b) => a - b);
	const at = (q) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? NaN;
	results.push({ name, rate: count / seconds });
	console.log(`# ${name}: ${Math.round(count / seconds)}/s, p50 ${at(0.5).toFixed(2)} ms, p99 ${at(0.99).toFixed(2)} ms`);
}

// turn(connection): one delivery from beginning to end.
async function load(name, open, turn) {
	const connections = await Promise.all(Array.from({ length: CONNECTIONS }, open));
	const until = performance.now() + SECONDS * 1000;
	const latencies = [];
	let sent = 0;
	const start = performance.now();
	await Promise.all(connections.map(async (connection) => {
		while (performance.now() < until) {
			const begun = performance.now();
			await turn(connection, sent++);
			latencies.push(performance.now() - begun);
		}
	}));
	report(name, latencies.length, (performance.now() - start) / 1000, latencies);
}

const agents = () => new http.Agent({ keepAlive: true, maxSockets: 1 });

function deliver(port, agent, i) {
	return new Promise((resolve, reject) => {
		const body = BODIES[i % BODIES.length];
		const request = http.request({ port, host: '127.0.0.1', agent, method: 'POST', path: '/in/bench', headers: { 'Content-Type': 'application/json', 'Content-Length': body.length,
			'X-GitHub-Event': 'push', 'X-GitHub-Delivery': `${process.pid}-${i}-${performance.now()}`, 'X-Hub-Signature-256': SIGNATURES[i % BODIES.length] } }, (response) => {
			response.resume();
			response.on('end', () => (response.statusCode < 300 ? resolve() : reject(new Error(`status ${response.statusCode}`))));
		});
		request.on('error', reject);
		request.end(body);
	});
}

async function server(t, dir, name, source, env = {}) {
	const file = path.join(dir, name);
	fs.writeFileSync(file, source);
	const child = spawn(process.execPath, [file], { env: { ...process.env, ...env, SECRET }, stdio: ['ignore', 'pipe', 'inherit'] });
	t.cleanup(() => child.kill('SIGKILL'));
	return new Promise((resolve, reject) => {
		child.stdout.on('data', (data) => resolve(Number(data)));
		child.on('exit', () => reject(new Error(`${name} ended`)));
	});
}

const NODE_SERVER = (setup, handle) => `
import http from 'node:http';
import crypto from 'node:crypto';
${setup}
http.createServer((request, response) => {
	const parts = [];
	request.on('data', (part) => parts.push(part));
	request.on('end', async () => {
		try {
			const body = Buffer.concat(parts);
			${handle}
			response.writeHead(202).end('{}');
		} catch (error) {
			response.writeHead(500).end(String(error));
		}
	});
}).listen(0, '127.0.0.1', function () { console.log(this.address().port); });
`;

test('hooklog', { timeoutMs: 120000 }, async (t) => {
	const dir = tempDir(t, 'bench');
	fs.writeFileSync(path.join(dir, 'given'), SECRET, { mode: 0o600 });
	await runOk(['source', 'add', 'bench', '--data', dir, '--secret-file', path.join(dir, 'given')]);
	for (const [name, env, agent] of [['hooklog, kept connections', { HOOKLOG_INGEST_KEEP_ALIVE: 'true' }, agents], ['hooklog, a connection per request', {}, () => false]]) {
		const receiver = await startIngest(t, dir, { env });
		await load(name, async () => agent(), (a, i) => deliver(receiver.port, a, i));
		const rss = Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${receiver.pid}/status`, 'utf8'))[1]);
		console.log(`# ${name}: resident ${Math.round(rss / 1024)} MiB`);
		await receiver.stop();
	}
});

test('nothing stored: Node and HMAC', { timeoutMs: 120000 }, async (t) => {
	const port = await server(t, tempDir(t, 'bench'), 'bare.mjs', NODE_SERVER('', `
			const want = 'sha256=' + crypto.createHmac('sha256', process.env.SECRET).update(body).digest('hex');
			if (want !== request.headers['x-hub-signature-256']) throw new Error('signature');`));
	await load('nothing stored, Node', async () => agents(), (a, i) => deliver(port, a, i));
});

test('Node, @octokit/webhooks-methods and PostgreSQL', { timeoutMs: 300000 }, async (t) => {
	const octokit = await npmPackage('@octokit/webhooks-methods', '6.0.0');
	const pg = await npmPackage('pg', '8.13.1');
	const db = await startPostgres(t, { settings: { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' } });
	const dir = tempDir(t, 'bench');
	const port = await server(t, dir, 'octokit.mjs', NODE_SERVER(`
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const { verify } = await import(${JSON.stringify(path.join(octokit.dir, 'dist-node/index.js'))});
const { Pool } = require(${JSON.stringify(pg.dir)});
const pool = new Pool({ max: 16 });
await pool.query('create table if not exists deliveries (delivery text primary key, event text, body jsonb)');
`, `
			const text = body.toString();
			if (!await verify(process.env.SECRET, text, request.headers['x-hub-signature-256'])) throw new Error('signature');
			await pool.query('insert into deliveries values ($1, $2, to_jsonb($3::text)) on conflict do nothing', [request.headers['x-github-delivery'], request.headers['x-github-event'], text]);`),
	db.env);
	await load('Node, octokit, INSERT', async () => agents(), (a, i) => deliver(port, a, i));
});

test('Redis XADD, appendfsync always', { timeoutMs: 120000 }, async (t) => {
	const { file, env } = await debianProgram(t, 'usr/bin/redis-check-rdb', ['redis-tools', 'libjemalloc2', 'liblzf1', 'libhiredis0.14', 'liblua5.1-0', 'lua-bitop', 'lua-cjson']);
	const dir = tempDir(t, 'bench');
	const socket = path.join(dir, 'redis.sock');
	// The same program under another name is the server.
	const name = path.join(dir, 'redis-server');
	fs.copyFileSync(file, name);
	fs.chmodSync(name, 0o755);
	const child = spawn(name, ['--port', '0', '--unixsocket', socket, '--dir', dir, '--appendonly', 'yes', '--appendfsync', 'always', '--save', ''], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
	let said = '';
	child.stdout.on('data', (data) => { said += data; });
	child.stderr.on('data', (data) => { said += data; });
	t.cleanup(() => child.kill('SIGKILL'));
	while (!fs.existsSync(socket)) {
		assert.equal(child.exitCode, null, said);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	const open = () => new Promise((resolve, reject) => {
		const connection = net.connect(socket, () => resolve(connection));
		connection.on('error', reject);
	});
	await load('Redis XADD', open, (connection, i) => new Promise((resolve, reject) => {
		const body = BODIES[i % BODIES.length];
		connection.once('data', (data) => (data[0] === 36 ? resolve() : reject(new Error(data.toString())))); // "$": the entry's id
		connection.write(Buffer.concat([Buffer.from(`*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\nb\r\n$${body.length}\r\n`), body, Buffer.from('\r\n')]));
	}));
});

test('side by side', () => {
	const ours = results.find((r) => r.name.startsWith('hooklog'))?.rate;
	for (const { name, rate } of results)
		console.log(`# hooklog / ${name}: ${(ours / rate).toFixed(2)}`);
});
