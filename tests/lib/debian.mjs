// SPDX-License-Identifier: Apache-2.0
// Programs of Debian packages for tests, without installing them: from the PATH, else downloaded by apt-get
// and unpacked into build/debian. Nothing hooklog itself needs comes from here.
import fs from 'node:fs';
import path from 'node:path';
import { exec, root } from './hooklog.mjs';

const cache = path.join(root, 'build/debian');

// Downloads the packages into one folder, which is there completely or not at all.
async function unpack(name, packages) {
	const place = path.join(cache, name);
	if (fs.existsSync(place))
		return place;
	fs.mkdirSync(cache, { recursive: true });
	const beside = fs.mkdtempSync(path.join(cache, '.new-'));
	try {
		fs.chmodSync(beside, 0o777); // apt's own user writes into it
		const fetched = await exec('apt-get', ['-q', 'download', ...packages], { cwd: beside, timeoutMs: 120000 });
		if (fetched.code !== 0)
			return null;
		for (const file of fs.readdirSync(beside).filter((f) => f.endsWith('.deb'))) {
			if ((await exec('dpkg', ['-x', path.join(beside, file), beside])).code !== 0)
				return null;
			fs.rmSync(path.join(beside, file));
		}
		fs.chmodSync(beside, 0o755);
		fs.renameSync(beside, place);
	} catch {
		return fs.existsSync(place) ? place : null;
	} finally {
		fs.rmSync(beside, { recursive: true, force: true });
	}
	return place;
}

// {file, env} to start the program with, or a skipped test. packages: the first has the program, the others
// are libraries it needs that a small system lacks.
export async function debianProgram(t, program, packages) {
	const name = path.basename(program);
	const found = await exec('sh', ['-c', `command -v ${name} || { test -x /usr/sbin/${name} && echo /usr/sbin/${name}; }`]);
	if (found.code === 0)
		return { file: found.stdout.trim(), env: {} };
	let place = null;
	try {
		place = await unpack(packages[0], packages);
	} catch { /* no apt-get here */ }
	const file = place && path.join(place, program);
	if (!file || !fs.existsSync(file))
		t.skip(`${name} is not installed and cannot be had: apt-get install ${packages[0]}`);
	const lib = fs.existsSync(path.join(place, 'usr/lib')) ? fs.readdirSync(path.join(place, 'usr/lib')).map((d) => path.join(place, 'usr/lib', d)) : [];
	return { file, env: { LD_LIBRARY_PATH: lib.join(':') } };
}
