// SPDX-License-Identifier: Apache-2.0
// Published npm packages as test material, kept in build/npm between runs.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { assert } from './harness.mjs';
import { cleanEnv, exec, root } from './hooklog.mjs';

// Installs name at exactly version and gives back {dir, require, import(specifier)}. It is installed
// beside its place and moved there in one step, so two runs at once cannot see half of it.
export async function npmPackage(name, version) {
	const cache = path.join(root, 'build/npm');
	const place = path.join(cache, `${name.replace(/[@/]/g, '_')}-${version}`);
	const dir = path.join(place, 'node_modules', name);
	if (!fs.existsSync(place)) {
		fs.mkdirSync(cache, { recursive: true });
		const beside = fs.mkdtempSync(path.join(cache, '.new-'));
		try {
			fs.writeFileSync(path.join(beside, 'package.json'), '{"private":true}\n');
			const result = await exec('npm',
				['install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', beside, `${name}@${version}`],
				{ env: cleanEnv(), cwd: beside, timeoutMs: 240000 });
			assert.equal(result.code, 0, `npm install ${name}@${version}: ${result.stderr}`);
			try {
				fs.renameSync(beside, place);
			} catch (error) {
				if (!fs.existsSync(place)) // else another run was first
					throw error;
			}
		} finally {
			fs.rmSync(beside, { recursive: true, force: true });
		}
	}
	const found = JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8')).version;
	assert.equal(found, version, `${place} holds another version; remove it`);
	const require = createRequire(path.join(place, 'x.js'));
	return { dir, require, import: (specifier) => import(pathToFileURL(path.join(dir, specifier)).href) };
}
