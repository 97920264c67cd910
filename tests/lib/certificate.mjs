// SPDX-License-Identifier: Apache-2.0
// Certificates for TLS of the receiver's own.
import fs from 'node:fs';
import path from 'node:path';
import { assert } from './harness.mjs';
import { exec } from './hooklog.mjs';

// A certificate for name and its key, as files; made by a program that is not ours.
export async function makePair(dir, name, { days = 60, at = 'now', key = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], to = dir } = {}) {
	const files = { cert: path.join(to, 'cert.pem'), key: path.join(to, 'key.pem') };
	const made = await exec('faketime', [at, 'openssl', 'req', '-x509', '-newkey', ...key, '-nodes', '-keyout', files.key, '-out', files.cert,
		'-days', String(days), '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name},IP:127.0.0.1`]);
	assert.equal(made.code, 0, made.stderr);
	fs.chmodSync(files.key, 0o600);
	return files;
}

// The environment for a receiver that shows it.
export const settings = (pair, more = {}) => ({ HOOKLOG_INGEST_TLS_CERTIFICATE_FILE: pair.cert, HOOKLOG_INGEST_TLS_KEY_FILE: pair.key, ...more });
