// SPDX-License-Identifier: Apache-2.0
// Who may include whom. Arrows only point downwards, siblings never include each other, and each
// third-party header has one owner folder.
import { test, assert } from '../lib/harness.mjs';
import { root } from '../lib/hooklog.mjs';
import { files, lines, madeUpTree, read } from '../lib/tree.mjs';

const stores = ['store', 'pg', 'http', 'broker'];
const services = ['ingest', 'projector', 'replay', 'simulate'];
const below = {
	base: [],
	event: ['base'],
	...Object.fromEntries(stores.map((name) => [name, ['event', 'base']])),
	sql: [],
	...Object.fromEntries(services.map((name) => [name, [...stores, 'event', 'base']])),
	cli: [...services, ...stores, 'event', 'base'],
};
below.projector.push('sql');

const owners = [
	[/^openssl\//, 'base'], [/^ini\.h$/, 'base'],
	[/^msgpack/, 'event'],
	[/^lmdb\.h$/, 'store'], [/^(zstd|zdict|zstd_errors)\.h$/, 'store'], [/^xxhash\.h$/, 'base'],
	[/^(libpq-fe|libpq\/.*|postgres_ext)(\.h)?$/, 'pg'],
	[/^curl\//, 'http'],
	[/^nats\//, 'broker'], [/^librdkafka\//, 'broker'],
	[/^microhttpd\.h$/, 'ingest', 'http'],
];
// What the C library and the compiler bring.
const system = new Set(`assert ctype dirent emmintrin endian errno fcntl float grp inttypes limits locale malloc math netdb
	poll pthread pwd sched semaphore setjmp signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib
	stdnoreturn string strings termios time unistd arm_neon`.split(/\s+/).map((name) => `${name}.h`));
const systemFolders = /^(sys|arpa|netinet|linux)\//;

export function breaches(tree) {
	const problems = [];
	const folders = Object.keys(below);
	for (const name of files(tree, /\.[ch]$/)) {
		const folder = name.split('/')[0];
		if (!folders.includes(folder)) {
			if (folder !== 'tests' && folder !== 'tools')
				problems.push(`${name}: the folder ${folder} has no layer; add it to tests/checks/layers.mjs`);
			continue;
		}
		read(tree, name).split('\n').forEach((line, index) => {
			const match = /^\s*#\s*include\s*([<"])([^>"]+)[>"]/.exec(line);
			if (!match)
				return;
			const [, kind, header] = match;
			const where = `${name}:${index + 1}`;
			if (kind === '"') {
				const target = header.split('/')[0];
				if (!header.includes('/') || !folders.includes(target))
					problems.push(`${where}: "${header}" is not written from the root`);
				else if (target !== folder && !below[folder].includes(target))
					problems.push(`${where}: ${folder} must not include ${target}`);
				return;
			}
			const owner = owners.find(([pattern]) => pattern.test(header));
			if (owner && !owner.slice(1).includes(folder))
				problems.push(`${where}: <${header}> belongs to ${owner.slice(1).join(' and ')}`);
			else if (!owner && !system.has(header) && !systemFolders.test(header))
				problems.push(`${where}: <${header}> has no owner; add it to tests/checks/layers.mjs`);
		});
	}
	return problems;
}

test('the layers are kept', () => {
	const problems = breaches(root);
	assert.equal(problems.length, 0, lines(problems));
});

test('a breach is found', (t) => {
	const bad = {
		'base/a.c': '#include "event/event.h"\n',
		'event/a.h': '#include "store/store.h"\n',
		'store/a.c': '#include "pg/pg.h"\n',
		'pg/a.c': '#include <lmdb.h>\n',
		'ingest/a.c': '#include "projector/projector.h"\n',
		'replay/a.c': '  # include  <curl/curl.h>\n',
		'projector/a.c': '#include "cli/cmd.h"\n',
		'simulate/a.c': '#include "simulate.h"\n',
		'cli/a.c': '#include <libpq-fe.h>\n',
		'http/a.c': '#include <jansson.h>\n',
		'extra/a.c': '\n',
	};
	const problems = breaches(madeUpTree(t, bad));
	for (const name of Object.keys(bad))
		assert.equal(problems.filter((p) => p.startsWith(`${name}:`)).length, 1, `${name}${lines(problems)}`);
	assert.equal(problems.length, Object.keys(bad).length);
});

test('what is allowed passes', (t) => {
	assert.deepEqual(breaches(madeUpTree(t, {
		'cli/a.c': '#include <poll.h>\n#include "ingest/ingest.h"\n#include "store/store.h"\n#include "base/base.h"\n',
		'ingest/provider/a.c': '#include <sys/socket.h>\n#include "ingest/provider.h"\n#include "event/event.h"\n',
		'projector/a.c': '#include "sql/sql.h"\n#include "pg/pg.h"\n',
		'store/a.c': '#include <lmdb.h>\n',
		'tests/unit/x.c': '#include <cmocka.h>\n',
	})), []);
});

// What LMDB offers and the log must not use (docs/adr/0003-log-format-and-durability.md, the pitfalls). Flags of an environment are
// set in one place, which asserts on them.
const flags = /\bMDB_(NOSYNC|NOMETASYNC|MAPASYNC|WRITEMAP|NOLOCK|NOMEMINIT|FIXEDMAP)\b|\bmdb_env_(open|create|set_flags|set_mapsize)\b/;
const unwanted = /\bMDB_(DUPSORT|DUPFIXED|INTEGERKEY|INTEGERDUP|REVERSEKEY|REVERSEDUP)\b|\bmdb_(del|cursor_del|drop|env_copy\w*)\b|\bmdb_txn_begin\([^,()]+,(?!\s*NULL)/;

export function lmdb(tree) {
	const problems = [];
	for (const name of files(tree, /^store\/.*\.[ch]$/)) {
		const text = read(tree, name).replace(/\/\*[^]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '));
		text.split('\n').forEach((line, index) => {
			if (unwanted.test(line) && !(name === 'store/index_levels.c' && line.includes('mdb_del(txn, l->recent, ')))
				problems.push(`${name}:${index + 1}: ADR 3 says why this is not used: ${line.trim()}`);
			else if (flags.test(line) && name !== 'store/db.c' && !(name === 'store/segment_set.c' && line.includes('mdb_env_set_mapsize(s->env, 0)')))
				problems.push(`${name}:${index + 1}: environments are opened in store/db.c: ${line.trim()}`);
		});
	}
	return problems;
}

test('LMDB is used in its durable mode, without what its pitfalls are in', () => {
	const problems = lmdb(root);
	assert.equal(problems.length, 0, lines(problems));
});

test('another use of LMDB is found', (t) => {
	const bad = {
		'store/a.c': 'mdb_env_set_flags(env, MDB_NOSYNC, 1);\n',
		'store/b.c': 'mdb_env_open(env, path, 0, 0600);\n',
		'store/c.c': 'mdb_del(txn, dbi, &k, NULL);\n',
		'store/d.c': 'mdb_dbi_open(txn, "x", MDB_DUPSORT, &dbi);\n',
		'store/db.c': 'mdb_env_copy2(env, path, 0);\n',
		'store/f.c': 'mdb_txn_begin(env, txn, 0, &child);\n',
	};
	const problems = lmdb(madeUpTree(t, { ...bad, 'store/good.c': '/* no mdb_del */\nmdb_txn_begin(env, NULL, 0, &txn);\n' }));
	assert.deepEqual(problems.map((p) => p.split(':')[0]).sort(), Object.keys(bad).sort());
});
