// SPDX-License-Identifier: Apache-2.0
// The receiver beside its limit and beside what people run instead, in one run, with one load generator
// (tests/bench/load.c). Each row has its own processes and its own empty store on the build folder's disk.
//
//	receiver_bench.mjs [SECONDS [CONNECTIONS [ROWS]]]     needs HOOKLOG_BIN; method in docs/benchmarks.md
//
// ROWS: only rows whose name contains this.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { bin, cleanEnv, exec, runOk, startIngest } from '../lib/hooklog.mjs';
import { npmPackage } from '../lib/npm.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { startRedis } from '../lib/redis.mjs';

const SECONDS = process.argv[2] ?? '5';
const CONNECTIONS = process.argv[3] ?? '64';
const ONLY = process.argv[4] ?? '';
const SECRET = 'a secret for the benchmark';
const BODY_BYTES = 12600;
const BODY_COUNT = 1500;
const programs = path.join(path.dirname(bin), 'tests/bench');
const rows = new Map();

// Not the folder for temporary files, which may be memory.
function diskDir(t) {
	const dir = fs.mkdtempSync(path.join(path.dirname(bin), 'bench-'));
	fs.chmodSync(dir, 0o755);
	t.cleanup(() => fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
	return dir;
}

// Events of hooklog simulate, which are shaped as GitHub's: those nearest to the size.
async function makeBodies(file) {
	const made = await runOk(['simulate', '--count', '20000', '--output', '-', '--data', path.dirname(file)], { timeoutMs: 120000 });
	const bodies = made.stdout.trimEnd().split('\n').map((line) => JSON.stringify(JSON.parse(line).body));
	bodies.sort((a, b) => Math.abs(a.length - BODY_BYTES) - Math.abs(b.length - BODY_BYTES));
	const used = bodies.slice(0, BODY_COUNT);
	fs.writeFileSync(file, used.join('\n') + '\n');
	console.log(`# bodies: ${used.length}, ${Math.round(used.reduce((sum, body) => sum + Buffer.byteLength(body), 0) / used.length)} bytes on average`);
}

const cpuSeconds = (pid) => {
	const [utime, stime] = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ').slice(11, 13).map(Number);
	return (utime + stime) / 100;
};

const memory = (pid, name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

// Sends for SECONDS. pids: whose processor time counts; memory is looked at while the load is on.
async function measure(name, speech, address, pids) {
	const before = pids.map(cpuSeconds);
	let resident = 0;
	let anonymous = 0;
	const timer = setInterval(() => {
		resident = Math.max(resident, memory(pids[0], 'VmRSS'));
		anonymous = Math.max(anonymous, memory(pids[0], 'RssAnon'));
	}, 200);
	const result = await exec(path.join(programs, 'load'), [speech, address, CONNECTIONS, SECONDS, bodies, SECRET], { timeoutMs: 600000 });
	clearInterval(timer);
	assert.equal(result.code, 0, result.stderr);
	const [rate, p50, p99, longest, failed, ownCpu, begun] = result.stdout.trim().split(',').map(Number);
	assert.equal(failed, 0, `${name}: ${failed} failed`);
	const cpu = pids.reduce((sum, pid, i) => sum + cpuSeconds(pid) - before[i], 0) * 1e6 / begun;
	rows.set(name, rate);
	console.log(`# ${name}: ${rate}/s, p50 ${(p50 / 1000).toFixed(1)} ms, p99 ${(p99 / 1000).toFixed(1)} ms, longest ${(longest / 1000).toFixed(1)} ms, `
		+ `${cpu.toFixed(0)} us of processor time each (generator ${ownCpu}), resident ${Math.round(resident)} MiB, of it ${Math.round(anonymous)} not file pages`);
}

const row = (name, what) => {
	if (name.includes(ONLY))
		test(name, { timeoutMs: 600000 }, (t) => what(t, name));
};

// Starts a server that prints its port; {pid, port}.
function serve(t, file, args, env = {}) {
	const child = spawn(file, args, { env: cleanEnv(env), stdio: ['ignore', 'pipe', 'inherit'] });
	t.cleanup(() => child.kill('SIGKILL'));
	return new Promise((resolve, reject) => {
		child.stdout.once('data', (data) => resolve({ pid: child.pid, address: `127.0.0.1:${Number(data)}` }));
		child.on('exit', () => reject(new Error(`${file} ended`)));
		child.on('error', reject);
	});
}

const home = diskDir(program);
const bodies = path.join(home, 'bodies');
await makeBodies(bodies);

async function hooklog(t, name, speech, env) {
	const dir = diskDir(t);
	fs.writeFileSync(path.join(dir, 'given'), SECRET, { mode: 0o600 });
	await runOk(['source', 'add', 'bench', '--data', dir, '--secret-file', path.join(dir, 'given')]);
	const receiver = await startIngest(t, dir, { env });
	await measure(name, speech, `127.0.0.1:${receiver.port}`, [receiver.pid]);
	await receiver.stop();
}

async function bare(t, name, speech) {
	const server = await serve(t, path.join(programs, 'bare_server'), speech === 'http-once' ? [SECRET, 'once'] : [SECRET]);
	await measure(name, speech, server.address, [server.pid]);
}

row('nothing stored, kept connections', (t, name) => bare(t, name, 'http'));
row('hooklog, kept connections', (t, name) => hooklog(t, name, 'http', { HOOKLOG_INGEST_KEEP_ALIVE: 'true' }));
row('nothing stored, a connection each', (t, name) => bare(t, name, 'http-once'));
row('hooklog, a connection each', (t, name) => hooklog(t, name, 'http-once', {}));
row('hooklog, a thread per connection, kept connections', (t, name) => hooklog(t, name, 'http', { HOOKLOG_INGEST_KEEP_ALIVE: 'true', HOOKLOG_INGEST_THREADING: 'connection' }));
row('hooklog, a thread per connection, a connection each', (t, name) => hooklog(t, name, 'http-once', { HOOKLOG_INGEST_THREADING: 'connection' }));

row('Redis XADD', async (t, name) => {
	const redis = await startRedis(t, diskDir(t));
	await measure(name, 'redis', redis.socket, [redis.pid]);
});

// As most receivers are written: the library's own middleware, one INSERT per delivery.
row('Node, @octokit/webhooks, INSERT', async (t, name) => {
	const octokit = await npmPackage('@octokit/webhooks', '13.4.1');
	const pg = await npmPackage('pg', '8.13.1');
	const db = await startPostgres(t, { settings: { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' } });
	const file = path.join(diskDir(t), 'receiver.mjs');
	fs.writeFileSync(file, `
import { createRequire } from 'node:module';
import http from 'node:http';
const { createNodeMiddleware, Webhooks } = await import(${JSON.stringify(path.join(octokit.dir, 'dist-bundle/index.js'))});
const { Pool } = createRequire(import.meta.url)(${JSON.stringify(pg.dir)});
const pool = new Pool({ max: 16 });
await pool.query('create table deliveries (delivery text primary key, event text, body jsonb)');
const webhooks = new Webhooks({ secret: process.env.SECRET });
webhooks.onAny(({ id, name, payload }) => pool.query('insert into deliveries values ($1, $2, $3) on conflict do nothing', [id, name, payload]));
const middleware = createNodeMiddleware(webhooks, { path: '/in/bench' });
http.createServer(async (request, response) => {
	// The generator takes only the receiver's own status for a yes.
	const writeHead = response.writeHead.bind(response);
	response.writeHead = (status, ...rest) => writeHead(status === 200 ? 202 : status, ...rest);
	if (!await middleware(request, response))
		response.writeHead(404).end();
}).listen(0, '127.0.0.1', function () { console.log(this.address().port); });
`);
	const server = await serve(t, process.execPath, [file], { ...db.env, SECRET });
	await measure(name, 'http', server.address, [server.pid]);
	assert.ok(Number(await db.value('select count(*) from deliveries')) > 0);
});

test('side by side', () => {
	const ratio = (ours, theirs) => {
		if (rows.has(ours) && rows.has(theirs))
			console.log(`# ${ours} / ${theirs}: ${(rows.get(ours) / rows.get(theirs)).toFixed(2)}`);
	};
	for (const theirs of ['nothing stored, kept connections', 'Node, @octokit/webhooks, INSERT', 'Redis XADD'])
		ratio('hooklog, kept connections', theirs);
	ratio('hooklog, a connection each', 'nothing stored, a connection each');
});
