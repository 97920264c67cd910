// SPDX-License-Identifier: Apache-2.0
// What cannot be projected is parked alone; everything else goes on.
import { program, test, assert } from '../lib/harness.mjs';
import { ndjson } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeDefinitions, makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const pg = await startPostgres(program);

async function parkedList(project) {
	return ndjson((await project.runOk('parked', '--json')).stdout);
}

// Events before, between and behind the bad ones arrive.
async function assertOthersArrived(project, bad) {
	const rows = await project.query('select seq, parked from hooklog.events order by seq');
	assert.deepEqual(rows, Array.from({ length: project.log.sent }, (_, i) => [String(i + 1), bad.includes(i + 1) ? 't' : 'f']));
	const good = project.log.sent - bad.length;
	assert.equal(await project.value('select count(*) from gh.issues'), String(good));
}

function issue(id, more = {}) {
	return { action: 'opened', sender, repository, issue: { id, number: id, title: `issue ${id}`, updated_at: '2026-01-01T00:00:00Z', ...more } };
}

for (const size of ['1', '500']) {
	test(`what is not JSON is parked, batches of ${size}`, async (t) => {
		const log = await makeLog(t);
		const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: size } });
		const bad = [];
		await log.post('issues', issue(1));
		for (const body of ['{"issue":', 'not json', '', '\ufeff{}', Buffer.from([0x22, 0xff, 0x22]), '[1] [2]', `${'['.repeat(600)}${']'.repeat(600)}`])
			bad.push(await log.post('issues', body));
		await log.post('issues', issue(2));
		// Well-formed, but this id fits no bigint: there is no row to give it.
		bad.push(await log.post('issues', '{"issue":{"id":99999999999999999999,"title":"big"}}'));
		// This one fits: the number that does not is no key.
		await log.post('issues', JSON.stringify(issue(3, { comments: 0 })).replace('"comments":0', '"comments":99999999999999999999'));
		const handle = await project.catchUp();
		await assertOthersArrived(project, bad);
		assert.equal(await project.value('select comments from gh.issues where id = 3'), null);
		const list = await parkedList(project);
		assert.deepEqual(list.map((one) => one.seq), bad);
		for (const one of list) {
			assert.ok(one.reason.length > 5, one.reason);
			assert.equal(one.sqlstate, '');
			assert.equal(one.tries, 1);
			assert.match(one.parked_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
		}
		assert.match(list.at(-1).reason, /id of table issues/);
		assert.match(handle.stderr, /project\.parked/);
		const text = (await project.runOk('parked')).stdout.trim().split('\n');
		assert.equal(text.length, bad.length);
		assert.equal(JSON.parse((await project.runOk('status', '--json')).stdout).generations[0].parked, bad.length);

		// It is as bad the second time.
		const retry = await project.run('parked', '--retry', String(bad[0]));
		assert.equal(retry.code, 1, retry.stderr);
		assert.equal((await parkedList(project))[0].tries, 2);
		// A rebuild parks the same.
		await project.runOk('rebuild');
		assert.deepEqual(await project.differences('gh_g1', 'gh_g2'), []);
		assert.deepEqual((await parkedList(project)).map((one) => one.seq), bad);
	});
}

test('a running projector says at once that it parked something', async (t) => {
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg);
	const handle = project.start('run');
	await log.post('issues', 'no');
	await handle.waitFor(/project\.parked events=1/);
	await log.post('issues', 'no');
	await handle.waitFor(/project\.parked(.|\n)*project\.parked/);
	await handle.stop();
});

// The operator's own rule, which the database enforces.
const CHECKED = `-- Titles nobody may use.
-- provider: github
-- key: id
-- rows: issue
create table checked (
	id bigint primary key,
	title text -- = title
		constraint harmless check (title not like 'poison%'),
	fill text -- = fill
);
`;

