// SPDX-License-Identifier: Apache-2.0
// Stands between a program and a PostgreSQL server and looks at each message the program sends.
import net from 'node:net';
import path from 'node:path';
import { tempDir } from './hooklog.mjs';

// The handle: dir (for PGHOST), counts (messages of each connection so far), and look(connection, count), which the
// test may set. It is called with each message, both from 0 and from 1, and says what becomes of it:
//   undefined      it is passed on
//   'cut'          it is not, and the connection is cut
//   'last'         it is, the server carries it out, and nobody hears of it
export async function startPgProxy(t, pg) {
	const dir = tempDir(t, 'proxy');
	const proxy = { dir, counts: [], look: () => undefined };
	const server = net.createServer((client) => {
		const index = proxy.counts.push(0) - 1;
		const upstream = net.connect(path.join(pg.dir, '.s.PGSQL.5432'));
		let pending = Buffer.alloc(0);
		let started = false;
		let done = false;
		client.on('data', (data) => {
			pending = Buffer.concat([pending, data]);
			while (!done) {
				// The first message has no type.
				const head = started ? 1 : 0;
				if (pending.length < head + 4)
					return;
				const length = head + pending.readUInt32BE(head);
				if (pending.length < length)
					return;
				const message = pending.subarray(0, length);
				pending = pending.subarray(length);
				started = true;
				const what = proxy.look(index, ++proxy.counts[index]);
				done = what !== undefined;
				if (what === 'cut')
					upstream.destroy();
				else if (what === 'last')
					upstream.end(message);
				else
					upstream.write(message);
				if (done)
					client.destroy();
			}
		});
		upstream.on('data', (data) => client.write(data));
		for (const [one, other] of [[client, upstream], [upstream, client]]) {
			one.on('error', () => {});
			one.on('close', () => (one === upstream || !done) && other.destroy());
		}
	});
	await new Promise((resolve) => server.listen(path.join(dir, '.s.PGSQL.5432'), resolve));
	t.cleanup(() => server.close());
	return proxy;
}
