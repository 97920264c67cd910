// SPDX-License-Identifier: Apache-2.0
// GitHub's OpenAPI description of its webhooks: which events and actions there are, and payloads made
// up from their schemas.
import fs from 'node:fs';
import path from 'node:path';
import { npmPackage } from './npm.mjs';

const description = await npmPackage('@octokit/openapi-webhooks', '12.1.0');
const api = JSON.parse(fs.readFileSync(path.join(description.dir, 'generated/api.github.com.json'), 'utf8'));

function resolve(schema) {
	while (schema?.$ref)
		schema = api.components.schemas[schema.$ref.split('/').pop()];
	return schema ?? {};
}

// The schema's properties, those of what it combines included: [[name, schema, required]].
export function properties(schema, seen = new Set()) {
	const s = resolve(schema);
	if (seen.has(s))
		return [];
	seen.add(s);
	const all = new Map();
	for (const [name, property] of Object.entries(s.properties ?? {}))
		all.set(name, property);
	for (const part of [...s.allOf ?? [], ...s.oneOf ?? [], ...s.anyOf ?? []])
		for (const [name, property] of properties(part, seen))
			all.has(name) || all.set(name, property);
	return [...all];
}

// Every form: {event, action, schema}; action is null for events without one.
export const forms = Object.values(api.webhooks).map(({ post }) => {
	const { schema } = post.requestBody.content['application/json'];
	const action = resolve(properties(schema).find(([name]) => name === 'action')?.[1]);
	return { event: post['x-github'].subcategory.replaceAll('-', '_'), action: action.enum?.[0] ?? null, schema };
});

// Whole numbers that differ from place to place and stay the same from run to run.
function numberFor(place) {
	let hash = 7;
	for (const c of place)
		hash = (hash * 31 + c.charCodeAt(0)) % 999999937;
	return hash + 1;
}

function text(schema, name) {
	if (schema.format === 'date-time' || /_(at|on|date)$/.test(name))
		return '2026-01-01T00:00:00Z';
	if (name === 'ref')
		return 'refs/heads/main';
	return schema.format === 'uri' ? `https://example.com/${name}` : `some ${name}`;
}

// A value that the schema allows, with every property it names, as deep as it goes.
export function madeUp(schema, name = '', stack = []) {
	const ref = schema.$ref;
	const s = resolve(schema);
	if (stack.length > 14 || (ref && stack.filter((r) => r === ref).length > 1))
		return null;
	const inner = [...stack, ref ?? ''];
	if (s.const !== undefined)
		return s.const;
	if (s.enum)
		return s.enum.find((v) => v !== null) ?? null;
	const types = [s.type].flat();
	const named = properties(s);
	if (named.length > 0)
		return Object.fromEntries(named.map(([key, property]) => [key, madeUp(property, key, inner)]));
	const choice = [...s.oneOf ?? [], ...s.anyOf ?? [], ...s.allOf ?? []].find((c) => resolve(c).type !== 'null');
	if (choice)
		return madeUp(choice, name, inner);
	if (types.includes('array') || s.items)
		return [madeUp(s.items ?? {}, name, inner)].filter((v) => v !== null);
	if (types.includes('integer') || types.includes('number'))
		return numberFor(`${stack.length} ${name}`);
	if (types.includes('boolean'))
		return true;
	if (types.includes('string'))
		return text(s, name);
	return types.includes('object') ? {} : null;
}
