// SPDX-License-Identifier: Apache-2.0
// The runner itself: what fails, dies, hangs or tests nothing must not count as passed.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { exec, root } from '../lib/hooklog.mjs';
import { madeUpTree } from '../lib/tree.mjs';

const harness = `import { test, assert } from '${path.join(root, 'tests/lib/harness.mjs')}';\n`;
const passing = `${harness}test('one', () => {});\ntest('two', async (t) => { t.cleanup(() => {}); });\n`;

async function runner(t, programs, args = []) {
	const content = Object.fromEntries(Object.entries(programs).map(([name, text]) => [`tests/it/${name}.test.mjs`, text]));
	const tree = madeUpTree(t, { 'tests/x': '', ...content });
	const temp = path.join(tree, 'temp');
	fs.mkdirSync(temp);
	const result = await exec(process.execPath, [path.join(root, 'tests/run.mjs'), '--root', tree, '--build', 'build/x', ...args], { env: { ...process.env, TMPDIR: temp } });
	assert.deepEqual(fs.readdirSync(temp), [], 'the runner left files behind');
	return { ...result, last: result.stdout.trimEnd().split('\n').at(-1) };
}

test('all passed', async (t) => {
	const result = await runner(t, { a: passing, b: passing });
	assert.equal(result.last, '4 passed, 0 failed');
	assert.equal(result.code, 0);
});

test('skips are listed with their reasons and do not count', async (t) => {
	const result = await runner(t, { a: `${passing}test('three', (t) => t.skip('no such thing here'));\n` });
	assert.equal(result.last, '2 passed, 0 failed');
	assert.match(result.stdout, /^skipped asan +it\/a\.test\.mjs: three: no such thing here$/m);
	assert.equal(result.code, 0);
});

for (const [name, text, passed, reason] of [
	['a failure', `${passing}test('bad', () => assert.equal(1, 2, 'the reason'));\n`, 2, /the reason/],
	['a failed cleanup', `${harness}test('bad', (t) => t.cleanup(() => { throw new Error('the reason'); }));\n`, 0, /the reason/],
	['a test that is never done', `${harness}test('bad', { timeoutMs: 50 }, () => new Promise(() => {}));\n`, 0, /not done after 50 ms/],
	['a stray rejection', `${harness}test('bad', async () => { Promise.reject(new Error('the reason')); await new Promise((r) => setTimeout(r, 20)); });\n`, 0, /the reason/],
	['an exit status', 'console.log("ok 1 - x\\n1..1"); process.exitCode = 3;\n', 1, /exit status 3/],
	['a signal', 'console.log("ok 1 - x\\n1..1"); process.kill(process.pid, "SIGKILL"); setTimeout(() => {}, 5000);\n', 1, /died of SIGKILL/],
	['a syntax error', 'this is no program\n', 0, /exit status 1/],
	['a broken plan', 'console.log("1..3\\nok 1 - x");\n', 1, /said 1\.\.3 and reported 1/],
	['no plan', 'console.log("ok 1 - x");\n', 1, /said no plan/],
	['no test', 'console.log("1..0");\n', 0, /has no test/],
	['a hang', '// TEST-TIMEOUT: 1\nsetInterval(() => {}, 1000);\n', 0, /hung for 1 s/],
]) {
	test(`${name} is a failure`, async (t) => {
		const result = await runner(t, { a: text });
		assert.equal(result.last, `${passed} passed, 1 failed`, result.stdout);
		assert.match(result.stdout, reason);
		assert.equal(result.code, 1);
	});
}

test('zero tests are a failure', async (t) => {
	for (const args of [[], ['--only', 'zzz']]) {
		const result = await runner(t, args.length === 0 ? {} : { a: passing }, args);
		assert.equal(result.last, '0 passed, 1 failed');
		assert.equal(result.code, 1);
	}
});

test('what a program leaves behind is ended, also in a session of its own', async (t) => {
	const text = `import { spawn } from 'node:child_process';\nconst child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });\n`
		+ 'child.unref();\nconsole.log(`ok 1 - x\\n# note: pid ${child.pid}\\n1..1`);\n';
	const result = await runner(t, { a: text });
	const pid = /note: pid (\d+)/.exec(result.stdout)[1];
	assert.equal(result.last, '1 passed, 0 failed');
	assert.match(result.stdout, /left 1 processes behind/);
	const state = fs.existsSync(`/proc/${pid}/stat`) ? fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1][0] : 'gone';
	assert.ok(['gone', 'Z', 'X'].includes(state), state);
});

test('a program that is not built is a failure', async (t) => {
	const tree = madeUpTree(t, { 'tests/unit/base/x_test.c': '#include <pthread.h>\n' });
	const result = await exec(process.execPath, [path.join(root, 'tests/run.mjs'), '--root', tree, '--build', 'build/x']);
	assert.match(result.stdout, /FAIL asan +unit\/base\/x_test[^]*FAIL tsan +unit\/base\/x_test[^]*is not built/);
	assert.equal(result.code, 1);
});
