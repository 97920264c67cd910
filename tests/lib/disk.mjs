// SPDX-License-Identifier: Apache-2.0
// A disk that the test can make slow or full while the program runs (tests/tools/disk.c).
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bin } from './hooklog.mjs';

const library = path.join(path.dirname(bin), 'tests/tools/disk.so');
const WORD = Object.freeze({ syncMs: 0, full: 1, begun: 2, ended: 3, refused: 4 });

// For a program whose files lie below dir: env to start it with, and what can be done to it.
export function makeDisk(t, dir) {
	const place = fs.mkdtempSync(path.join(os.tmpdir(), 'disk-'));
	const file = path.join(place, 'control');
	fs.writeFileSync(file, Buffer.alloc(20));
	const fd = fs.openSync(file, 'r+');
	t.cleanup(() => {
		fs.closeSync(fd);
		fs.rmSync(place, { recursive: true, force: true });
	});
	const bytes = Buffer.alloc(4);
	const put = (word, value) => {
		bytes.writeUInt32LE(value);
		fs.writeSync(fd, bytes, 0, 4, 4 * word);
	};
	const get = (word) => {
		fs.readSync(fd, bytes, 0, 4, 4 * word);
		return bytes.readUInt32LE();
	};
	return {
		env: { LD_PRELOAD: library, DISK_CONTROL: file, DISK_ROOT: fs.realpathSync(dir) },
		slow: (ms) => put(WORD.syncMs, ms),
		full: (yes) => put(WORD.full, yes ? 1 : 0),
		begun: () => get(WORD.begun),
		ended: () => get(WORD.ended),
		refused: () => get(WORD.refused),
	};
}
