// SPDX-License-Identifier: Apache-2.0
// The shipped configurations of nginx, Caddy and HAProxy with the real programs: deliveries come through with
// their bytes and their sender's address, and the framing corpus makes no second request out of one. The
// programs are Debian's: from the PATH or downloaded; without them the tests are skipped. Also the units
// for systemd.
//
// TEST-TIMEOUT: 600
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { debianProgram } from '../lib/debian.mjs';
import { BODY, head, sign } from '../lib/framing.mjs';
import { checkCorpus } from '../lib/framing_check.mjs';
import { post, request, sleep } from '../lib/load.mjs';
import { cleanEnv, exec, ndjson, root, runOk, start, tempDir } from '../lib/hooklog.mjs';

const shipped = (name) => fs.readFileSync(path.join(root, 'deploy', name), 'utf8');

// As sed, but what is to be replaced must be there: the test is about the shipped file.
function adapt(text, ...pairs) {
	for (const [from, to] of pairs) {
		assert.ok(typeof from === 'string' ? text.includes(from) : from.test(text), `${from} is not in the shipped file`);
		text = text.replaceAll(from, to);
	}
	return text;
}

async function freePort() {
	return new Promise((resolve) => {
		const server = net.createServer().listen(0, '127.0.0.1', () => {
			const { port } = server.address();
			server.close(() => resolve(port));
		});
	});
}

const PROXIES = {
	nginx: {
		program: 'usr/sbin/nginx',
		packages: ['nginx'],
		prepare(dir, socket, port) {
			const site = adapt(shipped('nginx.conf'), ['/run/hooklog/ingest.sock', socket], ['listen 443 ssl http2;', `listen 127.0.0.1:${port};`],
				[/\tssl_certificate(_key)? .*\n/g, ''], ['rate=50r/s', 'rate=5000r/s'], ['hooklog_connections 64', 'hooklog_connections 640']);
			const file = path.join(dir, 'nginx.conf');
			fs.writeFileSync(file, `daemon off;\n${process.getuid() === 0 ? 'user root;\n' : ''}pid ${dir}/nginx.pid;\nerror_log stderr;\nevents { worker_connections 4096; }\nhttp {\naccess_log off;\n${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((n) => `${n}_temp_path ${dir}/${n};`).join('\n')}\n${site}\n}\n`);
			return ['-p', dir, '-c', file, '-e', 'stderr'];
		},
		stop: 'SIGQUIT',
	},
	caddy: {
		program: 'usr/bin/caddy',
		packages: ['caddy'],
		prepare(dir, socket, port) {
			const file = path.join(dir, 'Caddyfile');
			fs.writeFileSync(file, adapt(shipped('Caddyfile'), ['/run/hooklog/ingest.sock', socket],
				['hooks.example.com {', `http://:${port} {`], ['{\n\tservers {', '{\n\tadmin off\n\tauto_https off\n\tservers {']));
			return ['run', '--config', file, '--adapter', 'caddyfile'];
		},
		stop: 'SIGTERM',
	},
	haproxy: {
		program: 'usr/sbin/haproxy',
		packages: ['haproxy', 'liblua5.3-0', 'libpcre2-posix3', 'libopentracing1', 'libopentracing-c-wrapper0'],
		prepare(dir, socket, port) {
			const file = path.join(dir, 'haproxy.cfg');
			fs.writeFileSync(file, adapt(shipped('haproxy.cfg'), ['/run/hooklog/ingest.sock', socket],
				[/bind :443 .*/g, `bind 127.0.0.1:${port}`], ['gt 500', 'gt 50000'], ['sc_conn_cur(0) gt 64', 'sc_conn_cur(0) gt 640']));
			return ['-db', '-f', file];
		},
		stop: 'SIGTERM',
	},
};

async function behind(t, name) {
	const proxy = PROXIES[name];
	const { file, env } = await debianProgram(t, proxy.program, proxy.packages);
	const dir = tempDir(t, name);
	const socket = path.join(dir, 'ingest.sock');
	const port = await freePort();
	const args = proxy.prepare(dir, socket, port);
	fs.writeFileSync(path.join(dir, 'given'), 'a secret of sufficient length', { mode: 0o600 });
	await runOk(['source', 'add', 'gh', '--data', dir, '--secret-file', path.join(dir, 'given')]);
	const receiver = start(t, ['ingest', '--data', dir], { env: { HOOKLOG_INGEST_LISTEN: `unix:${socket}`, HOOKLOG_INGEST_TRUSTED_PROXIES: 'unix' } });
	await receiver.waitFor(/ingest\.listening/);
	receiver.dir = dir;
	const child = spawn(file, args, { cwd: dir, env: { ...cleanEnv(), ...env, HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir }, stdio: ['ignore', 'pipe', 'pipe'] });
	let said = '';
	child.stdout.on('data', (data) => { said += data; });
	child.stderr.on('data', (data) => { said += data; });
	const ended = new Promise((resolve) => child.on('close', resolve));
	t.cleanup(async () => {
		child.kill(proxy.stop);
		setTimeout(() => child.kill('SIGKILL'), 3000).unref();
		await ended;
	});
	for (let up = false; !up;) {
		assert.equal(child.exitCode, null, said);
		up = await new Promise((resolve) => {
			const probe = net.connect(port, '127.0.0.1', () => { probe.destroy(); resolve(true); });
			probe.on('error', () => setTimeout(() => resolve(false), 50));
		});
	}
	return { receiver, port };
}

