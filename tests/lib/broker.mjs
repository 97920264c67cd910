// SPDX-License-Identifier: Apache-2.0
// Brokers for tests: real nats-servers, and the mock cluster of librdkafka in a process of its own. What is
// in them is put there and read by tests/tools/broker_tool.c.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { assert } from './harness.mjs';
import { bin, cleanEnv, exec, ndjson, tempDir, until } from './hooklog.mjs';
import { debianProgram } from './debian.mjs';

const toolBin = path.join(path.dirname(bin), 'tests/tools/broker_tool');

export async function tool(args, options = {}) {
	const result = await exec(toolBin, args, options);
	assert.equal(result.code, 0, `broker_tool ${args.join(' ')}: ${result.stderr}`);
	return result.stdout;
}

// Ports nobody uses now. Held open together, so that they differ.
async function freePorts(count) {
	const listeners = await Promise.all(Array.from({ length: count }, () => new Promise((resolve) => {
		const listener = net.createServer().listen(0, '127.0.0.1', () => resolve(listener));
	})));
	const ports = listeners.map((listener) => listener.address().port);
	await Promise.all(listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
	return ports;
}

async function accepts(port) {
	return new Promise((resolve) => {
		const socket = net.connect(port, '127.0.0.1', () => {
			socket.destroy();
			resolve(true);
		});
		socket.on('error', () => resolve(false));
	});
}

// One server, or a cluster of several: {servers: [{start, kill, port}], url(stream), put, dump, makeStream}.
// config: more lines for each server's configuration file, which configure changes for the next start.
export async function startNats(t, { size = 1, config = '' } = {}) {
	const { file, env } = await debianProgram(t, 'usr/sbin/nats-server', ['nats-server']);
	const dir = tempDir(t, 'nats');
	const ports = await freePorts(2 * size);
	const routes = ports.slice(size).map((port) => `nats://127.0.0.1:${port}`);
	const servers = Array.from({ length: size }, (_, i) => {
		const conf = path.join(dir, `n${i}.conf`);
		const write = (more) => fs.writeFileSync(conf, `server_name: n${i}\nlisten: 127.0.0.1:${ports[i]}\njetstream { store_dir: "${dir}/n${i}" }\n${more}\n${
			size === 1 ? '' : `cluster { name: c, listen: 127.0.0.1:${ports[size + i]}, routes: [${routes.join(', ')}] }\n`}`);
		write(config);
		const server = { port: ports[i], child: null, log: '', configure: write };
		server.start = async () => {
			server.child = spawn(file, ['-c', conf], { env: cleanEnv(env), stdio: ['ignore', 'pipe', 'pipe'] });
			const keep = (data) => { server.log += data; };
			server.child.stdout.on('data', keep);
			server.child.stderr.on('data', keep);
			await until(async () => server.child.exitCode !== null || accepts(ports[i]), { what: 'nats-server listens' });
			assert.equal(server.child.exitCode, null, server.log);
		};
		server.kill = () => new Promise((resolve) => {
			if (server.child === null || server.child.exitCode !== null || server.child.signalCode !== null)
				return resolve();
			server.child.once('close', resolve);
			server.child.kill('SIGKILL');
		});
		t.cleanup(server.kill);
		return server;
	});
	await Promise.all(servers.map((server) => server.start()));
	const hosts = ports.slice(0, size).map((port) => `127.0.0.1:${port}`).join(',');
	const any = () => hosts.split(',').map((host) => `nats://${host}`).join(',');
	return {
		servers,
		hosts,
		url: (stream, query = '') => `nats://${hosts}/${stream}${query}`,
		// A cluster elects its leaders first.
		makeStream: (stream, subjects, replicas = 1) => until(async () =>
			(await exec(toolBin, ['nats-stream', any(), stream, subjects, String(replicas)])).code === 0, { what: 'a stream is made' }),
		put: (subject, lines) => tool(['nats-put', any(), subject], { input: lines.map((line) => `${line}\n`).join('') }),
		dump: async (stream) => ndjson(await tool(['nats-dump', any(), stream])),
	};
}

// A mock cluster with one topic: {servers, url, put, dump, down, up}.
export async function startKafka(t, { brokers = 1, topic = 'hooks', partitions = 4 } = {}) {
	const child = spawn(toolBin, ['kafka-cluster', String(brokers), topic, String(partitions)], { env: cleanEnv(), stdio: ['pipe', 'pipe', 'inherit'] });
	t.cleanup(() => new Promise((resolve) => {
		if (child.exitCode !== null)
			return resolve();
		child.once('close', resolve);
		child.stdin.end();
	}));
	let said = '';
	child.stdout.on('data', (data) => { said += data; });
	const answer = async (lines) => {
		await until(() => said.split('\n').length > lines || child.exitCode !== null, { what: 'the mock cluster answers' });
		return said.split('\n')[lines - 1];
	};
	const servers = await answer(1);
	let asked = 1;
	const ask = async (line) => {
		child.stdin.write(`${line}\n`);
		assert.equal(await answer(++asked), 'NO_ERROR');
	};
	return {
		servers,
		url: (query = '') => `kafka://${servers}/${topic}${query}`,
		put: (lines) => tool(['kafka-put', servers, topic], { input: lines.map((line) => `${line}\n`).join('') }),
		dump: async () => ndjson(await tool(['kafka-dump', servers, topic])),
		down: (n) => ask(`down ${n}`),
		up: (n) => ask(`up ${n}`),
	};
}
