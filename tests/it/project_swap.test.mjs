// SPDX-License-Identifier: Apache-2.0
// The swap of the views: under load, over an outage, with grants and with views of others on top.
import { setTimeout as sleep } from 'node:timers/promises';
import { program, test, assert } from '../lib/harness.mjs';
import { startUp, until } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeDefinitions, makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const pg = await startPostgres(program);

async function fill(log, count) {
	for (let i = 1; i <= count; i++)
		await log.post('issues', { action: 'opened', sender, repository, issue: { id: log.sent + 1, number: i, title: 't', updated_at: '2026-01-01T00:00:00Z' } });
}

// Every event takes the database this long.
const slow = (seconds) => `-- provider: github
-- kind: fact
-- key: seq
-- rows: . on issues
create table slow (
	seq bigint primary key, -- = @seq
	slept text -- = action
		check (pg_sleep(${seconds})::text = '')
);
`;

const labels = (columns) => `-- provider: github
-- key: id
-- rows: issue on issues
create table zz_labels (
	id bigint primary key, -- = id
	${columns}
);
`;

const TITLE = 'title text -- = title';
const NUMBER = 'number bigint, -- = number';

test('events that come faster than they can be projected do not hold off the swap', async (t) => {
	const log = await makeLog(t);
	await fill(log, 40);
	const definitions = makeDefinitions(t);
	definitions.write('slow.sql', slow(0.02));
	const project = await makeProject(t, log, pg, { env: { ...definitions.env, HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '2' } });
	const live = project.start('run');
	await project.reached(10, live);
	const rebuild = project.start('rebuild');
	let done = false;
	const flood = Promise.all([1, 2, 3].map(async () => {
		while (!done)
			await fill(log, 1);
	}));
	const ended = await rebuild.wait();
	done = true;
	await flood;
	assert.deepEqual(ended, { code: 0, signal: null }, rebuild.stderr);
	const [[, , retired], [, , at]] = await project.generations();
	assert.ok(Number(at) < log.sent, `${at} of ${log.sent}: the flood was not faster`);
	assert.ok(Number(at) >= Number(retired));
	await live.waitFor(/project\.attached schema=gh_g2/);
	await live.stop();
	const seq = await project.value('select max(seq) from hooklog.events');
	assert.equal(await project.value('select count(*) from hooklog.events'), seq);
	assert.equal(await project.value("select string_agg(action || ' ' || generation, ', ' order by id) from hooklog.audit"), 'promote 1, promote 2');
});

test('`up` goes on with its rebuild when the database comes back', async (t) => {
	const own = await startPostgres(t);
	const log = await makeLog(t);
	await fill(log, 60);
	await log.receiver.stop();
	const definitions = makeDefinitions(t);
	const project = await makeProject(t, log, own, { env: { ...definitions.env, HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '2' } });
	await project.catchUp();
	definitions.write('slow.sql', slow(0.05));
	const up = await startUp(t, log.dir, { env: project.env });
	const building = () => project.value("select coalesce(max(seq), 0) from hooklog.generations where status = 'building'");
	await until(async () => Number(await building()) > 4);
	await own.stop('immediate');
	await up.waitFor(/postgres\.unavailable/);
	await sleep(600); // a second try fails, too
	await own.start();
	await up.waitFor(/project\.rebuild\.continue schema=gh_g2/);
	await up.waitFor(/project\.attached schema=gh_g2/);
	assert.equal(await project.value('select count(*) from gh_g2.slow'), '60');
	await up.stop();
	assert.doesNotMatch(up.stderr, /project\.stopped/);
});

test('a view whose columns change keeps its grants', async (t) => {
	const log = await makeLog(t);
	await fill(log, 2);
	const definitions = makeDefinitions(t);
	definitions.write('zz.sql', labels(`${NUMBER}\n${TITLE}`));
	const project = await makeProject(t, log, pg, { env: definitions.env });
	await project.catchUp();
	const role = `reader_${project.database}`;
	await project.query(`create role ${role}; create role ${role}_2; grant usage on schema gh to ${role}, ${role}_2;
		grant select on gh.zz_labels to ${role} with grant option;
		grant select (id, number, title) on gh.zz_labels to ${role}_2; comment on view gh.zz_labels is 'it''s ours';
		grant select on gh.users to public`);
	program.cleanup(() => project.query(`drop owned by ${role}, ${role}_2; drop role ${role}, ${role}_2`));
	definitions.write('zz.sql', labels(TITLE));
	await project.runOk('rebuild');
	const may = (who, what, column) => project.value(`select has_${column ? 'column' : 'table'}_privilege('${who}', 'gh.zz_labels'${column ? `, '${column}'` : ''}, '${what}')`);
	assert.equal(await may(role, 'select with grant option'), 't');
	assert.equal(await may(`${role}_2`, 'select'), 'f');
	assert.equal(await may(`${role}_2`, 'select', 'title'), 't');
	assert.equal(await may(`${role}_2`, 'select', 'first_seq'), 'f');
	assert.equal(await project.value(`select has_table_privilege('${role}_2', 'gh.users', 'select')`), 't');
	assert.equal(await project.value("select obj_description('gh.zz_labels'::regclass)"), "it's ours");
	assert.deepEqual(await project.query('select id, title from gh.zz_labels order by 1'), [['1', 't'], ['2', 't']]);
});

test('views of others: those of the same shape stay, others are named', async (t) => {
	const log = await makeLog(t);
	await fill(log, 2);
	const definitions = makeDefinitions(t);
	definitions.write('zz.sql', labels(`${NUMBER}\n${TITLE}`));
	const project = await makeProject(t, log, pg, { env: definitions.env });
	await project.catchUp();
	await project.query(`create schema mine; create view mine.users as select id, login from gh.users;
		create view mine.titles as select id, title from gh.zz_labels;
		create view mine."On top" as select * from mine.titles;
		create materialized view mine.numbers as select number from gh.zz_labels`);
	definitions.write('zz.sql', labels(TITLE));
	const refused = await project.run('rebuild');
	assert.equal(refused.code, 9, refused.stderr);
	assert.match(refused.stderr, /project\.views-in-the-way/);
	assert.match(refused.stderr, /make them again: mine\."On top", mine\.numbers, mine\.titles\n/);
	assert.match(refused.stderr, /kind="materialized view" name=mine\.numbers stands_on=gh\.zz_labels/);
	assert.doesNotMatch(refused.stderr, /mine\.users/);
	assert.deepEqual(await project.query('select status from hooklog.generations order by id'), [['live'], ['building']]);
	assert.equal(await project.value('select count(*) from mine."On top"'), '2');

	await project.query('drop view mine."On top", mine.titles; drop materialized view mine.numbers');
	const again = await project.runOk('rebuild');
	assert.match(again.stderr, /project\.rebuild\.continue/);
	assert.equal(await project.value('select login from mine.users where id = 1'), 'mona');
	// A projection that goes takes its view along, unless somebody stands on it.
	await project.query('create view mine.titles as select id, title from gh.zz_labels');
	definitions.remove('zz.sql');
	const gone = await project.run('rebuild');
	assert.equal(gone.code, 9, gone.stderr);
	assert.match(gone.stderr, /make them again: mine\.titles\n/);
	await project.query('drop view mine.titles');
	await project.runOk('rebuild');
	assert.equal(await project.value("select to_regclass('gh.zz_labels')"), null);
});
