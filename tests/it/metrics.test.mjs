// SPDX-License-Identifier: Apache-2.0
// The second listener: metrics, liveness, readiness; and the warning about a source that fell silent.
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { makePair, settings } from '../lib/certificate.mjs';
import { debianProgram } from '../lib/debian.mjs';
import { cleanEnv, exec, root, run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const SECRET = 'a secret of sufficient length';

async function start(t, env = {}) {
	const dir = tempDir(t, 'metrics');
	fs.writeFileSync(path.join(dir, 'given'), SECRET, { mode: 0o600 });
	await runOk(['source', 'add', 'gh', '--data', dir, '--secret-file', path.join(dir, 'given')]);
	return startIn(t, dir, env);
}

async function startIn(t, dir, env = {}) {
	const receiver = await startIngest(t, dir, { env: { HOOKLOG_ADMIN_LISTEN: '127.0.0.1:0', ...env } });
	receiver.dir = dir;
	receiver.admin = `http://${(await receiver.waitFor(/ingest\.admin address=(\S+)/))[1]}`;
	receiver.get = async (target, options) => {
		const response = await fetch(receiver.admin + target, options);
		return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
	};
	// {name: {labels: value}}
	receiver.metrics = async () => {
		const found = {};
		for (const line of (await receiver.get('/metrics')).text.split('\n')) {
			const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
			if (match)
				(found[match[1]] ??= {})[match[2] ?? ''] = Number(match[3]);
		}
		return found;
	};
	return receiver;
}

const withCertificate = async (t) => settings(await makePair(tempDir(t, 'pair'), 'x.example'));

async function post(receiver, body, { secret = SECRET, delivery = crypto.randomUUID(), source = 'gh' } = {}) {
	const response = await fetch(`${receiver.url}/in/${source}`, {
		method: 'POST',
		body,
		headers: {
			'Content-Type': 'application/json',
			'X-GitHub-Event': 'issues',
			'X-GitHub-Delivery': delivery,
			'X-Hub-Signature-256': `sha256=${crypto.createHmac('sha256', secret).update(body).digest('hex')}`,
		},
	});
	await response.arrayBuffer();
	return response.status;
}

test('what happened is counted, by source and outcome', async (t) => {
	const receiver = await start(t);
	assert.equal(await post(receiver, '{"n":1}', { delivery: 'a' }), 202);
	assert.equal(await post(receiver, '{"n":1}', { delivery: 'a' }), 202);
	assert.equal(await post(receiver, '{"n":2}'), 202);
	assert.equal(await post(receiver, '{}', { secret: 'another secret of good length' }), 401);
	// Names that senders make up never become labels.
	for (let i = 0; i < 5; i++)
		assert.equal(await post(receiver, '{}', { source: `made-up-${i}` }), 404);
	const before = Date.now() / 1000;
	const m = await receiver.metrics();
	const requests = m.hooklog_ingest_requests_total;
	const count = (outcome, source = 'gh', provider = 'github') => requests[`source="${source}",provider="${provider}",outcome="${outcome}"`];
	assert.deepEqual(['stored', 'duplicate', 'unauthorized', 'busy'].map((o) => count(o)), [2, 1, 1, 0]);
	assert.equal(count('not_found', '', ''), 5);
	assert.equal(Object.keys(requests).some((labels) => labels.includes('made-up')), false);
	assert.equal(m.hooklog_ingest_duration_seconds_count[''], 9);
	assert.ok(m.hooklog_ingest_duration_seconds_sum[''] > 0);
	assert.equal(m.hooklog_ingest_duration_seconds_bucket['le="+Inf"'], 9);
	assert.equal(m.hooklog_log_last_seq[''], 2);
	assert.ok(m.hooklog_log_bytes[''] > 0);
	assert.equal(m.hooklog_quarantine_kept_total[''], 1);
	assert.equal(m.hooklog_ingest_in_flight_bytes[''], 0);
	assert.equal(m.hooklog_ingest_source_in_flight_bytes['source="gh"'], 0);
	assert.equal(m.hooklog_ingest_source_active_secrets['source="gh"'], 1);
	const last = m.hooklog_ingest_source_last_event_timestamp_seconds['source="gh"'];
	assert.ok(last > before - 60 && last <= Date.now() / 1000);
	// The counts go on over a reload.
	fs.appendFileSync(path.join(receiver.dir, 'sources/gh.conf'), '# changed\n');
	await receiver.waitFor(/ingest\.sources count=1/);
	assert.equal(await post(receiver, '{"n":3}'), 202);
	const after = await receiver.metrics();
	assert.equal(after.hooklog_ingest_requests_total['source="gh",provider="github",outcome="stored"'], 3);
	assert.equal(after.hooklog_ingest_source_reloads_total[''], 1);
	await receiver.stop();
});

test('the text is what Prometheus expects', async (t) => {
	const receiver = await start(t);
	await post(receiver, '{}');
	const { status, type, text } = await receiver.get('/metrics');
	assert.equal(status, 200);
	assert.match(type, /^text\/plain; version=0\.0\.4/);
	const families = new Set();
	for (const line of text.trimEnd().split('\n')) {
		const family = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
		if (family?.[1] === 'TYPE') {
			assert.equal(families.has(family[2]), false, `${family[2]} twice`);
			families.add(family[2]);
			assert.equal(family[3] === 'counter', family[2].endsWith('_total'), line);
		} else if (!family) {
			const sample = /^([a-z_]+?)(_bucket|_sum|_count)?(\{[a-z_]+="[^"\\]*"(,[a-z_]+="[^"\\]*")*\})? -?[0-9.e+-]+$/.exec(line);
			assert.ok(sample, line);
			assert.ok(families.has(sample[1]) || families.has(sample[1] + (sample[2] ?? '')), line);
		}
	}
	await receiver.stop();
});

