// SPDX-License-Identifier: Apache-2.0
// What the log costs, beside raw LMDB, Redis and bare writes in the same run; real payloads of GitHub. Prints what
// log_bench.c measures. The method is in docs/benchmarks.md.
//
//	log_bench.mjs PROGRAM SCRATCH [ROUNDS [EVENTS]]     EVENTS: how far the log grows, default 1,000,000
import fs from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { debianProgram } from '../lib/debian.mjs';
import { npmPackage } from '../lib/npm.mjs';

const [program, scratch, rounds = '3', events = '1000000'] = process.argv.slice(2);

function run(args, wanted = 0) {
	return new Promise((resolve, reject) => {
		const child = spawn(program, args, { stdio: 'inherit' });
		child.on('error', reject);
		child.on('exit', (code, signal) => {
			if (code === wanted || signal === wanted)
				resolve();
			else
				reject(new Error(`${program} ${args[0]} ended with ${code ?? signal}`));
		});
	});
}

function folder(name) {
	const dir = path.join(scratch, name);
	fs.mkdirSync(dir);
	return dir;
}

async function startRedis() {
	let skipped;
	const t = { skip: (why) => { skipped = why; } };
	const found = await debianProgram(t, 'usr/bin/redis-server', ['redis-tools', 'redis-server', 'libjemalloc2', 'liblua5.1-0', 'liblzf1', 'lua-cjson', 'lua-bitop', 'libhiredis0.14', 'libatomic1']);
	if (skipped) {
		console.log(`without Redis: ${skipped}`);
		return null;
	}
	const dir = folder('redis');
	const socket = path.resolve(dir, 'socket');
	const server = spawn(found.file, ['--port', '0', '--unixsocket', socket, '--dir', dir, '--appendonly', 'yes', '--appendfsync', 'always',
		'--auto-aof-rewrite-percentage', '0', '--save', ''], { stdio: 'ignore', env: { ...process.env, ...found.env } });
	const gone = new Promise((resolve) => server.on('exit', resolve));
	for (let i = 0; !fs.existsSync(socket) && server.exitCode === null && i < 100; i++)
		await new Promise((resolve) => setTimeout(resolve, 100));
	if (!fs.existsSync(socket))
		throw new Error('redis-server did not start');
	return { socket, stop: () => { server.kill('SIGKILL'); return gone; } };
}

const examples = await npmPackage('@octokit/webhooks-examples', '7.6.1');
const index = JSON.parse(fs.readFileSync(path.join(examples.dir, 'api.github.com/index.json'), 'utf8'));
const corpus = path.join(scratch, 'corpus');
fs.writeFileSync(corpus, index.flatMap((e) => e.examples).map((p) => `${JSON.stringify(p)}\n`).join(''));

const redis = await startRedis();
try {
	await run(['appends', corpus, folder('appends'), rounds, ...(redis ? [redis.socket] : [])]);
} finally {
	await redis?.stop();
}
await run(['bytes', corpus, folder('bytes')]);
await run(['read', corpus, folder('read'), rounds]);
const grown = folder('grown');
await run(['grow', corpus, grown, events], 'SIGKILL');
await run(['start', grown]);
