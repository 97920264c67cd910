// SPDX-License-Identifier: Apache-2.0
// A projection from nothing: begun from events in the log, tried on them, changed, used. The worked example of
// docs/projections.md for a source that is no forge goes through here as the page has it.
import fs from 'node:fs';
import path from 'node:path';
import { program, test, assert } from '../lib/harness.mjs';
import { root, run, runOk } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeDefinitions, makeLog, makeProject } from '../lib/project.mjs';

const page = fs.readFileSync(path.join(root, 'docs/projections.md'), 'utf8');
const section = page.slice(page.indexOf('## A source that is no forge'), page.indexOf('## An example'));
const blocks = (language) => [...section.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(([, text]) => text);
const [starter, file] = blocks('sql');
const orders = blocks('json').join('').trim().split('\n').map((line) => JSON.parse(line));

const pg = await startPostgres(program);
const log = await makeLog(program, { receive: false });
await runOk(['source', 'add', 'shop', '--provider', 'generic', '--allow-unsigned', 'auth=none', 'event_pointer=/type', 'id_pointer=/delivery', '--data', log.dir]);

await log.receive();

const post = async (order) => {
	const answer = await fetch(`${log.receiver.url}/in/shop`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(order) });
	assert.equal(answer.status, 202, await answer.text());
	log.sent++;
};

test('a file is begun from the events, tried, changed, and makes its table', async (t) => {
	const definitions = makeDefinitions(t);
	const project = await makeProject(t, log, pg, { env: definitions.env });
	await project.catchUp();
	for (const order of orders)
		await post(order);
	await project.catchUp();

	const made = await project.runOk('new', 'orders', '--from', 'shop/order');
	const written = path.join(definitions.dir, 'orders.sql');
	assert.match(made.stdout, new RegExp(`wrote ${written}`));
	assert.equal(fs.readFileSync(written, 'utf8'), starter);
	assert.equal((await project.run('new', 'orders', '--from', 'shop/order')).code, 1, 'it is not written over');
	assert.equal((await project.runOk('new', 'orders', '--from', 'generic/order', '--output', '-')).stdout, starter);
	assert.equal((await project.runOk('new', 'orders', '--from', 'order', '--output', '-')).stdout, starter);

	// As it was begun, it is a projection.
	const tried = await project.runOk('check', written, '--sample', '10');
	const rows = tried.stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
	assert.deepEqual(rows.map(({ id, state, total_cents, customer_id }) => [id, state, total_cents, customer_id]), [['A-1', 'paid', 1250, 77], ['A-2', 'new', 300, 78]]);
	assert.match(tried.stdout, /^2 rows of 3 events, 0 of which cannot be projected; looked at the newest \d+ events$/m);

	definitions.write('orders.sql', file);
	await project.runOk('check', 'orders');
	// Trying leaves nothing behind, and the tables of before know nothing of the file.
	assert.equal(await project.value("select count(*) from pg_namespace where nspname = 'hooklog_check'"), '0');
	assert.match((await project.runOk('status')).stdout, /gh_g1 .*needs rebuild/);
	await project.runOk('rebuild');
	const query = /```\n(select [^;]*;)\n/.exec(section)[1];
	const shown = section.slice(section.indexOf(query)).split('```')[0].split('\n').slice(3).filter((line) => line.includes('|')).map((line) => line.split('|').map((cell) => cell.trim() || null));
	assert.deepEqual(await project.query(query), shown);
	assert.match((await project.runOk('status')).stdout, /gh_g2 +live +\d+ +0 +current/);
	// A file that changes is noticed by its hash.
	definitions.write('orders.sql', file.replace('Orders of', 'All orders of'));
	assert.match((await project.runOk('status')).stdout, /gh_g2 +live .*needs rebuild/);
});

