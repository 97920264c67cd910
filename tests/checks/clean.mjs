// SPDX-License-Identifier: Apache-2.0
// Nothing of the machine a change was written on gets into the tree.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { root } from '../lib/hooklog.mjs';
import { files, lines, madeUpTree } from '../lib/tree.mjs';

// In pieces, so that this file does not find itself.
const traces = [
	[new RegExp(`(^|[^\\w.~-])/${'work'}/(main|shared)`, 'm'), 'a path of the machine it was written on'],
	[new RegExp(`\\.\\./${'shared'}/`), 'a path outside the tree'],
	[/(^|[\s"'=(])\/(home|Users)\/(?!\$|<|hooklog\b)[a-z]\w*\//m, 'somebody\'s home folder'],
	[new RegExp(['clau', 'de\\b|\\banth', 'ropic|chat', 'gpt'].join(''), 'i'), 'the name of a tool'],
];

export function dirt(tree) {
	const problems = [];
	for (const name of files(tree)) {
		if (name === 'config.ninja' || fs.statSync(path.join(tree, name)).size > 4 << 20)
			continue;
		const bytes = fs.readFileSync(path.join(tree, name));
		if (bytes.includes(0))
			continue;
		const text = bytes.toString();
		for (const [pattern, what] of traces) {
			const match = pattern.exec(text);
			if (match)
				problems.push(`${name}:${text.slice(0, match.index).split('\n').length}: ${what}: ${match[0].trim()}`);
		}
		if (/\.(c|h|mjs|md|ninja|sh|sql)$/.test(name) && /[ \t]$/m.test(text))
			problems.push(`${name}:${text.split('\n').findIndex((line) => /[ \t]$/.test(line)) + 1}: blanks at the end of a line`);
		if (/\.(c|h|mjs|md|ninja|sh|sql)$/.test(name) && text !== '' && !text.endsWith('\n'))
			problems.push(`${name}: no newline at the end`);
	}
	return problems;
}

test('the tree is clean', () => {
	const problems = dirt(root);
	assert.equal(problems.length, 0, lines(problems));
});

test('dirt is found', (t) => {
	const tree = madeUpTree(t, {
		'a.c': `x\n/* see /${'work'}/main/x */\n`,
		'b.md': `[x](../${'shared'}/y)\n`,
		'c.sh': `cd /${'home'}/somebody/x\n`,
		'd.md': 'blank \nend\n',
		'e.c': 'int x;',
		'f.md': 'made by Clau' + 'de\n',
		'good.md': 'a network/main/x, /home/hooklog/x and /var/lib/hooklog\n',
	});
	const problems = dirt(tree);
	assert.deepEqual(problems.map((p) => p.split(':')[0]), ['a.c', 'b.md', 'c.sh', 'd.md', 'e.c', 'f.md'], lines(problems));
});
