// SPDX-License-Identifier: Apache-2.0
// Consumers that pull: batches, long polls and streams, what may be lost (nothing), and who may do what.
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { ndjson, root, run, runOk, start, startIngest, tempDir, until } from '../lib/hooklog.mjs';

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const seqs = (text) => ndjson(text).map((event) => event.seq);

// One request; {status, headers, text, json}.
function ask(base, method, where, token, headers = {}, body) {
	return new Promise((resolve, reject) => {
		const request = http.request(base + where, { method, agent: false, headers: { ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }), ...headers } }, (response) => {
			const chunks = [];
			response.on('data', (data) => chunks.push(data));
			response.on('error', reject);
			response.on('end', () => {
				const text = Buffer.concat(chunks).toString();
				resolve({ status: response.statusCode, headers: response.headers, text, json: text.startsWith('{') && !text.includes('\n{') ? JSON.parse(text) : undefined });
			});
		});
		request.on('error', reject);
		request.end(body);
	});
}

// Server-sent events as they come: {events, ids, ended, close()}.
function follow(base, where, token, headers = {}) {
	const stream = { events: [], ids: [], ended: false, status: 0 };
	const request = http.request(base + where, { agent: false, headers: { Authorization: `Bearer ${token}`, Accept: 'text/event-stream', ...headers } }, (response) => {
		let text = '';
		stream.status = response.statusCode;
		stream.type = response.headers['content-type'];
		response.setEncoding('utf8').on('data', (data) => {
			text += data;
			for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
				const fields = Object.fromEntries(text.slice(0, end).split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
				if (fields.id)
					stream.ids.push(Number(fields.id));
				if (fields.data)
					stream.events.push(JSON.parse(fields.data));
			}
		});
		response.on('close', () => { stream.ended = true; });
	});
	request.on('error', () => { stream.ended = true; });
	request.end();
	stream.close = () => request.destroy();
	return stream;
}

async function live(t) {
	const dir = tempDir(t, 'pull');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const receiver = await startIngest(t, dir, { env: { HOOKLOG_ADMIN_LISTEN: '127.0.0.1:0' } });
	const admin = `http://${(await receiver.waitFor(/ingest\.admin address=(\S+)/))[1]}`;
	const metrics = async () => (await fetch(`${admin}/metrics`)).text();
	let seed = 1;
	const more = (n) => runOk(['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', String(n), '--seed', String(seed++), '--data', dir]);
	const sub = (...args) => runOk(['subscription', ...args, '--data', dir]);
	const token = async (name, ...args) => (await runOk(['token', 'add', name, ...args, '--data', dir])).stdout.trim();
	const last = async () => JSON.parse((await runOk(['log', 'stat', '--json', '--data', dir])).stdout).last_seq;
	const show = async (name) => JSON.parse((await sub('show', name, '--json')).stdout);
	const serve = async (env = {}) => {
		const served = start(t, ['subscription', 'run', '--data', dir], { env: { HOOKLOG_SUBSCRIPTION_LISTEN: '127.0.0.1:0', ...env } });
		const [, address] = await served.waitFor(/subscription\.listening [^\n]*address="?([^"\s]+)/);
		served.url = `http://${address}/v1/subscriptions`;
		return served;
	};
	// It takes up what was added within half a second.
	const ready = (served, name, key) => until(async () => (await ask(served.url, 'GET', `/${name}`, key)).status === 200);
	return { dir, more, sub, token, last, show, serve, ready, metrics };
}

