// SPDX-License-Identifier: Apache-2.0
// Every header compiles alone, with each compiler there is, without a warning.
import { test, assert } from '../lib/harness.mjs';
import { exec, root } from '../lib/hooklog.mjs';
import { files, lines, madeUpTree, read } from '../lib/tree.mjs';

const FLAGS = ['-std=c11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wstrict-prototypes', '-Werror', '-fsyntax-only'];

function packageFlags() {
	const found = /^pkg_cflags = (.*)$/m.exec(read(root, 'config.ninja'));
	return found[1].split(' ').filter(Boolean);
}

async function compilers() {
	const found = [];
	for (const name of ['gcc', 'clang']) {
		if ((await exec('sh', ['-c', `command -v ${name}`])).code === 0)
			found.push(name);
	}
	return found;
}

async function broken(compiler, tree, extra = []) {
	const problems = [];
	const queue = files(tree, /^(?!tests\/).*\.h$/); // those of tests lean on cmocka.h, which cannot stand alone
	const worker = async () => {
		for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
			const result = await exec(compiler, [...FLAGS, ...extra, `-I${tree}`, '-x', 'c', '-'], { input: `#include "${name}"\nint not_empty;\n`, cwd: tree });
			if (result.code !== 0)
				problems.push(`${name}: ${result.stderr.split('\n').slice(0, 4).join('\n')}`);
		}
	};
	await Promise.all([worker(), worker()]);
	return problems;
}

test('every header stands alone', async (t) => {
	const found = await compilers();
	assert.ok(found.length > 0, 'neither gcc nor clang is there');
	t.note(`headers compiled with ${found.join(' and ')}`);
	for (const compiler of found) {
		const problems = await broken(compiler, root, packageFlags());
		assert.equal(problems.length, 0, `${compiler}${lines(problems)}`);
	}
});

test('a header that leans on another is found', async (t) => {
	const tree = madeUpTree(t, { 'good.h': '#include <stddef.h>\nsize_t f(void);\n', 'bad.h': 'size_t g(void);\n' });
	for (const compiler of await compilers()) {
		const problems = await broken(compiler, tree);
		assert.equal(problems.length, 1);
		assert.match(problems[0], /^bad\.h: /);
	}
});

test('every header is guarded by its path', () => {
	const problems = files(root, /^(?!tests\/).*\.h$/).filter((name) => {
		const guard = name.toUpperCase().replace(/[^A-Z0-9]/g, '_');
		const text = read(root, name);
		return !text.includes(`#ifndef ${guard}\n#define ${guard}\n`);
	});
	assert.equal(problems.length, 0, lines(problems));
});