test('what the database refuses is found in its batch and parked alone', async (t) => {
	const log = await makeLog(t);
	const definitions = makeDefinitions(t);
	definitions.write('checked.sql', CHECKED);
	const project = await makeProject(t, log, pg, { env: definitions.env });
	const bad = [];
	for (let i = 1; i <= 60; i++) {
		const poison = [7, 8, 31, 60].includes(i);
		await log.post('issues', issue(i, poison ? { title: `poison ${i}` } : {}));
		if (poison)
			bad.push(i);
	}
	await project.catchUp();
	await assertOthersArrived(project, bad);
	assert.equal(await project.value('select count(*) from gh.checked'), '56');
	const list = await parkedList(project);
	assert.deepEqual(list.map((one) => [one.seq, one.sqlstate]), bad.map((seq) => [seq, '23514']));
	assert.match(list[0].reason, /harmless/);

	// Still refused; then not any more.
	const refused = await project.run('parked', '--retry', '7');
	assert.equal(refused.code, 1, refused.stderr);
	assert.match(refused.stderr, /harmless/);
	await project.query('alter table gh_g1.checked drop constraint harmless');
	await project.runOk('parked', '--retry', '7');
	assert.equal(await project.value('select title from gh.checked where id = 7'), 'poison 7');
	assert.equal(await project.value('select title from gh.issues where id = 7'), 'poison 7');
	assert.equal(await project.value('select parked from hooklog.events where seq = 7'), 'f');
	assert.equal((await project.run('parked', '--retry', '7')).code, 3);
	assert.equal((await project.run('parked', '--retry', '1')).code, 3);
	assert.equal((await project.run('parked', '--retry', '1000')).code, 3);

	await project.runOk('parked', '--drop', '8');
	assert.equal((await project.run('parked', '--drop', '8')).code, 3);
	assert.deepEqual((await parkedList(project)).map((one) => one.seq), [31, 60]);
	assert.equal(await project.value('select parked from hooklog.events where seq = 8'), 't');
	// Who gave one up, and which: the list forgets it, the audit does not.
	assert.deepEqual(await project.query("select action, generation, from_seq, note ~ 'harmless' from hooklog.audit where action = 'drop parked'"), [['drop parked', '1', '8', 't']]);
	for (const args of [['--drop', '31', '--retry', '60'], ['--show', '31', '--retry-all'], ['--show', '0']])
		assert.equal((await project.run('parked', ...args)).code, 1, args.join(' '));

	const shown = (await project.runOk('parked', '--show', '31')).stdout;
	assert.match(shown, /^event +31\nreason +PostgreSQL: .*harmless.*\nsqlstate +23514\nparked +\S+, 1 try\nreceived +2\S+\nsource +gh\ntype +issues\ndelivery +\S+\nbody +\d+ bytes; `hooklog log show 31` prints it\n$/);
	assert.equal(ndjson((await project.runOk('parked', '--show', '31', '--json')).stdout)[0].seq, 31);
	assert.equal((await project.run('parked', '--show', '8')).code, 3);

	// The constraint is back in what a rebuild makes.
	await project.runOk('rebuild');
	assert.deepEqual((await parkedList(project)).map((one) => one.seq), bad);
});

test('all are tried again at once, and a corrected file asks for a rebuild, which tries them', async (t) => {
	const log = await makeLog(t);
	const definitions = makeDefinitions(t);
	definitions.write('checked.sql', CHECKED);
	const project = await makeProject(t, log, pg, { env: definitions.env });
	for (let i = 1; i <= 6; i++)
		await log.post('issues', issue(i, i % 2 === 0 ? { title: `poison ${i}` } : {}));
	const broken = await log.post('issues', 'no');
	await project.catchUp();
	assert.deepEqual((await parkedList(project)).map((one) => one.seq), [2, 4, 6, broken]);
	const none = await project.run('parked', '--retry-all');
	assert.equal(none.code, 1);
	assert.equal(none.stdout, '0 projected, 4 still parked\n');
	assert.deepEqual((await parkedList(project)).map((one) => one.tries), [2, 2, 2, 2]);
	await project.query('alter table gh_g1.checked drop constraint harmless');
	const some = await project.run('parked', '--retry-all');
	assert.equal(some.code, 1);
	assert.equal(some.stdout, '3 projected, 1 still parked\n');
	assert.deepEqual(await project.query("select id from gh.checked where title like 'poison%' order by 1"), [['2'], ['4'], ['6']]);
	assert.deepEqual((await parkedList(project)).map((one) => one.seq), [broken]);

	// The file allows less than before, then more: only a rebuild can tell for all rows.
	await project.runOk('rebuild');
	assert.equal((await parkedList(project)).length, 4);
	definitions.write('checked.sql', CHECKED.replace("'poison%'", "'poison 6'"));
	assert.match((await project.runOk('status')).stdout, /live .*needs rebuild/);
	const stale = await project.run('parked', '--retry', '2');
	assert.equal(stale.code, 9, stale.stderr);
	assert.match(stale.stderr, /project\.definitions-changed/);
	await project.runOk('rebuild');
	assert.deepEqual((await parkedList(project)).map((one) => one.seq), [6, broken]);
	assert.deepEqual(await project.query("select id from gh.checked where title like 'poison%' order by 1"), [['2'], ['4']]);
});

