// SPDX-License-Identifier: Apache-2.0
// The database is stopped at once, without finishing anything, again and again while it is written to: rows and checkpoint come
// back together. With commits that wait for the disk and with those that do not, as the projector has them.
// TEST-TIMEOUT: 3600
import { test, assert } from '../lib/harness.mjs';
import { runOk, until } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeLog, makeProject, repository, sender } from '../lib/project.mjs';

const CYCLES = process.env.TEST_SOAK ? 50 : 6;
const STEP = 60; // events at least between two stops

for (const synchronous of [false, true]) {
	test(`${CYCLES} immediate stops, synchronous_commit ${synchronous ? 'on' : 'off'}`, { timeoutMs: 1700000 }, async (t) => {
		// Without fsync, as in all tests: the server is stopped, not the machine, so what was written is there.
		const pg = await startPostgres(t, { settings: { synchronous_commit: 'on' } });
		const log = await makeLog(t, { receive: false });
		const lines = Array.from({ length: CYCLES * 400 }, (_, i) => JSON.stringify({ seq: i + 1, received_at: '2026-01-01T00:00:00Z', origin: 'webhook', source: 'gh', provider: 'github', event: 'issues', delivery: `d${i}`, hook: '1', content_type: 'application/json',
			body: JSON.stringify({ action: 'edited', sender, repository, issue: { id: 1 + i % 97, number: 1, title: `t${i}`, updated_at: new Date(Date.UTC(2026, 0, 1) + i * 1000).toISOString() } }) }));
		await runOk(['log', 'import', '-', '--data', log.dir], { input: lines.join('\n') });
		log.sent = lines.length;
		const project = await makeProject(t, log, pg, { env: { HOOKLOG_PROJECTOR_BATCH_EVENTS_MAX: '10' } });
		await project.runOk('run', '--to', '10');
		if (synchronous)
			await project.query("create function wait() returns trigger language plpgsql as $$ begin perform set_config('synchronous_commit', 'on', true); return new; end $$; create trigger wait before update on hooklog.generations for each row execute function wait()");
		const live = project.start('run');
		let [lost, at] = [0, 10];
		for (let stop = 1; stop <= CYCLES; stop++) {
			const from = at + STEP;
			at = await until(async () => {
				assert.equal(live.ended, null, live.stderr);
				const seq = Number(await project.value("select seq from hooklog.generations where status = 'live'"));
				return seq >= from && seq;
			}, { everyMs: 5, what: `event ${from} is in the tables` });
			await pg.stop('immediate');
			await pg.start();
			const [[checkpoint, count, last, stray]] = await project.query(`select g.seq, count(e.seq), max(e.seq), (select count(*) from gh.issues i where i.last_seq > g.seq)
				from hooklog.generations g left join hooklog.events e on true where g.status = 'live' group by g.seq`);
			assert.deepEqual([count, last, stray], [checkpoint, checkpoint, '0']);
			assert.ok(Number(checkpoint) < log.sent || stop === CYCLES, `all was projected after ${stop} stops: the log is too short`);
			lost += Number(checkpoint) < at;
			at = Number(checkpoint);
		}
		await project.reached(log.sent, live);
		assert.ok((live.stderr.match(/postgres\.unavailable/g) ?? []).length >= CYCLES / 2);
		await live.stop();
		t.note(`${lost} of ${CYCLES} stops took commits along that had been seen`);
		assert.equal(await project.value('select count(*) from hooklog.events where not parked'), String(log.sent));
		await project.runOk('verify');
	});
}
