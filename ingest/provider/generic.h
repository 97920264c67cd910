/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_PROVIDER_GENERIC_H
#define INGEST_PROVIDER_GENERIC_H

#include "base/crypto.h"
#include "ingest/provider.h"

/* What the .conf of a generic source says: read by generic_setup.c, followed by generic.c. */

#define GENERIC_PARTS_MAX 16

enum generic_auth {
	GENERIC_NONE,
	GENERIC_HMAC,
	GENERIC_BASIC,
	GENERIC_BEARER,
	GENERIC_HEADER,
	GENERIC_QUERY
};

/* A piece of the template: text, or what takes its place. */
enum generic_part_kind {
	GENERIC_PART_TEXT,
	GENERIC_PART_ID,
	GENERIC_PART_TIMESTAMP,
	GENERIC_PART_BODY
};

struct generic_part {
	enum generic_part_kind kind;
	struct bytes text;
};

struct generic_setup {
	struct provider_setup base;
	enum generic_auth auth;
	enum crypto_hash hash;
	bool is_base64;
	const char *prefix;
	const char *event_header, *id_header, *hook_header, *timestamp_header, *proof_header;
	const char *event_path, *id_path; /* NULL: not in the body */
	const char *query_key;
	struct generic_part parts[GENERIC_PARTS_MAX];
	size_t part_count;
	const char *singles[8], *secrets[4];
};

/* Of a source that sets no options, which no source may: generic_configure wants to be told how. */
extern const struct generic_setup generic_unset;

/* Ends with a NULL name. */
extern const struct provider_option generic_options[];

/* As the members of struct provider of the same names. */
enum rc generic_configure(const struct provider_pair *pairs, size_t count, struct arena *a,
	const struct provider_setup **out, struct err *e) MUST_CHECK;
enum rc generic_check_secret(
	const struct provider_setup *base, struct bytes secret, struct err *e) MUST_CHECK;
void generic_make_secret(const struct provider_setup *base, struct buf *out);

#endif
