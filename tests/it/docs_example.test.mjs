// SPDX-License-Identifier: Apache-2.0
// The worked example of docs/projections.md does what the page says.
import fs from 'node:fs';
import path from 'node:path';
import { program, test, assert } from '../lib/harness.mjs';
import { root } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeDefinitions, makeLog, makeProject } from '../lib/project.mjs';

const page = fs.readFileSync(path.join(root, 'docs/projections.md'), 'utf8');
const [, sql] = /```sql\n(-- Merge requests[^]*?)```/.exec(page);

test('the file of the example is right, and makes the row that the page shows', async (t) => {
	const pg = await startPostgres(t);
	const log = await makeLog(t);
	const definitions = makeDefinitions(t);
	// The log's source signs as GitHub does; what the file says of the provider is all that differs.
	definitions.write('gitlab_merge_requests.sql', sql.replace('provider: gitlab', 'provider: github'));
	const project = await makeProject(t, log, pg, { env: definitions.env });

	const listed = (await project.run('check', 'gitlab_merge_requests')).stdout;
	assert.equal(listed.split('/')[0].trimEnd(), /\ngitlab_merge_requests .*row paths/.exec(page)[0].trim());

	const event = (action, more) => ({
		object_kind: 'merge_request',
		user: { username: 'mona' },
		project: { id: 9, path_with_namespace: 'acme/widgets' },
		object_attributes: { id: 5, iid: 1, title: 'One', state: 'opened', author_id: 3, source_branch: 'topic', target_branch: 'main', labels: [], action, ...more },
	});
	await log.post('merge_request', event('open'));
	await log.post('merge_request', event('merge', { state: 'merged' }));
	await log.post('merge_request', { ...event('update', { state: 'merged', title: 'One!', labels: [{ id: 7 }] }), user: { username: 'other' } });
	await project.catchUp();
	const query = /```\n(select id, title, state[^;]*;)\n/.exec(page)[1];
	const shown = /-\+-.*\n(.*)\n/.exec(page.slice(page.indexOf(query)))[1].split('|').map((cell) => cell.trim());
	assert.deepEqual(await project.query(query), [shown]);
	assert.equal(await project.value('select labels from gitlab.merge_requests'), '{7}');
});
