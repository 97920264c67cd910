// SPDX-License-Identifier: Apache-2.0
// Who owns what, and who may read it: a projector's role that may only make schemas, one that may make roles,
// and consumers of the reader role, across a rebuild that changes the views.
import { program, test, assert } from '../lib/harness.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeDefinitions, makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const pg = await startPostgres(program);
const log = await makeLog(program);
for (let i = 1; i <= 3; i++)
	await log.post('issues', { action: 'opened', sender, repository, issue: { id: i, number: i, title: `t${i}`, updated_at: '2026-01-01T00:00:00Z' } });

const as = (project, role) => ({ ok: (sql) => pg.query(`set role ${role}; ${sql}`, { database: project.database }),
	refused: (sql) => assert.rejects(pg.query(`set role ${role}; ${sql}`, { database: project.database }), /permission denied/, sql) });

test('a role that may make schemas is all it needs; it owns them, and says what it may not', async (t) => {
	await pg.query('create role plain login');
	const definitions = makeDefinitions(t);
	const project = await makeProject(t, log, pg, { env: { ...definitions.env, PGUSER: 'plain' } });

	const refused = await project.run('run');
	assert.equal(refused.code, 6, refused.stderr);
	assert.match(refused.stderr, /permission denied for database/);
	assert.match(refused.stderr, /postgres\.refused/);

	await project.query(`grant create on database ${project.database} to plain`);
	const handle = await project.catchUp();
	assert.match(handle.stderr, /project\.reader-role missing=hooklog_reader/);
	assert.deepEqual(await project.query(`select distinct pg_get_userbyid(nspowner) from pg_namespace where nspname ~ '^(gh|hooklog)'`), [['plain']]);
	assert.deepEqual(await project.query(`select distinct pg_get_userbyid(relowner) from pg_class where relnamespace::regnamespace::text ~ '^(gh|hooklog)'`), [['plain']]);
	assert.equal(await project.value("select count(*) from pg_roles where rolname = 'hooklog_reader'"), '0');

	// An administrator makes the role; the next start of the projector grants.
	await pg.query('create role hooklog_reader nologin; create role consumer login in role hooklog_reader');
	const consumer = as(project, 'consumer');
	await consumer.refused('select * from gh.issues');
	assert.doesNotMatch((await project.catchUp()).stderr, /reader-role/);
	const check = async () => {
		assert.deepEqual((await consumer.ok('select count(*) from gh.issues')), [['3']]);
		for (const view of ['hooklog.events', 'hooklog.issues', 'gh.issue_labels', 'gh.people', 'gh_metrics.issue_times', 'hooklog.generations'])
			await consumer.ok(`select * from ${view}`);
		const live = await project.value("select schema_name from hooklog.generations where status = 'live'");
		for (const sql of [`select * from ${live}.issues`, 'delete from gh.issues', "update gh.users set login = ''", 'insert into hooklog.user_overrides values (1)', 'delete from hooklog.generations',
			'select * from hooklog.audit', 'create table gh.mine ()', `create schema mine`, 'create view gh_metrics.mine as select 1'])
			await consumer.refused(sql);
	};
	await check();

	// A rebuild after which gh.issues has other columns, views on it are made anew, and there is a new one.
	definitions.write('issues.sql', '-- provider: github\n-- key: id\n-- rows: issue\ncreate table issues (\n\ttitle text, -- = title\n\tid bigint primary key\n);\n');
	definitions.write('titles.sql', '-- view: acme.titles\n-- key: id\n-- rows: issue\ncreate table titles (\n\tid bigint primary key,\n\ttitle text -- = title\n);\n');
	await project.runOk('rebuild');
	assert.deepEqual(await consumer.ok('select count(*) from acme.titles'), [['3']]);
	definitions.remove('issues.sql');
	await project.runOk('rebuild');
	await check();
	await project.runOk('rollback');
	assert.deepEqual(await consumer.ok('select title from gh.issues order by id'), [['t1'], ['t2'], ['t3']]);

	await project.runOk('as-of', '--seq', '2', '--schema', 'second');
	assert.deepEqual(await consumer.ok('select count(*) from second.issues'), [['2']]);
	await consumer.refused('delete from second.issues');
});

test('a role that may make roles makes the reader; other readers are named in a table', async (t) => {
	await pg.query('alter role hooklog_reader rename to reader_of_before');
	await pg.query('create role maker login createrole; create role "Analysts of ""us""" nologin');
	const project = await makeProject(t, log, pg, { env: { PGUSER: 'maker' } });
	await project.query(`grant create on database ${project.database} to maker`);
	await project.catchUp();
	assert.equal(await project.value("select count(*) from pg_roles where rolname = 'hooklog_reader'"), '1');
	await project.query(`delete from hooklog.readers; insert into hooklog.readers values ('Analysts of "us"'), ('nobody there')`);
	assert.match((await project.catchUp()).stderr, /project\.reader-role missing="nobody there"/);
	assert.deepEqual(await as(project, '"Analysts of ""us"""').ok('select count(*) from gh.issues'), [['3']]);
});

test('every session has its timeouts', async (t) => {
	const project = await makeProject(t, log, pg);
	const handle = project.start('run');
	await project.reached(3, handle);
	// What a session has set is seen from inside only: a default expression in a table it writes to.
	await project.query("alter table hooklog.generations add column seen text; create function note() returns trigger language plpgsql as $$ begin new.seen := concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')); return new; end $$; create trigger note before update on hooklog.generations for each row execute function note()");
	await log.post('ping', {});
	await project.reached(log.sent, handle);
	assert.equal(await project.value('select seen from hooklog.generations'), '70s 30s 1min');
	await handle.stop();
});
