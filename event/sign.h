/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EVENT_SIGN_H
#define EVENT_SIGN_H

#include "base/buf.h"

/* How deliveries are signed: one place for those who check a signature (ingest) and those who make
 * one (replay, simulate). Any thread; nothing is kept. */

/* GitHub's header for the signature (docs.github.com, "Validating webhook deliveries"); Gitea and
 * Forgejo send it too. */
#define SIGN_GITHUB_HEADER "X-Hub-Signature-256"

/* Appends the header's value for a body: "sha256=" and the HMAC-SHA-256 of the raw body as 64
 * lower-case hexadecimal digits. */
void sign_github(struct bytes secret, struct bytes body, struct buf *out);

/* Whether header_value signs the body with the secret: exactly "sha256=" and 64 hexadecimal digits
 * of either case. Takes the same time for every wrong signature of the right form. An empty secret
 * signs nothing: always false. */
bool sign_github_matches(struct bytes secret, struct bytes body, struct bytes header_value);

#endif
