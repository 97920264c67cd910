// SPDX-License-Identifier: Apache-2.0
// Brokers that want to know who comes, and say who they are: TLS and credentials.
import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { test, assert, program } from '../lib/harness.mjs';
import { ndjson, run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';
import { startNats } from '../lib/broker.mjs';
import { makeKey, makeOperator } from '../lib/nats_keys.mjs';
import { selfSigned } from '../lib/tls.mjs';

let shared = null;
async function filledLog() {
	if (shared)
		return shared;
	const dir = tempDir(program, 'security');
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', dir]);
	const receiver = await startIngest(program, dir);
	await runOk(['simulate', '--url', `${receiver.url}/in/github`, '--source', 'github', '--count', '20', '--seed', '9', '--data', dir]);
	await receiver.stop();
	shared = { dir, events: ndjson((await runOk(['replay', '--target', '-', '--data', dir])).stdout) };
	return shared;
}

// The stream is made and read while anybody may; in between the server asks who comes.
test('a NATS server is told who comes, and shows who it is', async (t) => {
	const { dir, events } = await filledLog();
	const files = tempDir(t, 'credentials');
	const file = (name, text, mode = 0o600) => {
		const at = path.join(files, name);
		fs.writeFileSync(at, `${text}\n`, { mode });
		return at;
	};
	const nats = await startNats(t);
	const [server] = nats.servers;
	await nats.makeStream('HOOKS', 'hooklog.>');
	let next = 0;
	const restart = async (config) => {
		await server.kill();
		server.configure(config);
		await server.start();
	};
	const send = (query) => run(['replay', '--target', nats.url('HOOKS', query), '--from', String(next), '--to', String(next), '--retries', '0', '--data', dir]);
	const lets = async (query) => {
		next++;
		const { code, stderr } = await send(query);
		assert.equal(code, 0, `${query}: ${stderr}`);
	};
	const refuses = async (query, pattern = /broker\.refused/) => {
		const { code, stderr } = await send(query);
		assert.equal(code, 7, `${query}: ${stderr}`);
		assert.match(stderr, pattern);
		assert.match(stderr, /broker\.refused/);
		assert.ok(!stderr.includes('open sesame') && !stderr.includes('wrong one'), stderr);
	};

	const own = await selfSigned(files, 'server');
	const client = await selfSigned(files, 'client');
	const other = await selfSigned(files, 'other');
	const certificate = `cert_file: "${own.cert}", key_file: "${own.key}"`;
	await restart(`tls { ${certificate} }`);
	await lets(`?ca=${own.cert}`);
	await refuses(`?ca=${other.cert}`, /certificate/i);
	await refuses('?tls=yes', /certificate/i); // no authority of this system
	await refuses('', /certificate/i); // the server asks for TLS, and gets it
	await restart(`tls { ${certificate}, ca_file: "${client.cert}", verify: true }`);
	await lets(`?ca=${own.cert}&cert=${client.cert}&key=${client.key}`);
	assert.equal((await send(`?ca=${own.cert}`)).code, 7);

	const token = file('token', 'open sesame');
	const wrong = file('wrong', 'wrong one');
	await restart('authorization { token: "open sesame" }');
	await lets(`?token=${token}`);
	await refuses(`?token=${wrong}`, /authorization/i);
	await refuses('', /authorization/i);
	await restart('authorization { users: [ { user: hook, password: "open sesame" } ] }');
	await lets(`?user=hook&password=${token}`);
	await refuses(`?user=hook&password=${wrong}`, /authorization/i);
	const key = makeKey('user');
	await restart(`authorization { users: [ { nkey: ${key.publicKey} } ] }`);
	await lets(`?nkey=${key.publicKey}&seed=${file('seed', key.seed)}`);
	const stranger = makeKey('user');
	await refuses(`?nkey=${stranger.publicKey}&seed=${file('stranger', stranger.seed)}`, /authorization/i);
	// Credentials belong to an account, where there is no such stream.
	const operator = makeOperator();
	await restart(operator.config);
	await refuses(`?creds=${file('creds', operator.credentials())}`, /there is no stream HOOKS/);
	await refuses(`?creds=${file('forged', operator.credentials(makeKey('account')))}`, /authorization/i);

	// What others can read, or what does not go together, is told before anybody is asked.
	const open = file('open', 'open sesame', 0o644);
	for (const query of [`?token=${open}`, `?user=hook&password=${open}`, `?creds=${open}`, `?token=${token}&creds=${token}`, '?user=hook', `?seed=${token}`, `?cert=${own.cert}`, `?token=${files}/none`])
		assert.ok([1, 2, 3].includes((await send(query)).code), query);
	assert.match((await send(`?token=${open}`)).stderr, /chmod/);

	await restart('');
	assert.deepEqual((await nats.dump('HOOKS')).map((m) => m.body), events.slice(0, next).map((e) => e.body));
});

// The mock cluster speaks neither TLS nor SASL. That a listener gets a TLS hello, and a certificate of a stranger is
// not taken, shows that the settings arrive.
test('Kafka over TLS: the settings reach the library, and what goes wrong is told', async (t) => {
	const { dir } = await filledLog();
	const files = tempDir(t, 'kafka');
	const own = await selfSigned(files, 'server');
	const other = await selfSigned(files, 'other');
	let hellos = 0;
	let clients = 0;
	const listener = tls.createServer({ cert: fs.readFileSync(own.cert), key: fs.readFileSync(own.key), ca: fs.readFileSync(own.cert), requestCert: true, rejectUnauthorized: false }, (socket) => {
		clients += socket.authorized ? 1 : 0;
		socket.on('error', () => {});
		socket.once('data', () => {
			hellos++;
			socket.destroy();
		});
	});
	listener.on('tlsClientError', () => {});
	await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
	t.cleanup(() => listener.close());
	const config = path.join(files, 'client.conf');
	const send = (text) => {
		fs.writeFileSync(config, text);
		return run(['replay', '--target', `kafka://127.0.0.1:${listener.address().port}/hooks?config=${config}`, '--retries', '0', '--to', '1', '--data', dir]);
	};
	const trusting = `security.protocol = ssl\nssl.ca.location = ${own.cert}\nssl.certificate.location = ${own.cert}\nssl.key.location = ${own.key}\n`;
	assert.equal((await send(trusting)).code, 7);
	assert.ok(hellos > 0 && clients > 0, 'a request came through TLS, with the client\'s certificate');
	const before = hellos;
	const stranger = await send(`security.protocol = ssl\nssl.ca.location = ${other.cert}\n`);
	assert.equal(stranger.code, 7);
	assert.match(stranger.stderr, /certificate/i);
	assert.match(stranger.stderr, /broker\.(refused|unreachable)/);
	assert.equal(hellos, before);
	for (const [text, pattern] of [
		[`security.protocol = ssl\nssl.ca.location = ${files}/none\n`, /ssl\.ca\.location/],
		['security.protocol = sasl_ssl\nsasl.mechanisms = SCRAM-SHA-512\n', /sasl/i],
	]) {
		const result = await send(text);
		assert.equal(result.code, 2, result.stderr);
		assert.match(result.stderr, pattern);
		assert.match(result.stderr, /config\.invalid/);
	}
});
