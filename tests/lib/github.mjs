// SPDX-License-Identifier: Apache-2.0
// GitHub's own example payloads, for tests of tables.
import fs from 'node:fs';
import path from 'node:path';
import { assert } from './harness.mjs';
import { npmPackage } from './npm.mjs';
import { startPostgres } from './postgres.mjs';
import { makeLog, makeProject } from './project.mjs';

const examples = await npmPackage('@octokit/webhooks-examples', '7.6.1');
const index = JSON.parse(fs.readFileSync(path.join(examples.dir, 'api.github.com/index.json'), 'utf8'));

// Copies of all examples of an event, in the package's order; of one action only when it is given.
export function examplesOf(event, action) {
	const found = index.find((e) => e.name === event)?.examples.filter((p) => action === undefined || p.action === action) ?? [];
	assert.ok(found.length > 0, `no example of ${event}${action ? `.${action}` : ''}`);
	return structuredClone(found);
}

// A log and a database of the program's own. project.send(event, payload) posts; project.catchUp()
// projects; project.rows(sql) gives rows of text.
export async function makeTables(t, env = {}) {
	const pg = await startPostgres(t);
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg, { env });
	project.send = (event, payload) => log.post(event, payload);
	project.sendExamples = async (event, action) => {
		let last;
		for (const payload of examplesOf(event, action))
			last = await log.post(event, payload);
		return last;
	};
	project.settle = async () => {
		await project.catchUp();
		assert.deepEqual(await project.query('select seq, reason from hooklog.parked_events'), []);
	};
	return project;
}
