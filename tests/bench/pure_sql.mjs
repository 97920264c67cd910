// SPDX-License-Identifier: Apache-2.0
// The projections as an SQL engineer would write them without hooklog: payloads in a jsonb column, and one
// INSERT ... SELECT per table that takes the newest object per key. Made from the same files, so that the same
// columns of the same tables are filled. It does less than hooklog: one version per row instead of one per
// column group, no tombstones, no bookkeeping, no checkpoint.
import fs from 'node:fs';
import path from 'node:path';

const literal = (text) => `'${text.replaceAll("'", "''")}'`;
const pathOf = (dotted) => literal(`{${dotted.split('.').join(',')}}`);
const ENVELOPE = { seq: 'r.seq', received_at: 'r.received_at', event: 'r.event', delivery: 'r.delivery', source: "'github'", provider: "'github'",
	host: 'null', hook: "'1'", origin: '0', bytes: 'r.bytes', parked: 'false', position: 'o.position' };

// Splits at a separator outside of quotes and parentheses.
function split(text, separator) {
	const parts = [''];
	let depth = 0;
	let quoted = false;
	for (let i = 0; i < text.length; i++) {
		if (!quoted && depth === 0 && text.startsWith(separator, i)) {
			parts.push('');
			i += separator.length - 1;
			continue;
		}
		quoted = text[i] === "'" ? !quoted : quoted;
		depth += quoted ? 0 : (text[i] === '(') - (text[i] === ')');
		parts[parts.length - 1] += text[i];
	}
	return parts.map((part) => part.trim());
}

// An operand as jsonb or as SQL of another type; `at` is the row's object.
function operand(text, at) {
	let match;
	if (text === 'null')
		return { sql: 'null' };
	if (text.startsWith("'"))
		return { sql: text };
	if (text.startsWith('@')) {
		if (!ENVELOPE[text.slice(1)])
			throw new Error(`no SQL for ${text}`);
		return { sql: ENVELOPE[text.slice(1)] };
	}
	if (text.startsWith(':'))
		return { sql: `o.${text.slice(1)}` };
	if ((match = /^count\((.*)\)$/.exec(text)))
		return { sql: `jsonb_array_length(case when jsonb_typeof(${at} #> ${pathOf(match[1])}) = 'array' then ${at} #> ${pathOf(match[1])} end)` };
	if ((match = /^list\((.*)\[\]\.(.*)\)$/.exec(text)))
		return { list: `case when jsonb_typeof(${at} #> ${pathOf(match[1])}) = 'array' then ${at} #> ${pathOf(match[1])} end`, member: match[2] };
	if ((match = /^after\((.*),\s*('.*')\)$/.exec(text))) {
		const value = `${at} #>> ${pathOf(match[1])}`;
		return { sql: `case when starts_with(${value}, ${match[2]}) then substr(${value}, ${match[2].length - 1}) end` };
	}
	return text.startsWith('$.') ? { json: `r.b #> ${pathOf(text.slice(2))}` } : { json: `${at} #> ${pathOf(text)}` };
}

const asText = (one) => one.sql ?? `(${one.json}) #>> '{}'`;

function condition(text, at) {
	const [name, value] = split(text, '=');
	return value === undefined ? `(${asText(operand(name, at))}) is not null` : `(${asText(operand(name, at))}) = ${value}`;
}

function value(text, type, at) {
	const one = operand(text, at);
	if (one.list)
		return `array(select (e #>> ${pathOf(one.member)})::${type.replace('[]', '')} from jsonb_array_elements(${one.list}) e)`;
	if (one.sql)
		return `(${one.sql})::${type}`;
	if (type === 'jsonb')
		return `nullif(${one.json}, 'null')`;
	if (type === 'text[]')
		return `array(select jsonb_array_elements_text(case when jsonb_typeof(${one.json}) = 'array' then ${one.json} end))`;
	if (type === 'timestamptz')
		return `case jsonb_typeof(${one.json}) when 'number' then to_timestamp((${asText(one)})::float8) when 'string' then (${asText(one)})::timestamptz end`;
	return `(${asText(one)})::${type}`;
}

function expression(text, type, at = 'o.o') {
	const alternatives = split(text, '|').map((alternative) => {
		const parts = split(alternative, '=>');
		if (parts.length === 1)
			return value(parts[0], type, at);
		return `case when ${split(parts[0], ' and ').map((one) => condition(one, at)).join(' and ')} then ${value(parts[1], type, at)} end`;
	});
	return alternatives.length === 1 ? alternatives[0] : `coalesce(${alternatives.join(', ')})`;
}

