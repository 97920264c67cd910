// SPDX-License-Identifier: Apache-2.0
// A database that refuses one statement of a batch, whichever it is; and one that takes the connection and then
// says nothing.
// TEST-TIMEOUT: 600
import net from 'node:net';
import path from 'node:path';
import { program, test, assert } from '../lib/harness.mjs';
import { runOk, tempDir } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeDefinitions, makeLog, makeProject, thinPull } from '../lib/project.mjs';

const pg = await startPostgres(program);
const log = await makeLog(program);
// Event k is about things with ids from 100k on, and feeds all of these tables.
for (let k = 1; k <= 5; k++) {
	const user = { id: 100 * k, login: `u${k}`, type: 'User' };
	const organization = { id: 100 * k + 1, login: `o${k}` };
	const repository = { id: 100 * k + 2, name: 'r', full_name: `o${k}/r`, owner: user, updated_at: '2026-01-01T00:00:00Z' };
	const pull = thinPull(100 * k + 3, '2026-01-01T00:00:00Z', { user });
	pull.head = { ...pull.head, user, repo: repository };
	pull.base = { ...pull.base, user, repo: repository };
	await log.post('pull_request_review', { action: 'submitted', sender: user, organization, repository, installation: { id: 100 * k + 4 }, pull_request: pull,
		review: { id: 100 * k + 5, state: 'approved', user, submitted_at: '2026-01-01T00:00:00Z' } });
}
const KEYS = { events: 'seq = 3', users: 'id / 100 = 3', organizations: 'id / 100 = 3', repositories: 'id / 100 = 3', installations: 'id / 100 = 3', pull_requests: 'id / 100 = 3', reviews: 'id / 100 = 3' };

for (const [table, which] of Object.entries(KEYS)) {
	test(`refused by ${table}: the event is parked, and nothing of it is anywhere`, async (t) => {
		const project = await makeProject(t, log, pg);
		// The tables are made by the first start; it is to find them refusing.
		await project.runOk('run', '--to', '1');
		await project.query(`create function refuse() returns trigger language plpgsql as $$ begin if (new.${which})${table === 'events' ? ' and not new.parked' : ''} then raise exception 'no' using errcode = '22023'; end if; return new; end $$;
			create trigger refuse before insert or update on gh_g1.${table} for each row execute function refuse()`);
		await project.runOk('run', '--to', '5');
		assert.deepEqual(await project.query('select seq, sqlstate, reason from hooklog.parked_events'), [['3', '22023', 'PostgreSQL: no']]);
		assert.equal(await project.value("select seq from hooklog.generations where status = 'live'"), '5');
		assert.deepEqual(await project.query('select seq, parked from hooklog.events order by 1'), [['1', 'f'], ['2', 'f'], ['3', 't'], ['4', 'f'], ['5', 'f']]);
		for (const other of Object.keys(KEYS).filter((name) => name !== 'events'))
			assert.deepEqual(await project.query(`select distinct id / 100 from gh.${other} order by 1`), [['1'], ['2'], ['4'], ['5']], other);
		await project.runOk('verify');
		// Once it is allowed, a retry brings the rest.
		await project.query(`drop trigger refuse on gh_g1.${table}`);
		await project.runOk('parked', '--retry', '3');
		assert.equal(await project.value('select count(distinct id) from gh.reviews'), '5');
		await project.runOk('verify');
	});
}