// Why later events of the same thing need not wait for it (docs/adr/0024-parking.md).
test('an event that is projected long after its successors leaves the rows as if it had come in time', async (t) => {
	const log = await makeLog(t);
	const definitions = makeDefinitions(t);
	definitions.write('checked.sql', CHECKED);
	const at = (n) => ({ updated_at: `2026-01-01T00:00:0${n}Z` });
	const label = (name) => log.post('label', { action: 'edited', sender: { ...sender, login: name }, repository, label: { id: 5, name }, issue: { id: 8, number: 8, title: `poison ${name}`, ...at(1) } });
	await log.post('issues', issue(1, at(1)));
	// Alone in telling of a milestone and of the label's first name; older, newer and deleting ones follow.
	await log.post('issues', issue(1, { ...at(3), title: 'poison', labels: [{ id: 5, name: 'a' }], milestone: { id: 9, number: 1, title: 'm', ...at(3) } }));
	await label('b'); // a table without times of its own
	await log.post('issues', issue(1, { ...at(2), title: 'late' }));
	await log.post('issues', issue(1, { ...at(4), title: 'new' }));
	await log.post('issues', { ...issue(7, { ...at(5), title: 'poison 7' }), action: 'deleted' });
	await log.post('issues', issue(7, at(4)));
	// One at a time: in one batch the newer title of 7 would be all that the database sees.
	const env = { ...definitions.env, HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '1' };
	const [never, parked] = [await makeProject(t, log, pg, { env }), await makeProject(t, log, pg, { env })];
	await never.runOk('run', '--to', '1');
	await never.query('alter table gh_g1.checked drop constraint harmless');
	await never.catchUp();
	await parked.catchUp();
	assert.deepEqual((await parkedList(parked)).map((one) => one.seq), [2, 3, 6]);
	assert.deepEqual(await parked.query('select id, title from gh.issues order by 1'), [['1', 'new'], ['7', 'issue 7']]);
	await parked.query('alter table gh_g1.checked drop constraint harmless');
	for (const seq of [6, 2, 3])
		await parked.runOk('parked', '--retry', String(seq));
	assert.deepEqual(await parked.dump('gh_g1'), await never.dump('gh_g1'));
	assert.deepEqual(await parked.query('select id, title, deleted_at is null from gh.issues order by 1'), [['1', 'new', 't'], ['7', 'poison 7', 'f'], ['8', 'poison b', 't']]);
	assert.deepEqual(await parked.query('select id, title from gh.milestones'), [['9', 'm']]);
});

test('a key too long for its index is parked', async (t) => {
	const log = await makeLog(t);
	const definitions = makeDefinitions(t);
	definitions.write('titled.sql', '-- provider: github\n-- key: title\n-- rows: issue\ncreate table titled (\n\ttitle text primary key,\n\tnumber smallint -- = number\n);\n');
	const project = await makeProject(t, log, pg, { env: definitions.env });
	let noise = '';
	for (let x = 1; noise.length < 20000; x = (x * 48271) % 2147483647)
		noise += x.toString(36);
	await log.post('issues', issue(1));
	const bad = await log.post('issues', issue(2, { title: noise }));
	await log.post('issues', issue(3, { number: 40000 })); // no smallint: null, not parked
	await project.catchUp();
	await assertOthersArrived(project, [bad]);
	assert.equal((await parkedList(project))[0].sqlstate, '54000');
	assert.deepEqual(await project.query("select number from gh.titled order by title"), [['1'], [null]]);
});

// The database quotes the row it refuses; the quote is cut at some byte.
test('a refusal that quotes other scripts can be parked', async (t) => {
	const log = await makeLog(t);
	const definitions = makeDefinitions(t);
	const columns = Array.from({ length: 40 }, (_, i) => `\tc${i} text, -- = title\n`).join('');
	definitions.write('wide.sql', `-- provider: github\n-- key: id\n-- rows: issue\ncreate table wide (\n\tid bigint primary key,\n${columns}\tlast text -- = title\n\t\tcheck (last not like '%\u{1f480}%')\n);\n`);
	const project = await makeProject(t, log, pg, { env: definitions.env });
	const bad = [];
	for (let i = 0; i < 4; i++) // one of four offsets cuts a character of four bytes
		bad.push(await log.post('issues', issue(i + 1, { title: `${'x'.repeat(i)}${'\u{1f480}'.repeat(50)}` })));
	await log.post('issues', issue(9));
	await project.catchUp();
	await assertOthersArrived(project, bad);
	assert.deepEqual((await parkedList(project)).map((one) => one.sqlstate), bad.map(() => '23514'));
});

test('not even its row in events can be stored', async (t) => {
	const log = await makeLog(t);
	const project = await makeProject(t, log, pg);
	await log.post('issues', issue(1));
	await project.catchUp();
	await project.query("alter table gh_g1.events add constraint no check (event <> 'bad')");
	const bad = await log.post('bad', issue(2));
	await log.post('issues', issue(3));
	await project.catchUp();
	assert.deepEqual(await project.query('select seq from hooklog.events order by seq'), [['1'], ['3']]);
	assert.deepEqual((await parkedList(project)).map((one) => [one.seq, one.sqlstate]), [[bad, '23514']]);
});