// promtool is part of Debian's package prometheus.
test('promtool finds nothing to complain about', async (t) => {
	const { file } = await debianProgram(t, 'usr/bin/promtool', ['prometheus']);
	const receiver = await start(t, await withCertificate(t));
	const { text } = await receiver.get('/metrics');
	const result = await exec(file, ['check', 'metrics'], { input: text });
	assert.equal(result.code, 0, result.stderr + result.stdout);
	assert.equal(result.stderr + result.stdout, '');
	await receiver.stop();
});

test('the alerts that are shipped are about metrics that exist, and name a page', async (t) => {
	const rules = path.join(root, 'deploy/alerts.yml');
	const text = fs.readFileSync(rules, 'utf8');
	const receiver = await start(t, await withCertificate(t));
	const told = (await receiver.get('/metrics')).text;
	const names = new Set(text.match(/hooklog_[a-z_]+/g));
	assert.ok(names.size > 8);
	for (const name of names)
		assert.match(told, new RegExp(`^${name}[ {]`, 'm'), name);
	for (const [, label, value] of text.matchAll(/(outcome)="(\w+)"/g))
		assert.match(told, new RegExp(`${label}="${value}"`));
	const pages = [...text.matchAll(/runbook: (\S+)/g)].map((match) => match[1]);
	assert.equal(pages.length, text.match(/- alert:/g).length);
	for (const page of pages)
		assert.ok(fs.existsSync(path.join(root, 'docs/runbooks', `${page}.md`)), page);
	await receiver.stop();
	const { file, env } = await debianProgram(t, 'usr/bin/promtool', ['prometheus']);
	const result = await exec(file, ['check', 'rules', rules], { env: { ...cleanEnv(), ...env } });
	assert.equal(result.code, 0, result.stderr + result.stdout);
});

