// SPDX-License-Identifier: Apache-2.0
// What runs, jobs, checks and statuses become: GitHub's examples and made-up lives of one thing.
import { program, test, assert } from '../lib/harness.mjs';
import { makeTables } from '../lib/github.mjs';
import { repository, sender } from '../lib/project.mjs';

const project = await makeTables(program);
const base = { repository, sender };
const at = (second) => `2026-03-01T10:00:${String(second).padStart(2, '0')}Z`;

const run = (id, attempt, status, updated, more = {}) => ({
	...base,
	action: status === 'completed' ? 'completed' : 'requested',
	workflow: { id: 900, name: 'build', path: '.github/workflows/build.yml', state: 'active', updated_at: at(0) },
	workflow_run: { id, run_attempt: attempt, run_number: 3, workflow_id: 900, status, conclusion: null, updated_at: updated, created_at: at(0), ...more },
});
const job = (id, status, started, more = {}) => ({
	...base,
	action: status,
	workflow_job: { id, run_id: 70, run_attempt: 1, status, conclusion: null, name: 'test', created_at: at(1), started_at: started, completed_at: null, labels: ['a b', 'c'], steps: [], ...more },
});
const check = (id, status, more = {}) => ({
	...base,
	action: 'created',
	check_run: { id, status, conclusion: null, name: 'lint', head_sha: 'f'.repeat(40), started_at: at(1), completed_at: null, ...more },
});

test('the events are projected', async () => {
	for (const event of ['workflow_run', 'workflow_job', 'check_suite', 'check_run', 'status', 'workflow_dispatch', 'repository_dispatch'])
		await project.sendExamples(event);

	// 70: the states of one second arrive backwards. 71: run again. 72: an older time arrives late.
	await project.send('workflow_run', run(70, 1, 'completed', at(5), { conclusion: 'success' }));
	await project.send('workflow_run', run(70, 1, 'in_progress', at(5)));
	await project.send('workflow_run', run(70, 1, 'queued', at(5)));
	await project.send('workflow_run', run(71, 1, 'completed', at(6), { conclusion: 'failure', pull_requests: [{ id: 5, number: 1 }, { id: 6, number: 2 }] }));
	await project.send('workflow_run', run(71, 2, 'waiting', at(9)));
	await project.send('workflow_run', run(71, 2, 'queued', at(9)));
	await project.send('workflow_run', run(72, 1, 'completed', at(8), { conclusion: 'cancelled', path: 'p.yml', display_title: 'T', head_repository: { id: 44 } }));
	await project.send('workflow_run', run(72, 1, 'in_progress', at(7)));
	// A deployment mentions a run in short form: what the run's own event told stays.
	await project.send('deployment', { ...base, action: 'created', deployment: { id: 1, created_at: at(9), updated_at: at(9) }, workflow_run: { id: 72, run_attempt: 1, status: 'completed', conclusion: 'cancelled', updated_at: at(9) } });
	// Deployments of the state "waiting" are a job's own.
	await project.send('workflow_job', { ...job(80, 'completed', at(3), { conclusion: 'success', completed_at: at(4) }) });
	await project.send('workflow_job', { ...job(80, 'in_progress', at(3)), deployment: { id: 31 } });
	await project.send('workflow_job', job(80, 'queued', at(2)));
	// Cancelled before it began: it ends before it starts.
	await project.send('workflow_job', job(81, 'queued', at(9)));
	await project.send('workflow_job', job(81, 'completed', at(9), { conclusion: 'cancelled', completed_at: at(3) }));
	await project.send('check_run', check(90, 'completed', { conclusion: 'success', completed_at: at(9), check_suite: { id: 95, updated_at: at(9), status: 'completed', conclusion: 'success', app: { id: 2, slug: 'ci' } }, app: { id: 2, slug: 'ci' } }));
	await project.send('check_run', check(90, 'in_progress'));
	await project.send('check_suite', { ...base, action: 'requested', check_suite: { id: 95, updated_at: at(8), status: 'requested', conclusion: null, latest_check_runs_count: 4 } });
	for (const [id, state] of [[1, 'pending'], [2, 'failure'], [3, 'success']])
		await project.send('status', { ...base, id, sha: 'e'.repeat(40), context: 'ci/x', state, target_url: 'https://ci.example.com', branches: [{ name: 'main' }, { name: 'a "b"' }], created_at: at(id), updated_at: at(id) });
	await project.settle();
});

test('workflows', async () => {
	assert.deepEqual(await project.query('select id, repo_id, name, path, state from gh.workflows where id in (2823525, 900) order by id'), [
		['900', '10', 'build', '.github/workflows/build.yml', 'active'],
		['2823525', '300029405', 'test', '.github/workflows/test.yml', 'active'],
	]);
});

