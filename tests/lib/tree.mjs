// SPDX-License-Identifier: Apache-2.0
// What the checks of tests/checks share: the files of the tree, and trees made up for their self-tests.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const SKIPPED = new Set(['.git', 'build', 'node_modules']);

// Paths of all files below root, relative to it and sorted.
export function files(root, pattern = /./, folder = '') {
	const found = [];
	for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
		const name = path.join(folder, entry.name);
		if (entry.isDirectory() && !SKIPPED.has(entry.name))
			found.push(...files(root, pattern, name));
		else if (entry.isFile() && pattern.test(name))
			found.push(name);
	}
	return found.sort();
}

export function read(root, name) {
	return fs.readFileSync(path.join(root, name), 'utf8');
}

// A tree with the given {path: text}, gone when the test is over.
export function madeUpTree(t, content) {
	const root = fs.mkdtempSync(path.join(os.tmpdir(), 'tree-'));
	t.cleanup(() => fs.rmSync(root, { recursive: true, force: true }));
	for (const [name, text] of Object.entries(content)) {
		fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
		fs.writeFileSync(path.join(root, name), text);
	}
	return root;
}

// "\n" per problem, for assert messages.
export function lines(problems) {
	return problems.length === 0 ? '' : `\n${problems.join('\n')}`;
}
