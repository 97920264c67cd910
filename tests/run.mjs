// SPDX-License-Identifier: Apache-2.0
// Runs every test there is and ends with the line "N passed, N failed". Usage: see usage() below.
//
// A test program is a C file tests/{unit,fault,crash}/**/*_test.c, or a script **/*.test.mjs or
// tests/checks/*.mjs. It speaks TAP on stdout. Tags in a comment within its first 40 lines:
//
//	TEST-VARIANTS: asan tsan release     the builds it runs against; default asan, and also tsan for a C
//	                                     file that includes <pthread.h> or opens the log's writer
//	TEST-TIMEOUT: 300                    seconds until it is killed
//	TEST-SOAK                            only with --soak
//	TEST-ALONE                           nothing else runs beside it
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const DEFAULT_TIMEOUT_S = { c: 120, mjs: 300 };
const THREADED = /#include <pthread\.h>|\bstore_open\(|\bingest_start\(/;

function usage() {
	process.stderr.write(
		'usage: tests/run --build build/gcc [--soak] [--only SUBSTRING] [--jobs N] [--root DIR]\n');
	process.exit(2);
}

function parseArguments(argv) {
	const options = { build: 'build/gcc', soak: false, only: '', jobs: os.cpus().length, root: '' };
	for (let i = 0; i < argv.length; i++) {
		if (argv[i] === '--soak') {
			options.soak = true;
			continue;
		}
		const name = argv[i].replace(/^--/, '');
		if (!argv[i].startsWith('--') || !(name in options) || i + 1 === argv.length)
			usage();
		options[name] = argv[++i];
	}
	options.jobs = Math.max(1, Number(options.jobs) || 1);
	return options;
}

const options = parseArguments(process.argv.slice(2));
const root = path.resolve(options.root || path.join(path.dirname(fileURLToPath(import.meta.url)), '..'));
const build = path.resolve(root, options.build);

// ---- finding the programs

function walk(folder, found = []) {
	if (!fs.existsSync(folder))
		return found;
	for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
		const full = path.join(folder, entry.name);
		if (entry.isDirectory() && entry.name !== 'node_modules')
			walk(full, found);
		else if (entry.isFile())
			found.push(full);
	}
	return found;
}

function tags(file) {
	const head = fs.readFileSync(file, 'utf8').split('\n').slice(0, 40).join('\n');
	const timeout = /TEST-TIMEOUT: *(\d+)/.exec(head);
	const variants = /TEST-VARIANTS: *([a-z ]+)/.exec(head);
	return {
		soak: /TEST-SOAK\b/.test(head),
		alone: /TEST-ALONE\b/.test(head),
		timeoutS: timeout ? Number(timeout[1]) : undefined,
		variants: variants ? variants[1].trim().split(/ +/) : undefined,
	};
}

function programs() {
	const list = [];
	for (const file of walk(path.join(root, 'tests')).sort()) {
		const name = path.relative(path.join(root, 'tests'), file);
		if (/^(lib|bench)\//.test(name))
			continue;
		const t = name.endsWith('_test.c') || name.endsWith('.mjs') ? tags(file) : {};
		if (/^(unit|fault|crash)\/.*_test\.c$/.test(name)) {
			const threaded = THREADED.test(fs.readFileSync(file, 'utf8'));
			for (const variant of t.variants ?? (threaded ? ['asan', 'tsan'] : ['asan'])) {
				const binary = path.join(`${build}-${variant}`, 'tests', name.slice(0, -2));
				list.push({ ...t, name: name.slice(0, -2), variant, kind: 'c', command: [binary] });
			}
		} else if (/\.test\.mjs$/.test(name)) {
			for (const variant of t.variants ?? ['asan'])
				list.push({ ...t, name, variant, kind: 'mjs', command: [process.execPath, file] });
		} else if (/^checks\/[^/]+\.mjs$/.test(name)) {
			list.push({ ...t, name, variant: 'check', kind: 'mjs', command: [process.execPath, file] });
		}
	}
	const wanted = list.filter((p) => p.name.includes(options.only) && (options.soak || !p.soak));
	// What takes long first, so that it does not run alone at the end; what must be alone last.
	const weight = (p) => (p.alone ? 3 : p.kind === 'mjs' && p.variant !== 'check' ? 0 : 1);
	return wanted.sort((a, b) => weight(a) - weight(b));
}

// ---- running one

const runId = `${process.pid}-${Date.now()}`;
const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'hlt-'));
// The private PostgreSQL of a test runs as another user when the tests run as root.
fs.chmodSync(temp, 0o711);
const running = new Set();