test('workflow runs: attempts, states of one second, late events, short mentions', async () => {
	assert.deepEqual(await project.query('select id, attempt, status, conclusion, pull_request_ids, completed_at is not null from gh.workflow_runs where id between 70 and 72 order by 1, 2'), [
		['70', '1', 'completed', 'success', null, 't'],
		['71', '1', 'completed', 'failure', '{5,6}', 't'],
		['71', '2', 'waiting', null, null, 'f'],
		['72', '1', 'completed', 'cancelled', null, 't'],
	]);
	assert.deepEqual(await project.query("select path, display_title, head_repo_id, partial from gh.workflow_runs where id = 72"), [['p.yml', 'T', '44', 'f']]);
	assert.deepEqual(await project.query('select repo_id, workflow_id, check_suite_id, number, event, conclusion, head_branch, actor_id, head_repo_id, pull_request_ids, created_at::text, completed_at::text from gh.workflow_runs where id = 289782451'),
		[['300029405', '2823525', '1291536064', '163', 'repository_dispatch', 'success', 'master', '15669918', '300029405', '{279147437}', '2020-10-05 16:33:24+00', '2020-10-05 16:33:49+00']]);
});

test('workflow jobs', async () => {
	assert.deepEqual(await project.query('select id, run_id, attempt, status, conclusion, labels[1], labels[2], deployment_id from gh.workflow_jobs where id in (80, 81) order by 1'), [
		['80', '70', '1', 'completed', 'success', 'a b', 'c', '31'],
		['81', '70', '1', 'completed', 'cancelled', 'a b', 'c', null],
	]);
	assert.deepEqual(await project.query("select run_id, name, runner_name, runner_group_id, labels, jsonb_array_length(steps), steps->0->>'name' from gh.workflow_jobs where id = 2832853555"),
		[['940463255', 'Test workflow', 'my runner', '2', '{gpu,db-app,dc-03}', '1', 'Set up job']]);
});

test('check suites and check runs', async () => {
	assert.deepEqual(await project.query('select status, conclusion, app_slug, check_run_count, partial from gh.check_suites where id = 95'), [['completed', 'success', 'ci', '4', 'f']]);
	assert.deepEqual(await project.query('select status, conclusion, check_suite_id, app_id, repo_id, partial from gh.check_runs where id = 90'), [['completed', 'success', '95', '2', '10', 'f']]);
	assert.deepEqual(await project.query('select name, head_sha, status, conclusion, check_suite_id, annotations_count, completed_at::text from gh.check_runs where id = 4'),
		[['randscape', 'd6fde92930d4715a2b49857d24b940956b26d2d3', 'completed', 'neutral', '5', '2', '2018-05-04 01:14:52+00']]);
	// Three "completed" and, later in the log, two "created" of the same second.
	assert.deepEqual(await project.query('select name, status, conclusion, check_suite_id from gh.check_runs where id = 128620228'),
		[['Octocoders-linter', 'completed', 'success', '118578147']]);
	assert.deepEqual(await project.query('select head_branch, head_sha, status, conclusion, app_id, pull_request_ids from gh.check_suites where id = 118578147'),
		[['changes', 'ec26c3e57ca3a959ca5aad62de7213c562f8c821', 'completed', 'success', '29310', '{279147437}']]);
});

test('commit statuses', async () => {
	assert.deepEqual(await project.query("select id, state, branch_names[2] from gh.commit_statuses where context = 'ci/x' order by id"),
		[['1', 'pending', 'a "b"'], ['2', 'failure', 'a "b"'], ['3', 'success', 'a "b"']]);
	assert.deepEqual(await project.query('select repo_id, sha, context, state, branch_names, created_at::text from gh.commit_statuses where id = 6805126730'),
		[['186853002', '6113728f27ae82c7b1a177c8d03f9e96e0adf246', 'default', 'success', '{master,changes,gh-pages}', '2019-05-15 15:20:55+00']]);
});

test('dispatches', async () => {
	assert.deepEqual(await project.query('select distinct ref, workflow, inputs from gh.workflow_dispatches order by 1'), [
		['refs/heads/main', '.github/workflows/hello-world-workflow.yml', '{}'],
		['refs/heads/master', '.github/workflows/hello-world-workflow.yml', '{}'],
	]);
	assert.deepEqual(await project.query("select distinct event_type, branch, client_payload from gh.repository_dispatches order by 1"), [['on-demand-test', 'master', '{}']]);
});
