// SPDX-License-Identifier: Apache-2.0
// `source test` of every provider, each with its own source in one receiver, and the row it becomes.
import fs from 'node:fs';
import path from 'node:path';
import { test, assert } from '../lib/harness.mjs';
import { root, runOk } from '../lib/hooklog.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { makeLog, makeProject } from '../lib/project.mjs';

const OPTIONS = { generic: ['auth=bearer', 'event_header=X-Event', 'id_header=X-Id'] };
const SECRETS = { stripe: 'whsec_0123456789abcdef0123456789abcdef', slack: '0123456789abcdef0123456789abcdef' };

test('a signed sample of every provider is stored and becomes a row', async (t) => {
	const table = fs.readFileSync(path.join(root, 'ingest/provider_table.h'), 'utf8');
	const providers = [...table.matchAll(/\bX\((\w+)\)/g)].map(([, name]) => name.replace('_', '-'));
	assert.ok(providers.includes('github') && providers.includes('generic') && providers.length >= 12, String(providers));
	const log = await makeLog(t, { receive: false });
	for (const provider of providers) {
		const args = ['source', 'add', provider, '--data', log.dir, '--provider', provider, ...OPTIONS[provider] ?? []];
		if (SECRETS[provider]) {
			fs.writeFileSync(path.join(log.dir, provider), SECRETS[provider], { mode: 0o600 });
			args.push('--secret-file', path.join(log.dir, provider));
		}
		await runOk(args);
	}
	await log.receive();
	for (const [index, provider] of providers.entries()) {
		const { stdout } = await runOk(['source', 'test', provider, '--data', log.dir, '--url', `${log.receiver.url}/in/${provider}`]);
		assert.deepEqual(JSON.parse(stdout), { seq: index + 1, duplicate: false }, provider);
	}
	log.sent = providers.length;
	const project = await makeProject(t, log, await startPostgres(t));
	await project.catchUp();
	const rows = await project.query("select source, provider, event <> '', delivery <> '' from hooklog.events order by seq");
	assert.deepEqual(rows, providers.map((provider) => [provider, provider, 't', 't']));
});
