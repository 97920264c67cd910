// SPDX-License-Identifier: Apache-2.0
// `hooklog up` as its user meets it: the first start, the next one, and what can be in the way.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { createHmac, randomUUID } from 'node:crypto';
import { test, assert, program } from '../lib/harness.mjs';
import { exec, run, startListening, startUp, tempDir, until } from '../lib/hooklog.mjs';
import { startPostgres, unprivileged } from '../lib/postgres.mjs';

// Processes whose command line names the folder.
function processesOf(dir) {
	return fs.readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid).filter((pid) => {
		try {
			return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir);
		} catch {
			return false; // it has just ended
		}
	});
}

async function privateQuery(data, sql) {
	const result = await exec('psql', [`host=${data}/postgres/run user=hooklog dbname=hooklog`, '-XAt', '-c', sql]);
	assert.equal(result.code, 0, result.stderr);
	return result.stdout.trim();
}

async function postSigned(url, data, event, body) {
	const secret = fs.readFileSync(path.join(data, 'sources/github.secret'), 'utf8').trim();
	const response = await fetch(`${url}/in/github`, {
		method: 'POST', body,
		headers: {
			'content-type': 'application/json', 'x-github-event': event, 'x-github-delivery': randomUUID(),
			'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
		},
	});
	return response.json();
}

const dir = tempDir(program, 'up');

test('the first start shows one ping all the way through and says where things are', async (t) => {
	const data = path.join(dir, 'a');
	const up = await startUp(t, data);
	await up.waitFor(/Try next/, { stream: 'stdout' });
	assert.match(up.stdout, /answer 202 \{"seq":1,"duplicate":false\}/);
	assert.match(up.stdout, /visible in hooklog\.events: seq 1, event ping/);
	assert.match(up.stdout, new RegExp(`webhook URL +${up.url}/in/github`));
	assert.match(up.stdout, new RegExp(`secret in +${data}/sources/github\\.secret`));
	assert.equal(fs.statSync(path.join(data, 'sources/github.secret')).mode & 0o777, 0o600);
	const lines = up.stdout.split('Try next')[1].split('\n').filter((line) => line.startsWith('  '));
	assert.equal(lines.length, 3);
	assert.equal(await privateQuery(data, 'select seq, event, provider from hooklog.events'), '1|ping|github');
	await up.stop();
	assert.deepEqual(processesOf(data), []);
});

test('the next start keeps everything, sends no ping, and takes Ctrl-C', async (t) => {
	const data = path.join(dir, 'a');
	const secret = fs.readFileSync(path.join(data, 'sources/github.secret'), 'utf8');
	const up = await startUp(t, data);
	await up.waitFor(/Try next/, { stream: 'stdout' });
	assert.doesNotMatch(up.stdout, /ping/);
	assert.equal(fs.readFileSync(path.join(data, 'sources/github.secret'), 'utf8'), secret);
	assert.deepEqual(await postSigned(up.url, data, 'star', '{"action":"created","sender":{"id":7,"login":"ada"}}'),
		{ seq: 2, duplicate: false });
	await until(async () => await privateQuery(data, 'select login from gh.users where id = 7') === 'ada');
	await up.stop({ signal: 'SIGINT' });
	assert.deepEqual(processesOf(data), []);
});

test('kill -9 of the whole thing is survived by the next start', async (t) => {
	const data = path.join(dir, 'a');
	let up = await startUp(t, data);
	await up.waitFor(/Try next/, { stream: 'stdout' });
	const { seq } = await postSigned(up.url, data, 'star', '{"action":"created","sender":{"id":8,"login":"grace"}}');
	await up.kill();
	up = await startUp(t, data);
	await up.waitFor(/Try next/, { stream: 'stdout' });
	await until(async () => await privateQuery(data, 'select login from gh.users where id = 8') === 'grace');
	assert.equal(await privateQuery(data, 'select count(*), max(seq) from hooklog.events'), `${seq}|${seq}`);
	await up.stop();
	assert.deepEqual(processesOf(data), []);
});

