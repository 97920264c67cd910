// SPDX-License-Identifier: Apache-2.0
// `hooklog log verify` as an operator uses it.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { root, run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const COUNT = 80;
const SEGMENT = '00000000000000000001.mdb';

let shared = null;
async function copyOfLog(t) {
	if (!shared) {
		shared = tempDir(program, 'verify');
		await runOk(['source', 'add', 'github', '--provider', 'github', '--data', shared]);
		const receiver = await startIngest(program, shared);
		await runOk(['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', String(COUNT), '--data', shared]);
		await receiver.stop();
	}
	const dir = tempDir(t, 'verify');
	fs.cpSync(shared, dir, { recursive: true });
	return dir;
}

test('a sound log: exit code 0, one object, nothing left behind', async (t) => {
	const dir = await copyOfLog(t);
	const before = fs.readdirSync(dir).sort();
	const report = JSON.parse((await runOk(['log', 'verify', '--json', '--jobs', '2', '--data', dir])).stdout);
	assert.equal(report.sound, true);
	assert.equal(report.checked_events, COUNT);
	assert.equal(report.last_seq, COUNT);
	assert.deepEqual(report.errors, []);
	assert.deepEqual(report.warnings, []);
	assert.ok(report.statements >= 1);
	assert.deepEqual(fs.readdirSync(dir).sort(), before);
	const text = (await runOk(['log', 'verify', '--data', dir])).stdout;
	assert.match(text, /^sound: 80 events/);
	assert.ok(text.includes(`chain ${report.chain}`));
});

test('warnings are no damage', async (t) => {
	const dir = await copyOfLog(t);
	fs.rmSync(path.join(dir, 'log/index.mdb'));
	const { stdout } = await runOk(['log', 'verify', '--json', '--data', dir]);
	const report = JSON.parse(stdout);
	assert.equal(report.sound, true);
	assert.equal(report.warnings.length, 1);
	assert.match(report.warnings[0].text, /no dedupe index/);
	assert.match((await runOk(['log', 'verify', '--data', dir])).stdout, /^warning: there is no dedupe index/m);
});

test('damage ends with 8 and names the event', async (t) => {
	const dir = await copyOfLog(t);
	const file = path.join(dir, 'log', SEGMENT);
	const body = (await runOk(['log', 'show', '40', '--body', '--data', dir])).bytes;
	const bytes = fs.readFileSync(file);
	// Bodies are compressed, so look for the number in a record's header: seq 40 at offset 16.
	const seq = Buffer.alloc(8);
	seq.writeBigUInt64LE(40n);
	let at = -1;
	for (let i = bytes.indexOf(seq); i >= 0 && at < 0; i = bytes.indexOf(seq, i + 1)) {
		if (i >= 16 && bytes[i - 8] === 1)
			at = i;
	}
	assert.ok(at > 0 && body.length > 0);
	bytes[at + 90] ^= 1; // in its payload
	fs.writeFileSync(file, bytes);
	const result = await run(['log', 'verify', '--json', '--data', dir]);
	assert.equal(result.code, 8, result.stderr);
	const report = JSON.parse(result.stdout);
	assert.equal(report.sound, false);
	assert.ok(report.errors.some((e) => e.seq === 40 && /checksum/.test(e.text)), result.stdout);
	assert.equal((await run(['log', 'verify', '--from', '41', '--data', dir])).code, 0);
	assert.match((await run(['log', 'verify', '--data', dir])).stdout, /^damage at event 40: /m);
});

test('pages that kill the reader are a finding', async (t) => {
	const dir = await copyOfLog(t);
	const file = path.join(dir, 'log', SEGMENT);
	const bytes = fs.readFileSync(file);
	bytes.fill(0xa5, 8192);
	fs.writeFileSync(file, bytes);
	const result = await run(['log', 'verify', '--json', '--data', dir]);
	assert.equal(result.code, 8, result.stderr);
	assert.ok(JSON.parse(result.stdout).errors.length >= 1);
});

test('a wrong key option is a usage error, a missing log is told', async (t) => {
	assert.equal((await run(['log', 'verify', '--key', 'x', '--data', tempDir(t)])).code, 2);
	assert.equal((await run(['log', 'verify', '--data', tempDir(t)])).code, 3);
});

test('docs/integrity.md explains everything that verify can say', () => {
	const page = fs.readFileSync(path.join(root, 'docs/integrity.md'), 'utf8');
	const source = (name, from = '', to = /$/) => {
		const text = fs.readFileSync(path.join(root, 'store', name), 'utf8');
		const rest = text.slice(text.indexOf(from));
		return rest.slice(0, rest.search(to));
	};
	const code = [source('verify.c'), source('verify_claims.c'), source('verify_index.c'), source('verify_jobs.c'), source('record.c'),
		source('redact.c', 'redact_check(', /\n}\n/)].join('\n').replace(/\/\*[^]*?\*\//g, '').replace(/#include.*/g, '');
	const literals = [...code.replace(/"\s*PRI\w+\s*"/g, 'd').replace(/"\s+"/g, '').matchAll(/"((?:[^"\\\n]|\\.)*)"/g)].map((m) => m[1]);
	const other = /^(hooklog checkpoints 1|hooklog log v1|make a pipe|the log starts with )|findings in/;
	const texts = literals.filter((text) => text.split(' ').length >= 3 && !other.test(text));
	assert.ok(texts.length > 40, `${texts.length}`);
	const missing = texts.filter((text) => text.split(/%\w+|%/).some((part) => part.trim().split(' ').length >= 3 && !page.includes(part.trim())));
	assert.deepEqual(missing, []);
});
