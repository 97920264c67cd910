// SPDX-License-Identifier: Apache-2.0
// Sources from the command line against a running receiver: rotate, disable, enable, remove, limits,
// credentials, SIGHUP; and that secrets do not leak from the process.
//
// TEST-VARIANTS: asan release
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const OLD = 'the first secret of a source';
const BODY = '{"action":"opened"}';

async function post(receiver, secret, { source = 'gh', body = BODY } = {}) {
	const response = await fetch(`${receiver.url}/in/${source}`, {
		method: 'POST',
		body,
		headers: {
			'Content-Type': 'application/json',
			'X-GitHub-Event': 'issues',
			'X-GitHub-Delivery': crypto.randomUUID(),
			'X-Hub-Signature-256': `sha256=${crypto.createHmac('sha256', secret).update(body).digest('hex')}`,
		},
	});
	return { status: response.status, retryAfter: response.headers.get('retry-after'), body: await response.text() };
}

async function startReceiver(t, options) {
	const dir = tempDir(t, 'sources');
	fs.writeFileSync(path.join(dir, 'given'), OLD, { mode: 0o600 });
	await runOk(['source', 'add', 'gh', '--data', dir, '--secret-file', path.join(dir, 'given')]);
	const receiver = await startIngest(t, dir, options);
	receiver.dir = dir;
	receiver.conf = path.join(dir, 'sources/gh.conf');
	receiver.source = (...args) => runOk(['source', ...args, '--data', dir]);
	// Runs change and waits until the receiver has taken it up.
	receiver.after = async (change) => {
		const seen = receiver.stderr.length;
		await change();
		while (!/ingest\.sources /.test(receiver.stderr.slice(seen)))
			await new Promise((resolve) => setTimeout(resolve, 20));
	};
	return receiver;
}

test('a secret is rotated without losing a delivery', async (t) => {
	const receiver = await startReceiver(t);
	await receiver.after(() => receiver.source('rotate', 'gh', '--keep', '1h'));
	const shown = JSON.parse((await receiver.source('show', 'gh', '--json')).stdout);
	assert.deepEqual(shown.keys.map((key) => key.state), ['active', 'active']);
	assert.equal(shown.keys[0].not_after, null);
	const left = Date.parse(shown.keys[1].not_after) - Date.now();
	assert.ok(left > 0 && left <= 3600_000, shown.keys[1].not_after);
	const file = path.join(receiver.dir, 'sources', shown.keys[0].secret_file);
	assert.equal(fs.statSync(file).mode & 0o777, 0o600);
	const fresh = fs.readFileSync(file, 'utf8').trim();
	assert.equal((await post(receiver, OLD)).status, 202);
	assert.equal((await post(receiver, fresh)).status, 202);
	const { stdout } = await runOk(['log', 'show', '--json', '--data', receiver.dir, '1', '2']);
	assert.deepEqual(stdout.trim().split('\n').map((line) => JSON.parse(line).key_id), [shown.keys[1].id, shown.keys[0].id]);
	// One that somebody has seen ends at once.
	await receiver.after(() => receiver.source('rotate', 'gh', '--keep', '0'));
	assert.equal((await post(receiver, OLD)).status, 401);
	assert.equal((await post(receiver, fresh)).status, 401);
	assert.equal(fs.existsSync(file), false);
	assert.equal((await run(['source', 'rotate', 'gh', '--keep', 'soon', '--data', receiver.dir])).code, 2);
	assert.equal((await run(['source', 'rotate', 'nobody', '--data', receiver.dir])).code, 3);
	await receiver.stop();
});

test('a secret is valid within its times only', async (t) => {
	const receiver = await startReceiver(t);
	const time = (ms) => new Date(Date.now() + ms).toISOString();
	for (const [limit, want] of [[`secret_not_after = ${time(-1000)}`, 401], [`secret_not_before = ${time(3600_000)}`, 401],
		[`secret_not_before = ${time(-1000)}\nsecret_not_after = ${time(3600_000)}`, 202]]) {
		await receiver.after(() => fs.writeFileSync(receiver.conf, `provider = github\nsecret_file = gh.secret\n${limit}\n`));
		assert.equal((await post(receiver, OLD)).status, want, limit);
	}
	await receiver.stop();
});

test('a source that cannot be is a wrong command line', async (t) => {
	const dir = tempDir(t);
	for (const args of [['Bad Name'], ['ok', '--provider', 'nix'], ['ok', 'no-pair'], ['ok', 'no_such_key=1'], []])
		assert.equal((await run(['source', 'add', ...args, '--data', dir])).code, 2, args.join(' '));
	await runOk(['source', 'add', 'ok', '--data', dir]);
	assert.equal((await run(['source', 'add', 'ok', '--data', dir])).code, 1);
});

test('a source is disabled, enabled and removed', async (t) => {
	const receiver = await startReceiver(t);
	await receiver.after(() => receiver.source('disable', 'gh'));
	const disabled = await post(receiver, OLD);
	assert.deepEqual([disabled.status, disabled.body], [404, (await post(receiver, OLD, { source: 'nobody' })).body]);
	assert.match((await receiver.source('list')).stdout, /disabled/);
	await receiver.after(() => receiver.source('enable', 'gh'));
	assert.equal((await post(receiver, OLD)).status, 202);
	const dry = await run(['source', 'remove', 'gh', '--data', receiver.dir]);
	assert.equal(dry.code, 1);
	assert.match(dry.stderr, /would remove .*gh\.conf/);
	assert.equal((await post(receiver, OLD)).status, 202);
	await receiver.after(() => receiver.source('remove', 'gh', '--yes'));
	assert.equal((await post(receiver, OLD)).status, 404);
	assert.deepEqual(fs.readdirSync(path.join(receiver.dir, 'sources')), []);
	await receiver.stop();
});