test('a consumer gets every event, in order, from where it acknowledged, also after a kill', async (t) => {
	const { more, sub, token, last, serve, ready, show } = await live(t);
	await more(60);
	await sub('add', 'orders', '--pull', '--from', '1');
	const key = await token('orders');
	assert.equal((await show('orders')).status, 'not served');
	let served = await serve();
	await ready(served, 'orders', key);
	const first = await ask(served.url, 'GET', '/orders/events?max=20', key);
	assert.equal(first.status, 200);
	assert.equal(first.headers['content-type'], 'application/x-ndjson');
	assert.deepEqual(seqs(first.text), numbers(1, 20));
	assert.equal(first.headers['x-hooklog-cursor'], '20');
	// Not acknowledged: the same again; further on with a cursor of its own.
	assert.deepEqual(seqs((await ask(served.url, 'GET', '/orders/events?max=20', key)).text), numbers(1, 20));
	assert.deepEqual(seqs((await ask(served.url, 'GET', '/orders/events?after=20&max=5', key)).text), numbers(21, 25));
	const acknowledged = await ask(served.url, 'POST', '/orders/ack?seq=20', key);
	assert.equal(acknowledged.json.next_seq, 21);
	// Killed right after the answer: what was acknowledged stays so.
	await served.kill();
	served = await serve();
	await ready(served, 'orders', key);
	let have = numbers(1, 20);
	const end = await last();
	for (let answer; have.length < end;) {
		answer = await ask(served.url, 'GET', '/orders/events?max=7', key);
		have = have.concat(seqs(answer.text));
		await ask(served.url, 'POST', `/orders/ack?seq=${have.at(-1)}`, key);
	}
	assert.deepEqual(have, numbers(1, end));
	// Backwards is not what acknowledging does.
	assert.equal((await ask(served.url, 'POST', '/orders/ack?seq=3', key)).json.next_seq, end + 1);
	assert.equal((await ask(served.url, 'POST', `/orders/ack?seq=${end + 1}`, key)).status, 400);
	const shown = await show('orders');
	assert.deepEqual([shown.status, shown.next_seq, shown.lag], ['active', end + 1, 0]);
	assert.equal((await ask(served.url, 'GET', '/orders/events', key)).status, 204);
	await served.stop();
});

test('metrics tell the lag of each subscription', async (t) => {
	const { more, sub, token, serve, ready, metrics } = await live(t);
	await more(20);
	assert.ok(!(await metrics()).includes('hooklog_subscription'));
	await sub('add', 'one', '--pull', '--from', '1');
	const key = await token('one');
	const value = async (name) => Number(new RegExp(`^hooklog_subscription_${name}\\{subscription="one",kind="pull"\\} (\\S+)$`, 'm').exec(await metrics())[1]);
	assert.equal(await value('lag_events'), 20);
	assert.ok(await value('lag_seconds') > 0);
	assert.equal(await value('served'), 0);
	const served = await serve();
	await ready(served, 'one', key);
	assert.equal(await value('served'), 1);
	await ask(served.url, 'POST', '/one/ack?seq=15', key);
	assert.deepEqual([await value('lag_events'), await value('delivered_total')], [5, 15]);
	await ask(served.url, 'POST', '/one/ack?seq=20', key);
	assert.equal(await value('lag_seconds'), 0);
	await served.stop();
});

test('the lines are those of a replay', async (t) => {
	const { dir, more, sub, token, serve, ready } = await live(t);
	await more(25);
	await sub('add', 'all', '--pull', '--from', '1');
	const key = await token('all');
	const served = await serve();
	await ready(served, 'all', key);
	const { stdout } = await runOk(['replay', '--target', '-', '--to', '25', '--data', dir]);
	assert.equal((await ask(served.url, 'GET', '/all/events?max=25', key)).text, stdout);
	await served.stop();
});

test('a long poll ends with the next event; without one, in time', async (t) => {
	const { more, sub, token, last, serve, ready } = await live(t);
	await more(5);
	await sub('add', 'tail', '--pull');
	const key = await token('tail');
	const served = await serve();
	await ready(served, 'tail', key);
	const end = await last();
	const waiting = ask(served.url, 'GET', '/tail/events?wait=60', key);
	await new Promise((resolve) => setTimeout(resolve, 300));
	await more(1);
	const answer = await waiting;
	assert.equal(seqs(answer.text)[0], end + 1);
	await ask(served.url, 'POST', `/tail/ack?seq=${await last()}`, key);
	const nothing = await ask(served.url, 'GET', '/tail/events?wait=1', key);
	assert.equal(nothing.status, 204);
	assert.equal(nothing.headers['x-hooklog-cursor'], String(await last()));
	// A stop does not wait for it.
	const cut = ask(served.url, 'GET', '/tail/events?wait=60', key).catch(() => null);
	await new Promise((resolve) => setTimeout(resolve, 200));
	await served.stop();
	await cut;
});