// gcc's thread sanitizer needs the address space layout the kernel gives without randomisation.
const steady = spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : [];

function environment(program, folder) {
	const env = { ...process.env };
	for (const name of Object.keys(env)) {
		if (/^(HOOKLOG_|PG|TEST_)/.test(name) || name === 'DATABASE_URL')
			delete env[name];
	}
	Object.assign(env, {
		TMPDIR: folder,
		TEST_RUN: runId,
		TEST_BUILD: build,
		TEST_VARIANT: program.variant,
		CMOCKA_MESSAGE_OUTPUT: 'TAP',
		UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
		LSAN_OPTIONS: 'max_leaks=5', // a failed assertion skips all frees behind it
		TSAN_OPTIONS: 'halt_on_error=0:exitcode=66',
	});
	if (options.soak)
		env.TEST_SOAK = '1';
	// C programs do not get this one: what they start would take it for a key of the configuration.
	if (program.kind === 'mjs')
		env.HOOKLOG_BIN = path.join(`${build}-${program.variant === 'check' ? 'asan' : program.variant}`, 'hooklog');
	return env;
}

// Ends what a program left behind, also what moved to another process group: it has our mark.
function killMarked(mark) {
	let count = 0;
	for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
		if (Number(pid) === process.pid)
			continue;
		try {
			if (fs.readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(mark)) {
				process.kill(Number(pid), 'SIGKILL');
				count++;
			}
		} catch {
			// It ended in the meantime, or belongs to somebody else.
		}
	}
	return count;
}

function killGroup(pid, signal) {
	try {
		process.kill(-pid, signal);
	} catch {
		// Nothing is left of it.
	}
}

