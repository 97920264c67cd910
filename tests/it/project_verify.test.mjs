// SPDX-License-Identifier: Apache-2.0
// Proving tables against the log, and tables that were folded in memory against those made batch by batch.
import { program, test, assert } from '../lib/harness.mjs';
import { ndjson, runOk, until } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { fullPull, makeDefinitions, makeLog, makeProject, repository, review, sender, thinPull } from '../lib/project.mjs';

const pg = await startPostgres(program);

const at = (n) => `2026-01-${String(n).padStart(2, '0')}T00:00:00Z`;

// Thin after full, old after new, deletions, unknown events, one that cannot be projected, values of every type.
async function fill(log) {
	await log.post('pull_request', { action: 'opened', number: 7, sender, repository, pull_request: fullPull(7, at(3), { auto_merge: { b: 1.50, a: ['x', null, '"'] }, body: 'tab\t\\ "q" \u{1F600}' }) });
	await log.post('pull_request_review', { action: 'submitted', sender: { ...sender, id: 3, login: 'hubot', type: 'Bot' }, repository, pull_request: thinPull(7, at(2)), review: review(70) });
	await log.post('pull_request', { action: 'closed', number: 8, sender, repository, pull_request: fullPull(8, at(4), { state: 'closed' }) });
	for (let i = 1; i <= 30; i++)
		await log.post('issues', { action: i % 7 === 0 ? 'deleted' : 'opened', sender, repository: { ...repository, updated_at: at(1 + i % 9) }, issue: { id: i % 20, number: i, title: `t${i}\u0000`, updated_at: at(1 + i % 5), user: sender, labels: [{ id: i, name: 'bug' }] } });
	await log.post('push', { ref: 'refs/heads/main', before: '0'.repeat(40), after: 'c'.repeat(40), created: true, sender, repository, commits: [1, 2, 3].map((n) => ({ id: String(n).repeat(40), message: `m${n}`, timestamp: at(n), author: { name: 'a' }, added: [], removed: [], modified: ['f'] })), head_commit: null });
	await log.post('unheard_of', { sender, repository });
	await log.post('issues', '{ not json');
	await log.post('issues', { action: 'opened', sender, repository, issue: { id: 'text', title: 'parked' } });
}

async function prepare(t, more = {}) {
	const log = await makeLog(t);
	await fill(log);
	const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '7', HOOKLOG_PROJECTOR_BULK_EVENTS_MIN: '1', ...more } });
	await project.catchUp();
	return project;
}

async function simulate(log, count, seed) {
	await log.receiver.stop();
	await runOk(['source', 'add', 'github', '--data', log.dir]);
	await log.receive();
	await runOk(['simulate', '--data', log.dir, '--url', `${log.receiver.url}/in/github`, '--count', String(count), '--seed', String(seed)]);
	log.sent += count;
}

const report = (result) => ndjson(result.stdout);

test('tables that are right', async (t) => {
	const project = await prepare(t);
	const text = await project.runOk('verify');
	assert.match(text.stdout, new RegExp(`at event ${project.log.sent}: 0 rows differ: the tables are what the log says`));
	const lines = report(await project.runOk('verify', '--json'));
	const tables = lines.filter((line) => line.rows !== undefined);
	for (const { table, rows, table_hash, log_hash } of tables) {
		assert.equal(String(rows), await project.value(`select count(*) from ${table}`), table);
		assert.equal(table_hash, log_hash, table);
	}
	assert.ok(tables.find(({ table }) => table === 'gh.issues').rows >= 19);
	assert.deepEqual(lines.at(-1), { seq: project.log.sent, different: 0, equal: true });
	const one = report(await project.runOk('verify', '--json', '--table', 'users'));
	assert.deepEqual(one.slice(0, -1).map(({ table }) => table), ['gh.users']);
	assert.equal((await project.run('verify', '--table', 'nothing')).code, 3);
	assert.equal((await project.run('verify', '--to', '100000')).code, 3);
});

