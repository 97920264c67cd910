// SPDX-License-Identifier: Apache-2.0
// GitHub's own example payloads through everything: signed by GitHub's library, posted over HTTP, read
// back byte for byte, projected, rebuilt and replayed into a second hooklog.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { ndjson, run, runOk, startIngest, startListening, start, tempDir, until } from '../lib/hooklog.mjs';
import { npmPackage } from '../lib/npm.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { expectedRows } from './real_payloads_model.mjs';

const HOOK = '409000001';
const TABLES = ['events', 'users', 'organizations', 'repositories', 'pull_requests', 'issues', 'comments',
	'reviews', 'pushes', 'commits', 'push_commits'];

const examples = await npmPackage('@octokit/webhooks-examples', '7.6.1');
const methods = await npmPackage('@octokit/webhooks-methods', '6.0.0');
const { sign } = await methods.import('dist-node/index.js');
const dir = tempDir(program, 'real');
const secretOf = (data) => fs.readFileSync(path.join(data, 'sources/github.secret'), 'utf8').trim();

const deliveries = [];
for (const { name, examples: payloads } of JSON.parse(fs.readFileSync(path.join(examples.dir, 'api.github.com/index.json'), 'utf8')))
	for (const payload of payloads)
		deliveries.push({
			event: name,
			payload,
			body: JSON.stringify(payload),
			delivery: `72d3162e-cc78-11e3-81ab-${String(deliveries.length).padStart(12, '0')}`,
		});

async function post(url, secret, { event, delivery, body }) {
	const response = await fetch(`${url}/in/github`, {
		method: 'POST',
		body,
		headers: {
			'content-type': 'application/json',
			'user-agent': 'GitHub-Hookshot/test',
			'x-github-event': event,
			'x-github-delivery': delivery,
			'x-github-hook-id': HOOK,
			'x-hub-signature-256': await sign(secret, body),
		},
	});
	return { status: response.status, seqHeader: response.headers.get('x-hooklog-seq'), ...await response.json() };
}

// Eight at a time, so that one commit takes several.
async function postAll(url, secret, list) {
	const answers = new Array(list.length);
	let next = 0;
	const worker = async () => {
		while (next < list.length) {
			const i = next++;
			answers[i] = await post(url, secret, list[i]);
		}
	};
	await Promise.all(Array.from({ length: 8 }, worker));
	return answers;
}

const first = path.join(dir, 'first');
const second = path.join(dir, 'second');
let pg;
let ingest;
let answers;

const logOf = async (data) => ndjson((await runOk(['replay', '--data', data, '--target', '-'])).stdout);
const checkpoint = async () => Number(await pg.value("select coalesce(max(seq), 0) from hooklog.generations where status = 'live'"));

test('every payload is accepted and gets a number of its own', async () => {
	assert.equal(deliveries.length, 329);
	pg = await startPostgres(program);
	for (const data of [first, second])
		await runOk(['source', 'add', 'github', '--provider', 'github', '--data', data]);
	ingest = await startIngest(program, first);
	answers = await postAll(ingest.url, secretOf(first), deliveries);
	for (const answer of answers) {
		assert.equal(answer.status, 202);
		assert.equal(answer.duplicate, false);
		assert.equal(answer.seqHeader, String(answer.seq));
	}
	assert.deepEqual(answers.map((a) => a.seq).sort((a, b) => a - b), deliveries.map((_, i) => i + 1));
});

test('the log holds exactly the bytes that were sent', async () => {
	const stored = await logOf(first);
	assert.equal(stored.length, 329);
	deliveries.forEach((sent, i) => {
		const event = stored[answers[i].seq - 1];
		assert.equal(event.seq, answers[i].seq);
		assert.equal(event.body, sent.body);
		assert.equal(event.event, sent.event);
		assert.equal(event.delivery, sent.delivery);
		assert.equal(event.hook, HOOK);
		assert.equal(event.verified, 'ok');
	});
	await runOk(['log', 'verify', '--data', first]);
});

test('the second posting gives the old numbers and stores nothing', async () => {
	const again = await postAll(ingest.url, secretOf(first), deliveries);
	assert.deepEqual(again.map((a) => [a.status, a.duplicate, a.seq]), answers.map((a) => [202, true, a.seq]));
	assert.equal((await logOf(first)).length, 329);
});

test('the tables hold the rows an independent reading of the payloads expects', async () => {
	const projector = start(program, ['project', 'run', '--data', first], { env: pg.env });
	await until(async () => projector.ended === null && /project\.attached/.test(projector.stderr) && await checkpoint() === 329);
	assert.equal(await pg.value('select count(*) from hooklog.events'), '329');
	assert.equal(await pg.value('select count(distinct delivery) from hooklog.events'), '329');
	assert.equal(await pg.value('select count(*) from hooklog.parked_events'), '0');
	const expected = expectedRows(deliveries.map((d, i) => ({ ...d, seq: answers[i].seq })));
	for (const [table, { columns, order, rows }] of Object.entries(expected)) {
		assert.ok(rows.length > 0, `the model expects no rows in ${table}`);
		const found = await pg.query(`select ${columns.join(', ')} from ${table} order by ${order}`);
		assert.deepEqual(found, rows, table);
	}
	await projector.stop();
});

test('a rebuild gives identical rows, bookkeeping included', async () => {
	const before = await pg.value("select schema_name from hooklog.generations where status = 'live'");
	await runOk(['project', 'rebuild', '--data', first], { env: { ...pg.env, HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '7' } });
	const after = await pg.value("select schema_name from hooklog.generations where status = 'live'");
	assert.notEqual(after, before);
	for (const table of TABLES)
		assert.notEqual(await pg.value(`select count(*) from ${before}.${table}`), '0', table);
	const all = await pg.query(`select tablename from pg_tables where schemaname = '${before}'`);
	assert.ok(all.length >= TABLES.length);
	for (const [table] of all) {
		const [a, b] = [`${before}.${table}`, `${after}.${table}`];
		assert.equal(await pg.value(`select count(*) from ((table ${a} except all table ${b}) union all (table ${b} except all table ${a})) d`), '0', table);
	}
});

test('a replay of everything into a second hooklog gives an identical log', async () => {
	const other = await startIngest(program, second);
	const secret = path.join(second, 'sources/github.secret');
	const replay = await runOk(['replay', '--data', first, '--target', `${other.url}/in/github`, '--secret-file', secret]);
	assert.match(replay.stderr, /329/);
	const [left, right] = [await logOf(first), await logOf(second)];
	assert.equal(right.length, 329);
	for (let i = 0; i < 329; i++) {
		assert.equal(right[i].body, left[i].body);
		assert.deepEqual([right[i].seq, right[i].event, right[i].delivery, right[i].hook, right[i].body_xxh128],
			[left[i].seq, left[i].event, left[i].delivery, left[i].hook, left[i].body_xxh128]);
	}
	await runOk(['log', 'verify', '--data', second]);
	await other.stop();
	await ingest.stop();
});
