// SPDX-License-Identifier: Apache-2.0
// The projector and an event whose body was erased.
import { program, test, assert } from '../lib/harness.mjs';
import { ndjson, runOk } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const pg = await startPostgres(program);

const issue = (id) => ({ action: 'opened', sender, repository, issue: { id, number: id, title: `issue ${id}`, updated_at: '2026-01-01T00:00:00Z' } });

test('an erased event is set aside with its reason, and everything else goes on', async (t) => {
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg);
	for (const id of [1, 2, 3])
		await log.post('issues', issue(id));
	await runOk(['log', 'redact', '2', '--reason', 'asked for', '--data', log.dir]);
	log.sent++; // its audit event
	await log.post('issues', issue(4));
	await project.catchUp();
	assert.deepEqual(await project.query('select id from gh.issues order by id'), [['1'], ['3'], ['4']]);
	assert.deepEqual(await project.query('select seq, event, parked from hooklog.events order by seq'),
		[['1', 'issues', 'f'], ['2', 'issues', 't'], ['3', 'issues', 'f'], ['4', 'redaction', 'f'], ['5', 'issues', 'f']]);
	const parked = ndjson((await project.runOk('parked', '--json')).stdout);
	assert.deepEqual(parked.map((one) => [one.seq, one.reason]), [[2, 'the body was erased by `hooklog log redact`']]);
});