function parse(text) {
	const d = { lines: [], columns: [], key: [], ddl: text };
	for (const line of text.split('\n')) {
		let match;
		if ((match = /^-- (provider|key|version|rows): *(.*)$/.exec(line))) {
			if (match[1] === 'rows')
				d.lines.push(match[2]);
			else
				d[match[1]] = match[1] === 'key' ? match[2].split(/, */) : match[2];
		} else if ((match = /^create table (\w+)/.exec(line))) {
			d.table = match[1];
		} else if ((match = /^\t(\w+)\s+(\w+(?:\[\])?)(?:.*-- (?:\w+ )?= (.*))?/.exec(line)) && (match[3] || d.key?.includes(match[1]))) {
			d.columns.push({ name: match[1], type: match[2], source: (match[3] ?? match[1]).replace(/ -- .*/, '') }); // a key's own name is its path
		}
	}
	return d;
}

// PATH [on EVENT, ...] [rank N] [where CONDITION] [NAME='TEXT' ...]
function rowsLine(text) {
	const match = /^(\S+)(?: on ((?:[\w-]+, *)*[\w-]+))?(?: rank (\d+))?(?: where (\S+))?((?: \w+='[^']*')*)$/.exec(text);
	if (!match)
		throw new Error(`rows line: ${text}`);
	const constants = Object.fromEntries([...(match[5] ?? '').matchAll(/(\w+)='([^']*)'/g)].map(([, name, one]) => [name, one]));
	return { path: match[1] === '.' ? '' : match[1], events: match[2]?.split(/, */) ?? null, rank: Number(match[3] ?? 0), where: match[4], constants };
}

function objects(lines) {
	const names = [...new Set(lines.flatMap(({ constants }) => Object.keys(constants)))];
	const wanted = (line, at) => [
		...(line.events ? [`r.event = any(${literal(`{${line.events.join(',')}}`)})`] : []), ...(line.where ? [condition(line.where, at)] : [])];
	const tail = (line) => [line.rank, ...names.map((name) => (line.constants[name] === undefined ? 'null' : literal(line.constants[name])))].join(', ');
	const plain = [];
	const arrays = [];
	for (const line of lines) {
		if (line.path.includes('[]')) {
			const [array, member] = line.path.split('[]');
			const at = member ? `(x.e #> ${pathOf(member.slice(1))})` : 'x.e';
			const all = array ? `r.b #> ${pathOf(array)}` : 'r.b';
			const tests = wanted(line, at);
			arrays.push(`select ${at}, x.n - 1, ${tail(line)} from jsonb_array_elements(case when jsonb_typeof(${all}) = 'array' then ${all} end) with ordinality x(e, n)${tests.length ? ` where ${tests.join(' and ')}` : ''}`);
		} else {
			const at = line.path ? `(r.b #> ${pathOf(line.path)})` : 'r.b';
			const tests = wanted(line, at);
			plain.push(`(${tests.length ? `case when ${tests.join(' and ')} then ${at} end` : at}, 0::bigint, ${tail(line)})`);
		}
	}
	const parts = [...(plain.length ? [`values ${plain.join(', ')}`] : []), ...arrays];
	return `(${parts.join(' union all ')}) o(${['o', 'position', 'rank', ...names].join(', ')})`;
}

// One {table, create, insert} for each projection that events of GitHub feed.
export function pureSql(folder) {
	const out = [];
	for (const file of fs.readdirSync(folder).sort()) {
		const d = parse(fs.readFileSync(path.join(folder, file), 'utf8'));
		if (d.provider !== 'github' && d.provider !== '*')
			continue;
		const lines = d.lines.map(rowsLine);
		const events = lines.every((line) => line.events) ? [...new Set(lines.flatMap((line) => line.events))] : null;
		const key = (name) => expression(d.columns.find((column) => column.name === name).source, d.columns.find((column) => column.name === name).type);
		const keys = d.key.map(key);
		// The subquery with its offset has each payload read and put together once for all paths.
		const insert = `insert into ${d.table} (${d.columns.map(({ name }) => name).join(', ')})
select distinct on (${keys.join(', ')}) ${d.columns.map(({ source, type }) => expression(source, type)).join(', ')}
from (select seq, received_at, event, delivery, bytes, '{}'::jsonb || body as b from raw.events${events ? ` where event = any(${literal(`{${events.join(',')}}`)})` : ''} offset 0) r
cross join lateral ${objects(lines)}
where jsonb_typeof(o.o) = 'object' and ${keys.map((one) => `(${one}) is not null`).join(' and ')}
order by ${keys.join(', ')}, ${d.version ? `${expression(d.version, 'timestamptz')} desc nulls last, ` : ''}o.rank desc, r.seq desc;`;
		out.push({ table: d.table, create: d.ddl, insert });
	}
	return out;
}