test('what is wrong is said with file, line and column, event by event', async (t) => {
	const definitions = makeDefinitions(t);
	const project = await makeProject(t, log, pg, { env: definitions.env });
	const one = path.join(definitions.dir, 'one.sql');
	const write = (columns) => definitions.write('one.sql', `-- provider: generic\n-- view: mine.one\n-- key: id\n-- rows: order\ncreate table one (\n${columns}\n);\n`);

	write('\tid text primary key, -- = id\n\tstate text not null, -- = state\n\ttotal bigint check (total < 1000), -- = total_cents\n\tnothing text -- = nowhere.to.be.found');
	const tried = await project.run('check', one, '--sample', '10');
	assert.equal(tried.code, 1, tried.stderr);
	assert.match(tried.stdout, /^event \d+: .*violates check constraint/m);
	assert.match(tried.stdout, /one\.sql:9:2: column nothing is null in every row \(= nowhere\.to\.be\.found\)/);
	assert.match(tried.stdout, /^1 rows of 3 events, 2 of which cannot be projected/m);
	assert.match(tried.stdout, /^\{"id":"A-2","state":"new","total":300,"nothing":null\}$/m);

	write('\tid bigint primary key, -- = id\n\tstate text -- = state');
	assert.match((await project.run('check', one, '--sample', '10')).stdout, /^event \d+: id of table one does not fit type bigint/m);

	// PostgreSQL's own errors, in the file's lines.
	write('\tid text primary key, -- = id\n\tstate text defualt, -- = state\n\tmore text -- = more');
	const sql = await project.run('check', one, '--sample', '10');
	assert.equal(sql.code, 4, sql.stderr);
	assert.match(sql.stderr, /one\.sql:7:13: PostgreSQL: syntax error at or near "defualt"/);
	assert.match((await project.run('rebuild')).stderr, /one\.sql:7:13: PostgreSQL: syntax error/);
	write('\tid text primary key, -- = id\n\tstate text -- = a..b');
	assert.match((await project.run('check', one)).stderr, /one\.sql:7:18: 'a\.\.b'/);
});

test('what GitHub sends makes a projection, too', async (t) => {
	const { examplesOf } = await import('../lib/github.mjs');
	const definitions = makeDefinitions(t);
	const project = await makeProject(t, log, pg, { env: definitions.env });
	for (const event of ['issues', 'pull_request', 'check_run', 'release', 'deployment_status', 'push', 'star', 'ping', 'workflow_job', 'team']) {
		for (const payload of examplesOf(event))
			await log.post(event, payload);
		const { stdout } = await project.runOk('new', `my_${event}`, '--from', `gh/${event}`);
		assert.match(stdout, /wrote/);
		const tried = await project.runOk('check', path.join(definitions.dir, `my_${event}.sql`), '--sample', '50');
		assert.match(tried.stdout, /^[1-9]\d* rows of [1-9]\d* events, 0 of which cannot be projected/m, tried.stdout);
	}
	const issues = fs.readFileSync(path.join(definitions.dir, 'my_issues.sql'), 'utf8');
	for (const line of [/^-- rows: issue on issues rank 1$/m, /^-- delete: issues\.deleted$/m, /^-- version: updated_at$/m, /^\tuser_id +bigint, -- = user\.id$/m, /^\trepo_id +bigint, -- = \$\.repository\.id$/m, /^\tlabel_ids +bigint\[\]/m, /^\tcreated_at +timestamptz/m, /^\tlocked +boolean/m])
		assert.match(issues, line);
	// All of them together, beside the built-in ones.
	await project.runOk('rebuild');
	assert.equal(await project.value('select count(*) > 0 from gh.my_issues'), 't');
});

test('a payload in a file will do, and what cannot be is said', async (t) => {
	const definitions = makeDefinitions(t);
	const json = path.join(definitions.dir, 'order.json');
	fs.writeFileSync(json, JSON.stringify(orders[0]));
	const from = (...args) => run(['project', 'new', ...args, '--data', log.dir], { env: definitions.env });
	const { stdout } = await from('orders', '--from', json, '--output', '-');
	assert.match(stdout, /^-- view: mine\.orders$/m);
	assert.match(stdout, /^-- rows: order$/m);
	assert.match(stdout, /^\tplaced_at +timestamptz/m);
	for (const [args, code, says] of [
		[['orders', '--from', 'shop/nothing'], 3, /no such event/],
		[['Orders', '--from', 'shop/order'], 1, /"Orders" cannot be the table's name/],
		[['orders'], 1, /--from/],
		[['orders', '--from', path.join(definitions.dir, 'none.json')], 3, /none\.json/],
	]) {
		const refused = await from(...args);
		assert.equal(refused.code, code, refused.stderr);
		assert.match(refused.stderr, says);
	}
	assert.deepEqual(fs.readdirSync(definitions.dir), ['order.json']);
});
