// SPDX-License-Identifier: Apache-2.0
// sources.ninja is written by hand and ninja has no globs: nothing may be forgotten. Sizes are kept.
import { test, assert } from '../lib/harness.mjs';
import { root } from '../lib/hooklog.mjs';
import { files, lines, madeUpTree, read } from '../lib/tree.mjs';

const FILE_LINES = { note: 500, fail: 700 };
const FUNCTION_LINES = { note: 70, fail: 120 };

// The statements of a ninja file with their continuation lines joined.
function statements(text) {
	return text.replace(/\$\n\s*/g, ' ').split('\n');
}

export function unbuilt(tree) {
	const problems = [];
	const all = statements(read(tree, 'sources.ninja'));
	const compiled = new Set(all.map((line) => /^build \$b\/(\S+)\.o: cc (\S+)\.c\b/.exec(line)).filter((m) => m && m[1] === m[2]).map((m) => `${m[1]}.c`));
	const linked = new Set(all.map((line) => /^build \$b\/(\S+): link /.exec(line)?.[1]).filter(Boolean));
	const used = new Set(all.filter((line) => /^build \S+: (ar|link) /.test(line)).flatMap((line) => line.split(/\s+/).slice(3)));
	const wanted = new Set(all.filter((line) => /^build \$b\/tests: phony/.test(line)).flatMap((line) => line.split(/\s+/).slice(3)));
	// Fuzzing programs need clang's own library, so they are built by hand.
	const sources = files(tree, /^(?!tests\/fuzz\/).*\.c$/);
	for (const name of sources) {
		const stem = name.slice(0, -2);
		if (!compiled.has(name))
			problems.push(`${name} is not built; add to sources.ninja: build $b/${stem}.o: cc ${name}`);
		else if (!used.has(`$b/${stem}.o`))
			problems.push(`${name} is compiled and then not used by any ar or link line of sources.ninja`);
		if (/^tests\/.*_test\.c$/.test(name) && linked.has(stem) && !wanted.has(`$b/${stem}`))
			problems.push(`$b/${stem} is missing in "build $b/tests: phony" of sources.ninja`);
		if (/^tests\/.*_test\.c$/.test(name) && !linked.has(stem))
			problems.push(`${name} has no line "build $b/${stem}: link ..." in sources.ninja`);
	}
	for (const name of compiled) {
		if (!sources.includes(name))
			problems.push(`sources.ninja builds ${name}, which does not exist`);
	}
	return problems;
}

// tests/unit/store/append_test.c tests store/append.c, also store/x/append.c or, with a part behind the
// name, store/append.h. A test of the contract as a whole includes store/store.h, or says in a comment
// which header it is about: "Covers: store/reader.h".
export function unmirrored(tree) {
	const all = new Set(files(tree, /\.[ch]$/));
	const exists = (folder, stem) => [...all].some((name) => name.startsWith(`${folder}/`) && new RegExp(`/${stem}\\.[ch]$`).test(name));
	return files(tree, /^tests\/unit\/.*_test\.c$/).filter((name) => {
		const [, folder, stem] = /^tests\/unit\/(.+)\/([^/]+)_test\.c$/.exec(name) ?? [];
		const covers = /Covers: *(\S+\.[ch])/.exec(read(tree, name));
		if (covers)
			return !all.has(covers[1]);
		const helpers = files(tree, new RegExp(`^tests/unit/${folder}/[^/]*\\.h$`));
		if ([name, ...helpers].some((file) => read(tree, file).includes(`#include "${folder}/${folder}.h"`)))
			return false;
		for (let part = stem; part !== ''; part = part.includes('_') ? part.slice(0, part.lastIndexOf('_')) : '') {
			if (exists(folder, part))
				return false;
		}
		return true;
	}).map((name) => `${name} mirrors no file; rename it, or write in it "Covers: folder/file.h"`);
}

