// SPDX-License-Identifier: Apache-2.0
// Each event and action that GitHub's OpenAPI description names has a decision: a table that takes it, or
// a line in docs/tables.md that says why there is none. Each account and repository in it has a path.
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { root } from '../lib/hooklog.mjs';
import { forms, properties } from '../lib/openapi.mjs';
import { files, lines, read } from '../lib/tree.mjs';

// {table: [{at, on, actions}]} of all projection files; actions: null for all of them.
function declared(tree) {
	const tables = {};
	for (const name of files(tree, /^sql\/projections\/.*\.sql$/)) {
		tables[path.basename(name, '.sql')] = [...read(tree, name).matchAll(/^-- rows: (.*)$/gm)].map(([, line]) => {
			const on = / on ((?:[a-z0-9_]+(?:, *)?)+)/.exec(line)?.[1].split(/, */) ?? null;
			const action = / where (?:\$\.)?action='(\w+)'/.exec(line)?.[1];
			const where = / where /.test(line) && !action;
			return { at: line.split(' ')[0], on, actions: action ? [action] : null, where };
		});
	}
	return tables;
}

// The words in code marks of the section that lists events without tables, and of the notes on actions.
function excused(page) {
	return new Set([...page.matchAll(/`([a-z0-9_]+(?:\.[a-z_]+)?)`/g)].map(([, word]) => word));
}

export function undecided(list, tables, page) {
	const rows = Object.values(tables).flat().filter((r) => r.on !== null);
	const section = page.split(/^## /m).find((s) => s.startsWith('Events without a table'));
	const without = excused(section ?? '');
	const problems = [];
	for (const { event, action } of list) {
		const own = rows.filter((r) => r.on.includes(event));
		const taken = own.some((r) => r.actions === null || r.actions.includes(action));
		if (!taken && !without.has(event) && !(own.length > 0 && without.has(`${event}.${action}`)))
			problems.push(`${event}${action ? `.${action}` : ''} is taken by no table and not listed in docs/tables.md`);
	}
	return problems;
}

// Paths of all objects that fits accepts, with at most one array on the way.
function pathsOf(schemas, fits) {
	const found = new Set();
	const walk = (schema, place, depth) => {
		const named = properties(schema);
		if (place && named.length > 0 && fits(new Set(named.map(([name]) => name)), place))
			found.add(place);
		if (depth > 5)
			return;
		for (const [name, property] of named)
			walk(property, place ? `${place}.${name}` : name, depth + 1);
	};
	for (const { schema } of schemas)
		walk(schema, '', 0);
	return [...found];
}

function missing(tables, table, found) {
	const known = new Set(tables[table].map((r) => r.at.replaceAll('[]', '')));
	return found.filter((place) => !known.has(place)).map((place) => `${table}.sql has no "rows: ${place}"`);
}

test('the description is the one we know', () => {
	assert.equal(new Set(forms.map((f) => f.event)).size, 75);
	assert.equal(forms.length, 261);
});

test('every event and action has a decision', () => {
	const problems = undecided(forms, declared(root), read(root, 'docs/tables.md'));
	assert.deepEqual(problems, [], lines(problems));
});

test('what docs/tables.md excuses has no table', () => {
	const page = read(root, 'docs/tables.md');
	const section = page.split(/^## /m).find((s) => s.startsWith('Events without a table'));
	const rows = Object.values(declared(root)).flat();
	for (const [, event] of section.matchAll(/^\| (`.*?) \|/gm))
		for (const [, word] of event.matchAll(/`([a-z0-9_]+)`/g))
			assert.ok(!rows.some((r) => r.on?.includes(word) && r.actions === null), `${word} has a table`);
});

test('every account and repository has a path', () => {
	const tables = declared(root);
	// An invitation has the login of whom it invites, and an id of its own.
	const accounts = pathsOf(forms, (names, place) => names.has('login') && names.has('id') && place !== 'invitation');
	assert.ok(accounts.length > 100);
	const repositories = pathsOf(forms, (names) => names.has('full_name') && names.has('id'));
	assert.ok(repositories.length > 20);
	const problems = [...missing(tables, 'users', accounts), ...missing(tables, 'repositories', repositories)];
	assert.deepEqual(problems, [], lines(problems));
	assert.ok(tables.installations.some((r) => r.at === 'installation' && r.on === null));
});

test('a form without a decision is found', () => {
	const tables = { a: [{ at: 'x', on: ['one'], actions: null }, { at: 'x', on: ['two'], actions: ['made'] }] };
	const page = '## Events without a table of their own\n\n| `three` | why |\n';
	const form = (event, action) => ({ event, action });
	assert.deepEqual(undecided([form('one', 'any'), form('two', 'made'), form('three', null)], tables, page), []);
	assert.equal(undecided([form('two', 'lost')], tables, page).length, 1);
	assert.equal(undecided([form('four', null)], tables, page).length, 1);
});
