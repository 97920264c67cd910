// SPDX-License-Identifier: Apache-2.0
// A log, a database and what lies between: for tests of the projector.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { assert } from './harness.mjs';
import { run, runOk, start, startIngest, tempDir, until } from './hooklog.mjs';

const SECRET = 'a secret of sufficient length';

// A data folder with the source gh, and its receiver unless told otherwise. .sent counts what was accepted.
export async function makeLog(t, { receive = true } = {}) {
	const dir = tempDir(t, 'log');
	const file = path.join(dir, 'given');
	fs.writeFileSync(file, SECRET, { mode: 0o600 });
	await runOk(['source', 'add', 'gh', '--data', dir, '--secret-file', file]);
	const log = { dir, sent: 0, receiver: null };
	log.receive = async () => { log.receiver = await startIngest(t, dir); };
	// payload: an object, or the body as text or bytes.
	log.post = async (event, payload) => {
		const body = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload);
		const answer = await fetch(`${log.receiver.url}/in/gh`, {
			method: 'POST',
			body,
			headers: {
				'content-type': 'application/json',
				'x-github-event': event,
				'x-github-delivery': crypto.randomUUID(),
				'x-github-hook-id': '17',
				'x-hub-signature-256': `sha256=${crypto.createHmac('sha256', SECRET).update(body).digest('hex')}`,
			},
		});
		assert.equal(answer.status, 202, await answer.text());
		return ++log.sent;
	};
	if (receive)
		await log.receive();
	return log;
}

// The log seen from one database; env adds to what names the database.
export async function makeProject(t, log, pg, { database = `p${crypto.randomBytes(6).toString('hex')}`, env = {} } = {}) {
	const project = { database, log };
	project.env = { ...(await pg.createDatabase(database)), ...env };
	const options = () => ({ env: project.env });
	project.query = (sql) => pg.query(sql, { database });
	project.value = (sql) => pg.value(sql, { database });
	project.run = (...args) => run(['project', ...args, '--data', log.dir], options());
	project.runOk = (...args) => runOk(['project', ...args, '--data', log.dir], options());
	project.start = (...args) => start(t, ['project', ...args, '--data', log.dir], options());
	// The live tables hold everything up to seq.
	project.reached = (seq = log.sent, handle) => until(async () => {
		assert.ok(!handle?.ended, handle?.stderr);
		const there = await project.value("select to_regclass('hooklog.generations')");
		return there && Number(await project.value("select max(seq) from hooklog.generations where status = 'live'")) >= seq;
	}, { what: `the tables hold event ${seq}` });
	// Runs the projector until everything sent so far is in the tables.
	project.catchUp = async () => {
		const handle = project.start('run');
		await project.reached(log.sent, handle);
		await handle.stop();
		return handle;
	};
	// Every table of the generation as text, bookkeeping included.
	project.dump = async (schema) => {
		const tables = await project.query(`select tablename from pg_tables where schemaname = '${schema}' order by 1`);
		assert.ok(tables.length >= 11, `${tables.length} tables in ${schema}`);
		const dump = {};
		for (const [table] of tables)
			dump[table] = [];
		const rows = tables.map(([table]) => `select '${table}' as name, row_to_json(t)::text as row from "${schema}"."${table}" t`);
		for (const [table, row] of await project.query(`select * from (${rows.join(' union all ')}) x order by 1, 2`))
			dump[table].push(row);
		return dump;
	};
	// Rows that only one of two generations has, per table.
	project.differences = async (one, other) => {
		const tables = await project.query(`select tablename from pg_tables where schemaname = '${one}'`);
		assert.ok(tables.length >= 11, `${tables.length} tables in ${one}`);
		const found = [];
		for (const [table] of tables) {
			const [a, b] = [`table "${one}"."${table}"`, `table "${other}"."${table}"`];
			found.push(...(await project.query(
				`select '${table}', 'only old', x.* from (${a} except ${b}) x union all select '${table}', 'only new', x.* from (${b} except ${a}) x`)));
		}
		return found;
	};
	project.generations = () => project.query('select id, status, seq from hooklog.generations order by id');
	return project;
}

// A folder of projection files for HOOKLOG_PROJECTOR_DIR; write(name, text) and remove(name).
export function makeDefinitions(t) {
	const dir = tempDir(t, 'sql');
	return {
		dir,
		env: { HOOKLOG_PROJECTOR_DIR: dir },
		write: (name, text) => fs.writeFileSync(path.join(dir, name), text),
		remove: (name) => fs.rmSync(path.join(dir, name)),
	};
}

export const sender = { id: 1, login: 'mona', node_id: 'U1', type: 'User', site_admin: false };
export const repository = {
	id: 10, name: 'hello', full_name: 'acme/hello', node_id: 'R10', private: false, updated_at: '2026-01-01T00:00:00Z',
	owner: { id: 2, login: 'acme', type: 'Organization' }, description: null, topics: ['a "b"', 'c'], default_branch: 'main',
};

// The object that an event of the pull request itself carries.
export function fullPull(id, updated, more = {}) {
	return { ...thinPull(id, updated), merged: false, additions: 5, deletions: 2, changed_files: 1, commits: 1, comments: 0, review_comments: 0, ...more };
}

// The shorter one that a review carries.
export function thinPull(id, updated, more = {}) {
	return {
		id, number: id, state: 'open', draft: false, title: 'A title', locked: false, user: sender,
		head: { ref: 'topic', sha: 'a'.repeat(40), user: sender, repo: repository },
		base: { ref: 'main', sha: 'b'.repeat(40), user: sender, repo: repository },
		created_at: '2026-01-01T00:00:00Z', updated_at: updated, ...more,
	};
}

export function review(id, state = 'approved') {
	return { id, state, user: sender, body: 'fine', submitted_at: '2026-01-01T00:00:00Z' };
}
