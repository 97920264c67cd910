// SPDX-License-Identifier: Apache-2.0
// A Redis that syncs every command, as a peer to measure beside.
import fs from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { debianProgram } from './debian.mjs';
import { assert } from './harness.mjs';
import { cleanEnv } from './hooklog.mjs';

// Its data in dir; gives back {socket, pid}, or skips the test. It ends with the test.
export async function startRedis(t, dir) {
	const { file, env } = await debianProgram(t, 'usr/bin/redis-server',
		['redis-server', 'redis-tools', 'libjemalloc2', 'liblua5.1-0', 'liblzf1', 'lua-cjson', 'lua-bitop', 'libhiredis0.14', 'libatomic1']);
	const socket = path.resolve(dir, 'redis.sock');
	const child = spawn(file, ['--port', '0', '--unixsocket', socket, '--dir', dir, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always',
		'--auto-aof-rewrite-percentage', '0'], { env: cleanEnv(env), stdio: 'ignore' });
	const gone = new Promise((resolve) => {
		child.on('exit', resolve);
	});
	t.cleanup(() => {
		child.kill('SIGKILL');
		return gone;
	});
	while (!fs.existsSync(socket)) {
		assert.equal(child.exitCode, null, 'redis-server ended');
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	return { socket, pid: child.pid };
}
