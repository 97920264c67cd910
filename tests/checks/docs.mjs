// SPDX-License-Identifier: Apache-2.0
// The documentation says what the program does: a page per error id, pages that exist where they are
// linked, reference pages as the program prints them, decisions with all their sections.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { root, runOk } from '../lib/hooklog.mjs';
import { files, lines, madeUpTree, read } from '../lib/tree.mjs';

const RUNBOOK_SECTIONS = ['Meaning', 'Impact', 'Diagnosis', 'Mitigation', 'How to tell it worked', 'How to undo'];
const ADR_SECTIONS = ['Status', 'Date', 'Context', 'Options', 'Decision', 'Consequences', 'Enforced by'];
const ID = /^[a-z0-9-]+(\.[a-z0-9-]+)+$/;

// The arguments of the call whose "(" is at text[at], split at its own commas.
function callArguments(text, at) {
	const found = [];
	let depth = 0;
	let from = at + 1;
	for (let i = at; i < text.length; i++) {
		const c = text[i];
		if (c === '"') {
			for (i++; i < text.length && text[i] !== '"'; i++)
				i += text[i] === '\\' ? 1 : 0;
		} else if (c === '\'') {
			i += text[i + 1] === '\\' ? 3 : 2;
		} else if ('([{'.includes(c)) {
			depth++;
		} else if (')]}'.includes(c)) {
			if (--depth === 0)
				return [...found, text.slice(from, i)];
		} else if (c === ',' && depth === 1) {
			found.push(text.slice(from, i));
			from = i + 1;
		}
	}
	return found;
}

