// SPDX-License-Identifier: Apache-2.0
// Tables as they were: equal to those of a projector that had stopped there.
import { program, test, assert } from '../lib/harness.mjs';
import { runOk } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const pg = await startPostgres(program);

async function fill(log, count) {
	for (let i = 1; i <= count; i++)
		await log.post('issues', { action: i % 5 === 0 ? 'deleted' : 'edited', sender, repository, issue: { id: i % 7, number: i, title: `t${log.sent}`, updated_at: `2026-01-0${1 + i % 4}T00:00:00Z` } });
}

test('at an event, at a time, and what is refused', async (t) => {
	const log = await makeLog(t);
	await fill(log, 12);
	await log.post('issues', '{ not json');
	const project = await makeProject(t, log, pg);
	await project.runOk('run', '--to', '9');
	const indexes = (schema) => project.query(`select replace(replace(indexdef, '"${schema}".', ''), '${schema}.', '') from pg_indexes where schemaname = '${schema}' order by 1`);
	for (const schema of ['then', 'then_again'])
		assert.equal((await project.runOk('as-of', '--seq', '9', '--schema', schema)).stdout, `schema ${schema} holds the tables as they were at event 9\n`);
	assert.deepEqual(await project.dump('then'), await project.dump('gh_g1'));
	assert.deepEqual(await indexes('then'), await indexes('gh_g1'));
	const line = (await runOk(['log', 'show', '9', '--json', '--data', log.dir])).stdout;
	await project.runOk('as-of', '--time', JSON.parse(line).received_at, '--schema', 'by_time');
	assert.deepEqual(await project.dump('by_time'), await project.dump('gh_g1'));

	// The live tables go on, those stand still. (`then` is a word of SQL, on purpose.)
	await project.catchUp();
	assert.notDeepEqual(await project.dump('then'), await project.dump('gh_g1'));
	const all = await project.runOk('as-of', '--seq', '13', '--schema', 'now');
	assert.match(all.stdout, /^1 events could not be projected$/m);
	assert.deepEqual(await project.dump('now'), await project.dump('gh_g1'));

	for (const [args, code] of [
		[['--seq', '9', '--schema', 'then'], 1], [['--seq', '14', '--schema', 'x'], 3], [['--seq', '0', '--schema', 'x'], 3],
		[['--seq', '9', '--schema', 'gh'], 1], [['--seq', '9', '--schema', 'x"; drop schema gh'], 1], [['--seq', '9', '--schema', 'pg_x'], 1],
		[['--seq', '9'], 2], [['--schema', 'x'], 2], [['--seq', '9', '--time', '2026-01-01', '--schema', 'x'], 2], [['--time', '2001-01-01', '--schema', 'x'], 3],
	])
		assert.equal((await project.run('as-of', ...args)).code, code, args.join(' '));
	assert.deepEqual(await project.query("select nspname from pg_namespace where nspname in ('x', 'pg_x')"), []);
	assert.equal(await project.value('select count(*) from hooklog.generations'), '1');
});

test('into a database that holds nothing yet', async (t) => {
	const log = await makeLog(t);
	await fill(log, 5);
	const project = await makeProject(t, log, pg);
	await project.runOk('as-of', '--seq', '3', '--schema', 'early');
	assert.equal(await project.value('select count(*) from early.events'), '3');
	await project.catchUp();
	assert.equal(await project.value('select count(*) from hooklog.events'), '5');
});
