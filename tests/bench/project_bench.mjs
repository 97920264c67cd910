// SPDX-License-Identifier: Apache-2.0
// How fast tables are made from the log, beside the same tables made by PostgreSQL alone from the same
// payloads, in pairs one after the other; how fast a rebuild is and what memory it takes; how long an event
// takes from the receiver to the tables, alone and while a rebuild runs. Prints one line each.
//
//	project_bench.mjs [EVENTS [REBUILD_EVENTS [PAIRS [SECONDS]]]]      needs HOOKLOG_BIN; method in docs/benchmarks.md
import crypto from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { test, assert, program } from '../lib/harness.mjs';
import { bin, cleanEnv, exec, root, runOk, start, startIngest, tempDir, until } from '../lib/hooklog.mjs';
import { mixedEvents, writeMixedEvents } from '../lib/mix.mjs';
import { npmPackage } from '../lib/npm.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { pureSql } from './pure_sql.mjs';

const [EVENTS, REBUILD_EVENTS, PAIRS, SECONDS] = [100000, 1000000, 3, 30].map((n, i) => Number(process.argv[2 + i] ?? n));
const LONG = 3600000;

const seconds = (began) => Number(process.hrtime.bigint() - began) / 1e9;
const print = (text) => process.stdout.write(`# ${text}\n`);
const per = (events, list) => {
	const rates = list.map((one) => Math.round(events / one)).sort((a, b) => a - b);
	return `median ${rates[Math.floor(rates.length / 2)]}/s (${rates[0]} to ${rates.at(-1)})`;
};
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const percentile = (list, p) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.ceil(list.length * p) - 1)];

// A log of `count` events in dir.
async function makeLog(dir, count) {
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const child = spawn(bin, ['log', 'import', '--data', dir, '-'], { env: cleanEnv(), stdio: ['pipe', 'ignore', 'inherit'] });
	await writeMixedEvents(child.stdin, count);
	const [code] = await once(child, 'exit');
	assert.equal(code, 0);
}

// What COPY takes: the same events, as text.
async function writeCopy(file, count) {
	const out = fs.createWriteStream(file);
	let seq = 0;
	for await (const { event, body } of mixedEvents()) {
		if (seq++ === count)
			break;
		const text = body.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
		if (!out.write(`${seq}\t2026-01-01T00:00:00Z\t${event}\td-${seq}\t${Buffer.byteLength(body)}\t${text}\n`))
			await once(out, 'drain');
	}
	out.end();
	await once(out, 'finish');
}

async function psql(env, sql, stdin) {
	const child = spawn('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c', sql], { env: cleanEnv(env), stdio: [stdin ?? 'ignore', 'ignore', 'inherit'] });
	const [code] = await once(child, 'exit');
	assert.equal(code, 0, sql.slice(0, 200));
}

// Two sessions at once, since hooklog and its connection make two as well. Gives back [COPY, all] in seconds.
async function runPureSql(env, tables, file) {
	await psql(env, `create schema raw; create table raw.events (seq bigint, received_at timestamptz, event text, delivery text, bytes bigint, body jsonb);
		alter table raw.events alter body set storage external; create schema pure`);
	for (const { create } of tables)
		await psql(env, `set search_path = pure; ${create}`);
	const began = process.hrtime.bigint();
	const input = fs.openSync(file);
	await psql(env, 'copy raw.events from stdin', input);
	fs.closeSync(input);
	await psql(env, 'analyze raw.events');
	const loaded = seconds(began);
	const left = [...tables];
	const session = async () => {
		for (let one = left.shift(); one; one = left.shift())
			await psql(env, `set search_path = pure; set synchronous_commit = off; set work_mem = '64MB'; set jit = off; ${one.insert}`);
	};
	await Promise.all([session(), session()]);
	return [loaded, seconds(began)];
}

// The most memory that was resident, as Linux counts it, from looking at it every 50 ms.
function watchMemory(pid) {
	let most = 0;
	const timer = setInterval(() => {
		try {
			most = Math.max(most, Number(/VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0));
		} catch { /* it is gone */ }
	}, 50);
	return () => {
		clearInterval(timer);
		return Math.round(most / 1024);
	};
}

async function rebuild(t, data, env) {
	const began = process.hrtime.bigint();
	const handle = start(t, ['project', 'rebuild', '--data', data], { env });
	const memory = watchMemory(handle.pid);
	const [code] = await once(handle.child, 'exit');
	assert.equal(code, 0, handle.stderr);
	return { took: seconds(began), memory: memory() };
}