test('with a filter only what is selected comes, and the rest needs no acknowledgement', async (t) => {
	const { dir, more, sub, token, last, serve, ready, show } = await live(t);
	await more(80);
	await sub('add', 'pushes', '--pull', '--from', '1', '--event', 'push');
	await sub('add', 'none', '--pull', '--from', '1', '--event', 'no_such_event');
	const pushes = await token('pushes');
	const none = await token('none');
	const served = await serve();
	await ready(served, 'pushes', pushes);
	await ready(served, 'none', none);
	const wanted = ndjson((await runOk(['replay', '--target', '-', '--event', 'push', '--data', dir])).stdout).map((event) => event.seq);
	let have = [];
	for (;;) {
		const answer = await ask(served.url, 'GET', '/pushes/events?max=10', pushes);
		if (answer.status === 204)
			break;
		have = have.concat(seqs(answer.text));
		await ask(served.url, 'POST', `/pushes/ack?seq=${answer.headers['x-hooklog-cursor']}`, pushes);
	}
	assert.ok(wanted.length > 0);
	assert.deepEqual(have, wanted);
	assert.equal((await ask(served.url, 'GET', '/none/events', none)).status, 204);
	assert.equal((await show('none')).next_seq, await last() + 1);
	assert.equal((await show('none')).lag, 0);
	await served.stop();
});

test('server-sent events follow the log and go on behind Last-Event-ID', async (t) => {
	const { dir, more, sub, token, last, serve, ready } = await live(t);
	await more(30);
	await sub('add', 'ui', '--pull', '--from', '1');
	const key = await token('ui');
	const served = await serve();
	await ready(served, 'ui', key);
	const stream = follow(served.url, '/ui/events', key);
	let end = await last();
	await until(() => stream.events.length === end);
	assert.equal(stream.type, 'text/event-stream');
	await more(3);
	end = await last();
	await until(() => stream.events.length === end);
	assert.deepEqual(stream.events.map((event) => event.seq), numbers(1, end));
	assert.deepEqual(stream.ids, numbers(1, end));
	stream.close();
	const again = follow(served.url, '/ui/events', key, { 'Last-Event-ID': '10' });
	await until(() => again.events.length === end - 10);
	assert.deepEqual(again.events.map((event) => event.seq), numbers(11, end));
	// A token that is revoked ends what it had opened.
	await runOk(['token', 'revoke', key.split('_')[1], '--data', dir]);
	await until(() => again.ended);
	assert.equal((await ask(served.url, 'GET', '/ui', key)).status, 401);
	await served.stop();
});

test('seek, pause and remove take effect while it is served', async (t) => {
	const { dir, more, sub, token, last, serve, ready } = await live(t);
	await more(20);
	await sub('add', 'one', '--pull');
	const key = await token('one', '--scope', 'read,ack,seek');
	const served = await serve();
	await ready(served, 'one', key);
	const next = async () => (await ask(served.url, 'GET', '/one', key)).json.next_seq;
	assert.equal((await ask(served.url, 'POST', '/one/seek?seq=5', key)).json.next_seq, 5);
	assert.deepEqual(seqs((await ask(served.url, 'GET', '/one/events?max=2', key)).text), [5, 6]);
	assert.equal((await ask(served.url, 'POST', '/one/seek?time=2020-01-01', key)).json.next_seq, 1);
	assert.equal((await ask(served.url, 'POST', '/one/seek?time=2100-01-01', key)).json.next_seq, await last() + 1);
	for (const bad of ['', '?seq=0', '?seq=x', '?seq=-1', '?seq=9999999', '?time=yesterday', '?seq=1&time=2020-01-01'])
		assert.equal((await ask(served.url, 'POST', `/one/seek${bad}`, key)).status, 400, bad);
	for (const bad of ['after=x', 'max=0', 'max=1001', 'wait=61', 'wait=-1', 'after=9999999'])
		assert.equal((await ask(served.url, 'GET', `/one/events?${bad}`, key)).status, 400, bad);
	await sub('seek', 'one', '--from', '7');
	await until(async () => await next() === 7);
	await sub('pause', 'one');
	await until(async () => (await ask(served.url, 'GET', '/one', key)).json.status === 'paused');
	const paused = await ask(served.url, 'GET', '/one/events', key);
	assert.deepEqual([paused.status, paused.headers['retry-after']], [503, '5']);
	assert.equal((await ask(served.url, 'POST', '/one/ack?seq=8', key)).json.next_seq, 9);
	await sub('resume', 'one');
	await until(async () => (await ask(served.url, 'GET', '/one/events?max=1', key)).status === 200);
	const refused = await run(['subscription', 'retry', 'one', '--data', dir]);
	assert.equal(refused.code, 2);
	await sub('remove', 'one');
	assert.equal((await ask(served.url, 'GET', '/one', key)).status, 401);
	await until(() => !fs.existsSync(path.join(dir, 'subscriptions', 'one')));
	const audit = ndjson(fs.readFileSync(path.join(dir, 'subscriptions', 'audit.ndjson'), 'utf8'));
	assert.ok(audit.some((line) => line.action === 'seek' && line.token === key.split('_')[1]));
	await served.stop();
});

