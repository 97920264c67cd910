// SPDX-License-Identifier: Apache-2.0
// The corpus of tests/lib/framing.mjs, straight at the receiver: each request is refused and the connection
// closed, or taken with exactly its bytes; never is a second request made out of one.
import { test, assert } from '../lib/harness.mjs';
import { checkCorpus, startReceiver } from '../lib/framing_check.mjs';
import { CORPUS } from '../lib/framing.mjs';

for (const model of ['pool', 'connection']) {
	test(`${model}: no request hides another one`, { timeoutMs: 280000 }, async (t) => {
		assert.ok(CORPUS.length >= 80, `${CORPUS.length} requests`);
		const receiver = await startReceiver(t, { HOOKLOG_INGEST_THREADING: model });
		const { accepted, refused } = await checkCorpus(receiver, receiver.port);
		t.note(`${CORPUS.length} requests: ${accepted} accepted, ${refused} refused`);
		assert.ok(accepted > 5 && refused > 60);
		await receiver.stop();
	});
}
