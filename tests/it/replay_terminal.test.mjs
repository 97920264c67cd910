// SPDX-License-Identifier: Apache-2.0
// Who sits at a terminal is asked before a great many events are sent, and sees how far it is; and what is on stdout
// is for other programs.
import http from 'node:http';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { debianProgram } from '../lib/debian.mjs';
import { bin, cleanEnv, exec, run, runOk, start, tempDir } from '../lib/hooklog.mjs';

const COUNT = 10001; // one more than are sent without asking

let shared = null;
async function filledLog() {
	if (shared)
		return shared;
	const dir = path.join(tempDir(program, 'terminal'), 'data');
	const lines = Array.from({ length: COUNT }, (_, i) => `{"source":"forge","event":"push","delivery":"d${i}","content_type":"application/json","body":{"n":${i + 1},"big":12345678901234567890,"e":"\\u00e9"}}\n`);
	await runOk(['log', 'import', '-', '--data', dir], { input: lines.join('') });
	shared = dir;
	return dir;
}

async function startServer(t) {
	let requests = 0;
	const listener = http.createServer((request, response) => {
		requests++;
		request.resume();
		request.on('end', () => response.writeHead(204).end());
	});
	await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
	t.cleanup(() => new Promise((resolve) => {
		listener.closeAllConnections();
		listener.close(resolve);
	}));
	return { url: `http://127.0.0.1:${listener.address().port}/`, requests: () => requests };
}

// At a terminal of script(1), with what a person types.
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const atTerminal = (args, typed) => exec('script', ['-qec', [bin, ...args].map(quoted).join(' '), '/dev/null'], { input: typed, env: cleanEnv() });

test('a person is asked before very many events are sent', async (t) => {
	const dir = await filledLog();
	const server = await startServer(t);
	const replay = ['replay', '--target', server.url, '--concurrency', '16', '--data', dir];
	const no = await atTerminal(replay, 'n\n');
	assert.equal(no.code, 130, no.stdout);
	assert.match(no.stdout, /up to 10001 events, seq 1 to 10001, to http:\/\/127[\s\S]*Go on\? \[y\/N\][\s\S]*nothing was sent/);
	assert.equal(server.requests(), 0);
	assert.equal((await run(['replay', 'runs', '--data', dir])).stdout, '');
	// One fewer, or --yes, or a file: nothing is asked.
	assert.doesNotMatch((await atTerminal([...replay, '--to', '10000', '--limit', '3'], 'n\n')).stdout, /Go on/);
	assert.equal(server.requests(), 3);
	assert.doesNotMatch((await atTerminal([...replay, '--yes', '--limit', '3'], 'n\n')).stdout, /Go on/);
	assert.equal(server.requests(), 6);
	assert.doesNotMatch((await atTerminal(['replay', '--target', path.join(dir, 'file'), '--data', dir], 'n\n')).stdout, /Go on/);
	const yes = await atTerminal(replay, 'y\n');
	assert.equal(yes.code, 0, yes.stdout);
	assert.equal(server.requests(), 6 + COUNT);
	assert.match(yes.stdout, /\d+%  seq \d+ of 10001  sent \d+ .*\/s  \d+ s left/);
	assert.match(yes.stdout, /sent 10001, refused 0/);
});

// Takes its ten seconds, since that is what it is about.
test('without a terminal a line tells every ten seconds how far it is', { timeoutMs: 60000 }, async (t) => {
	const dir = await filledLog();
	const server = await startServer(t);
	const handle = start(t, ['replay', '--target', server.url, '--rate', '20', '--data', dir]);
	await handle.waitFor(/^replay: +\d+% {2}seq \d+ of 10001 .* s left$/m);
	await handle.kill();
	assert.equal(handle.stdout, '');
});

test('jq reads what is on stdout', async (t) => {
	const dir = await filledLog();
	const { file, env } = await debianProgram(t, 'usr/bin/jq', ['jq', 'libjq1', 'libonig5']);
	const script = `${quoted(bin)} replay --data ${quoted(dir)} --from 40 --to 42 --target - 2>/dev/null | ${quoted(file)} -c '[.seq, .body.n, .body.e]'`;
	const jq = await exec('/bin/sh', ['-c', script], { env: cleanEnv(env) });
	assert.equal(jq.stdout, '[40,40,"é"]\n[41,41,"é"]\n[42,42,"é"]\n', jq.stderr);
});

test('what a JSON tool has rewritten is not imported as what was received', async () => {
	const dir = await filledLog();
	// As it is, it is imported as it was.
	const to = path.join(path.dirname(dir), 'copy');
	const lines = (await runOk(['replay', '--data', dir, '--to', '3', '--target', '-'])).stdout;
	await runOk(['log', 'import', '-', '--data', to], { input: lines });
	assert.equal((await runOk(['log', 'show', '2', '--body', '--data', to])).stdout, '{"n":2,"big":12345678901234567890,"e":"\\u00e9"}');
	const rewritten = await run(['log', 'import', '-', '--data', to], { input: lines.replaceAll('\\u00e9', 'é') });
	assert.equal(rewritten.code, 1);
	assert.match(rewritten.stderr, /line 1: the body does not have the .*event\.line-invalid/s);
});
