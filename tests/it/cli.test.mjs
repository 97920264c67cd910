// SPDX-License-Identifier: Apache-2.0
// The command line as a user meets it: exit codes, streams, configuration.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { bin, cleanEnv, exec, run, runOk, tempDir } from '../lib/hooklog.mjs';

test('wrong command lines are told on stderr and end with 2', async () => {
	for (const [args, message] of [
		[[], /no command given/],
		[['confg', 'show'], /did you mean 'hooklog config show'\?/],
		[['config', 'show', '--orign'], /did you mean --origin\?/],
		[['config', 'show', 'extra'], /one argument too many/],
	]) {
		const result = await run(args);
		assert.equal(result.code, 2, args.join(' '));
		assert.match(result.stderr, message);
		assert.equal(result.stdout, '');
	}
});

test('every command of the overview explains itself', async () => {
	const { stdout } = await runOk(['help']);
	const commands = [...stdout.split('Options of every command')[0].matchAll(/^ {2}(\w+(?: \w+)?) {2,}/gm)].map((m) => m[1]);
	assert.ok(commands.length >= 15, stdout);
	assert.deepEqual(commands, [...commands].sort());
	for (const command of commands) {
		const byHelp = await runOk(['help', ...command.split(' ')]);
		const byOption = await runOk([...command.split(' '), '--help']);
		assert.match(byHelp.stdout, new RegExp(`^usage: hooklog ${command}`));
		assert.equal(byOption.stdout, byHelp.stdout);
		assert.equal(byHelp.stderr, '');
	}
});

test('a wrong configuration ends with 4, names the place and the page', async (t) => {
	const data = tempDir(t);
	const file = path.join(data, 'hooklog.conf');
	fs.writeFileSync(file, '[ingest]\nlistn = 127.0.0.1:0\n');
	const result = await run(['config', 'check', '--data', data]);
	assert.equal(result.code, 4);
	assert.equal(result.stderr, `hooklog: ${file}:2: ingest.listn is not a known key; did you mean ingest.listen?\nhooklog: see docs/runbooks/config.invalid.md\n`);
	const missing = await run(['config', 'check', '--config', path.join(data, 'none.conf')]);
	assert.equal(missing.code, 4);
	assert.match(missing.stderr, /none\.conf[^]*config\.missing\.md/);
	const variable = await run(['config', 'check', '--data', tempDir(t)], { env: { HOOKLOG_INGEST_LISTN: 'x' } });
	assert.equal(variable.code, 4);
	assert.match(variable.stderr, /did you mean HOOKLOG_INGEST_LISTEN\?/);
});

test('the shown configuration can be read again, without its password', async (t) => {
	const data = tempDir(t);
	const env = { HOOKLOG_INGEST_THREADS: '3', HOOKLOG_STORE_SEGMENT_BYTES_MAX: '64MiB' };
	const shown = await runOk(['config', 'show', '--data', data, '--origin'], { env });
	assert.match(shown.stdout, /^threads = 3 ; environment$/m);
	assert.match(shown.stdout, /^segment_bytes_max = 64MiB ; environment$/m);
	assert.match(shown.stdout, /^dir = \/.* ; option$/m);
	fs.writeFileSync(path.join(data, 'hooklog.conf'), shown.stdout);
	const again = await runOk(['config', 'show', '--data', data, '--json']);
	const values = JSON.parse(again.stdout);
	assert.deepEqual(values['ingest.threads'], { value: 3, origin: 'file' });
	assert.deepEqual(values['store.segment_bytes_max'], { value: 64 << 20, origin: 'file' });
	assert.equal(values['data.dir'].origin, 'option');
	for (const [url, wanted] of [
		['postgres://u:s3cret@h:1/d', 'postgres://u:***@h:1/d'],
		['postgres://u:s3@cret@h/d?x=1', 'postgres://u:***@h/d?x=1'],
		['postgres://u@h/d', 'postgres://u@h/d'],
		['host=h password=s3cret user=u', 'host=h password=*** user=u'],
		['host=h password=\'s3 cret\' user=u', 'host=h password=*** user=u'],
		['postgres://h/d?user=u&password=s3cret', 'postgres://h/d?user=u&password=***'],
	]) {
		const { stdout } = await runOk(['config', 'show', '--data', data, '--json'], { env: { HOOKLOG_POSTGRES_URL: url } });
		assert.equal(JSON.parse(stdout)['postgres.url'].value, wanted);
	}
});

test('a result that could not be written is not a success', async () => {
	for (const args of [['docs', 'cli'], ['config', 'show'], ['help']]) {
		const result = await exec('sh', ['-c', '"$0" "$@" >/dev/full', bin, ...args], { env: cleanEnv() });
		assert.equal(result.code, 1, args.join(' '));
		assert.match(result.stderr, /No space left on device/);
	}
});