async function runProgram(program, number) {
	if (program.kind === 'c' && !fs.existsSync(program.command[0]))
		return { program, stdout: '', output: '', how: 'is not built: is it in $b/tests of sources.ninja?', seconds: 0, left: 0 };
	const folder = path.join(temp, String(number));
	fs.mkdirSync(folder);
	fs.chmodSync(folder, 0o711);
	const mark = `${runId}.${number}`;
	const env = { ...environment(program, folder), TEST_PROGRAM: mark };
	const [file, ...args] = program.variant === 'tsan' ? [...steady, ...program.command] : program.command;
	const started = process.hrtime.bigint();
	return new Promise((resolve) => {
		const child = spawn(file, args, { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
		running.add(child);
		let stdout = '';
		let output = '';
		let hung = false;
		const take = (isStdout) => (data) => {
			output += data;
			stdout += isStdout ? data : '';
		};
		child.stdout.setEncoding('utf8').on('data', take(true));
		child.stderr.setEncoding('utf8').on('data', take(false));
		const timeoutS = program.timeoutS ?? DEFAULT_TIMEOUT_S[program.kind];
		const deadline = setTimeout(() => {
			hung = true;
			child.kill('SIGTERM'); // lets a script run its cleanups
			setTimeout(() => killGroup(child.pid, 'SIGKILL'), 5000).unref();
		}, timeoutS * 1000);
		const finish = (how) => {
			if (!running.has(child)) // a program that could not be started also says 'close'
				return;
			clearTimeout(deadline);
			running.delete(child);
			const left = killMarked(`TEST_PROGRAM=${mark}`);
			fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
			const seconds = Number(process.hrtime.bigint() - started) / 1e9;
			resolve({ program, stdout, output, how: hung ? `hung for ${timeoutS} s` : how, seconds, left });
		};
		child.on('error', (error) => finish(error.message));
		// A grandchild may hold our pipes open for ever, and 'close' waits for them.
		child.on('exit', () => {
			if (child.pid)
				killGroup(child.pid, 'SIGKILL');
			const cut = setTimeout(() => {
				child.stdout.destroy();
				child.stderr.destroy();
			}, 2000);
			child.on('close', () => clearTimeout(cut));
		});
		child.on('close', (code, signal) => {
			if (code !== null || signal !== null)
				finish(signal ? `died of ${signal}` : code === 0 ? '' : `exit status ${code}`);
		});
	});
}

// ---- reading TAP

function judge(result) {
	const verdict = { passed: 0, failed: [], skipped: [] };
	let planned = 0;
	let plans = 0;
	let comment = '';
	for (const line of result.stdout.split('\n')) {
		const plan = /^1\.\.(\d+)/.exec(line);
		const point = /^(not )?ok\b[ \t]*(\d+)?[ \t-]*(.*)$/.exec(line);
		if (plan) {
			plans++;
			planned += Number(plan[1]);
		} else if (point) {
			const skip = /^(.*?)# *SKIP\b *(.*)$/i.exec(point[3]);
			const name = (skip ? skip[1].trim() || skip[2] : point[3]).trim();
			if (skip) // cmocka cannot give a reason: a comment in front of the skip does
				verdict.skipped.push({ name, reason: (skip[1].trim() && skip[2].trim()) || comment || 'no reason given' });
			else if (point[1])
				verdict.failed.push(name);
			else
				verdict.passed++;
			comment = '';
		} else if (line.startsWith('#')) {
			comment = line.replace(/^# */, '');
		}
	}
	const seen = verdict.passed + verdict.failed.length + verdict.skipped.length;
	if (result.how && verdict.failed.length === 0)
		verdict.failed.push(result.how);
	else if (plans === 0 || planned !== seen)
		verdict.failed.push(`said ${plans === 0 ? 'no plan' : `1..${planned}`} and reported ${seen} tests`);
	else if (seen === 0)
		verdict.failed.push('has no test');
	return verdict;
}

// ---- all of them

function end() {
	for (const child of running)
		killGroup(child.pid, 'SIGKILL');
	killMarked(`TEST_RUN=${runId}`);
	fs.rmSync(temp, { recursive: true, force: true, maxRetries: 5 });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
	process.on(signal, () => {
		end();
		process.stdout.write(`interrupted by ${signal}\n`);
		process.exit(130);
	});
}

const total = { passed: 0, failed: 0, skipped: [], failures: [] };

function report(result) {
	const { program } = result;
	const label = `${program.variant.padEnd(7)} ${program.name}`;
	const verdict = judge(result);
	total.passed += verdict.passed;
	total.failed += verdict.failed.length;
	total.skipped.push(...verdict.skipped.map((s) => `${label}: ${s.name}: ${s.reason}`));
	total.failures.push(...verdict.failed.map((name) => `${label}: ${name}`));
	const bad = verdict.failed.length > 0;
	const left = result.left > 0 ? `, left ${result.left} processes behind` : '';
	process.stdout.write(`${bad ? 'FAIL' : 'ok  '} ${label}  ${verdict.passed} tests  ${result.seconds.toFixed(1)} s${left}\n`);
	if (bad) {
		const text = result.output.endsWith('\n') ? result.output : `${result.output}\n`;
		process.stdout.write(`---- output of ${label}${result.how ? ` (${result.how})` : ''}\n${text}----\n`);
	} else {
		for (const line of result.stdout.split('\n').filter((l) => l.startsWith('# note: ')))
			process.stdout.write(`     ${line.slice(2)}\n`);
	}
}

async function main() {
	const queue = programs();
	let number = 0;
	const worker = async () => {
		while (queue.length > 0 && !queue[0].alone)
			report(await runProgram(queue.shift(), number++));
	};
	await Promise.all(Array.from({ length: options.jobs }, worker));
	while (queue.length > 0)
		report(await runProgram(queue.shift(), number++));
	for (const line of total.skipped)
		process.stdout.write(`skipped ${line}\n`);
	for (const line of total.failures)
		process.stdout.write(`failed ${line}\n`);
	if (total.passed + total.failed === 0) {
		process.stdout.write('failed: no test was run\n');
		total.failed = 1;
	}
	process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
	return total.failed === 0 ? 0 : 1;
}

let code = 1;
try {
	code = await main();
} finally {
	end();
}
process.exitCode = code;
