// SPDX-License-Identifier: Apache-2.0
// Ranges of one source and single deliveries, found by the index; and without it, by reading.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test, assert, program } from '../lib/harness.mjs';
import { ndjson, run, runOk, startIngest, tempDir } from '../lib/hooklog.mjs';

const COUNT = 20000;
const sourceOf = (seq) => (seq % 6000 === 5 ? 'rare' : seq % 2000 > 1900 ? 'stretch' : 'common');
const all = Array.from({ length: COUNT }, (_, i) => i + 1);
const of = (...sources) => all.filter((seq) => sources.includes(sourceOf(seq)));
const line = (source, delivery, body) => `${JSON.stringify({ source, provider: 'github', event: 'push', delivery, body })}\n`;

let shared = null;
async function filledLog() {
	if (shared)
		return shared;
	const dir = tempDir(program, 'find');
	const input = all.map((seq) => line(sourceOf(seq), `Id-${seq}`, `{"n":${seq}}`)).join('');
	await runOk(['log', 'import', '-', '--data', dir], { input });
	shared = dir;
	return dir;
}

const replay = (dir, ...args) => run(['replay', '--target', '-', '--data', dir, ...args]);
const seqs = (text) => ndjson(text).map((event) => event.seq);
const lookedAt = async (dir, ...args) => JSON.parse((await runOk(['replay', '--dry-run', '--json', '--data', dir, ...args])).stdout).scanned;

test('a range of a source is found without reading the others', async () => {
	const dir = await filledLog();
	for (const sources of [['rare'], ['stretch'], ['common'], ['rare', 'stretch'], ['nobody']]) {
		const { stdout, stderr } = await replay(dir, '--source', sources.join(','));
		assert.deepEqual(seqs(stdout), of(...sources), sources.join());
		assert.doesNotMatch(stderr, /reading every event/);
	}
	assert.deepEqual(seqs((await replay(dir, '--source', 'rare', '--from', '6000', '--to', '17999')).stdout), [6005, 12005]);
	assert.deepEqual(seqs((await replay(dir, '--source', 'rare', '--limit', '1', '--from', '6')).stdout), [6005]);
	assert.equal(await lookedAt(dir, '--source', 'rare'), of('rare').length);
	assert.equal(await lookedAt(dir, '--source', 'nobody'), 0);
	const stretches = await lookedAt(dir, '--source', 'stretch');
	assert.ok(stretches >= of('stretch').length && stretches < COUNT / 10);
	const since = ndjson((await runOk(['log', 'show', '9000', '--json', '--data', dir])).stdout)[0].received_at;
	const later = seqs((await replay(dir, '--source', 'rare', '--since', since)).stdout);
	assert.ok(later.length >= 2 && later.every((seq) => sourceOf(seq) === 'rare'));
});

test('several at once to a URL: the same, each once', async (t) => {
	const dir = await filledLog();
	const arrived = [];
	const server = http.createServer((request, response) => {
		request.resume();
		request.on('end', () => {
			arrived.push(Number(/(?:^|, )seq=(\d+)$/.exec(request.headers['x-hooklog-replay'])[1]));
			setTimeout(() => response.writeHead(204).end(), arrived.length % 7);
		});
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	t.cleanup(() => server.close());
	const target = `http://127.0.0.1:${server.address().port}/`;
	const { stdout } = await runOk(['replay', '--target', target, '--source', 'rare,stretch', '--concurrency', '8', '--json', '--data', dir]);
	assert.deepEqual([...arrived].sort((a, b) => a - b), of('rare', 'stretch'));
	const result = JSON.parse(stdout);
	assert.equal(result.next_seq, COUNT + 1);
	assert.ok(result.complete && result.scanned < COUNT / 10);
});

test('a delivery is found by its id', async (t) => {
	const dir = await filledLog();
	for (const seq of [1, 77, COUNT]) {
		assert.deepEqual(seqs((await replay(dir, '--delivery', `Id-${seq}`)).stdout), [seq]);
		assert.deepEqual(seqs((await replay(dir, '--delivery', `ID-${seq}`)).stdout), [seq]);
		assert.equal(await lookedAt(dir, '--delivery', `id-${seq}`), 1);
		assert.equal((await runOk(['log', 'show', '--delivery', `id-${seq}`, '--body', '--data', dir])).stdout, `{"n":${seq}}`);
	}
	assert.equal(await lookedAt(dir, '--delivery', 'id-0'), 0);
	const nothing = await run(['log', 'show', '--delivery', 'id-0', '--data', dir]);
	assert.equal(nothing.code, 3);
	assert.match(nothing.stderr, /no event of the log has the delivery id id-0/);
	assert.equal((await run(['log', 'show', '--data', dir])).code, 2);
	assert.equal((await run(['log', 'show', '4', '--delivery', 'Id-4', '--data', dir])).code, 2);

	// Of other sources, and with another body; the receiver has the newest ones in memory only.
	const copy = tempDir(t, 'copy');
	fs.cpSync(dir, copy, { recursive: true });
	await runOk(['source', 'add', 'github', '--provider', 'github', '--data', copy]);
	const receiver = await startIngest(t, copy);
	const input = line('common', 'Id-9', 'another') + line('rare', 'Id-9', '{"n":9}') + line('common', 'Id-9', '{"n":9}');
	await runOk(['log', 'import', '-', '--data', copy], { input });
	const wanted = [9, COUNT + 1, COUNT + 2];
	assert.deepEqual(seqs((await replay(copy, '--delivery', 'Id-9')).stdout), wanted);
	assert.deepEqual(seqs((await replay(copy, '--source', 'rare', '--from', '18006')).stdout), [COUNT + 2]);
	await receiver.stop();
	assert.deepEqual(seqs((await replay(copy, '--delivery', 'Id-9')).stdout), wanted);
	assert.deepEqual(seqs((await replay(copy, '--delivery', 'Id-9', '--source', 'rare')).stdout), [COUNT + 2]);
	assert.deepEqual(seqs((await runOk(['log', 'show', '--delivery', 'ID-9', '--json', '--data', copy])).stdout), wanted);
	assert.equal(await lookedAt(copy, '--delivery', 'Id-9'), 3);
	await runOk(['log', 'verify', '--data', copy]);
});

test('without the index everything is read, and that is said once', async (t) => {
	const dir = tempDir(t, 'unindexed');
	fs.cpSync(await filledLog(), dir, { recursive: true });
	fs.rmSync(path.join(dir, 'log/index.mdb'));
	for (const args of [['--source', 'rare'], ['--delivery', 'Id-5']]) {
		const { stdout, stderr } = await replay(dir, ...args);
		assert.deepEqual(seqs(stdout), args[0] === '--source' ? of('rare') : [5]);
		assert.equal(stderr.match(/reading every event of the range: there is no .*index\.mdb/g).length, 1);
	}
	assert.equal(await lookedAt(dir, '--source', 'rare'), COUNT);
	const shown = await run(['log', 'show', '--delivery', 'id-5', '--body', '--data', dir]);
	assert.deepEqual([shown.code, shown.stdout], [0, '{"n":5}']);
	assert.match(shown.stderr, /reading every event: there is no/);
});