// Each endpoint with each kind of token. A route that is not in this table fails the test.
const scopes = ['read', 'ack', 'seek'];
const matrix = {
	'GET ': { needs: 'read', url: '/a' },
	'GET /events': { needs: 'read', url: '/a/events?max=1' },
	'POST /ack': { needs: 'ack', url: '/a/ack?seq=1' },
	'POST /seek': { needs: 'seek', url: '/a/seek?seq=1' },
};

test('who may do what', async (t) => {
	const source = fs.readFileSync(path.join(root, 'replay/pull_api.c'), 'utf8');
	const routes = [...source.matchAll(/^\t\{ "([A-Z]+)", "([^"]*)", TOKEN_/gm)].map(([, method, what]) => `${method} ${what}`);
	assert.deepEqual(routes.sort(), Object.keys(matrix).sort());

	const { dir, more, sub, token, serve, ready } = await live(t);
	await more(5);
	await sub('add', 'a', '--pull', '--from', '1');
	await sub('add', 'b', '--pull', '--from', '1');
	const soon = new Date(Date.now() + 4000).toISOString();
	const keys = {
		expired: await token('a', '--scope', 'read,ack,seek', '--expires', soon),
		other: await token('b', '--scope', 'read,ack,seek'),
		all: await token('a', '--scope', 'read,ack,seek'),
	};
	for (const scope of scopes)
		keys[scope] = await token('a', '--scope', scope);
	const revoked = await token('a', '--scope', 'read,ack,seek');
	await runOk(['token', 'revoke', revoked.split('_')[1], '--data', dir]);
	const served = await serve();
	await ready(served, 'a', keys.all);
	await ready(served, 'b', keys.other);
	assert.equal((await ask(served.url, 'GET', '/a', keys.expired)).status, Date.now() < Date.parse(soon) ? 200 : 401);
	await until(() => Date.now() > Date.parse(soon));

	const wrong = `${keys.all.slice(0, -1)}${keys.all.endsWith('0') ? '1' : '0'}`;
	const hash = ndjson(fs.readFileSync(path.join(dir, 'subscriptions', 'tokens.ndjson'), 'utf8'))[0].sha256;
	for (const [route, { needs, url }] of Object.entries(matrix)) {
		const method = route.split(' ')[0];
		const status = async (key, headers) => (await ask(served.url, method, url, key, headers)).status;
		for (const none of [undefined, '', 'x', wrong, keys.all.toUpperCase(), hash, `${keys.all} `.repeat(2), revoked, keys.expired])
			assert.equal(await status(none), 401, `${route} with ${none}`);
		assert.equal(await status(undefined, { Authorization: `Basic ${Buffer.from(`x:${keys.all}`).toString('base64')}` }), 401, route);
		assert.equal(await status(undefined, { Authorization: keys.all }), 401, route);
		assert.equal(await status(keys.other), 403, `${route} with a token for another subscription`);
		for (const scope of scopes)
			assert.equal(await status(keys[scope]), scope === needs ? 200 : 403, `${route} with ${scope}`);
		assert.equal(await status(keys.all), 200, route);
		// The same for a subscription that does not exist: nobody learns which there are.
		const elsewhere = url.replace('/a', '/nobody');
		assert.equal((await ask(served.url, method, elsewhere, keys.all)).status, 403, route);
		assert.equal((await ask(served.url, method, elsewhere)).status, 401, route);
		for (const other of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'].filter((m) => m !== method)) {
			const answer = await ask(served.url, other, url, keys.all);
			assert.deepEqual([answer.status, answer.headers.allow], [405, method], `${other} ${url}`);
			assert.equal((await ask(served.url, other, url)).status, 401);
		}
	}
	const unasked = await ask(served.url, 'GET', '/a');
	assert.match(unasked.headers['www-authenticate'], /^Bearer /);
	for (const where of ['/', '', '/a/', '/a/event', '/a/events/', '/../a', `/${'a'.repeat(80)}`])
		assert.equal((await ask(served.url, 'GET', where, keys.all)).status, 404, where);
	assert.equal((await ask(served.url, 'POST', '/a/ack?seq=1', keys.all, {}, 'seq=3')).status, 413);
	// What is on disk opens nothing.
	const disk = fs.readdirSync(path.join(dir, 'subscriptions'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
	for (const entry of disk) {
		const file = path.join(entry.parentPath ?? entry.path, entry.name);
		assert.ok(!fs.readFileSync(file, 'latin1').includes(keys.all.split('_')[2]), file);
		assert.equal(fs.statSync(file).mode & 0o077, 0, file);
	}
	await served.stop();
});

test('consumers that are slow, silent or too many cost the others nothing', async (t) => {
	const { more, sub, token, last, serve, ready } = await live(t);
	await more(1500);
	await sub('add', 'a', '--pull', '--from', '1');
	await sub('add', 'b', '--pull', '--from', '1');
	const key = await token('a');
	const other = await token('b');
	const served = await serve({ HOOKLOG_SUBSCRIPTION_WRITE_TIMEOUT_MS: '3000', HOOKLOG_SUBSCRIPTION_CONNECTIONS_MAX: '16' });
	await ready(served, 'a', key);
	await ready(served, 'b', other);
	const { hostname, port } = new URL(served.url);
	const raw = (text) => {
		const socket = net.connect(Number(port), hostname);
		const state = { closed: false, socket };
		socket.pause();
		socket.on('error', () => {});
		socket.on('close', () => { state.closed = true; });
		socket.write(text);
		return state;
	};
	const sockets = () => fs.readdirSync(`/proc/${served.pid}/fd`).filter((fd) => {
		try {
			return fs.readlinkSync(`/proc/${served.pid}/fd/${fd}`).startsWith('socket:');
		} catch {
			return false; // closed meanwhile
		}
	}).length;
	let before = Infinity; // those of the requests just made may be closing still
	for (let i = 0; i < 10; i++) {
		await new Promise((resolve) => setTimeout(resolve, 100));
		before = Math.min(before, sockets());
	}
	// Eight at once about one subscription, none of which reads; the ninth is told so.
	const stalled = numbers(1, 8).map(() => raw(`GET /v1/subscriptions/a/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nAccept: text/event-stream\r\n\r\n`));
	const status = () => ask(served.url, 'GET', '/a', key).then((answer) => answer.status);
	await until(async () => await status() === 429);
	assert.deepEqual(seqs((await ask(served.url, 'GET', '/b/events?max=50', other)).text), numbers(1, 50));
	const memory = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${served.pid}/status`, 'utf8'))[1]);
	t.note(`resident with eight that do not read: ${memory()} KiB`);
	if (!/asan|tsan/.test(process.env.HOOKLOG_BIN ?? ''))
		assert.ok(memory() < 128 * 1024);
	// They are cut off, although they hold the connection open.
	await until(async () => await status() === 200);
	await until(() => sockets() <= before);
	// One that drips its request: the whole head counts, not the pause between two bytes.
	const drip = raw('GET /v1/subscriptions/a HTTP/1.1\r\n');
	const silent = numbers(1, 12).map(() => raw(''));
	const timer = setInterval(() => drip.socket.write('X: y\r\n'), 200);
	for (const s of [...stalled, drip, ...silent])
		s.socket.resume();
	await until(() => [drip, ...silent, ...stalled].every((s) => s.closed));
	clearInterval(timer);
	const end = await last();
	// One that reads gets everything; on a machine that is busy it may be taken for slow, and then connects
	// again, as such clients do.
	const have = [];
	while (have.length < end) {
		const stream = follow(served.url, '/b/events', other, { 'Last-Event-ID': String(have.length) });
		await until(() => stream.ended || have.length + stream.events.length === end);
		have.push(...stream.events.map((event) => event.seq));
		stream.close();
	}
	assert.deepEqual(have, numbers(1, end));
	await served.stop();
});
