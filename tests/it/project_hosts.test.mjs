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

const project = await makeProject(program, log, pg, { env: HOSTS });

test('the same ids on several hosts are rows of several schemas', async () => {
	await post('gh', 'issues', { action: 'opened', ...things('com', '2026-01-01T00:00:00Z') });
	await post('ghe', 'issues', { action: 'opened', ...things('ghe', '2026-01-02T00:00:00Z') });
	await post('lab', 'issues', { action: 'opened', ...things('lab', '2026-01-03T00:00:00Z') });
	await post('ghe2', 'issues', { action: 'closed', ...things('ghe', '2026-01-04T00:00:00Z', { state: 'closed', closed_at: '2026-01-04T00:00:00Z', created_at: '2026-01-02T00:00:00Z' }) });
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
	assert.deepEqual(await project.query("select nspname from pg_namespace where nspname like 'gh%' order by 1"), [['gh'], ['gh_g1'], ['gh_ghe_acme_com'], ['gh_ghe_lab_8443'], ['gh_metrics'], ['gh_metrics_ghe_acme_com'], ['gh_metrics_ghe_lab_8443']]);
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

test('the views on top show every host, and join nothing across them', async () => {
	const check = async () => {
		// Those for all forges tell the host; the deleted issue of github.com is in none of them.
		assert.deepEqual(await project.query('select provider, host, id, title, state from hooklog.issues order by host'), [
			['github', 'GHE-lab:8443', '100', 'of lab', 'open'], ['github', 'ghe.acme.com', '100', 'of ghe', 'closed']]);
		assert.deepEqual(await project.query('select host, id, full_name, owner_id from hooklog.repositories order by host nulls first'), [
			[null, '10', 'com/hello', '2'], ['GHE-lab:8443', '10', 'lab/hello', '2'], ['ghe.acme.com', '10', 'ghe/hello', '2']]);
		assert.deepEqual(await project.query('select host, login from hooklog.users order by host nulls first'), [[null, 'mona-com'], ['GHE-lab:8443', 'mona-lab'], ['ghe.acme.com', 'mona-ghe']]);
		assert.deepEqual(await project.query('select host, login from hooklog.owners order by host nulls first'), [[null, 'com'], ['GHE-lab:8443', 'lab'], ['ghe.acme.com', 'ghe']]);
		// Opened on the 2nd and closed on the 4th at one host: 48 hours; open at another, where nothing was closed.
		assert.deepEqual(await project.query('select issue_id, state, open_hours, reopened, excluded from gh_metrics_ghe_acme_com.issue_times'), [['100', 'closed', '48', '0', null]]);
		assert.deepEqual(await project.query('select issue_id, state, open_hours, excluded from gh_metrics_ghe_lab_8443.issue_times'), [['100', 'open', null, null]]);
		assert.deepEqual(await project.query('select * from gh_metrics.issue_times'), []);
		// What is said of account 1 of one host is not said of account 1 of another.
		assert.deepEqual(await project.query(`select 'com', person from gh.people union all select 'ghe', person from gh_ghe_acme_com.people
			union all select 'lab', person from gh_ghe_lab_8443.people order by 1`), [['com', 'Mona'], ['ghe', 'Lisa'], ['lab', 'mona-lab']]);
	};
	await project.query("insert into hooklog.user_overrides (user_id, person) values (1, 'Mona'); insert into hooklog.user_overrides (host, user_id, person) values ('ghe.acme.com', 1, 'Lisa')");
	await check();
	// Each view is made for each host, with its comments; that over all sources is made once.
	assert.deepEqual(await project.query(`select a.name from (values ('gh', 'gh_ghe_acme_com'), ('gh_metrics', 'gh_metrics_ghe_acme_com')) s (plain, host)
		cross join lateral (select table_name::text as name from information_schema.views where table_schema = s.plain
			except select table_name from information_schema.views where table_schema = s.host) a`), [['event_counts']]);
	assert.equal(await project.value("select col_description('gh_metrics_ghe_acme_com.issue_times'::regclass, 1)"), 'gh_ghe_acme_com.issues.id');
	assert.equal(await project.value("select has_table_privilege('hooklog_reader', 'gh_metrics_ghe_acme_com.issue_times', 'select')"), 't');

	// Without the host its views are gone, and it is in no other; going back brings them back, though the setting lacks it.
	const env = { ...project.env };
	project.env.HOOKLOG_PROJECTOR_HOSTS = 'lab=GHE-lab:8443';
	await project.runOk('rebuild');
	assert.equal(await project.value("select count(*) from information_schema.views where table_schema in ('gh_ghe_acme_com', 'gh_metrics_ghe_acme_com')"), '0');
	// ghe and ghe2 are sources of github.com now, and what they say of issue 100 is, too.
	assert.deepEqual(await project.query('select host, title from hooklog.issues order by host nulls first'), [['GHE-lab:8443', 'of lab']]);
	await project.runOk('rollback');
	await check();
	Object.assign(project.env, env);
});

test('views on top that another version made are made anew, with the grants on them', async (t) => {
	const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_HOSTS: 'ghe=ghe.acme.com' } });
	await project.catchUp();
	const role = `reader_${project.database}`;
	const older = async () => project.query(`drop view hooklog.issues; create view hooklog.issues as select 'github'::text as provider, id from gh.issues;
		drop view gh_metrics_ghe_acme_com.recovery_weeks, gh_metrics_ghe_acme_com.deployment_recoveries;
		create view gh_metrics_ghe_acme_com.deployment_recoveries as select id as deployment_id from gh_ghe_acme_com.deployments;
		create view gh_metrics_ghe_acme_com.recovery_weeks as select count(*) as n from gh_metrics_ghe_acme_com.deployment_recoveries;
		grant select on hooklog.issues to ${role} with grant option; grant select (n) on gh_metrics_ghe_acme_com.recovery_weeks to ${role}`);
	await project.query(`create role ${role}`);
	program.cleanup(() => project.query(`drop owned by ${role}; drop role ${role}`));
	await older();
	await project.runOk('rebuild');
	assert.deepEqual(await project.query('select host, title from hooklog.issues'), [['ghe.acme.com', 'of ghe']]);
	assert.equal(await project.value('select count(*) from gh_metrics_ghe_acme_com.recovery_weeks where excluded_lasting > 0'), '0');
	assert.equal(await project.value(`select has_table_privilege('${role}', 'hooklog.issues', 'select with grant option')`), 't');
	assert.equal(await project.value(`select has_column_privilege('${role}', 'gh_metrics_ghe_acme_com.recovery_weeks', 'n', 'select')`), 't');
	assert.equal(await project.value(`select has_column_privilege('${role}', 'gh_metrics_ghe_acme_com.recovery_weeks', 'week', 'select')`), 'f');

	// Somebody's own view on top of them is named, and ours are not.
	await older();
	await project.query('create schema mine; create view mine.weeks as select n from gh_metrics_ghe_acme_com.recovery_weeks; create view mine.issues as select id from gh.issues');
	const refused = await project.run('rebuild');
	assert.equal(refused.code, 9, refused.stderr);
	assert.match(refused.stderr, /make them again: mine\.weeks\n/);
	assert.equal(await project.value('select n from mine.weeks'), '0');
	await project.query('drop view mine.weeks');
	await project.runOk('rebuild');
	assert.equal(await project.value('select count(*) from mine.issues'), '1');
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
	for (const [hosts, says] of [['ghe', /must be SOURCE=HOST/], ['=x', /must be/], ['ghe=a"b', /must be/], ['ghe=', /must be/], ['a=ghe.x,b=ghe-x', /the same schema/], ['a=x,a=y', /occurs twice/], [`a=${'x'.repeat(25)}`, /up to 24/], ['a=G12', /for a generation/]]) {
		const refused = await run(['project', 'rebuild', '--data', log.dir], { env: { ...pg.env, HOOKLOG_PROJECTOR_HOSTS: hosts } });
		assert.equal(refused.code, 4, `${hosts}: ${refused.stderr}`);
		assert.match(refused.stderr, says);
	}
});
