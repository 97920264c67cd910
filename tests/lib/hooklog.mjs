// SPDX-License-Identifier: Apache-2.0
// Runs the program under test.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert, program } from './harness.mjs';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const bin = path.resolve(root, process.env.HOOKLOG_BIN ?? 'build/hooklog');

// The environment without anything that configures hooklog or libpq, and with what is given.
export function cleanEnv(extra = {}) {
	const env = { ...process.env };
	for (const name of Object.keys(env)) {
		if (/^(HOOKLOG_|PG)/.test(name) || name === 'DATABASE_URL')
			delete env[name];
	}
	return { ...env, ...extra };
}

// A folder that is gone when the test is over. Others may pass through it, as PostgreSQL's user must.
export function tempDir(t, name = 'd') {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
	fs.chmodSync(dir, 0o755);
	t.cleanup(() => fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
	return dir;
}

// Runs a program to its end: {code, signal, stdout, stderr, bytes}; bytes is stdout as a Buffer.
export function exec(file, args, { input, env = cleanEnv(), cwd, timeoutMs = 60000, uid, gid } = {}) {
	return new Promise((resolve, reject) => {
		const child = spawn(file, args, { env, cwd, uid, gid, stdio: ['pipe', 'pipe', 'pipe'] });
		const out = [];
		const err = [];
		const timer = setTimeout(() => {
			child.kill('SIGKILL');
			reject(new Error(`${path.basename(file)} ${args.join(' ')}: not done after ${timeoutMs} ms\n${Buffer.concat(err)}`));
		}, timeoutMs);
		child.stdout.on('data', (data) => out.push(data));
		child.stderr.on('data', (data) => err.push(data));
		child.stdin.on('error', () => {}); // it may end before it read everything
		child.stdin.end(input ?? '');
		child.on('error', reject);
		child.on('close', (code, signal) => {
			clearTimeout(timer);
			const bytes = Buffer.concat(out);
			resolve({ code, signal, bytes, stdout: bytes.toString(), stderr: Buffer.concat(err).toString() });
		});
	});
}

// The program for a process of another user, who may not be able to reach the build folder.
let sharedBin = null;
function binFor(uid) {
	if (uid === undefined)
		return bin;
	if (sharedBin === null) {
		const dir = tempDir(program, 'bin');
		sharedBin = path.join(dir, 'hooklog');
		fs.copyFileSync(bin, sharedBin);
		fs.chmodSync(sharedBin, 0o755);
	}
	return sharedBin;
}

// Runs `hooklog ...args` to its end. options.env is added to a clean environment.
export function run(args, { env, ...options } = {}) {
	return exec(binFor(options.uid), args, { ...options, env: cleanEnv(env) });
}

// As run, and the exit code must be 0.
export async function runOk(args, options) {
	const result = await run(args, options);
	assert.equal(result.code, 0, `hooklog ${args.join(' ')}: exit ${result.code} ${result.signal ?? ''}\n${result.stderr}`);
	return result;
}

// Starts `hooklog ...args` and gives back a handle; the process is killed when the test is over.
export function start(t, args, { env, uid, gid, cwd } = {}) {
	const child = spawn(binFor(uid), args, { env: cleanEnv(env), uid, gid, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
	const waiting = new Set();
	const handle = {
		pid: child.pid,
		child,
		stdout: '',
		stderr: '',
		ended: null, // {code, signal} once it has ended
	};
	const look = () => waiting.forEach((check) => check());
	child.stdout.setEncoding('utf8').on('data', (data) => {
		handle.stdout += data;
		look();
	});
	child.stderr.setEncoding('utf8').on('data', (data) => {
		handle.stderr += data;
		look();
	});
	const closed = new Promise((resolve) => {
		child.on('error', (error) => {
			handle.stderr += error.message;
			handle.ended = { code: null, signal: null };
			look();
			resolve(handle.ended);
		});
		child.on('close', (code, signal) => {
			handle.ended = { code, signal };
			look();
			resolve(handle.ended);
		});
	});

	// Waits until pattern matches what was written to the stream; gives back the match.
	handle.waitFor = (pattern, { stream = 'stderr', timeoutMs = 60000 } = {}) => new Promise((resolve, reject) => {
		const settle = (action, value) => {
			waiting.delete(check);
			clearTimeout(timer);
			action(value);
		};
		const check = () => {
			const match = pattern.exec(handle[stream]);
			if (match)
				settle(resolve, match);
			else if (handle.ended)
				settle(reject, new Error(`hooklog ${args.join(' ')} ended (${JSON.stringify(handle.ended)}) without ${pattern}\n${handle.stderr}`));
		};
		const timer = setTimeout(() => settle(reject, new Error(`hooklog ${args.join(' ')}: no ${pattern} after ${timeoutMs} ms\n${handle.stderr}`)), timeoutMs);
		waiting.add(check);
		check();
	});

	// Waits for the end; {code, signal}.
	handle.wait = async (timeoutMs = 60000) => {
		let timer;
		const late = new Promise((_, reject) => {
			timer = setTimeout(() => reject(new Error(`hooklog ${args.join(' ')}: still there after ${timeoutMs} ms\n${handle.stderr}`)), timeoutMs);
		});
		return Promise.race([closed, late]).finally(() => clearTimeout(timer));
	};

	// Ends it politely and checks the exit code.
	handle.stop = async ({ signal = 'SIGTERM', code = 0, timeoutMs = 60000 } = {}) => {
		if (!handle.ended)
			child.kill(signal);
		const ended = await handle.wait(timeoutMs);
		assert.deepEqual(ended, { code, signal: null }, `hooklog ${args.join(' ')} ended ${JSON.stringify(ended)}\n${handle.stderr}`);
	};

	// As a power cut would, as far as the process can tell.
	handle.kill = async () => {
		if (!handle.ended)
			child.kill('SIGKILL');
		return handle.wait();
	};

	t.cleanup(() => handle.kill());
	return handle;
}

// Starts a command that receives webhooks on a free port and waits until it does; .port, .url.
export async function startListening(t, args, { env, ...options } = {}) {
	const handle = start(t, args, { ...options, env: { HOOKLOG_INGEST_LISTEN: '127.0.0.1:0', ...env } });
	const [, address, port] = await handle.waitFor(/ingest\.listening [^\n]*address="?([^"\s]*?:(\d+))"?/);
	handle.port = Number(port);
	handle.url = `http://${address}`;
	return handle;
}

export function startIngest(t, dataDir, { args = [], ...options } = {}) {
	return startListening(t, ['ingest', '--data', dataDir, ...args], options);
}

export function startUp(t, dataDir, { args = [], ...options } = {}) {
	return startListening(t, ['up', '--data', dataDir, ...args], options);
}

// The objects of NDJSON text.
// The objects on these lines. An event's body comes as the text it was received as, whatever its form in the line.
export function ndjson(text) {
	return text.split('\n').filter((line) => line !== '').map((line) => {
		const object = JSON.parse(line);
		if (object.body !== null && typeof object.body === 'object')
			object.body = line.slice(line.indexOf(',"body":') + ',"body":'.length, -1);
		return object;
	});
}

// Calls probe until it gives something true, and gives that back.
export async function until(probe, { timeoutMs = 60000, everyMs = 50, what = probe.toString() } = {}) {
	const deadline = Date.now() + timeoutMs;
	for (;;) {
		const value = await probe();
		if (value)
			return value;
		if (Date.now() > deadline)
			throw new Error(`not within ${timeoutMs} ms: ${what}`);
		await new Promise((resolve) => setTimeout(resolve, everyMs));
	}
}