// Sends at that rate until `over` and gives back, per event, milliseconds from sending it until a reader of the
// database sees its number in the checkpoint, which is in the transaction of its rows.
async function measureLag(ingest, data, env, rate, over) {
	const secret = fs.readFileSync(path.join(data, 'sources/github.secret'), 'utf8').trim();
	const { default: pg } = await (await npmPackage('pg', '8.13.1')).import('lib/index.js');
	const client = new pg.Client({ host: env.PGHOST, port: Number(env.PGPORT), user: env.PGUSER, database: env.PGDATABASE });
	await client.connect();
	const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
	const sent = new Map(); // when, by number
	const lags = [];
	let open = 0;
	const post = ({ event, body }) => new Promise((resolve, reject) => {
		const at = performance.now();
		open++;
		const request = http.request(`${ingest.url}/in/github`, { method: 'POST', agent, headers: {
			'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'x-github-event': event,
			'x-github-delivery': crypto.randomUUID(), 'x-github-hook-id': '1',
			'x-hub-signature-256': `sha256=${crypto.createHmac('sha256', secret).update(body).digest('hex')}` } }, (response) => {
			let text = '';
			response.setEncoding('utf8').on('data', (piece) => { text += piece; }).on('end', () => {
				assert.equal(response.statusCode, 202, text);
				sent.set(JSON.parse(text).seq, at);
				open--;
				resolve();
			});
		});
		request.on('error', reject);
		request.end(body);
	});
	let done = false;
	const poll = (async () => {
		while (!done || open > 0 || sent.size > 0) {
			const { rows } = await client.query("select seq from hooklog.generations where status = 'live'");
			const now = performance.now();
			for (const [seq, at] of sent) {
				if (seq <= Number(rows[0].seq)) {
					lags.push(now - at);
					sent.delete(seq);
				}
			}
			await new Promise((resolve) => { setTimeout(resolve, 1); });
		}
	})();
	const began = performance.now();
	const source = mixedEvents({ lonely: true });
	const failures = [];
	for (let n = 0; !over(); ) {
		for (const due = Math.floor((performance.now() - began) / 1000 * rate); n < due; n++)
			post((await source.next()).value).catch((error) => failures.push(error));
		await new Promise((resolve) => { setTimeout(resolve, 2); });
	}
	const took = (performance.now() - began) / 1000;
	await until(() => open === 0 || failures.length > 0);
	assert.deepEqual(failures, []);
	done = true;
	await poll;
	await client.end();
	agent.destroy();
	return `p50 ${percentile(lags, 0.5).toFixed(0)} ms, p99 ${percentile(lags, 0.99).toFixed(0)} ms, most ${Math.max(...lags).toFixed(0)} ms over ${lags.length} events at ${(lags.length / took).toFixed(0)}/s`;
}

test('projection', { timeoutMs: LONG * 4 }, async (t) => {
	const dir = tempDir(program, 'bench');
	const pg = await startPostgres(program, { settings: { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on', shared_buffers: '512MB', max_wal_size: '8GB' } });
	const quiet = { HOOKLOG_LOG_LEVEL: 'error' };
	let databases = 0;
	const fresh = async () => ({ ...(await pg.createDatabase(`bench${++databases}`)), ...quiet });
	const drop = (env) => pg.query(`drop database ${env.PGDATABASE}`);

	const data = path.join(dir, 'data');
	const copy = path.join(dir, 'copy');
	await makeLog(data, EVENTS);
	await writeCopy(copy, EVENTS);
	const parts = await exec(path.join(path.dirname(bin), 'tests/bench/fold_bench'), [data], { timeoutMs: LONG });
	assert.equal(parts.code, 0, parts.stderr);
	print(`without a database, one thread:\n${parts.stdout.trimEnd().replace(/^/gm, '#   ')}`);
	const tables = pureSql(path.join(root, 'sql/projections'));
	const ours = [];
	const theirs = [];
	const inserts = [];
	for (let pair = 0; pair < PAIRS; pair++) {
		const env = await fresh();
		const began = process.hrtime.bigint();
		await runOk(['project', 'run', '--to', String(EVENTS), '--data', data], { env, timeoutMs: LONG });
		ours.push(seconds(began));
		const other = await fresh();
		const [loaded, all] = await runPureSql(other, tables, copy);
		theirs.push(all);
		inserts.push(all - loaded);
		for (const { table } of pair === 0 ? tables : []) {
			const count = (schema, database) => pg.value(`select count(*) from ${schema}.${table}`, { database });
			assert.equal(await count('gh_g1', env.PGDATABASE), await count('pure', other.PGDATABASE), table);
		}
		await drop(env);
		await drop(other);
	}
	fs.rmSync(copy);
	print(`catch-up of ${EVENTS} events into ${tables.length} tables: hooklog ${per(EVENTS, ours)}`);
	print(`the same rows of the same ${tables.length} tables by SQL: ${per(EVENTS, theirs)}, without COPY ${per(EVENTS, inserts)}; ` +
		`hooklog is ${(median(theirs) / median(ours)).toFixed(1)} times as fast, ${(median(inserts) / median(ours)).toFixed(1)} without COPY`);

	const large = path.join(dir, 'large');
	await makeLog(large, REBUILD_EVENTS);
	const env = await fresh();
	const rebuilt = await rebuild(t, large, env);
	assert.equal(await pg.value('select count(*) from hooklog.events', { database: env.PGDATABASE }), String(REBUILD_EVENTS));
	print(`rebuild of ${REBUILD_EVENTS} events: ${Math.round(REBUILD_EVENTS / rebuilt.took)}/s, at most ${rebuilt.memory} MiB resident`);

	let ingest = await startIngest(program, data);
	const alone = await fresh();
	await runOk(['project', 'rebuild', '--data', data], { env: alone, timeoutMs: LONG });
	let live = start(program, ['project', 'run', '--data', data], { env: alone });
	const end = performance.now() + SECONDS * 1000;
	print(`append to visible at 1,000/s: ${await measureLag(ingest, data, alone, 1000, () => performance.now() > end)}`);
	await live.stop();
	await ingest.stop();

	ingest = await startIngest(program, large);
	live = start(program, ['project', 'run', '--data', large], { env });
	let again = null;
	const running = rebuild(t, large, env).then((result) => { again = result; });
	print(`the same at 500/s while a rebuild runs: ${await measureLag(ingest, large, env, 500, () => again !== null)}`);
	await running;
	print(`that rebuild: ${Math.round(REBUILD_EVENTS / again.took)}/s, at most ${again.memory} MiB resident`);
	await live.stop();
	await ingest.stop();

	const seq = Number(await pg.value("select seq from hooklog.generations where status = 'live'", { database: env.PGDATABASE }));
	const began = process.hrtime.bigint();
	await runOk(['project', 'verify', '--data', large], { env, timeoutMs: LONG });
	print(`verify of these tables against ${seq} events: ${Math.round(seq / seconds(began))}/s, every row is what the log says`);
});