// As many projections as there may be (256 with the built-in ones) make the longest batch there is; each of its statements is
// refused once.
test('refused at each position of the longest batch', async (t) => {
	const definitions = makeDefinitions(t);
	const own = Array.from({ length: 192 }, (_, k) => `p${String(k).padStart(3, '0')}`);
	for (const name of own)
		definitions.write(`${name}.sql`, `-- provider: github\n-- kind: fact\n-- key: seq\n-- rows: . on issues\ncreate table ${name} (\n\tseq bigint primary key, -- = @seq\n\taction text -- = action\n);\n`);
	const other = await makeLog(t, { receive: false });
	const line = (k) => JSON.stringify({ seq: k + 1, received_at: '2026-01-01T00:00:00Z', origin: 'webhook', source: 'gh', provider: 'github', event: 'issues', delivery: `d${k}`, hook: '1', content_type: 'application/json', body: '{"action":"opened"}' });
	// Event k + 2 is refused by table k; the first makes the tables, the last shows that all goes on.
	await runOk(['log', 'import', '-', '--data', other.dir], { input: Array.from({ length: own.length + 2 }, (_, k) => line(k)).join('\n') });
	const project = await makeProject(t, other, pg, { env: { ...definitions.env, HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '1' } });
	await project.runOk('run', '--to', '1');
	await project.query(`create function refuse() returns trigger language plpgsql as $$ begin if new.seq = tg_argv[0]::bigint then raise exception 'no' using errcode = '22023'; end if; return new; end $$;
		${own.map((name, k) => `create trigger refuse before insert on gh_g1.${name} for each row execute function refuse(${k + 2})`).join(';\n')}`);
	await project.runOk('run', '--to', String(own.length + 2));
	assert.deepEqual(await project.query('select seq, sqlstate from hooklog.parked_events order by 1'), own.map((_, k) => [String(k + 2), '22023']));
	// Of an event that one statement refused, no statement left anything but its row in events.
	const rows = own.map((name) => `select seq from gh.${name}`).join(' union all ');
	assert.deepEqual(await project.query(`select seq, count(*) from (${rows}) x group by 1 order by 1`), [['1', '192'], ['194', '192']]);
	assert.deepEqual(await project.query('select count(*), count(*) filter (where parked) from hooklog.events'), [['194', '192']]);
	await project.query(own.map((name) => `drop trigger refuse on gh_g1.${name}`).join('; '));
	assert.equal((await project.runOk('parked', '--retry-all')).stdout, '192 projected, 0 still parked\n');
	assert.deepEqual(await project.query(`select count(*), count(distinct seq) from (${rows}) x`), [[String(192 * 194), '194']]);
});

// Passes on what a connection says up to a number of messages from the server, then nothing, and stays open.
async function startSilence(t, answers) {
	const dir = tempDir(t, 'silence');
	let first = true;
	const server = net.createServer((client) => {
		const upstream = net.connect(path.join(pg.dir, '.s.PGSQL.5432'));
		const silent = first;
		let left = answers;
		first = false;
		client.pipe(upstream);
		upstream.on('data', (data) => (!silent || left-- > 0) && client.write(data));
		for (const [one, other] of [[client, upstream], [upstream, client]]) {
			one.on('error', () => {});
			one.on('close', () => other.destroy());
		}
	});
	await new Promise((resolve) => server.listen(path.join(dir, '.s.PGSQL.5432'), resolve));
	t.cleanup(() => server.close());
	return dir;
}

test('a server that takes the connection and says nothing is given up', async (t) => {
	const project = await makeProject(t, log, pg);
	await project.runOk('run', '--to', '5');
	project.env.PGHOST = await startSilence(t, 0);
	const { code, stderr } = await project.run('status');
	assert.equal(code, 6, stderr);
	assert.match(stderr, /timed out|did not answer/);
});

// A projector whose first connection falls silent at any point goes on with another. All at once, since each waits.
test('a server that falls silent later is given up as well, and what it was told is told again', { timeoutMs: 500000 }, async (t) => {
	await Promise.all([1, 8, 40].map(async (answers) => {
		const project = await makeProject(t, log, pg);
		project.env.PGHOST = await startSilence(t, answers);
		const done = await runOk(['project', 'run', '--to', '5', '--data', log.dir], { env: project.env, timeoutMs: 240000 });
		assert.match(done.stderr, /postgres\.unavailable/, `after ${answers} answers`);
		assert.deepEqual(await project.query('select count(*), count(*) filter (where parked) from hooklog.events'), [['5', '0']]);
		assert.deepEqual(await project.query('select count(*) from gh.reviews'), [['5']]);
	}));
});
