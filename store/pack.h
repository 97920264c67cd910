/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_PACK_H
#define STORE_PACK_H

#include <zstd.h>

#include "store/record.h"

/* Payloads: compressing what a record carries and getting it back, with and without a dictionary. */

/* A zstd dictionary, shared by the records that need it; freed with the last reference. Immutable, any
 * thread. */
struct dict;

/* Copies data. The id follows from the content, so the same dictionary has the same id in every
 * segment. */
struct dict *dict_new(struct bytes data);
struct dict *dict_ref(struct dict *d); /* NULL gives NULL */
void dict_unref(struct dict *d);       /* NULL is fine */
uint32_t dict_id(const struct dict *d);
struct bytes dict_bytes(const struct dict *d);

/* A dictionary from sample payloads that follow each other in data, or NULL when they do not suffice.
 * Takes up to some hundred milliseconds of CPU. */
struct dict *dict_train(struct bytes data, const size_t *sizes, unsigned count);

/* What payloads that follow each other in data take with d, NULL: without one. */
uint64_t dict_try(const struct dict *d, struct bytes data, const size_t *sizes, unsigned count);

/* What the submitting thread prepares, so that the writer only copies and chains. */
struct packed {
	enum record_codec codec;
	struct dict *dict;      /* a reference, NULL: none */
	struct bytes parts[2];  /* written one after the other */
	unsigned char *owned;   /* what parts point into, but for a raw body, which is borrowed */
	uint32_t plain_bytes;
	uint32_t envelope_bytes;
};

/* Compressors, kept between calls; any thread. */
struct packer;
struct packer *packer_new(void);
void packer_free(struct packer *p); /* NULL is fine */

/* Makes d (NULL: none) the dictionary of the payloads packed from now on. Takes its own reference. */
void packer_set_dict(struct packer *p, struct dict *d);

/* A reference to it, or NULL. */
struct dict *packer_dict(struct packer *p);

/* Packs envelope and body; borrows body until packed_free when it stays raw. envelope may go at once. */
void pack(struct packer *p, struct bytes envelope, struct bytes body, struct packed *out);
void packed_free(struct packed *packed);

static inline size_t
packed_bytes(const struct packed *p)
{
	return p->parts[0].len + p->parts[1].len;
}

/* Decompressor of one reader; one thread at a time. */
struct unpacker;
struct unpacker *unpacker_new(void);
void unpacker_free(struct unpacker *u); /* NULL is fine */

/* Gives envelope and body of a payload back, copied into a. d: the dictionary h names, or NULL when it
 * names none. RC_CORRUPT: the payload does not hold what the header says. */
enum rc unpack(struct unpacker *u, const struct record_header *h, struct bytes payload,
	const struct dict *d, struct arena *a, struct bytes *envelope, struct bytes *body, struct err *e)
	MUST_CHECK;

#endif