test('every kind of damage is found, with row and column', async (t) => {
	const project = await prepare(t);
	const damage = [
		['update gh_g1.users set login = \'eve\' where id = 1', [{ table: 'gh.users', key: '1', what: 'differs', column: 'login', live: 'eve', log: 'mona' }]],
		['update gh_g1.users set login = null where id = 1', [{ table: 'gh.users', key: '1', what: 'differs', column: 'login', live: 'null', log: 'mona' }]],
		['update gh_g1.issues set last_seq = last_seq + 1 where id = 3', [{ table: 'gh.issues', key: '3', what: 'differs', column: 'last_seq', live: '24', log: '26' }], (found, was) => ({ ...found, live: String(Number(was) + 1), log: was })],
		['update gh_g1.pull_requests set auto_merge = jsonb_set(auto_merge, \'{b}\', \'1.51\') where id = 7', [{ table: 'gh.pull_requests', key: '7', what: 'differs', column: 'auto_merge', live: '{"a": ["x", null, "\\""], "b": 1.51}', log: '{"a": ["x", null, "\\""], "b": 1.5}' }]],
		['update gh_g1.repositories set topics = \'{c}\' where id = 10', [{ table: 'gh.repositories', key: '10', what: 'differs', column: 'topics', live: '{c}', log: '{"a \\"b\\"",c}' }]],
		['delete from gh_g1.push_commits where position = 1', [{ table: 'gh.push_commits', key: '34 1', what: 'not in the table' }]],
		['insert into gh_g1.push_commits (seq, position) values (34, 99)', [{ table: 'gh.push_commits', key: '34 99', what: 'not in the log' }]],
		['delete from gh_g1.users where id = 3', [{ table: 'gh.users', key: '3', what: 'not in the table' }]],
		['update gh_g1.events set action = \'x\', received_at = received_at + interval \'1 second\' where seq = 1', null],
	];
	for (const [sql, expected] of damage) {
		const lastSeq = await project.value('select last_seq from gh_g1.issues where id = 3');
		await project.query(`create table saved as select * from gh_g1.${/gh_g1\.(\w+)/.exec(sql)[1]}`);
		await project.query(sql);
		const result = await project.run('verify', '--json');
		assert.equal(result.code, 8, result.stderr);
		assert.match(result.stderr, /project\.differs/);
		const found = report(result).filter((line) => line.what);
		if (expected) {
			const wanted = expected.map((line) => (line.column === 'last_seq' ? { ...line, live: String(Number(lastSeq) + 1), log: lastSeq } : line));
			assert.deepEqual(found, wanted, sql);
		} else {
			assert.deepEqual(found.map(({ table, key, column }) => [table, key, column]).sort(), [['hooklog.events', '1', 'action'], ['hooklog.events', '1', 'received_at']]);
		}
		const table = /gh_g1\.(\w+)/.exec(sql)[1];
		const summary = report(result).find((line) => line.different > 0 && line.table?.endsWith(`.${table}`));
		assert.equal(summary.different, 1);
		assert.notEqual(summary.table_hash, summary.log_hash);
		const columns = (await project.query(`select string_agg(attname, ', ' order by attnum) from pg_attribute where attrelid = 'gh_g1.${table}'::regclass and attnum > 0 and attgenerated = '' and not attisdropped`))[0][0];
		await project.query(`truncate gh_g1.${table}; insert into gh_g1.${table} (${columns}) select ${columns} from saved; drop table saved`);
	}
	await project.runOk('verify');
});

test('up to an event: what later ones touched is only asked for', async (t) => {
	const project = await prepare(t);
	await project.runOk('verify', '--to', '20');
	await project.query("update gh_g1.issues set title = 'x' where last_seq = (select max(last_seq) from gh_g1.issues)");
	await project.runOk('verify', '--to', '20');
	assert.equal((await project.run('verify')).code, 8);
	await project.query('delete from gh_g1.issues where first_seq <= 20 and last_seq > 20');
	assert.equal((await project.run('verify', '--to', '20')).code, 8);
});

test('while a projector runs, and with an event that the database refused', async (t) => {
	const log = await makeLog(t);
	const definitions = makeDefinitions(t);
	definitions.write('odd.sql', `-- provider: github
-- key: id
-- rows: issue on issues
create table odd (
	id bigint primary key, -- = id
	number bigint check (number % 2 = 1) -- = number
);
`);
	await fill(log);
	const project = await makeProject(t, log, pg, { env: { ...definitions.env, HOOKLOG_PROJECTOR_BULK_EVENTS_MIN: '1' } });
	const live = project.start('run');
	await project.reached(log.sent, live);
	assert.ok(Number(await project.value('select count(*) from hooklog.parked_events where sqlstate is not null')) > 5);
	let done = false;
	const coming = (async () => {
		while (!done)
			await log.post('issues', { action: 'opened', sender, repository, issue: { id: log.sent, number: 1, title: 't', updated_at: at(1) } });
	})();
	for (let i = 0; i < 3; i++)
		await project.runOk('verify');
	done = true;
	await coming;
	// Loading as a whole is refused, so the rebuild goes event by event, and parks the same events.
	const rebuild = await project.runOk('rebuild');
	assert.match(rebuild.stderr, /project\.rebuild\.one-by-one/);
	await live.stop({ code: 0 });
	await project.catchUp();
	assert.deepEqual(await project.query('select seq from hooklog.parked_events where generation = 1 except select seq from hooklog.parked_events where generation = 2'), []);
	await project.runOk('verify');
});

