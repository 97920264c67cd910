// SPDX-License-Identifier: Apache-2.0
// What the log costs, beside raw LMDB, Redis and bare writes in the same run; GitHub's example payloads. The programs
// of this folder measure; docs/benchmarks.md has the method.
//
//	log_bench.mjs PROGRAMS SCRATCH [ROUNDS [EVENTS]]     PROGRAMS: their folder; EVENTS: how far the log grows
import fs from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { test } from '../lib/harness.mjs';
import { npmPackage } from '../lib/npm.mjs';
import { startRedis } from '../lib/redis.mjs';

const [programs, scratch, rounds = '3', events = '1000000'] = process.argv.slice(2);
const program = path.join(programs, 'log_bench');

// What the program says, when it ends as wanted.
function output(file, args, wanted = 0) {
	return new Promise((resolve, reject) => {
		const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
		let text = '';
		child.stdout.on('data', (data) => {
			text += data;
		});
		child.on('error', reject);
		child.on('close', (code, signal) => {
			if (code === wanted || signal === wanted)
				resolve(text);
			else
				reject(new Error(`${file} ${args[0]} ended with ${code ?? signal}`));
		});
	});
}

function folder(name) {
	const dir = path.join(scratch, name);
	fs.mkdirSync(dir);
	return dir;
}

const corpus = path.join(scratch, 'corpus');
const row = (name, body) => test(name, { timeoutMs: 3600000 }, body);
const show = async (args, wanted) => process.stdout.write(await output(program, args, wanted));

row('appends', async (t) => {
	const examples = await npmPackage('@octokit/webhooks-examples', '7.6.1');
	const index = JSON.parse(fs.readFileSync(path.join(examples.dir, 'api.github.com/index.json'), 'utf8'));
	fs.writeFileSync(corpus, index.flatMap((e) => e.examples).map((p) => `${JSON.stringify(p)}\n`).join(''));
	const redis = await startRedis(t, folder('redis'));
	const all = { hooklog: [], lmdb: [], bare: [], redis: [] };
	for (let i = 1; i <= Number(rounds); i++) {
		const dir = folder(`appends${i}`);
		const round = JSON.parse(await output(program, ['appends', corpus, dir]));
		fs.rmSync(dir, { recursive: true });
		round.redis = Number((await output(path.join(programs, 'load'), ['redis', redis.socket, '64', '4', corpus])).split(',')[0]);
		console.log(`round ${i}: ${JSON.stringify(round)}`);
		for (const [name, values] of Object.entries(all))
			values.push(round[name]);
	}
	for (const values of Object.values(all))
		values.sort((a, b) => a - b);
	const median = (name) => all[name][all[name].length >> 1];
	const line = (name, what) => console.log(`${what.padEnd(32)} median ${median(name)}/s, from ${all[name][0]} to ${all[name].at(-1)}`);
	line('hooklog', 'hooklog, 64 producers');
	line('lmdb', 'raw LMDB, the same batches');
	line('bare', 'bare write+sync of stored bytes');
	line('redis', 'Redis XADD, appendfsync always');
	const ratio = (peer) => (median('hooklog') / median(peer)).toFixed(2);
	console.log(`ratio to raw LMDB ${ratio('lmdb')} (at least 1.3 is wanted), to Redis ${ratio('redis')} (at least 2 is wanted), to bare writes ${ratio('bare')}`);
});

row('bytes on disk', () => show(['bytes', corpus, folder('bytes')]));
row('reading in order', () => show(['read', corpus, folder('read'), rounds]));

row('growth and start', async () => {
	const dir = folder('grown');
	await show(['grow', corpus, dir, events], 'SIGKILL');
	await show(['start', dir]);
	fs.rmSync(dir, { recursive: true });
});
