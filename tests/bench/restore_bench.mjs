// SPDX-License-Identifier: Apache-2.0
// What a restore drill costs (docs/operations.md): backup, restore, verify, the dedupe index made anew, export and
// import of a log of so many events, beside cp, cat and sha256sum of the same bytes. Prints one line each.
//
//	restore_bench.mjs [EVENTS [DIR]]       needs HOOKLOG_BIN; method in docs/benchmarks.md
import fs from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test, assert, program } from '../lib/harness.mjs';
import { bin, cleanEnv, exec, ndjson, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const EVENTS = Number(process.argv[2] ?? 100000);
const PATTERNS = 2000;
const long = { timeoutMs: 3600000 };

async function seconds(work) {
	const began = process.hrtime.bigint();
	await work();
	return Number(process.hrtime.bigint() - began) / 1e9;
}

// PATTERNS simulated events, imported again and again with delivery ids of their own.
async function fill(data) {
	const pattern = path.join(tempDir(program, 'pattern'), 'data');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', pattern]);
	const receiver = await startIngest(program, pattern);
	await runOk(['simulate', '--url', `${receiver.url}/in/github`, '--count', String(PATTERNS), '--concurrency', '8', '--data', pattern], long);
	await receiver.stop();
	const events = ndjson((await runOk(['log', 'export', '--data', pattern], long)).stdout);
	const child = spawn(bin, ['log', 'import', '-', '--data', data], { env: cleanEnv(), stdio: ['pipe', 'ignore', 'inherit'] });
	for (let i = 0; i < EVENTS; i++) {
		const line = `${JSON.stringify({ ...events[i % events.length], delivery: `copy-${i}` })}\n`;
		if (!child.stdin.write(line))
			await once(child.stdin, 'drain');
	}
	child.stdin.end();
	const [code] = await once(child, 'exit');
	assert.equal(code, 0);
}

test('restore drill', long, async (t) => {
	const dir = process.argv[3] ?? tempDir(program, 'restore');
	const at = (name) => path.join(dir, name);
	const data = at('data');
	await fill(data);
	const stat = JSON.parse((await runOk(['log', 'stat', '--json', '--data', data])).stdout);
	const bytes = fs.readdirSync(path.join(data, 'log')).filter((name) => /^\d{20}\.mdb$/.test(name))
		.reduce((sum, name) => sum + fs.statSync(path.join(data, 'log', name)).size, 0);
	t.note(`log: ${EVENTS} events, ${(bytes / 1e6).toFixed(0)} MB, up to ${stat.last_seq}`);
	const say = (what, s) => t.note(`${what.padEnd(46)} ${s.toFixed(2).padStart(8)} s  ${Math.round(EVENTS / s).toLocaleString('en').padStart(10)} events/s  ${Math.round(bytes / s / 1e6)} MB/s`);
	const log = (name, args, where = data) => seconds(() => runOk(['log', ...args, '--data', where], long)).then((s) => say(name, s));
	const shell = (name, script) => seconds(() => exec('/bin/sh', ['-c', script], { ...long, cwd: dir })).then((s) => say(name, s));

	await log('backup, the first', ['backup', at('backup')]);
	await shell('  beside: cp and sync', 'cp -r data/log cp && sync -f cp');
	await log('backup, nothing new', ['backup', at('backup')]);
	await log('restore, verified', ['restore', at('backup')], at('restored'));
	await log('verify, a process per core', ['verify']);
	await log('verify, one process', ['verify', '--jobs', '1']);
	await shell('  beside: sha256sum', 'sha256sum data/log/0*.mdb >/dev/null');
	await log('export as an archive', ['export', '--format', 'archive', '--output', at('all.archive')]);
	await log('import of it, verified on the way', ['import', at('all.archive')], at('moved'));
	fs.rmSync(path.join(data, 'log/index.mdb'));
	say('start, with the dedupe index made anew', await seconds(() => runOk(['log', 'import', '-', '--data', data], { ...long, input: '' })));
	say('start, with an index that is there', await seconds(() => runOk(['log', 'import', '-', '--data', data], { ...long, input: '' })));
	const after = JSON.parse((await runOk(['log', 'verify', '--json', '--data', data], long)).stdout);
	assert.deepEqual([after.errors, after.warnings], [[], []], 'the index is whole again');
	assert.equal(after.chain, JSON.parse((await runOk(['log', 'verify', '--json', '--data', at('restored')], long)).stdout).chain);
});