// Every error id of the tree: {id: place}. The id is where these calls expect it, as a literal, one of
// two literals, or a macro or constant of the same file.
export function errorIds(tree) {
	const ids = {};
	for (const name of files(tree, /^(?!tests\/|tools\/).*\.c$/)) {
		const text = read(tree, name).replace(/\/\*[^]*?\*\//g, '');
		const take = (expression) => {
			for (const [, literal] of expression.matchAll(/"([^"\n]*)"/g)) {
				if (ID.test(literal))
					ids[literal] ??= name;
			}
			for (const [word] of expression.replace(/"[^"\n]*"/g, '').matchAll(/\b[A-Z][A-Z0-9_]+\b/g)) {
				const defined = new RegExp(`#define ${word} "([^"]+)"`).exec(text);
				if (defined && ID.test(defined[1]))
					ids[defined[1]] ??= name;
			}
		};
		for (const call of text.matchAll(/\b(err_set|err_sys|LOG_ERROR|log_err)(?=\()/g)) {
			const args = callArguments(text, call.index + call[1].length);
			take(args[call[1].startsWith('err_') ? 2 : 0] ?? '');
		}
		for (const [, expression] of text.matchAll(/->id = ([^;]*);/g))
			take(expression);
	}
	return ids;
}

export function runbooks(tree) {
	const problems = [];
	const ids = errorIds(tree);
	for (const [id, place] of Object.entries(ids)) {
		const page = `docs/runbooks/${id}.md`;
		if (!fs.existsSync(path.join(tree, page)))
			problems.push(`${page} is missing; ${place} reports this id`);
	}
	const sources = files(tree, /^(?!tests\/|docs\/).*\.(c|h|sql)$/).map((name) => read(tree, name)).join('\n');
	for (const page of files(tree, /^docs\/runbooks\/.*\.md$/)) {
		const id = path.basename(page, '.md');
		const text = read(tree, page);
		if (id === 'README')
			continue;
		// A page without a dot in its name is a guide for something planned, not for an error.
		if (id.includes('.') && !sources.includes(`"${id}"`))
			problems.push(`${page}: nothing in the sources reports ${id}`);
		if (text.split('\n')[0] !== `# ${id}`)
			problems.push(`${page}: the first line is not "# ${id}"`);
		const sections = [...text.matchAll(/^## (.*)$/gm)].map((m) => m[1].trim());
		if (JSON.stringify(sections) !== JSON.stringify(RUNBOOK_SECTIONS))
			problems.push(`${page}: sections must be ${RUNBOOK_SECTIONS.join(', ')}; are ${sections.join(', ')}`);
		else if (!/^(```|    \S)/m.test(text.slice(text.indexOf('\n## Diagnosis'), text.indexOf('\n## Mitigation'))))
			problems.push(`${page}: Diagnosis has no command to paste`);
	}
	return problems;
}

// What a heading is called in a link, as GitHub does it.
function anchors(text) {
	const seen = new Map();
	return new Set([...text.replace(/^```[^]*?^```/gm, '').matchAll(/^#{1,6} +(.*)$/gm)].map(([, heading]) => {
		const slug = heading.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
		const count = seen.get(slug) ?? 0;
		seen.set(slug, count + 1);
		return count === 0 ? slug : `${slug}-${count}`;
	}));
}

export function links(tree) {
	const problems = [];
	for (const name of files(tree, /\.md$/)) {
		const text = read(tree, name).replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
		for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
			if (/^[a-z]+:/.test(target))
				continue;
			const [file, anchor] = target.split('#');
			const full = file === '' ? name : path.join(path.dirname(name), file);
			if (!fs.existsSync(path.join(tree, full)))
				problems.push(`${name}: ${target} does not exist`);
			else if (anchor && full.endsWith('.md') && !anchors(read(tree, full)).has(anchor))
				problems.push(`${name}: ${target} has no such heading`);
		}
	}
	for (const name of files(tree, /\.(c|h|md|mjs|sql|ninja)$|^configure$/)) {
		if (name.startsWith('tests/checks/'))
			continue;
		for (const [page] of read(tree, name).matchAll(/\bdocs\/[\w/.-]+\.md\b/g)) {
			if (!fs.existsSync(path.join(tree, page)))
				problems.push(`${name} mentions ${page}, which does not exist`);
		}
	}
	return [...new Set(problems)];
}

// A page per provider, click by click, that ends with how to see that it works.
export function providerPages(tree) {
	const problems = [];
	const table = read(tree, 'ingest/provider_table.h');
	for (const name of files(tree, /^ingest\/provider\/.*\.c$/).map((file) => path.basename(file, '.c'))) {
		if (!table.includes(`X(${name})`))
			continue; // a part of one
		const page = `docs/providers/${name.replaceAll('_', '-')}.md`;
		if (!fs.existsSync(path.join(tree, page))) {
			problems.push(`${page} is missing`);
			continue;
		}
		const text = read(tree, page);
		const sections = [...text.matchAll(/^## (.*)$/gm)].map((m) => m[1]);
		if (!sections.some((section) => section.startsWith('Set up')))
			problems.push(`${page}: no section "Set up"`);
		if (sections.at(-1) !== 'See that it works' || !text.slice(text.lastIndexOf('\n## ')).includes('hooklog source test'))
			problems.push(`${page}: does not end with "See that it works" and \`hooklog source test\``);
		if (!/^1\. /m.test(text) || !/\/in\//.test(text))
			problems.push(`${page}: no numbered steps, or no URL to give the sender`);
	}
	return problems;
}

export function decisions(tree) {
	const problems = [];
	for (const name of files(tree, /^docs\/adr\/\d.*\.md$/)) {
		const text = read(tree, name);
		for (const section of ADR_SECTIONS) {
			// A heading, or for the short ones "Status: accepted. Date: 2026-01-31."
			if (!new RegExp(`^#+ ${section}\\b|(^|[-*.;,] )\\**${section}:`, 'm').test(text))
				problems.push(`${name}: no section "${section}"`);
		}
	}
	return problems;
}

for (const [name, check] of [['every error has its runbook', runbooks], ['links lead somewhere', links], ['every provider has a page, step by step', providerPages], ['decisions have their sections', decisions]]) {
	test(name, () => {
		const problems = check(root);
		assert.equal(problems.length, 0, lines(problems));
	});
}

for (const page of ['cli', 'config', 'schema']) {
	test(`docs/reference/${page}.md is what the program prints`, async () => {
		const { stdout } = await runOk(['docs', page]);
		assert.ok(stdout.length > 500);
		assert.equal(read(root, `docs/reference/${page}.md`), stdout, 'run: ninja docs');
	});
}

test('what is wrong in pages is found', (t) => {
	const good = `# a.good\n\n${RUNBOOK_SECTIONS.map((s) => `## ${s}\n\n\`\`\`\ncommand\n\`\`\`\n`).join('\n')}`;
	const tree = madeUpTree(t, {
		'base/a.c': '#define ID "a.by-macro"\nint f(struct err *e) { return err_set(e, f(1, "x.y") ? RC_IO : RC_FULL,\n\t"a.missing", "text, (%d)", 1); }\n'
			+ 'err_sys(e, RC_IO, ID, errno, "x");\nLOG_ERROR("a.logged", F_S("x", "not.this"));\ne->id = x ? "a.left" : "a.right";\n'
			+ 'err_set(e, RC_IO, NULL, "no.id");\n/* err_set(e, RC_IO, "a.comment", "x") see docs/none.md */\nlog_err("a.good", e); "a.bad"; "a.titleless";\n',
		'docs/runbooks/a.good.md': good,
		'docs/runbooks/a.bad.md': '# a.bad\n\n## Meaning\n',
		'docs/runbooks/a.titleless.md': good,
		'docs/runbooks/a.stale.md': good.replace('a.good', 'a.stale'),
		'docs/adr/0001-x.md': '# X\n\n- Status: accepted\n\n## Date\n## Context\n## Options\n## Decision\n## Consequences\n',
		'README.md': '# Top\n\n[a](docs/adr/0001-x.md#decision) [b](none.md) [c](#top) [d](#nowhere) [e](https://x.y/z)\n```\n[f](none)\n```\n',
	});
	assert.deepEqual(Object.keys(errorIds(tree)).sort(), ['a.by-macro', 'a.good', 'a.left', 'a.logged', 'a.missing', 'a.right']);
	const pages = runbooks(tree);
	for (const text of ['a.by-macro.md is missing', 'a.left.md is missing', 'a.logged.md is missing', 'a.missing.md is missing', 'a.right.md is missing', 'a.bad.md: sections', 'a.titleless.md: the first line', 'a.stale.md: nothing'])
		assert.ok(pages.some((p) => p.includes(text)), `${text}${lines(pages)}`);
	assert.equal(pages.length, 8, lines(pages));
	assert.deepEqual(links(tree), ['README.md: none.md does not exist', 'README.md: #nowhere has no such heading', 'base/a.c mentions docs/none.md, which does not exist']);
	const providers = madeUpTree(t, {
		'ingest/provider_table.h': 'X(good) \\\nX(bad) X(none)\n',
		...Object.fromEntries(['good', 'bad', 'none', 'good_part'].map((name) => [`ingest/provider/${name}.c`, 'int x;\n'])),
		'docs/providers/good.md': '# Good\n\n## Set up\n\n1. URL `https://x/in/good`\n\n## See that it works\n\n`hooklog source test good`\n',
		'docs/providers/bad.md': '# Bad\n\n## See that it works\n\n## Set up\n\ntext\n',
	});
	assert.deepEqual(providerPages(providers).map((problem) => problem.slice(0, 40)), ['docs/providers/bad.md: does not end with', 'docs/providers/bad.md: no numbered steps', 'docs/providers/none.md is missing']);
	assert.deepEqual(decisions(tree), ['docs/adr/0001-x.md: no section "Enforced by"']);
});