test('folded in memory and loaded as a whole: the same rows, whatever the memory', async (t) => {
	const project = await prepare(t);
	await simulate(project.log, 6000, 5);
	project.env.HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX = '500';
	await project.catchUp();
	const indexes = (schema) => project.query(`select replace(indexdef, '${schema}.', '') from pg_indexes where schemaname = '${schema}' order by 1`);
	for (const [memory, passes] of [['1GiB', 1], ['1MiB', 2]]) {
		project.env.HOOKLOG_PROJECTOR_MEMORY_BYTES_MAX = memory;
		const rebuild = await project.runOk('rebuild');
		assert.doesNotMatch(rebuild.stderr, /one-by-one/);
		const seen = rebuild.stderr.match(/project\.rebuild\.pass/g).length;
		assert.ok(passes === 1 ? seen === 1 : seen >= passes, rebuild.stderr);
		const [[old], [fresh]] = await project.query("select schema_name from hooklog.generations order by id desc limit 2").then((rows) => rows.reverse());
		assert.deepEqual(await project.differences(old, fresh), []);
		assert.deepEqual(await indexes(fresh), await indexes(old));
		const parked = (schema) => project.query(`select seq, sqlstate, reason from hooklog.parked_events where generation = ${schema.slice(4)} order by 1`);
		assert.equal((await parked(old)).length, passes * 2);
		assert.deepEqual(await parked(fresh), await parked(old));
		await project.runOk('verify');
		// It goes on as usual.
		await fill(project.log);
		await project.catchUp();
		await project.runOk('verify');
	}
});

test('a rebuild that is to be proven swaps only tables that are right', async (t) => {
	const project = await prepare(t);
	const right = await project.runOk('rebuild', '--verify');
	assert.match(right.stderr, /project\.rebuild\.verified schema=gh_g2 seq=\d+/);
	assert.deepEqual((await project.generations()).map(([id, status]) => [id, status]), [['1', 'retired'], ['2', 'live']]);
	// Somebody's trigger changes one row on its way: the number of rows is what it should be.
	await project.query(`create function spoil() returns event_trigger language plpgsql as $$ begin
		if exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where nspname = 'gh_g3' and relname = 'users') and not exists (select from pg_trigger where tgname = 'spoil') then
			create trigger spoil before insert on gh_g3.users for each row when (new.id = 1) execute function public.spoil_row();
		end if; end $$;
		create function spoil_row() returns trigger language plpgsql as $$ begin new.login := 'eve'; return new; end $$;
		create event trigger spoiled on ddl_command_end when tag in ('CREATE TABLE') execute function spoil()`);
	const wrong = await project.run('rebuild', '--verify');
	assert.equal(wrong.code, 8, wrong.stderr);
	assert.match(wrong.stderr, /warn project\.differs table=gh\.users key=1 what=differs column=login/);
	assert.match(wrong.stderr, /1 rows of the new tables are not what the log says; nothing was swapped[^]*project\.differs\.md/);
	assert.deepEqual((await project.generations()).map(([id, status]) => [id, status]), [['1', 'retired'], ['2', 'live'], ['3', 'building']]);
	assert.equal(await project.value('select login from gh.users where id = 1'), 'mona');
	// Put right, and proven where it was left.
	await project.query("drop event trigger spoiled; drop trigger spoil on gh_g3.users; update gh_g3.users set login = 'mona' where id = 1");
	await project.runOk('rebuild', '--verify');
	assert.equal((await project.generations()).at(-1)[1], 'live');
	await project.runOk('verify');
});

