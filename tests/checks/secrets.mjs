// SPDX-License-Identifier: Apache-2.0
// What proves a sender is compared in constant time: crypto_equal, never memcmp and its like.
import { test, assert } from '../lib/harness.mjs';
import { root } from '../lib/hooklog.mjs';
import { files, lines, madeUpTree, read } from '../lib/tree.mjs';

const CHECKING = /^(ingest\/(provider|delivery|admit)|event\/sign|replay\/token).*\.c$/;
const COMPARE = /\b(memcmp|strcmp|strncmp|strcasecmp|strncasecmp|bytes_equal|bytes_is|bytes_is_nocase)\(([^;{]*)/g;
const PROOF = /\b(mac|hmac|digest|hash|want|expected|token|secret)s?\b/;

export function leaks(tree) {
	const problems = [];
	for (const name of files(tree, CHECKING)) {
		const text = read(tree, name).replace(/\/\*[^]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '));
		for (const match of text.matchAll(COMPARE)) {
			// Only the call's own arguments, to its closing bracket.
			let depth = 1;
			let end = 0;
			while (end < match[2].length && depth > 0)
				depth += { '(': 1, ')': -1 }[match[2][end++]] ?? 0;
			const args = match[2].slice(0, end);
			// What stands in the program is known to everybody.
			if (PROOF.test(args) && !/"/.test(args) && !/redact_value/.test(args))
				problems.push(`${name}:${text.slice(0, match.index).split('\n').length}: ${match[1]}(${args.replace(/\s+/g, ' ')}: use crypto_equal`);
		}
	}
	return problems;
}

test('signatures, tokens and digests are compared in constant time', () => {
	const problems = leaks(root);
	assert.equal(problems.length, 0, lines(problems));
});

test('a comparison that tells where it ended is found', (t) => {
	const tree = madeUpTree(t, {
		'ingest/provider/a.c': 'x = memcmp(mac, claims->signature.data, 32) == 0;\n/* memcmp(mac, b, 1) */\ny = strncmp(secret, "whsec_", 6);\n',
		'ingest/provider_b.c': 'if (bytes_equal(header,\n\tsecret))\n',
		'event/sign.c': 'return crypto_equal(mac, want, 32);\n',
		'store/c.c': 'memcmp(hash, other, 32)\n',
	});
	assert.deepEqual(leaks(tree).map((problem) => problem.split(': ')[0]), ['ingest/provider/a.c:1', 'ingest/provider_b.c:1']);
});