test('a source has limits of its own', async (t) => {
	const receiver = await startReceiver(t);
	const limit = (text) => receiver.after(() => fs.writeFileSync(receiver.conf, `provider = github\nsecret_file = gh.secret\n${text}\n`));
	await limit('body_bytes_max = 100');
	assert.equal((await post(receiver, OLD, { body: 'x'.repeat(100) })).status, 202);
	assert.equal((await post(receiver, OLD, { body: 'x'.repeat(101) })).status, 413);
	await limit('in_flight_bytes_max = 100');
	assert.equal((await post(receiver, OLD, { body: 'y'.repeat(100) })).status, 202);
	assert.equal((await post(receiver, OLD, { body: 'y'.repeat(101) })).status, 503);
	await limit('requests_per_second_max = 2');
	// Who cannot sign uses up nothing.
	for (let i = 0; i < 5; i++)
		assert.equal((await post(receiver, 'another secret of good length')).status, 401);
	const answers = await Promise.all(Array.from({ length: 20 }, () => post(receiver, OLD)));
	const counts = Map.groupBy ? Map.groupBy(answers, (a) => a.status) : answers.reduce((m, a) => m.set(a.status, [...(m.get(a.status) ?? []), a]), new Map());
	assert.deepEqual([...counts.keys()].sort(), [202, 503]);
	assert.ok(counts.get(202).length >= 2);
	assert.ok(counts.get(503).every((a) => Number(a.retryAfter) > 0));
	await receiver.stop();
});

test('a credential of the service manager is read again on SIGHUP', async (t) => {
	const dir = tempDir(t, 'credentials');
	const credentials = path.join(dir, 'credentials');
	const put = (secret) => {
		fs.rmSync(path.join(credentials, 'gh'), { force: true });
		fs.writeFileSync(path.join(credentials, 'gh'), secret, { mode: 0o400 });
	};
	fs.mkdirSync(credentials);
	fs.mkdirSync(path.join(dir, 'sources'));
	put(OLD);
	fs.writeFileSync(path.join(dir, 'sources/gh.conf'), 'provider = github\nsecret_credential = gh\n');
	const missing = await run(['ingest', '--data', dir], { env: { HOOKLOG_INGEST_LISTEN: '127.0.0.1:0' } });
	assert.equal(missing.code, 4, missing.stderr);
	assert.match(missing.stderr, /LoadCredential=gh/);
	const receiver = await startIngest(t, dir, { env: { CREDENTIALS_DIRECTORY: credentials } });
	assert.equal((await post(receiver, OLD)).status, 202);
	assert.match((await runOk(['source', 'show', 'gh', '--data', dir])).stdout, /unseen, credential gh/);
	put('the secret that comes next');
	receiver.child.kill('SIGHUP');
	await receiver.waitFor(/ingest\.sources count=1/);
	assert.equal((await post(receiver, OLD)).status, 401);
	assert.equal((await post(receiver, 'the secret that comes next')).status, 202);
	await receiver.stop();
});

test('secrets do not leave by the command line, the environment or a core dump', async (t) => {
	const receiver = await startReceiver(t);
	const proc = (name) => fs.readFileSync(`/proc/${receiver.pid}/${name}`, 'utf8');
	assert.equal(proc('cmdline').includes(OLD) || proc('environ').includes(OLD), false);
	assert.match(proc('limits'), /Max core file size +0 +0 /);
	const listed = (await receiver.source('list', '--json')).stdout + (await receiver.source('show', 'gh')).stdout;
	assert.equal(listed.includes(OLD), false);
	await receiver.stop();
	assert.equal(receiver.stderr.includes(OLD), false);
});

test('the receiver cannot be dumped or attached to by its own user', async (t) => {
	if (process.getuid() !== 0)
		t.skip('needs root, to start the receiver as somebody else');
	const NOBODY = 65534;
	const dir = tempDir(t, 'undumpable');
	fs.mkdirSync(path.join(dir, 'sources'));
	fs.writeFileSync(path.join(dir, 'sources/gh.secret'), OLD, { mode: 0o600 });
	fs.writeFileSync(path.join(dir, 'sources/gh.conf'), 'provider = github\nsecret_file = gh.secret\n');
	for (const name of ['', 'sources', 'sources/gh.secret', 'sources/gh.conf'])
		fs.chownSync(path.join(dir, name), NOBODY, NOBODY);
	const receiver = await startIngest(t, dir, { uid: NOBODY, gid: NOBODY });
	// AddressSanitizer's search for leaks attaches to the process, so that build must stay as it was.
	const asan = fs.readFileSync(`/proc/${receiver.pid}/exe`).includes('__asan_init');
	assert.equal(fs.statSync(`/proc/${receiver.pid}/environ`).uid, asan ? NOBODY : 0);
	await receiver.stop();
});
