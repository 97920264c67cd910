// SPDX-License-Identifier: Apache-2.0
// github.com and an Enterprise Server in one log, which count from 1 each: the same ids must not meet.
import crypto from 'node:crypto';
import { program, test, assert } from '../lib/harness.mjs';
import { run, runOk } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeLog, makeProject } from '../lib/project.mjs';

const HOSTS = { HOOKLOG_PROJECTOR_HOSTS: 'ghe=ghe.acme.com, ghe2=ghe.acme.com, lab=GHE-lab:8443' };
const pg = await startPostgres(program);
const log = await makeLog(program, { receive: false });
for (const source of ['ghe', 'ghe2', 'lab'])
	await runOk(['source', 'add', source, '--provider', 'github', '--allow-unsigned', '--data', log.dir]);
await log.receive();

const post = async (source, event, payload) => {
	if (source === 'gh')
		return log.post(event, payload);
	const answer = await fetch(`${log.receiver.url}/in/${source}`, { method: 'POST', body: JSON.stringify(payload), headers: {
		'content-type': 'application/json', 'x-github-event': event, 'x-github-delivery': crypto.randomUUID(), 'x-github-enterprise-host': 'gh"; drop schema gh; --' } });
	assert.equal(answer.status, 202, await answer.text());
	log.sent++;
};
const things = (where, updated, more = {}) => ({
	sender: { id: 1, login: `mona-${where}`, type: 'User' },
	repository: { id: 10, name: 'hello', full_name: `${where}/hello`, owner: { id: 2, login: where, type: 'Organization' }, updated_at: updated },
	issue: { id: 100, number: 1, title: `of ${where}`, state: 'open', updated_at: updated, created_at: updated, ...more },
});

test('the same ids on several hosts are rows of several schemas', async (t) => {
	const project = await makeProject(t, log, pg, { env: HOSTS });
	await post('gh', 'issues', { action: 'opened', ...things('com', '2026-01-01T00:00:00Z') });
	await post('ghe', 'issues', { action: 'opened', ...things('ghe', '2026-01-02T00:00:00Z') });
	await post('lab', 'issues', { action: 'opened', ...things('lab', '2026-01-03T00:00:00Z') });
	await post('ghe2', 'issues', { action: 'closed', ...things('ghe', '2026-01-04T00:00:00Z', { state: 'closed', closed_at: '2026-01-04T00:00:00Z' }) });
	await post('gh', 'issues', { action: 'deleted', ...things('com', '2026-01-05T00:00:00Z') });
	await project.catchUp();

	const check = async () => {
		for (const [schema, where, state, deleted] of [['gh', 'com', 'open', 'f'], ['gh_ghe_acme_com', 'ghe', 'closed', 't'], ['gh_ghe_lab_8443', 'lab', 'open', 't']]) {
			assert.deepEqual(await project.query(`select id, title, state, deleted_at is null from ${schema}.issues`), [['100', `of ${where}`, state, deleted]]);
			assert.deepEqual(await project.query(`select id, login from ${schema}.users order by id`), [['1', `mona-${where}`], ['2', where]]);
			assert.deepEqual(await project.query(`select id, full_name from ${schema}.repositories`), [['10', `${where}/hello`]]);
		}
		// One log, one list of events, which tells the hosts apart.
		assert.deepEqual(await project.query('select seq, source, host, item_id from hooklog.events order by seq'), [['1', 'gh', null, '100'], ['2', 'ghe', 'ghe.acme.com', '100'], ['3', 'lab', 'GHE-lab:8443', '100'], ['4', 'ghe2', 'ghe.acme.com', '100'], ['5', 'gh', null, '100']]);
	};
	await check();
	assert.deepEqual(await project.query("select count(*) from hooklog.parked_events"), [['0']]);
	// Only what is configured became a name.
	assert.deepEqual(await project.query("select nspname from pg_namespace where nspname like 'gh%' order by 1"), [['gh'], ['gh_g1'], ['gh_ghe_acme_com'], ['gh_ghe_lab_8443'], ['gh_metrics']]);
	// Comments, indexes and the reader's grants are those of the others.
	assert.equal(await project.value("select obj_description('gh_ghe_acme_com.issues'::regclass) = obj_description('gh.issues'::regclass)"), 't');
	assert.equal(await project.value("select count(*) from pg_indexes where schemaname = 'gh_g1' and tablename = 'ghe_acme_com_issues'"), await project.value("select count(*) from pg_indexes where schemaname = 'gh_g1' and tablename = 'issues'"));
	assert.equal(await project.value("select has_table_privilege('hooklog_reader', 'gh_ghe_acme_com.issues', 'select')"), 't');

	await project.runOk('verify');
	assert.match((await project.runOk('explain', 'gh_ghe_acme_com.issues', '100')).stdout, /closed/);
	assert.match((await project.runOk('explain', 'gh.issues', '100')).stdout, /of com/);
	for (const env of [{}, { HOOKLOG_PROJECTOR_BULK_EVENTS_MIN: '1' }]) {
		Object.assign(project.env, env);
		await project.runOk('rebuild');
		await check();
		await project.runOk('verify');
	}
});

test('another list of hosts asks for a rebuild, and views of a host that is gone go', async (t) => {
	const project = await makeProject(t, log, pg);
	await project.catchUp();
	assert.equal(await project.value('select title from gh.issues'), 'of com');
	Object.assign(project.env, { HOOKLOG_PROJECTOR_HOSTS: 'ghe=ghe.acme.com' });
	assert.equal((await project.run('run')).code, 9);
	await project.runOk('rebuild');
	assert.equal(await project.value('select title from gh_ghe_acme_com.issues'), 'of ghe');
	project.env.HOOKLOG_PROJECTOR_HOSTS = '';
	await project.runOk('rebuild');
	assert.equal(await project.value("select to_regclass('gh_ghe_acme_com.issues')"), null);
});

test('what cannot be a host is refused with what is wrong', async () => {
	for (const [hosts, says] of [['ghe', /must be SOURCE=HOST/], ['=x', /must be/], ['ghe=a"b', /must be/], ['ghe=', /must be/], ['a=ghe.x,b=ghe-x', /the same schema/], ['a=x,a=y', /occurs twice/], [`a=${'x'.repeat(25)}`, /up to 24/]]) {
		const refused = await run(['project', 'rebuild', '--data', log.dir], { env: { ...pg.env, HOOKLOG_PROJECTOR_HOSTS: hosts } });
		assert.equal(refused.code, 4, `${hosts}: ${refused.stderr}`);
		assert.match(refused.stderr, says);
	}
});
