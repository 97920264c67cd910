// SPDX-License-Identifier: Apache-2.0
// TEST-SOAK
// TEST-TIMEOUT: 7200
// libFuzzer with the address and undefined behaviour sanitizers on what of the log, of the receiver and of an event reads anybody's bytes.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from '../lib/harness.mjs';
import { exec, root, tempDir } from '../lib/hooklog.mjs';
import { files } from '../lib/tree.mjs';

const SECONDS = Number(process.env.FUZZ_SECONDS ?? 600);
const LIBRARIES = ['-llmdb', '-lmsgpackc', '-lcrypto', '-lzstd', '-lxxhash', '-linih', '-pthread', '-lmicrohttpd', '-lcmocka'];
// Which files each target is made of.
const LOG = /^(tests\/tools\/(log_)?fuzz(_whole)?|(store|event|base)\/[a-z_0-9]+)\.c$/;
const RECEIVER = /^(tests\/tools\/(receiver_)?fuzz|tests\/unit\/ingest\/(world|fake_store)|(ingest|ingest\/provider|event|base)\/[a-z_0-9]+)\.c$/;
const EVENT = /^(tests\/tools\/(event_)?fuzz|(event|base)\/[a-z_0-9]+)\.c$/;
const TARGETS = { json: EVENT, envelope: EVENT, form: EVENT, record: LOG, stream: LOG, line: LOG, statement: LOG, proof: LOG, verify: LOG, import: LOG, provider: RECEIVER, request: RECEIVER };

// One program per target; the name goes in at compile time.
async function build(t, target) {
	const program = path.join(tempDir(t, 'fuzz'), target);
	const sources = files(root, TARGETS[target]);
	const made = await exec('clang', ['-std=c11', '-D_GNU_SOURCE', '-I.', '-g', '-O1', '-fsanitize=fuzzer,address,undefined',
		'-fno-sanitize-recover=all', `-DFUZZ_TARGET="${target}"`, ...sources, ...LIBRARIES, '-o', program], { cwd: root, timeoutMs: 600000 });
	if (made.code !== 0)
		throw new Error(made.stderr);
	return program;
}

for (const target of Object.keys(TARGETS)) {
	test(`fuzzing: ${target}`, { timeoutMs: (SECONDS + 700) * 1000 }, async (t) => {
		if (spawnSync('clang', ['--version']).status !== 0)
			t.skip('clang is missing');
		const program = await build(t, target);
		const corpus = tempDir(t, 'corpus');
		const run = await exec(program, [corpus, `-max_total_time=${SECONDS}`, '-max_len=65536', '-print_final_stats=1',
			`-artifact_prefix=${corpus}/`], { env: { ...process.env, FUZZ_CORPUS: corpus, TMPDIR: fs.existsSync('/dev/shm') ? '/dev/shm' : '/tmp' }, timeoutMs: (SECONDS + 60) * 1000 });
		if (run.code !== 0)
			throw new Error(run.stderr.split('\n').slice(-60).join('\n'));
		t.note(`${target}: ${/number_of_executed_units: (\d+)/.exec(run.stderr)?.[1]} inputs, ${fs.readdirSync(corpus).length} kept`);
	});
}
