// SPDX-License-Identifier: Apache-2.0
// A connection to PostgreSQL that breaks at any message of the protocol: every event is in the tables once.
import { program, test, assert } from '../lib/harness.mjs';
import { startPgProxy } from '../lib/pgproxy.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { fullPull, makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const pg = await startPostgres(program);

test('cut at every message, before and after it reached the server', { timeoutMs: 600000 }, async (t) => {
	const log = await makeLog(t);
	const proxy = await startPgProxy(t, pg);
	const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '2' } });
	const post = async () => {
		for (let i = 0; i < 3; i++) // two transactions
			await log.post('pull_request', { action: 'opened', number: log.sent, sender, repository, pull_request: fullPull(1 + log.sent % 5, `2026-01-01T00:00:${String(log.sent % 60).padStart(2, '0')}Z`) });
	};
	await post();
	await project.runOk('run', '--to', String(log.sent));
	project.env.PGHOST = proxy.dir;
	const cycle = async (cut) => {
		await post();
		// The first connection is cut when the program has sent so many messages.
		proxy.look = (index, count) => (index === 0 && count === cut?.message ? (cut.after ? 'last' : 'cut') : undefined);
		proxy.counts = [];
		const result = await project.runOk('run', '--to', String(log.sent));
		assert.deepEqual(await project.query("select count(*), max(e.seq), g.seq from hooklog.events e, hooklog.generations g where g.status = 'live' group by g.seq"),
			[[String(log.sent), String(log.sent), String(log.sent)]], `${JSON.stringify(cut)}\n${result.stderr}`);
		return result;
	};
	await cycle(null);
	const total = proxy.counts[0];
	assert.ok(total > 40, `${total} messages`);
	// Connecting and preparing is the same again and again; the transactions are looked at message by message.
	let cuts = 0;
	const interesting = Math.max(1, total - 60);
	for (let message = 1; message <= total; message += message < interesting ? 23 : 1) {
		for (const after of [false, true]) {
			const result = await cycle({ message, after });
			// A run that had less to say, or said good-bye with that message, has no need to come back.
			assert.ok(proxy.counts.length > 1 || proxy.counts[0] <= message, `message ${message}: the connection was not cut\n${result.stderr}`);
			cuts += proxy.counts.length > 1;
		}
	}
	t.note(`${cuts} cuts in ${total} messages`);
	assert.ok(cuts >= 100);
	project.env.PGHOST = pg.dir;
	await project.runOk('verify');
	assert.equal(await project.value('select count(*) from hooklog.parked_events'), '0');
});
