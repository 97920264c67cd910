// SPDX-License-Identifier: Apache-2.0
// Tests written in JavaScript: test(name, async t => {...}), one after the other, TAP on stdout.
//
//	import { test, assert } from '../lib/harness.mjs';
//	test('an event survives', { timeoutMs: 60000 }, async (t) => {
//		t.cleanup(() => ...);   runs at the end, last first, also after a failure or a timeout
//		t.skip('reason');       ends the test
//		t.note('text');         a line the runner shows
//	});
//	program.cleanup(() => ...)      runs when all tests are done: for what they share
//
// Register all tests before the first await of the module ends.
import assert from 'node:assert/strict';
import fs from 'node:fs';

export { assert };

const TIMEOUT_MS = 120000;
const tests = [];
let failed = 0;
let started = false;
let current = null;

class Skip extends Error {}

function say(line) {
	fs.writeSync(1, `${line}\n`);
}

function comment(text) {
	for (const line of String(text).split('\n'))
		say(`# ${line}`);
}

class Cleanups {
	#hooks = [];

	cleanup(hook) {
		this.#hooks.push(hook);
	}

	// Runs all of them whatever happens; gives back what they threw.
	async run() {
		const errors = [];
		while (this.#hooks.length > 0) {
			try {
				await this.#hooks.pop()();
			} catch (error) {
				errors.push(error);
			}
		}
		return errors;
	}
}

class Context extends Cleanups {
	constructor(name) {
		super();
		this.name = name;
		this.stray = [];
	}

	skip(reason) {
		throw new Skip(reason);
	}

	note(text) {
		comment(`note: ${text}`);
	}
}

export const program = new Cleanups();

export function test(name, options, body) {
	tests.push(typeof options === 'function' ? { name, body: options, timeoutMs: TIMEOUT_MS } : { timeoutMs: TIMEOUT_MS, ...options, name, body });
	if (!started) {
		started = true;
		setImmediate(runAll);
	}
}

function withTimeout(promise, ms) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`not done after ${ms} ms`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function runOne(number, { name, body, timeoutMs }) {
	const t = new Context(name);
	current = t;
	const errors = [];
	let skipped = null;
	try {
		await withTimeout((async () => body(t))(), timeoutMs);
	} catch (error) {
		if (error instanceof Skip)
			skipped = error.message;
		else
			errors.push(error);
	}
	errors.push(...(await withTimeout(t.run(), 30000).catch((error) => [error])), ...t.stray);
	for (const error of errors)
		comment(error?.stack ?? error);
	if (errors.length > 0) {
		failed++;
		say(`not ok ${number} - ${name}`);
	} else {
		say(skipped === null ? `ok ${number} - ${name}` : `ok ${number} - ${name} # SKIP ${skipped}`);
	}
}

async function runAll() {
	let number = 0;
	while (number < tests.length) {
		await runOne(number + 1, tests[number]);
		number++;
	}
	const errors = await withTimeout(program.run(), 60000).catch((error) => [error]);
	for (const error of errors)
		comment(error?.stack ?? error);
	say(`1..${number}`);
	process.exit(failed > 0 || errors.length > 0 ? 1 : 0);
}

for (const kind of ['unhandledRejection', 'uncaughtException']) {
	process.on(kind, (error) => {
		if (current) {
			current.stray.push(error);
		} else {
			comment(error?.stack ?? error);
			process.exit(1);
		}
	});
}

// The runner's deadline, or Ctrl-C: what was started still has to go.
for (const signal of ['SIGTERM', 'SIGINT']) {
	process.on(signal, async () => {
		comment(`${signal} in test ${current?.name}`);
		await current?.run();
		await program.run();
		process.exit(1);
	});
}