function functionSizes(text) {
	const sizes = [];
	let start = -1;
	text.split('\n').forEach((line, index, all) => {
		if (line === '{') {
			start = index;
		} else if (line.startsWith('}') && start >= 0) {
			let head = start - 1;
			while (head > 0 && !/^[A-Za-z_]\w*\(/.test(all[head]))
				head--;
			sizes.push({ name: /^\w*/.exec(all[head])[0], lines: index - start - 1 });
			start = -1;
		}
	});
	return sizes;
}

export function sizes(tree) {
	const notes = [];
	const problems = [];
	const judge = (what, count, limit) => {
		if (count > limit.fail)
			problems.push(`${what} has ${count} lines; at most ${limit.fail}`);
		else if (count > limit.note)
			notes.push(`${what} has ${count} lines`);
	};
	for (const name of files(tree, /\.[ch]$|\.mjs$/)) {
		const text = read(tree, name);
		judge(name, text.split('\n').length - 1, FILE_LINES);
		if (name.endsWith('.c'))
			functionSizes(text).forEach((f) => judge(`${name}: ${f.name}`, f.lines, FUNCTION_LINES));
	}
	return { notes, problems };
}

function headless(tree) {
	return files(tree, /\.(c|h|mjs|ninja|sh)$|^configure$/)
		.filter((name) => name !== 'config.ninja' && !read(tree, name).split('\n').slice(0, 3).join('\n').includes('SPDX-License-Identifier: Apache-2.0'))
		.map((name) => `${name} lacks its SPDX line`);
}

for (const [name, check] of [['every .c is built and every test is run', unbuilt], ['every unit test mirrors a file', unmirrored], ['every file names its licence', headless]]) {
	test(name, () => {
		const problems = check(root);
		assert.equal(problems.length, 0, lines(problems));
	});
}

test('files and functions stay readable', (t) => {
	const { notes, problems } = sizes(root);
	notes.forEach((note) => t.note(note));
	assert.equal(problems.length, 0, lines(problems));
});

test('what was forgotten is found', (t) => {
	const tree = madeUpTree(t, {
		'base/a.c': '', 'base/b.c': '', 'base/c.c': '',
		'tests/unit/base/a_test.c': '', 'tests/unit/base/b_test.c': '', 'tests/unit/base/zz_test.c': '',
		'sources.ninja': 'build $b/base/a.o: cc base/a.c\nbuild $b/base/c.o: cc base/c.c\nbuild $b/base/gone.o: cc base/gone.c\n'
			+ 'build $b/base.a: ar $\n  $b/base/a.o\n'
			+ ['a', 'b', 'zz'].map((n) => `build $b/tests/unit/base/${n}_test.o: cc tests/unit/base/${n}_test.c\n`).join('')
			+ 'build $b/tests/unit/base/a_test: link $b/tests/unit/base/a_test.o $b/base.a\n'
			+ 'build $b/tests/unit/base/zz_test: link $b/tests/unit/base/zz_test.o $b/tests/unit/base/b_test.o\n'
			+ 'build $b/tests: phony $b/tests/unit/base/a_test\n',
	});
	const found = unbuilt(tree);
	for (const text of ['base/b.c is not built', 'base/c.c is compiled and then not used', 'builds base/gone.c', 'zz_test is missing in', 'b_test.c has no line'])
		assert.ok(found.some((p) => p.includes(text)), `${text}${lines(found)}`);
	assert.equal(found.length, 5, lines(found));
	assert.deepEqual(unmirrored(tree).map((p) => p.split(' ')[0]), ['tests/unit/base/zz_test.c']);
	assert.equal(headless(tree).length, 7);
});

test('what is too long is found', (t) => {
	const body = (n) => `int\nf${n}(void)\n{\n${'\tx();\n'.repeat(n)}}\n`;
	const tree = madeUpTree(t, { 'base/a.c': body(70) + body(71) + body(121), 'base/b.c': '\n'.repeat(501), 'base/c.c': '\n'.repeat(701), 'base/d.c': '\n'.repeat(500) });
	const { notes, problems } = sizes(tree);
	assert.deepEqual(notes, ['base/a.c: f71 has 71 lines', 'base/b.c has 501 lines']);
	assert.deepEqual(problems, ['base/a.c: f121 has 121 lines; at most 120', 'base/c.c has 701 lines; at most 700']);
});
