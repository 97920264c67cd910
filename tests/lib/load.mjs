// SPDX-License-Identifier: Apache-2.0
// What is done to a receiver from outside until it hurts; a few times in the tests, often in the soak.
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { assert } from './harness.mjs';
import { makeDisk } from './disk.mjs';
import { head, SECRET, sign } from './framing.mjs';
import { ndjson, runOk, startIngest, tempDir } from './hooklog.mjs';

export const MIB = 1024 * 1024;
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function makeDir(t) {
	const dir = tempDir(t, 'load');
	fs.writeFileSync(path.join(dir, 'given'), SECRET, { mode: 0o600 });
	await runOk(['source', 'add', 'gh', '--data', dir, '--secret-file', path.join(dir, 'given')]);
	return dir;
}

export async function startReceiver(t, env = {}) {
	const dir = await makeDir(t);
	const receiver = await startIngest(t, dir, { env });
	receiver.dir = dir;
	return receiver;
}

export const request = (body, delivery = crypto.randomUUID(), lines = []) =>
	head({ body, delivery, lines: [`Content-Length: ${Buffer.byteLength(body)}`, ...lines] }) + body;

// Sends text and reads to the end: {status, seq}; status 0: no answer.
export function post(port, text, { timeoutMs = 20000 } = {}) {
	return new Promise((resolve) => {
		const socket = net.connect(port, '127.0.0.1');
		let got = '';
		socket.setTimeout(timeoutMs, () => socket.destroy());
		socket.on('data', (data) => { got += data.toString('latin1'); });
		socket.on('error', () => {});
		socket.on('close', () => resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(got)?.[1] ?? 0), seq: Number(/X-Hooklog-Seq: (\d+)/.exec(got)?.[1] ?? 0), text: got }));
		socket.write(Buffer.from(text, 'latin1'));
	});
}

