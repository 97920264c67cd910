// SPDX-License-Identifier: Apache-2.0
// The private cluster of `up`: killed in any way, the next start finds everything and leaves no server behind.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { cleanEnv, exec, startUp, tempDir, until } from '../lib/hooklog.mjs';

function dataDir(t) {
	const dir = path.join(tempDir(t, 'up'), 'data');
	return dir;
}

// The processes that work in the cluster's data folder: the server and its children.
function servers(dir) {
	const data = path.join(dir, 'postgres/data');
	return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
		try {
			return fs.readlinkSync(`/proc/${pid}/cwd`) === data;
		} catch {
			return false;
		}
	}).map(Number);
}

function postmaster(dir) {
	return Number(fs.readFileSync(path.join(dir, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[0]);
}

async function value(dir, sql) {
	const env = cleanEnv({ PGHOST: path.join(dir, 'postgres/run'), PGUSER: 'hooklog', PGDATABASE: 'hooklog' });
	const result = await exec('psql', ['-XAtqc', sql], { env });
	return result.code === 0 ? result.stdout.trim() : null;
}

async function start(t, dir) {
	const up = await startUp(t, dir);
	await up.waitFor(/up\.ready/);
	const file = fs.readdirSync(path.join(dir, 'sources')).map((name) => path.join(dir, 'sources', name)).find((name) => /secret/.test(name));
	up.secret = fs.readFileSync(file, 'utf8').trim();
	up.post = async () => {
		const body = JSON.stringify({ sender: { id: 1, login: 'mona' } });
		const answer = await fetch(`${up.url}/in/github`, {
			method: 'POST',
			body,
			headers: { 'content-type': 'application/json', 'x-github-event': 'star', 'x-github-delivery': crypto.randomUUID(), 'x-github-hook-id': '1', 'x-hub-signature-256': `sha256=${crypto.createHmac('sha256', up.secret).update(body).digest('hex')}` },
		});
		assert.equal(answer.status, 202, await answer.text());
	};
	return up;
}

async function assertProjected(dir, count) {
	await until(async () => Number(await value(dir, 'select max(seq) from hooklog.events')) >= count);
	assert.equal(await value(dir, "select count(*) || ' ' || min(seq) || ' ' || max(seq) from hooklog.events"), `${count} 1 ${count}`);
	assert.equal(await value(dir, "select seq from hooklog.generations where status = 'live'"), String(count));
}

for (const [what, kill] of [
	['up alone', async (up) => up.kill()],
	['up and its server', async (up, dir) => {
		process.kill(postmaster(dir), 'SIGKILL');
		await up.kill();
	}],
	['all of it', async (up, dir) => {
		for (const pid of [up.pid, ...servers(dir)]) {
			try {
				process.kill(pid, 'SIGKILL');
			} catch {} // gone already
		}
		await up.wait();
	}],
]) {
	test(`kill -9 of ${what}`, async (t) => {
		const dir = dataDir(t);
		let up = await start(t, dir); // event 1 is its own ping
		for (let i = 0; i < 20; i++)
			await up.post();
		await kill(up, dir);
		up = await start(t, dir);
		await assertProjected(dir, 21);
		await up.post();
		await assertProjected(dir, 22);
		assert.equal(servers(dir).filter((pid) => pid === postmaster(dir)).length, 1);
		await up.stop();
		await until(() => servers(dir).length === 0, { what: `no server in ${dir}` });
	});
}

test('without a next start, too, the server of a killed up goes', async (t) => {
	const dir = dataDir(t);
	const up = await start(t, dir);
	assert.ok(servers(dir).length > 0);
	await up.kill();
	await until(() => servers(dir).length === 0, { what: `no server in ${dir}` });
});

test('a server that ends by itself is started again', async (t) => {
	const dir = dataDir(t);
	const up = await start(t, dir);
	const before = postmaster(dir);
	process.kill(before, 'SIGQUIT');
	await up.post();
	await assertProjected(dir, 2);
	assert.notEqual(postmaster(dir), before);
	await up.stop();
	assert.deepEqual(servers(dir), []);
});

// After a reboot the number in the file may be anybody's, even another PostgreSQL's.
test('a stale postmaster.pid that names another server', async (t) => {
	const dir = dataDir(t);
	await (await start(t, dir)).stop();
	const stranger = dataDir(t);
	const other = await start(t, stranger);
	const pid = postmaster(stranger);
	const file = path.join(dir, 'postgres/data/postmaster.pid');
	fs.writeFileSync(file, `${pid}\n${path.join(dir, 'postgres/data')}\n1\n5432\n${path.join(dir, 'postgres/run')}\n\n`, { mode: 0o600 });
	const owner = fs.statSync(path.join(dir, 'postgres/data'));
	fs.chownSync(file, owner.uid, owner.gid);

	const up = await start(t, dir);
	await up.post();
	await assertProjected(dir, 2);
	assert.equal(postmaster(stranger), pid);
	assert.doesNotMatch(other.stderr, /PostgreSQL ended/);
	await other.post();
	await assertProjected(stranger, 2);
	await other.stop();
});
