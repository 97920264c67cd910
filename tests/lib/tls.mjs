// SPDX-License-Identifier: Apache-2.0
// Certificates for tests.
import path from 'node:path';
import { assert } from './harness.mjs';
import { exec } from './hooklog.mjs';

// A certificate that is its own authority, for this machine: {cert, key}, paths of PEM files.
export async function selfSigned(dir, name) {
	const files = { cert: path.join(dir, `${name}.pem`), key: path.join(dir, `${name}.key`) };
	const made = await exec('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
		'-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', files.key, '-out', files.cert]);
	assert.equal(made.code, 0, made.stderr);
	return files;
}
