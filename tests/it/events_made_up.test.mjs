// SPDX-License-Identifier: Apache-2.0
// A payload of each event and action, made up from GitHub's schemas with all their members, is projected:
// none is parked, and no table stays empty.
import fs from 'node:fs';
import path from 'node:path';
import { program, test, assert } from '../lib/harness.mjs';
import { makeTables } from '../lib/github.mjs';
import { root } from '../lib/hooklog.mjs';
import { forms, madeUp } from '../lib/openapi.mjs';

// Told by one form and taken back by a later one, or told only by values that are not the first of their
// list, such as the state "completed" and the type "Organization"; the host is told by a header and is not GitHub's own.
const EXCUSED = ['discussions.answer_id', 'events.host', 'issues.closed_by_id', 'issues.parent_issue_id', 'packages.description', 'refs.head_sha',
	'releases.released_by_id', 'repositories.org_id', 'review_threads.resolved_at', 'review_threads.resolved_by_id', 'workflow_runs.completed_at'];

const project = await makeTables(program);
const seqs = new Map();

test('none of them is parked', async () => {
	for (const { event, action, schema } of forms) {
		const payload = madeUp(schema);
		if (action !== null)
			payload.action = action;
		seqs.set(await project.send(event, payload), { event, action: payload.action ?? null });
	}
	await project.settle();
	const events = await project.query('select seq, event, action, parked from hooklog.events order by seq');
	assert.deepEqual(events, [...seqs].map(([seq, { event, action }]) => [String(seq), event, action, 'f']));
});

test('no table stays empty', async () => {
	const tables = fs.readdirSync(path.join(root, 'sql/projections')).map((name) => path.basename(name, '.sql'));
	assert.ok(tables.length > 50);
	const empty = [];
	for (const table of tables)
		if (await project.value(`select count(*) from gh_g1.${table}`) === '0')
			empty.push(table);
	// Their objects have ids and times of one kind only, so what is made up once fills them.
	assert.deepEqual(empty, []);
});

// A column that no payload with all members fills has a path that leads nowhere.
test('no column stays null', async () => {
	const columns = await project.query("select table_name, column_name from information_schema.columns where table_schema = 'gh_g1'");
	const tables = Map.groupBy ? Map.groupBy(columns, ([table]) => table) : columns.reduce((m, c) => m.set(c[0], [...m.get(c[0]) ?? [], c]), new Map());
	const empty = [];
	for (const [table, list] of tables) {
		const declared = new Set([...fs.readFileSync(path.join(root, 'sql/projections', `${table}.sql`), 'utf8').matchAll(/^\t(\w+) .*-- .*= /gm)].map(([, name]) => name));
		const names = list.map(([, name]) => name).filter((name) => declared.has(name));
		if (names.length === 0)
			continue;
		const [counts] = await project.query(`select ${names.map((n) => `count(${n})`).join(', ')} from gh_g1.${table}`);
		names.forEach((name, i) => counts[i] === '0' && empty.push(`${table}.${name}`));
	}
	assert.deepEqual(empty.sort(), EXCUSED);
});
