// SPDX-License-Identifier: Apache-2.0
// Sends the corpus to a port, the receiver's or a proxy's, and looks at what the log then holds.
import fs from 'node:fs';
import path from 'node:path';
import { assert } from './harness.mjs';
import { ndjson, run, runOk, startIngest, tempDir } from './hooklog.mjs';
import { ask, BODY, CORPUS, head, SECRET } from './framing.mjs';

export async function startReceiver(t, env = {}, options = {}) {
	const dir = options.dir ?? tempDir(t, 'framing');
	fs.writeFileSync(path.join(dir, 'given'), SECRET, { mode: 0o600 });
	await runOk(['source', 'add', 'gh', '--data', dir, '--secret-file', path.join(dir, 'given')]);
	const receiver = await startIngest(t, dir, { env });
	receiver.dir = dir;
	return receiver;
}

async function stored(dir) {
	const { stdout } = await run(['replay', '--data', dir, '--target', '-']);
	return ndjson(stdout);
}

// Straight at the receiver there is one answer for a connection (libmicrohttpd writes its own 400 twice). A proxy may answer
// what follows by itself, with a refusal. The hidden request is never accepted and never stored: the receiver takes one
// request from a connection, and so do the shipped proxies.
export async function checkCorpus(receiver, port, { proxy = false } = {}) {
	let accepted = 0;
	const problems = [];
	const queue = [...CORPUS];
	const results = new Map();
	const worker = async () => {
		for (let next = queue.shift(); next; next = queue.shift())
			results.set(next[0], await ask(port, next[1]));
	};
	await Promise.all(Array.from({ length: 16 }, worker));
	for (const [name] of CORPUS) {
		const { statuses, late, text } = results.get(name);
		const ok = statuses.map((status) => status >= 200 && status < 300);
		accepted += ok[0] ? 1 : 0;
		if (late)
			problems.push(`${name}: not closed ${text}`);
		const twice = !proxy && statuses.length === 2 && statuses.every((s) => s === 400 || s === 413 || s === 414 || s === 431);
		if (statuses.length > (proxy ? 2 : 1) && !twice)
			problems.push(`${name}: answered ${statuses} ${text}`);
		if (ok.slice(1).includes(true))
			problems.push(`${name}: a second request was accepted`);
	}
	const events = await stored(receiver.dir);
	const ours = events.filter((event) => event.body === BODY).length;
	if (ours !== events.length)
		problems.push(`stored with other bytes: ${JSON.stringify(events.filter((e) => e.body !== BODY)).slice(0, 1000)}`);
	if (ours !== accepted)
		problems.push(`${ours} stored, ${accepted} accepted`);
	assert.equal(problems.length, 0, problems.join('\n'));
	const after = await ask(port, head({ lines: [`Content-Length: ${BODY.length}`] }) + BODY, { withHidden: false });
	assert.deepEqual(after.statuses, [202], after.text);
	return { accepted, refused: CORPUS.length - accepted };
}
