// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL cluster of our own in a temporary folder, reachable through a unix socket only.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { assert } from './harness.mjs';
import { cleanEnv, exec, root, tempDir, until } from './hooklog.mjs';

// psql --csv writes null as it is told to: as a private-use character that no value here holds.
const NULL_MARK = '\ue000';

// Where ./configure found the server programs.
function serverBin() {
	const config = fs.readFileSync(path.join(root, 'config.ninja'), 'utf8');
	return /^pgbin = (.*)$/m.exec(config)[1];
}

// PostgreSQL refuses to run as root: {uid, gid} of a user who may, or {} when we are not root.
export function unprivileged() {
	if (process.getuid() !== 0)
		return {};
	const lines = fs.readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'));
	const user = lines.find(([name]) => name === 'postgres') ?? lines.find(([name]) => name === 'nobody');
	assert.ok(user, 'running as root, and there is no user postgres or nobody to run PostgreSQL as');
	return { uid: Number(user[2]), gid: Number(user[3]) };
}

// Makes and starts a cluster. The handle:
//   env                      PGHOST, PGPORT, PGUSER, PGDATABASE for hooklog and psql
//   query(sql, {database})   rows as arrays of text; NULL is null
//   value(sql, {database})   the first column of the first row
//   createDatabase(name)     env for that database
//   stop(mode), start()      mode: smart, fast, immediate
export async function startPostgres(t, { settings = {} } = {}) {
	const dir = tempDir(t, 'pg');
	const data = path.join(dir, 'data');
	const user = unprivileged();
	const programs = serverBin();
	const plain = cleanEnv({ LC_ALL: 'C' });
	if (user.uid !== undefined)
		fs.chownSync(dir, user.uid, user.gid);
	const made = await exec(path.join(programs, 'initdb'),
		['-D', data, '-U', 'postgres', '--auth=trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
		{ ...user, env: plain, cwd: dir });
	assert.equal(made.code, 0, `initdb: ${made.stdout}${made.stderr}`);

	const all = {
		listen_addresses: '', unix_socket_directories: dir, unix_socket_permissions: '0777',
		fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_wal_size: '1GB',
		shared_buffers: '32MB', max_connections: '50', log_min_messages: 'warning', ...settings,
	};
	const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
	const pg = {
		dir,
		env: { PGHOST: dir, PGPORT: '5432', PGUSER: 'postgres', PGDATABASE: 'postgres' },
		log: '',
	};
	let child = null;
	let closed = null;

	pg.start = async () => {
		child = spawn(path.join(programs, 'postgres'), ['-D', data, ...flags],
			{ ...user, env: plain, cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
		let gone = false;
		closed = new Promise((resolve) => {
			child.on('close', () => {
				gone = true;
				resolve();
			});
		});
		for (const stream of [child.stdout, child.stderr])
			stream.setEncoding('utf8').on('data', (text) => { pg.log += text; });
		pg.pid = child.pid;
		await until(async () => {
			assert.ok(!gone, `PostgreSQL ended: ${pg.log}`);
			return (await exec('psql', ['-XAtqc', 'SELECT 1'], { env: cleanEnv(pg.env) })).code === 0;
		}, { what: 'PostgreSQL takes connections' });
	};

	pg.stop = async (mode = 'fast') => {
		if (child === null)
			return;
		child.kill({ smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' }[mode]);
		await closed;
		child = null;
	};

	pg.query = async (sql, { database, settings: session } = {}) => {
		const env = cleanEnv({ ...pg.env, ...(database ? { PGDATABASE: database } : {}), ...(session ? { PGOPTIONS: session } : {}) });
		const result = await exec('psql', ['-Xq', '--csv', '-t', '-v', 'ON_ERROR_STOP=1', '-P', `null=${NULL_MARK}`, '-f', '-'], { env, input: sql });
		assert.equal(result.code, 0, `${sql}\n${result.stderr}`);
		return parseCsv(result.stdout);
	};

	pg.value = async (sql, options) => (await pg.query(sql, options))[0]?.[0];

	pg.createDatabase = async (name) => {
		await pg.query(`CREATE DATABASE ${name}`);
		return { ...pg.env, PGDATABASE: name };
	};

	// Registered after the folder's own hook, so it runs before the folder goes.
	t.cleanup(() => pg.stop('immediate'));
	await pg.start();
	return pg;
}

// psql --csv as rows of text; the mark we asked for is null.
export function parseCsv(text) {
	const rows = [];
	let row = [];
	let at = 0;
	while (at < text.length) {
		let field = '';
		let quoted = false;
		if (text[at] === '"') {
			quoted = true;
			at++;
			for (;;) {
				const close = text.indexOf('"', at);
				field += text.slice(at, close);
				at = close + 1;
				if (text[at] !== '"')
					break;
				field += '"';
				at++;
			}
		} else {
			const stop = text.slice(at).search(/[,\n]/);
			field = stop < 0 ? text.slice(at) : text.slice(at, at + stop);
			at += field.length;
		}
		row.push(!quoted && field === NULL_MARK ? null : field);
		if (at >= text.length || text[at] === '\n') {
			rows.push(row);
			row = [];
		}
		at++;
	}
	return rows;
}