// By default: what was loaded is read back after the last event that came meanwhile, and added up.
test('a rebuild swaps only tables that hold what was written to them', async (t) => {
	const project = await prepare(t);
	const right = await project.runOk('rebuild');
	assert.match(right.stderr, /project\.rebuild\.checked schema=gh_g2 seq=\d+/);
	assert.doesNotMatch(right.stderr, /project\.rebuild\.(sums|verified)/);
	const shown = await project.query('select u.*, p.auto_merge from gh.users u, gh.pull_requests p order by u.id, p.id');
	// Somebody's writes, once a table is filled and gets its indexes.
	const meddle = (table, sql) => project.query(`create or replace function meddle() returns event_trigger language plpgsql as $$ begin
		if exists (select from pg_event_trigger_ddl_commands() c join pg_index i on i.indexrelid = c.objid where i.indrelid = to_regclass('gh_g3.${table}')) then
			if exists (select from gh_g3.${table}) then ${sql}; end if; end if; end $$`);
	await meddle('users', 'null');
	await project.query("create event trigger meddles on ddl_command_end when tag in ('CREATE INDEX') execute function meddle()");
	for (const [table, sql, told] of [
		['users', "update gh_g3.users set login = 'eve' where id = 1", /differs table=gh\.users key=1 what=differs column=login/],
		['pull_requests', `update gh_g3.pull_requests set auto_merge = '{"a": ["x", null, 0], "b": 1.50}' where number = 7`, /differs table=gh\.pull_requests key=\d+ what=differs column=auto_merge/],
		['issues', 'delete from gh_g3.issues where id = 3', /differs table=gh\.issues key=3 what="not in the table"/],
		['events', "update gh_g3.events set event = 'ping' where seq = 2", /differs table=hooklog\.events key=2 what=differs column=event/],
		['users', "insert into gh_g3.users (id, login, first_seq, last_seq, origin, version_at, version_rank, version_seq, full_version_at, full_version_rank, full_version_seq) values (999, 'eve', 1, 1, 0, now(), 0, 1, now(), 0, 1)", /differs table=gh\.users key=999 what="not in the log"/],
	]) {
		await meddle(table, sql);
		const wrong = await project.run('rebuild');
		assert.equal(wrong.code, 8, `${sql}: ${wrong.stderr}`);
		assert.match(wrong.stderr, new RegExp(`warn project\\.rebuild\\.sums reason="table gh_g3\\.${table} is not what was written to it`), sql);
		assert.match(wrong.stderr, told);
		assert.match(wrong.stderr, /1 rows of the new tables are not what the log says; nothing was swapped[^]*project\.differs\.md/);
		assert.deepEqual((await project.generations()).map(([id, status]) => [id, status]), [['1', 'retired'], ['2', 'live'], ['3', 'building']]);
		assert.deepEqual(await project.query('select u.*, p.auto_merge from gh.users u, gh.pull_requests p order by u.id, p.id'), shown);
		// Whoever runs it again is told again, since nothing of it was loaded by that process.
		if (table === 'users')
			assert.equal((await project.run('rebuild')).code, 8);
		await project.runOk('drop', 'gh_g3');
	}
	// The same value in other words is the same.
	await meddle('pull_requests', `update gh_g3.pull_requests set auto_merge = '{"a": ["x", null, "\\u0022"], "b": 150e-2}' where number = 7`);
	const same = await project.runOk('rebuild');
	assert.doesNotMatch(same.stderr, /project\.rebuild\.sums/);
	assert.equal((await project.generations()).at(-1)[1], 'live');
});

// Events that come while the tables are filled reach them batch by batch, and the sums by folding.
test('what comes while a rebuild loads is added up as well', async (t) => {
	const project = await prepare(t);
	// The load waits at its first index until more was appended.
	await project.query(`create table gate (open boolean); create function wait() returns event_trigger language plpgsql as $$ begin
		while not exists (select from public.gate) loop perform pg_sleep(0.02); end loop; end $$;
		create event trigger waits on ddl_command_end when tag in ('CREATE INDEX') execute function wait()`);
	const rebuild = project.start('rebuild');
	await until(async () => (await project.value("select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()")) !== '0');
	const before = project.log.sent;
	for (let i = 1; i <= 40; i++)
		await project.log.post('issues', { action: 'edited', sender: { ...sender, login: `mona-${i}` }, repository, issue: { id: i, number: i, title: `later ${i}`, updated_at: at(20) } });
	await project.log.post('pull_request', { action: 'edited', number: 7, sender, repository, pull_request: fullPull(7, at(21), { auto_merge: { z: [1e2] } }) });
	await project.query('insert into gate values (true)');
	assert.deepEqual(await rebuild.wait(), { code: 0, signal: null }, rebuild.stderr);
	assert.match(rebuild.stderr, new RegExp(`project\\.rebuild\\.pass .*to=${before} `));
	assert.match(rebuild.stderr, new RegExp(`project\\.rebuild\\.checked schema=gh_g2 seq=${project.log.sent}`));
	assert.doesNotMatch(rebuild.stderr, /project\.rebuild\.sums/);
	await project.runOk('verify');
});