// Memory of the process's own: without the pages of the log, which belong to the kernel's cache.
export function rssBytes(pid) {
	return Number(/RssAnon:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
}

export const fdCount = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length;

export async function stored(dir) {
	return ndjson((await runOk(['replay', '--data', dir, '--target', '-'], { timeoutMs: 600000 })).stdout);
}

// Waits until probe holds; what has to happen soon after, not at once.
export async function soon(probe, what, timeoutMs = 30000) {
	const until = Date.now() + timeoutMs;
	while (!(await probe())) {
		if (Date.now() > until)
			throw new Error(`not within ${timeoutMs} ms: ${what}`);
		await sleep(50);
	}
}

// Goes away in every phase of a request: with a reset or an end, after any number of bytes; with complete
// also after the last one, when the event is stored all the same.
export async function abort(port, count, { width = 64, complete = true } = {}) {
	const body = 'x'.repeat(3000);
	const whole = request(body);
	const points = [0, 1, 20, whole.length - body.length - 2, whole.length - body.length, whole.length - 1000, whole.length - 1, ...(complete ? [whole.length] : [])];
	let done = 0;
	const one = (i) => new Promise((resolve) => {
		const socket = net.connect(port, '127.0.0.1', () => {
			const at = points[i % points.length];
			socket.write(Buffer.from(request(body).slice(0, at), 'latin1'), () => {
				if (i % 3 === 0)
					socket.resetAndDestroy();
				else if (i % 3 === 1)
					socket.end();
				else
					socket.destroy();
			});
		});
		socket.on('error', () => {});
		socket.on('close', resolve);
		socket.resume();
	});
	await Promise.all(Array.from({ length: width }, async () => {
		while (done < count)
			await one(done++);
	}));
}

// Opens count connections that each send a byte now and then; gives back how many are still open.
export async function drip(port, count, text, everyMs) {
	const sockets = [];
	for (let i = 0; i < count; i += 100) {
		await Promise.all(Array.from({ length: Math.min(100, count - i) }, () => new Promise((resolve) => {
			const socket = net.connect(port, '127.0.0.1', resolve);
			socket.on('error', resolve);
			socket.on('close', () => { socket.gone = true; });
			socket.resume();
			sockets.push(socket);
		})));
	}
	let at = 0;
	const timer = setInterval(() => {
		for (const socket of sockets) {
			if (!socket.gone)
				socket.write(text[at % text.length]);
		}
		at++;
	}, everyMs);
	return {
		open: () => sockets.filter((socket) => !socket.gone).length,
		stop() {
			clearInterval(timer);
			sockets.forEach((socket) => socket.destroy());
		},
	};
}

// Opens count connections as fast as it can, whether or not they are answered, each with the beginning of a
// request; gives back how many got through and how to end them.
export function flood(port, count, text) {
	let connected = 0;
	const sockets = Array.from({ length: count }, () => {
		const socket = net.connect(port, '127.0.0.1', () => {
			connected++;
			socket.write(text);
		});
		socket.on('error', () => {});
		socket.resume();
		return socket;
	});
	return { connected: () => connected, stop: () => sockets.forEach((socket) => socket.destroy()) };
}

// Clients that record what they sent and what they were told, while faults() happens; then the log is
// compared with the model: ok means exactly once, refused means never, anything else at most once; what was
// acknowledged before another was sent has the smaller number.
async function history(receiver, { operations, clients = 32, faults }) {
	const log = [];
	let next = 0;
	let over = false;
	const client = async (number) => {
		let lastOk = null;
		let lastUnknown = null;
		while (next < operations) {
			const i = next++;
			const kind = i % 10;
			// Some are deliveries of the client's own once more, known to be stored or not; some are forged, and
			// some senders do not wait for the answer.
			const again = kind === 7 ? lastOk : kind === 6 ? lastUnknown : null;
			const body = again ? again.body : JSON.stringify({ i, number, filler: 'f'.repeat(i % 700) });
			const delivery = again ? again.delivery : `h-${i}`;
			const entry = { client: number, delivery, body, again: again !== null, sent: performance.now() };
			let text = request(body, delivery);
			if (kind === 8)
				text = text.replace(sign(body), sign(`${body} `));
			const answer = await post(receiver.port, text, { timeoutMs: kind === 9 ? 3 : 20000 });
			entry.acked = performance.now();
			entry.seq = answer.seq;
			entry.outcome = answer.status === 202 ? 'ok' : answer.status >= 400 && answer.status < 500 ? 'refused' : 'unknown';
			log.push(entry);
			if (entry.outcome === 'ok')
				lastOk = entry;
			else if (entry.outcome === 'unknown')
				lastUnknown = entry;
			if (answer.status === 0 || answer.status === 503)
				await sleep(kind === 9 ? 5 : 25);
		}
	};
	const faulting = faults(() => over, () => next / operations);
	await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
	over = true;
	await faulting;
	await receiver.stop();
	const events = await stored(receiver.dir);
	const byDelivery = new Map();
	for (const event of events)
		byDelivery.set(event.delivery, [...(byDelivery.get(event.delivery) ?? []), event]);
	const anomalies = [];
	for (const entry of log) {
		const found = byDelivery.get(entry.delivery) ?? [];
		if (entry.outcome === 'ok' && (found.length !== 1 || found[0].seq !== entry.seq || found[0].body !== entry.body))
			anomalies.push(`acknowledged ${entry.delivery} as ${entry.seq}, stored ${JSON.stringify(found.map((e) => e.seq))}`);
		if (entry.outcome === 'refused' && !entry.again && found.length !== 0)
			anomalies.push(`refused ${entry.delivery}, stored as ${found[0].seq}`);
		if (found.length > 1)
			anomalies.push(`${entry.delivery} stored ${found.length} times`);
	}
	const known = new Set(log.map((entry) => entry.delivery));
	for (const event of events) {
		if (!known.has(event.delivery))
			anomalies.push(`${event.delivery} was never sent`);
	}
	events.forEach((event, i) => {
		if (event.seq !== i + 1)
			anomalies.push(`number ${event.seq} at place ${i + 1}`);
	});
	const fresh = log.filter((entry) => entry.outcome === 'ok' && !entry.again).sort((a, b) => a.acked - b.acked);
	const bySent = [...fresh].sort((a, b) => a.sent - b.sent);
	let k = 0;
	let highest = 0;
	for (const entry of bySent) {
		for (; k < fresh.length && fresh[k].acked < entry.sent; k++)
			highest = Math.max(highest, fresh[k].seq);
		if (entry.seq <= highest)
			anomalies.push(`${entry.seq} was sent after ${highest} had been acknowledged`);
	}
	assert.deepEqual(anomalies.slice(0, 20), []);
	const count = (outcome) => log.filter((entry) => entry.outcome === outcome).length;
	return { ok: count('ok'), refused: count('refused'), unknown: count('unknown'), events: events.length };
}

// history() with a receiver that meets, at even intervals, one fault after another: it is killed and
// started again, its disk is full for a while, its disk is slow, it is stopped and goes on.
export async function historyWithFaults(t, { operations, clients, faults }) {
	const dir = await makeDir(t);
	const disk = makeDisk(t, dir);
	const receiver = { dir, port: 0, current: null, stop: () => receiver.current.stop() };
	const begin = async () => {
		receiver.current = await startIngest(t, dir, { env: { ...disk.env, HOOKLOG_STORE_FREE_BYTES_MIN: '0',
			...(receiver.port ? { HOOKLOG_INGEST_LISTEN: `127.0.0.1:${receiver.port}` } : {}) } });
		receiver.port = receiver.current.port;
	};
	const happened = { kills: 0, fulls: 0, slow: 0, pauses: 0 };
	const kinds = [
		async () => {
			await receiver.current.kill();
			await begin();
			happened.kills++;
		},
		async () => {
			const before = disk.refused();
			disk.full(true);
			await soon(() => disk.refused() > before, 'a write that finds no room');
			await sleep(50);
			disk.full(false);
			happened.fulls++;
		},
		async (i) => {
			const before = disk.ended();
			disk.slow(20 * (1 + i % 20));
			await soon(() => disk.ended() > before + 3, 'syncs of a slow disk');
			disk.slow(0);
			happened.slow++;
		},
		async (i) => {
			receiver.current.child.kill('SIGSTOP');
			await sleep(20 * (1 + i % 10));
			receiver.current.child.kill('SIGCONT');
			happened.pauses++;
		},
	];
	await begin();
	const result = await history(receiver, { operations, clients, faults: async (over, progress) => {
		for (let i = 0; i < faults; i++) {
			while (!over() && progress() < (i + 1) / (faults + 1))
				await sleep(5);
			if (over())
				return;
			await kinds[i % kinds.length](i);
		}
	} });
	t.note(JSON.stringify({ ...result, ...happened }));
	return { ...result, ...happened };
}

// Ends the receiver in order while clients send, and starts it again, rounds times. Nothing acknowledged may
// be missing, and what had been begun is answered.
export async function stopUnderLoad(t, rounds) {
	const dir = await makeDir(t);
	const acked = [];
	let slowest = 0;
	for (let round = 0; round < rounds; round++) {
		const receiver = await startIngest(t, dir);
		let stopping = false;
		const client = async (number) => {
			for (let i = 0; ; i++) {
				const delivery = `s-${round}-${number}-${i}`;
				const answer = await post(receiver.port, request('{"filler":"ffffffffffffffffffffffff"}', delivery));
				if (answer.status === 202)
					acked.push([delivery, answer.seq]);
				else if (stopping)
					return;
			}
		};
		const clients = Array.from({ length: 8 }, (_, number) => client(number));
		const before = acked.length;
		await soon(() => acked.length > before + 20, 'deliveries');
		stopping = true;
		const begun = performance.now();
		await receiver.stop({ timeoutMs: 12000 });
		slowest = Math.max(slowest, performance.now() - begun);
		await Promise.all(clients);
	}
	const events = new Map((await stored(dir)).map((event) => [event.delivery, event.seq]));
	for (const [delivery, seq] of acked)
		assert.equal(events.get(delivery), seq, delivery);
	return { acked: acked.length, slowest };
}
