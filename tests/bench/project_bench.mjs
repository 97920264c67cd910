// SPDX-License-Identifier: Apache-2.0
// How fast the tables are made from the log, beside the same rows made by PostgreSQL alone from the same
// payloads in a jsonb column. Prints one line with both and their ratio.
//
//	project_bench.mjs [EVENTS]       needs HOOKLOG_BIN; method in docs/benchmarks.md
import fs from 'node:fs';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { exec, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';

const EVENTS = Number(process.argv[2] ?? 20000);

// The best plain SQL we know for three of the tables: newest object per key, then one upsert each.
const PURE_SQL = `
create table p_events as select seq, received_at, event, body->>'action' as action,
	(body#>>'{repository,id}')::bigint as repo_id, (body#>>'{sender,id}')::bigint as sender_id,
	(body#>>'{organization,id}')::bigint as org_id from raw;
alter table p_events add primary key (seq);
create table p_users (id bigint primary key, login text, node_id text, type text, site_admin boolean, html_url text, seq bigint);
insert into p_users select distinct on (id) (u->>'id')::bigint as id, u->>'login', u->>'node_id', u->>'type',
	(u->>'site_admin')::boolean, u->>'html_url', seq
	from raw, lateral (values (body->'sender'), (body#>'{repository,owner}'), (body#>'{pull_request,user}'),
		(body#>'{issue,user}'), (body#>'{comment,user}'), (body#>'{review,user}'), (body#>'{pull_request,merged_by}')) as x(u)
	where u->>'id' is not null order by id, seq desc;
create table p_pull_requests (id bigint primary key, number bigint, state text, draft boolean, title text, author_id bigint,
	head_ref text, head_sha text, base_ref text, base_sha text, merged boolean, additions bigint, deletions bigint,
	created_at timestamptz, updated_at timestamptz, closed_at timestamptz, seq bigint);
insert into p_pull_requests select distinct on (id) (p->>'id')::bigint as id, (p->>'number')::bigint, p->>'state', (p->>'draft')::boolean,
	p->>'title', (p#>>'{user,id}')::bigint, p#>>'{head,ref}', p#>>'{head,sha}', p#>>'{base,ref}', p#>>'{base,sha}',
	(p->>'merged')::boolean, (p->>'additions')::bigint, (p->>'deletions')::bigint, (p->>'created_at')::timestamptz,
	(p->>'updated_at')::timestamptz as updated_at, (p->>'closed_at')::timestamptz, seq
	from (select seq, body->'pull_request' as p from raw where body ? 'pull_request') x
	order by id, updated_at desc, seq desc;
`;

test('projection against pure SQL', { timeoutMs: 900000 }, async () => {
	const dir = tempDir(program, 'bench');
	const data = path.join(dir, 'data');
	const pg = await startPostgres(program);
	const env = { ...pg.env, HOOKLOG_LOG_LEVEL: 'error' };
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', data]);
	const ingest = await startIngest(program, data);
	await runOk(['simulate', '--data', data, '--url', `${ingest.url}/in/github`, '--count', String(EVENTS), '--concurrency', '8'], { timeoutMs: 600000 });
	await ingest.stop();

	let began = process.hrtime.bigint();
	await runOk(['project', 'rebuild', '--data', data], { env, timeoutMs: 600000 });
	const ours = Number(process.hrtime.bigint() - began) / 1e9;
	assert.equal(await pg.value('select count(*) from hooklog.events'), String(EVENTS));

	// Loading the raw payloads is not counted: only what makes rows of them.
	const file = path.join(dir, 'events.ndjson');
	await runOk(['replay', '--data', data, '--target', file], { timeoutMs: 600000 });
	const csv = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => {
		const e = JSON.parse(line);
		return `${e.seq},${e.received_at},${e.event},"${e.body.replaceAll('"', '""')}"`;
	}).join('\n');
	await pg.value('create table raw (seq bigint primary key, received_at timestamptz, event text, body jsonb)');
	const loaded = await exec('psql', ['-X', '-c', '\\copy raw from pstdin csv'], { env: { ...process.env, ...pg.env }, input: csv, timeoutMs: 600000 });
	assert.equal(loaded.code, 0, loaded.stderr);
	await pg.value('analyze raw');
	began = process.hrtime.bigint();
	const sql = await exec('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1'], { env: { ...process.env, ...pg.env }, input: PURE_SQL, timeoutMs: 600000 });
	assert.equal(sql.code, 0, sql.stderr);
	const theirs = Number(process.hrtime.bigint() - began) / 1e9;
	assert.equal(await pg.value('select count(*) from p_pull_requests'), await pg.value('select count(*) from gh.pull_requests'));

	const mib = fs.statSync(file).size / 1048576;
	process.stdout.write(`# ${EVENTS} events, ${mib.toFixed(0)} MiB: hooklog, 11 tables: ${(EVENTS / ours).toFixed(0)} events/s; ` +
		`SQL on jsonb, 3 tables: ${(EVENTS / theirs).toFixed(0)} events/s; ratio ${(theirs / ours).toFixed(2)}\n`);
});
