// SPDX-License-Identifier: Apache-2.0
// The operator's own projections, and what comes of wrong ones.
import { program, test, assert } from '../lib/harness.mjs';
import { run } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeDefinitions, makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const pg = await startPostgres(program);
const log = await makeLog(program);
for (let i = 1; i <= 5; i++)
	await log.post('issues', { action: 'opened', sender, repository, issue: { id: i, number: i, title: `t${i}`, updated_at: '2026-01-01T00:00:00Z' } });

const titles = (view) => `-- Titles.
-- provider: github
-- view: ${view}
-- key: id
-- rows: issue
create table titles (
	id bigint primary key,
	title text -- = title
);
`;

async function setup(t, view = 'acme.all_titles') {
	const definitions = makeDefinitions(t);
	const project = await makeProject(t, log, pg, { env: definitions.env });
	await project.catchUp();
	definitions.write('titles.sql', titles(view));
	return { definitions, project };
}

test('a new file asks for a rebuild, which makes and fills its table', async (t) => {
	const { project } = await setup(t);
	const refused = await project.run('run');
	assert.equal(refused.code, 9, refused.stderr);
	assert.match(refused.stderr, /hooklog project rebuild/);
	assert.match(refused.stderr, /project\.definitions-changed/);
	assert.equal(JSON.parse((await project.runOk('status', '--json')).stdout).generations[0].current_definitions, false);
	assert.equal((await project.run('parked', '--retry', '1')).code, 3);

	await project.runOk('rebuild');
	assert.equal(await project.value("select string_agg(title, ' ' order by id) from acme.all_titles"), 't1 t2 t3 t4 t5');
	await project.catchUp();
	// The table before it was known: an empty one would make the rebuild of no use.
	assert.deepEqual(await project.query("select tablename from pg_tables where schemaname = 'gh_g1' and tablename = 'titles'"), []);
});

// A view that is left behind would show the old rows for ever, and vanish with the old generation.
for (const view of ['gh.titles', 'acme.all_titles']) {
	test(`without its file the view ${view} goes`, async (t) => {
		const { definitions, project } = await setup(t, view);
		await project.runOk('rebuild');
		assert.equal(await project.value(`select count(*) from ${view}`), '5');
		definitions.remove('titles.sql');
		assert.equal((await project.run('run')).code, 9);
		await project.runOk('rebuild');
		assert.equal(await project.value(`select to_regclass('${view}')`), null);
		assert.equal(await project.value('select count(*) from gh.issues'), '5');
	});
}

test('a view that somebody built on one that would go stops the swap', async (t) => {
	const { definitions, project } = await setup(t);
	await project.runOk('rebuild');
	await project.query('create view public.mine as select title from acme.all_titles');
	definitions.remove('titles.sql');
	const refused = await project.run('rebuild');
	assert.notEqual(refused.code, 0);
	assert.match(refused.stderr, /mine/);
	assert.equal(await project.value('select count(*) from public.mine'), '5');
	assert.deepEqual((await project.generations()).map(([, status]) => status), ['retired', 'live', 'building']);
	await project.query('drop view public.mine');
	await project.runOk('rebuild');
	assert.equal(await project.value("select to_regclass('acme.all_titles')"), null);
});

test('views and grants on the stable views survive a rebuild of the same shape', async (t) => {
	const project = await makeProject(t, log, pg);
	await project.catchUp();
	await project.query(`create view public.logins as select id, login from gh.users; do $$ begin
		if not exists (select from pg_roles where rolname = 'viewer') then create role viewer; end if; end $$;
		grant select on gh.users to viewer`);
	for (const expected of ['gh_g2', 'gh_g3']) {
		await project.runOk('rebuild');
		assert.ok((await project.value("select pg_get_viewdef('gh.users')")).includes(expected));
		assert.equal(await project.value('select login from public.logins where id = 1'), 'mona');
		assert.equal(await project.value("select has_table_privilege('viewer', 'gh.users', 'select')"), 't');
	}
	// The last but one is gone, the last is kept to compare with.
	assert.deepEqual((await project.generations()).map(([id, status]) => [id, status]), [['2', 'retired'], ['3', 'live']]);
	assert.equal(await project.value("select count(*) from pg_namespace where nspname = 'gh_g1'"), '0');
});

test('a file that replaces a built-in one may change its shape', async (t) => {
	const definitions = makeDefinitions(t);
	const project = await makeProject(t, log, pg, { env: definitions.env });
	await project.catchUp();
	definitions.write('issues.sql', titles('gh.issues'));
	await project.runOk('rebuild');
	assert.deepEqual(await project.query('select id, title from gh.issues where id = 2'), [['2', 't2']]);
	assert.equal(await project.value("select count(*) from information_schema.columns where table_schema = 'gh' and table_name = 'issues' and column_name = 'state'"), '0');
});

test('a wrong file is named with its line', async (t) => {
	const definitions = makeDefinitions(t);
	const project = await makeProject(t, log, pg, { env: definitions.env });
	definitions.write('titles.sql', titles('acme.x').replace('text --', 'uuid --'));
	for (const command of [['run'], ['rebuild'], ['check'], ['status']]) {
		const refused = await project.run(...command);
		assert.equal(refused.code, 4, refused.stderr);
		assert.match(refused.stderr, /titles\.sql:8:8: .*uuid/);
	}
	assert.equal(await project.value("select count(*) from pg_namespace where nspname = 'hooklog'"), '0');
});

test('a folder that is not there is said', async (t) => {
	const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_DIR: '/nowhere/at/all' } });
	const refused = await project.run('run');
	assert.notEqual(refused.code, 0);
	assert.match(refused.stderr, /\/nowhere\/at\/all/);
});

// Only PostgreSQL can tell; the file is named all the same, and nothing is left half made.
for (const [what, text, says] of [
	['SQL that is no SQL', titles('acme.x').replace('bigint primary key', 'bigint primary kee'), /syntax error/],
	['a column of ours', titles('acme.x').replace('title text', 'first_seq text'), /first_seq/],
	['a key without an index', titles('acme.x').replace('bigint primary key', 'bigint'), /ON CONFLICT/],
]) {
	test(`a file with ${what}`, async (t) => {
		const definitions = makeDefinitions(t);
		const project = await makeProject(t, log, pg, { env: definitions.env });
		await project.catchUp();
		definitions.write('titles.sql', text);
		const refused = await project.run('rebuild');
		assert.equal(refused.code, 4, refused.stderr);
		assert.match(refused.stderr, /titles\.sql/);
		assert.match(refused.stderr, says);
		assert.match(await project.value("select pg_get_viewdef('gh.users')"), /gh_g1/);
		definitions.write('titles.sql', titles('acme.x'));
		await project.runOk('rebuild');
		assert.equal(await project.value('select count(*) from acme.x'), '5');
		assert.deepEqual((await project.generations()).map(([, status]) => status), ['retired', 'live']);
	});
}

test('check needs no database', async (t) => {
	const definitions = makeDefinitions(t);
	definitions.write('titles.sql', titles('acme.x'));
	const env = { ...definitions.env, PGHOST: '/nowhere' };
	const all = await run(['project', 'check'], { env });
	assert.equal(all.code, 0, all.stderr);
	assert.match(all.stdout, /titles +acme\.x/);
	const sql = await run(['project', 'check', '--sql', 'titles'], { env });
	assert.match(sql.stdout, /insert into "gh_gN"\.titles/);
	assert.doesNotMatch(sql.stdout, /\.users/);
	assert.equal((await run(['project', 'check', 'nothing'], { env })).code, 3);
});