test('kill -9 of its PostgreSQL is repaired while webhooks go on landing', async (t) => {
	const data = path.join(dir, 'a');
	const up = await startUp(t, data);
	await up.waitFor(/Try next/, { stream: 'stdout' });
	process.kill(Number(fs.readFileSync(path.join(data, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[0]), 'SIGKILL');
	const { seq } = await postSigned(up.url, data, 'star', '{"action":"created","sender":{"id":9,"login":"alan"}}');
	assert.ok(seq > 0);
	await up.waitFor(/starting it again/);
	await until(async () => {
		const result = await exec('psql', [`host=${data}/postgres/run user=hooklog dbname=hooklog`, '-XAt', '-c', 'select login from gh.users where id = 9']);
		return result.stdout.trim() === 'alan';
	});
	await up.stop();
	assert.deepEqual(processesOf(data), []);
});

test('a second up on the same folder is told to go, and harms nothing', async (t) => {
	const data = path.join(dir, 'a');
	const up = await startUp(t, data);
	await up.waitFor(/Try next/, { stream: 'stdout' });
	const other = await run(['up', '--data', data], { env: { HOOKLOG_INGEST_LISTEN: '127.0.0.1:0' } });
	assert.equal(other.code, 5);
	assert.match(other.stderr, /another process/);
	assert.ok((await postSigned(up.url, data, 'star', '{}')).seq > 0);
	await up.stop();
});

test('a configured database is used instead of a private cluster', async (t) => {
	const data = path.join(dir, 'b');
	const pg = await startPostgres(t);
	const url = `postgresql://postgres@/postgres?host=${encodeURIComponent(pg.dir)}`;
	const up = await startUp(t, data, { env: { DATABASE_URL: url } });
	await up.waitFor(/Try next/, { stream: 'stdout' });
	assert.equal(await pg.value('select event from hooklog.events where seq = 1'), 'ping');
	assert.equal(fs.existsSync(path.join(data, 'postgres')), false);
	await up.stop();
});

test('a port in use is named, with what to do, and nothing is left running', async (t) => {
	const data = path.join(dir, 'c');
	const server = net.createServer().listen(0, '127.0.0.1');
	t.cleanup(() => server.close());
	await new Promise((resolve) => server.on('listening', resolve));
	const { port } = server.address();
	const result = await run(['up', '--data', data], { env: { HOOKLOG_INGEST_LISTEN: `127.0.0.1:${port}` } });
	assert.notEqual(result.code, 0);
	assert.match(result.stderr, new RegExp(`127\\.0\\.0\\.1:${port}`));
	assert.match(result.stderr, /ingest\.listen/);
	assert.deepEqual(processesOf(data), []);
});

test('an unwritable data folder is named, with what to do', async (t) => {
	const user = unprivileged();
	const closed = path.join(dir, 'closed');
	fs.mkdirSync(closed, { mode: user.uid === undefined ? 0o500 : 0o755 });
	const result = await run(['up', '--data', path.join(closed, 'data')], { ...user, cwd: '/' });
	assert.notEqual(result.code, 0);
	assert.match(result.stderr, /closed\/data/);
	assert.match(result.stderr, /may write to/);
});

test('an unknown key is refused with the nearest known one', async () => {
	const file = path.join(dir, 'hooklog.conf');
	fs.writeFileSync(file, '[ingest]\nlissten = 127.0.0.1:1\n');
	const result = await run(['up', '--data', path.join(dir, 'd'), '--config', file]);
	assert.equal(result.code, 4);
	assert.match(result.stderr, /hooklog\.conf/);
	assert.match(result.stderr, /lissten/);
	assert.match(result.stderr, /listen/);
	assert.equal(fs.existsSync(path.join(dir, 'd')), false);
});

test('a database that refuses ends the first start with the reason; later webhooks still land', async (t) => {
	const data = path.join(dir, 'e');
	const pg = await startPostgres(t);
	const env = { ...pg.env, PGDATABASE: 'missing', HOOKLOG_INGEST_LISTEN: '127.0.0.1:0' };
	const firstStart = await run(['up', '--data', data], { env });
	assert.equal(firstStart.code, 6);
	assert.match(firstStart.stderr, /database "missing" does not exist/);
	const up = await startListening(t, ['up', '--data', data], { env });
	await up.waitFor(/postgres\.refused/);
	assert.equal((await postSigned(up.url, data, 'star', '{}')).seq, 2);
	await up.stop();
});

test('started by an ordinary user it works the same', async (t) => {
	const user = unprivileged();
	if (user.uid === undefined)
		t.skip('the tests themselves run as an ordinary user');
	const data = path.join(dir, 'f');
	fs.mkdirSync(data, { mode: 0o700 });
	fs.chownSync(data, user.uid, user.gid);
	const up = await startUp(t, data, { ...user, cwd: '/' });
	await up.waitFor(/visible in hooklog\.events/, { stream: 'stdout' });
	await up.stop();
	assert.deepEqual(processesOf(data), []);
});