for (const name of Object.keys(PROXIES)) {
	test(`${name}: deliveries come through with their bytes and their sender`, { timeoutMs: 200000 }, async (t) => {
		const { receiver, port } = await behind(t, name);
		const send = async (body, headers = {}, target = '/in/gh') => {
			const response = await fetch(`http://127.0.0.1:${port}${target}`, { method: 'POST', body, headers: { 'Content-Type': 'application/json',
				'X-GitHub-Event': 'issues', 'X-GitHub-Delivery': crypto.randomUUID(), 'X-Hub-Signature-256': sign(body), ...headers } });
			return { status: response.status, text: await response.text(), seq: response.headers.get('x-hooklog-seq') };
		};
		// A header with an underscore, and an address that the sender made up.
		const first = await send(BODY, { x_under_score: 'kept', 'X-Forwarded-For': '6.6.6.6' });
		assert.equal(first.status, 202, first.text);
		assert.equal(first.seq, '1');
		assert.equal((await send(`${BODY} `, { 'X-Hub-Signature-256': sign(BODY) })).status, 401);
		const large = Buffer.alloc(24 * 1024 * 1024, 'x');
		assert.equal((await send(large, { 'X-Hub-Signature-256': sign(large) })).status, 202);
		const over = Buffer.alloc(25 * 1024 * 1024 + 1, 'x');
		assert.equal((await send(over, { 'X-Hub-Signature-256': sign(over) })).status, 413);
		assert.equal((await send(BODY, { 'Content-Encoding': 'gzip' })).status, 415);
		for (const target of ['/', '/metrics', '/livez', '/inx'])
			assert.equal((await send(BODY, {}, target)).status, 404, target);
		const [event] = ndjson((await runOk(['replay', '--data', receiver.dir, '--to', '1', '--target', '-'])).stdout);
		assert.equal(event.body, BODY);
		assert.equal(event.remote, '127.0.0.1');
		assert.match(JSON.stringify(event.headers), /x_under_score/i);
		await receiver.stop();
	});

	test(`${name}: no request hides another one`, { timeoutMs: 400000 }, async (t) => {
		const { receiver, port } = await behind(t, name);
		const { accepted, refused } = await checkCorpus(receiver, port, { proxy: true });
		t.note(`${accepted} accepted, ${refused} refused`);
		assert.ok(accepted > 5 && refused > 60);
		await receiver.stop();
	});
}

// One byte a second in the head or in the body, from fifty addresses; the receiver has its default limits. All three at
// once, since most of it is waiting.
test('1000 dripping connections do not keep others out, through any of them', { timeoutMs: 200000 }, async (t) => {
	await Promise.all(Object.keys(PROXIES).map(async (name) => {
		const { receiver, port } = await behind(t, name);
		const heads = 'POST /in/gh HTTP/1.1\r\nHost: x\r\nX-A: ';
		const bodies = head({ lines: ['Content-Length: 100000'] });
		const dripping = [];
		for (let i = 0; i < 1000; i++) {
			const socket = net.connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${2 + i % 50}` });
			socket.on('error', () => {}).on('close', () => { socket.gone = true; }).resume();
			socket.write(i % 4 === 0 ? heads : bodies);
			dripping.push(socket);
		}
		const timer = setInterval(() => dripping.filter((socket) => !socket.gone).forEach((socket) => socket.write('a')), 1000);
		t.cleanup(() => clearInterval(timer));
		// Until long after the first of them would have been cut off by the receiver itself.
		let over = false;
		setTimeout(() => { over = true; }, 8000);
		let sent = 0;
		let failed = 0;
		for (; !over; sent++) {
			failed += (await post(port, request(`{"i":${sent}}`), { timeoutMs: 9000 })).status === 202 ? 0 : 1;
			await sleep(10);
		}
		clearInterval(timer);
		t.note(`${name}: ${sent} sent meanwhile, ${dripping.filter((socket) => !socket.gone).length} still drip`);
		dripping.forEach((socket) => socket.destroy());
		assert.equal(failed, 0, `${name}: ${failed} of ${sent} honest deliveries failed`);
		await receiver.stop();
	}));
});

test('the units for systemd are right and keep the services in', async (t) => {
	if ((await exec('sh', ['-c', 'command -v systemd-analyze'])).code !== 0)
		t.skip('systemd-analyze is not installed');
	const dir = tempDir(t, 'units');
	const units = ['hooklog-ingest.service', 'hooklog-ingest.socket', 'hooklog-project.service'];
	for (const unit of units)
		fs.writeFileSync(path.join(dir, unit), shipped(unit).replaceAll('/usr/local/bin/hooklog', process.execPath));
	const verified = await exec('systemd-analyze', ['verify', ...units.map((unit) => path.join(dir, unit))]);
	const complaints = verified.stderr.split('\n').filter((line) => line.includes(dir) && !/Unknown user|Failed to resolve|man page/.test(line));
	assert.deepEqual(complaints, []);
	for (const unit of units.filter((u) => u.endsWith('.service'))) {
		const score = await exec('systemd-analyze', ['security', '--offline=true', '--threshold=20', path.join(dir, unit)]);
		if (/unrecognized option/.test(score.stderr))
			t.skip('this systemd-analyze cannot judge units offline');
		assert.equal(score.code, 0, score.stdout);
	}
});
