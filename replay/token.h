/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLAY_TOKEN_H
#define REPLAY_TOKEN_H

#include "base/arena.h"
#include "base/crypto.h"
#include "base/err.h"

/* Bearer tokens of the pull API (RFC 6750), in <dir>/tokens.ndjson: one line each, without the token
 * itself, of which only the SHA-256 is kept: it is random and long, so that is as good as it gets. Any
 * process, any thread. */

enum token_scope {
	TOKEN_READ = 1, /* look at the subscription, get its events */
	TOKEN_ACK = 2,  /* move its position forward */
	TOKEN_SEEK = 4, /* move it anywhere */
	TOKEN_ALL = 7,
};

#define TOKEN_ID_BYTES 9
#define TOKEN_TEXT_BYTES 80

struct token {
	char id[TOKEN_ID_BYTES]; /* names it to people; part of the text, no secret */
	const char *subscription;
	unsigned scopes;
	int64_t made_us, expires_us; /* 0: never */
	unsigned char sha256[SHA256_BYTES];
};

/* "read,ack"; RC_INVALID. */
enum rc token_scopes_parse(const char *text, unsigned *scopes, struct err *e) MUST_CHECK;
void token_scopes_put(char out[24], unsigned scopes);

/* Makes one; text is the only time it is seen. RC_IO, RC_FULL. */
enum rc token_add(const char *dir, const char *subscription, unsigned scopes, int64_t expires_us,
	char text[TOKEN_TEXT_BYTES], struct token *t, struct err *e) MUST_CHECK;

/* All of them, in a. No file: none. RC_CORRUPT (id subscription.tokens). */
enum rc token_list(const char *dir, struct arena *a, const struct token **tokens, size_t *count,
	struct err *e) MUST_CHECK;

/* Forgets the one with the id, or all of the subscription; the other is NULL. RC_NOTFOUND: no such id. */
enum rc token_revoke(
	const char *dir, const char *id, const char *subscription, struct err *e) MUST_CHECK;

/* The token this is the text of; a for its strings. RC_DENIED: none that is valid now. RC_CORRUPT, RC_IO:
 * nobody can tell. */
enum rc token_check(const char *dir, const char *text, int64_t now_us, struct arena *a,
	struct token *t, struct err *e) MUST_CHECK;

#endif