test('who asks for OpenMetrics gets it', async (t) => {
	const { file, env } = await debianProgram(t, 'usr/bin/promtool', ['prometheus']);
	const receiver = await start(t);
	await post(receiver, '{}');
	const { type, text } = await receiver.get('/metrics', { headers: { Accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' } });
	assert.equal(type, 'application/openmetrics-text; version=1.0.0; charset=utf-8');
	assert.match(text, /\n# EOF\n$/);
	assert.match(text, /^# TYPE hooklog_ingest_requests counter$/m);
	assert.match(text, /^hooklog_ingest_requests_total\{source="gh",[^}]*outcome="stored"\} 1$/m);
	assert.match(text, /^hooklog_log_commit_seconds_count [1-9]/m);
	// promtool's own reader of OpenMetrics, which wants a time with each sample.
	const timed = text.replace(/^([^#\n]\S*(?:\{[^}]*\})? \S+)$/gm, '$1 1700000000');
	const dir = tempDir(t, 'openmetrics');
	fs.writeFileSync(path.join(dir, 'all'), timed);
	const result = await exec(file, ['tsdb', 'create-blocks-from', 'openmetrics', path.join(dir, 'all'), path.join(dir, 'blocks')], { env: { ...cleanEnv(), ...env } });
	assert.equal(result.code, 0, result.stderr + result.stdout);
	await receiver.stop();
});

test('health tells what is wrong, on its own listener', async (t) => {
	const receiver = await start(t);
	assert.deepEqual(await receiver.get('/livez'), { status: 200, type: 'text/plain; charset=utf-8', text: 'live\n' });
	assert.equal((await receiver.get('/readyz')).text, 'ready\n');
	const { status, text } = await receiver.get('/readyz?verbose');
	assert.equal(status, 200);
	for (const line of [/^\[\+\] log: takes events$/m, /^\[\+\] disk: \d+ MiB free$/m, /^\[\+\] map: \d+ MiB used, \d+ MiB left$/m, /^\[\+\] sources: 1$/m, /^ready$/m])
		assert.match(text, line);
	assert.equal((await receiver.get('/')).status, 404);
	assert.equal((await receiver.get('/metrics', { method: 'POST', body: 'x' })).status, 405);
	assert.equal((await receiver.get('/livez', { method: 'HEAD' })).text, '');
	// What the one listener has the other one has not.
	assert.equal((await fetch(`${receiver.url}/metrics`)).status, 404);
	assert.equal((await receiver.get('/in/gh', { method: 'POST', body: '{}' })).status, 405);
	await receiver.stop();
});

test('a log that takes nothing is seen in readiness', async (t) => {
	const dir = tempDir(t, 'metrics-full');
	if ((await exec('unshare', ['-m', 'mount', '-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', dir])).code !== 0)
		t.skip('unshare -m or mounting is not allowed here');
	const { bin } = await import('../lib/hooklog.mjs');
	const script = 'mount -t tmpfs -o size=24m tmpfs "$1" && exec "$2" ingest --data "$1"';
	const child = spawn('unshare', ['-m', 'sh', '-c', script, 'sh', dir, bin],
		{ env: cleanEnv({ HOOKLOG_INGEST_LISTEN: '127.0.0.1:0', HOOKLOG_ADMIN_LISTEN: '127.0.0.1:0' }), stdio: ['ignore', 'ignore', 'pipe'] });
	t.cleanup(() => child.kill('SIGKILL'));
	let said = '';
	const admin = await new Promise((resolve, reject) => {
		child.stderr.on('data', (data) => {
			said += data;
			const match = /ingest\.admin address=(\S+)/.exec(said);
			if (match)
				resolve(match[1]);
		});
		child.on('close', () => reject(new Error(said)));
	});
	const response = await fetch(`http://${admin}/readyz?verbose`);
	assert.equal(response.status, 503);
	const text = await response.text();
	assert.match(text, /^\[-\] disk: \d+ MiB free$/m);
	assert.match(text, /^not ready$/m);
	assert.equal((await fetch(`http://${admin}/livez`)).status, 200);
	const ended = new Promise((resolve) => child.on('exit', resolve));
	child.kill('SIGTERM');
	assert.equal(await ended, 0, said);
});

test('a source that falls silent is reported once, and again when it is heard', async (t) => {
	const receiver = await start(t);
	fs.appendFileSync(path.join(receiver.dir, 'sources/gh.conf'), 'silence_after_s = 1\n');
	await receiver.waitFor(/warn ingest\.silent source=gh quiet_s=\d+/);
	assert.equal((await receiver.metrics()).hooklog_ingest_source_silent['source="gh"'], 1);
	assert.equal(await post(receiver, '{}'), 202);
	await receiver.waitFor(/info ingest\.heard source=gh/);
	await receiver.stop();
	assert.ok((receiver.stderr.match(/ingest\.silent/g) ?? []).length <= 2, receiver.stderr);
});

test('a restart does not forget when a source was last heard', async (t) => {
	const receiver = await start(t);
	assert.equal(await post(receiver, '{}'), 202);
	const last = 'hooklog_ingest_source_last_event_timestamp_seconds';
	const before = (await receiver.metrics())[last]['source="gh"'];
	assert.ok(before > 0);
	await receiver.stop();
	const again = await startIn(t, receiver.dir);
	assert.ok(Math.abs((await again.metrics())[last]['source="gh"'] - before) < 1);
	await again.stop();
});

test('without admin.listen there is no second listener; a wrong one is explained', async (t) => {
	const receiver = await start(t);
	await receiver.stop();
	const quiet = await startIngest(t, receiver.dir);
	await quiet.stop();
	assert.doesNotMatch(quiet.stderr, /ingest\.admin /);
	const wrong = await run(['ingest', '--data', receiver.dir], { env: { HOOKLOG_INGEST_LISTEN: '127.0.0.1:0', HOOKLOG_ADMIN_LISTEN: '9180' } });
	assert.equal(wrong.code, 4, wrong.stderr);
	assert.match(wrong.stderr, /admin\.listen/);
});
