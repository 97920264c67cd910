/* SPDX-License-Identifier: Apache-2.0 */
/* For ZSTD_c_forceAttachDict and the parameters of a dictionary. */
#define ZSTD_STATIC_LINKING_ONLY
#include <pthread.h>
#include <stdatomic.h>
#include <zdict.h>
#include <zstd.h>

#include "base/limits.h"
#include "base/xxh.h"
#include "store/pack.h"

/* zstd's default level: more gains a few percent on webhooks and costs several times the CPU. */
#define LEVEL 3
/* Below this a zstd frame is hardly ever smaller, even with a dictionary. */
#define WORTHWHILE_BYTES 24
/* What one trained dictionary takes: zstd's own recommendation, about 100 KiB. */
#define DICT_BYTES ((size_t)112640)
/* Up to this size a payload is compressed with the dictionary's own tables; beyond it zstd copies them first,
 * which costs more than compressing 10 KB. zstd's own limit is 16 KiB (docs/adr/0018-compression.md). */
#define ATTACH_BYTES_MAX ((size_t)512 * 1024)
/* Frames up to this size are made in memory that stays with the context. */
#define ROOM_BYTES ((size_t)64 * 1024)
/* Fewer samples give a dictionary that fits them and nothing else. */
#define DICT_SAMPLES_MIN 8

/* With a dictionary nearly all of a webhook is found in it, in long matches; what costs is to go through the tables
 * and to clear those of the context, so both are smaller than the level's (docs/adr/0018-compression.md). */
static const ZSTD_compressionParameters with_dict = {
	.windowLog = 17,
	.chainLog = 13,
	.hashLog = 14,
	.searchLog = 2,
	.minMatch = 5,
	.targetLength = 0,
	.strategy = ZSTD_dfast,
};

struct dict {
	atomic_uint refs;
	uint32_t id;
	struct bytes data;
	ZSTD_CDict *compress;
	ZSTD_DDict *expand;
};

struct dict *
dict_new(struct bytes data)
{
	struct dict *d = base_zalloc(sizeof *d);
	unsigned char *copy = base_alloc(data.len + 1);
	if (data.len > 0)
		memcpy(copy, data.data, data.len);
	atomic_init(&d->refs, 1);
	d->data = (struct bytes){ copy, data.len };
	d->id = (uint32_t)xxh3(copy, data.len);
	if (d->id == 0)
		d->id = 1; /* 0 says "none" in a record */
	d->compress = ZSTD_createCDict_advanced(
		copy, data.len, ZSTD_dlm_byRef, ZSTD_dct_auto, with_dict, ZSTD_defaultCMem);
	d->expand = ZSTD_createDDict(copy, data.len);
	/* Both fail only without memory, or for a dictionary zstd's own header of which is broken. */
	if (d->compress == NULL || d->expand == NULL) {
		dict_unref(d);
		return NULL;
	}
	return d;
}

struct dict *
dict_ref(struct dict *d)
{
	if (d != NULL)
		atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	return d;
}

void
dict_unref(struct dict *d)
{
	if (d == NULL || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
		return;
	ZSTD_freeCDict(d->compress);
	ZSTD_freeDDict(d->expand);
	free((void *)(uintptr_t)d->data.data);
	free(d);
}

uint32_t
dict_id(const struct dict *d)
{
	return d->id;
}

struct bytes
dict_bytes(const struct dict *d)
{
	return d->data;
}

struct dict *
dict_train(struct bytes data, const size_t *sizes, unsigned count)
{
	if (count < DICT_SAMPLES_MIN)
		return NULL;
	unsigned char *out = base_alloc(DICT_BYTES);
	size_t len = ZDICT_trainFromBuffer(out, DICT_BYTES, data.data, sizes, count);
	struct dict *d = ZDICT_isError(len) ? NULL : dict_new((struct bytes){ out, len });
	free(out);
	return d;
}

/* Compression contexts are large and slow to make, so idle ones wait in a list; there are never more
 * than threads that packed at the same moment. */
struct context {
	struct context *next;
	ZSTD_CCtx *zstd;
	unsigned char room[ROOM_BYTES];
};

struct packer {
	pthread_mutex_t lock;
	struct context *idle;
	struct dict *dict;
};

struct packer *
packer_new(void)
{
	struct packer *p = base_zalloc(sizeof *p);
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void
packer_free(struct packer *p)
{
	if (p == NULL)
		return;
	while (p->idle != NULL) {
		struct context *c = p->idle;
		p->idle = c->next;
		ZSTD_freeCCtx(c->zstd);
		free(c);
	}
	dict_unref(p->dict);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void
packer_set_dict(struct packer *p, struct dict *d)
{
	pthread_mutex_lock(&p->lock);
	struct dict *old = p->dict;
	p->dict = dict_ref(d);
	pthread_mutex_unlock(&p->lock);
	dict_unref(old);
}

struct dict *
packer_dict(struct packer *p)
{
	pthread_mutex_lock(&p->lock);
	struct dict *d = dict_ref(p->dict);
	pthread_mutex_unlock(&p->lock);
	return d;
}

static ZSTD_CCtx *
compressor_new(void)
{
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	ASSERT(zstd != NULL);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, LEVEL);
	/* The header says length and dictionary, the record's checksum covers the frame. */
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_dictIDFlag, 0);
	return zstd;
}

static struct context *
context_take(struct packer *p, struct dict **d)
{
	pthread_mutex_lock(&p->lock);
	struct context *c = p->idle;
	if (c != NULL)
		p->idle = c->next;
	*d = dict_ref(p->dict);
	pthread_mutex_unlock(&p->lock);
	if (c == NULL) {
		c = base_zalloc(sizeof *c);
		c->zstd = compressor_new();
	}
	return c;
}

static void
context_give(struct packer *p, struct context *c)
{
	pthread_mutex_lock(&p->lock);
	c->next = p->idle;
	p->idle = c;
	pthread_mutex_unlock(&p->lock);
}

/* The size of the compressed frame in dst, or 0 when it is no smaller than the plain bytes. */
static size_t
compress(ZSTD_CCtx *zstd, const struct dict *d, struct bytes envelope, struct bytes body, unsigned char *dst,
	size_t room)
{
	size_t plain = envelope.len + body.len;
	ZSTD_CCtx_reset(zstd, ZSTD_reset_session_only);
	/* An experimental parameter: a libzstd that does not know it is only slower. */
	(void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_forceAttachDict,
		plain <= ATTACH_BYTES_MAX ? ZSTD_dictForceAttach : ZSTD_dictDefaultAttach);
	ASSERT(!ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(zstd, plain)));
	ASSERT(!ZSTD_isError(ZSTD_CCtx_refCDict(zstd, d == NULL ? NULL : d->compress)));
	ZSTD_outBuffer out = { dst, room, 0 };
	ZSTD_inBuffer first = { envelope.data, envelope.len, 0 };
	ZSTD_inBuffer second = { body.data, body.len, 0 };
	while (first.pos < first.size) {
		size_t left = ZSTD_compressStream2(zstd, &out, &first, ZSTD_e_continue);
		if (ZSTD_isError(left) || (first.pos < first.size && out.pos == out.size))
			return 0;
	}
	size_t left;
	do {
		left = ZSTD_compressStream2(zstd, &out, &second, ZSTD_e_end);
		if (ZSTD_isError(left) || (left > 0 && out.pos == out.size))
			return 0;
	} while (left > 0);
	return out.pos;
}

uint64_t
dict_try(const struct dict *d, struct bytes data, const size_t *sizes, unsigned count)
{
	ZSTD_CCtx *zstd = compressor_new();
	unsigned char *room = base_alloc(data.len + 1);
	const unsigned char *at = data.data;
	uint64_t total = 0;
	for (unsigned i = 0; i < count; at += sizes[i], i++) {
		size_t size = compress(zstd, d, (struct bytes){ NULL, 0 }, (struct bytes){ at, sizes[i] }, room,
			sizes[i]);
		total += size > 0 ? size : sizes[i];
	}
	ZSTD_freeCCtx(zstd);
	free(room);
	return total;
}

void
pack(struct packer *p, struct bytes envelope, struct bytes body, struct packed *out)
{
	ASSERT(envelope.len <= LIMIT_ENVELOPE_BYTES && body.len <= LIMIT_RECORD_BYTES - envelope.len);
	size_t plain = envelope.len + body.len, size = 0;
	*out = (struct packed){ .plain_bytes = (uint32_t)plain,
		.envelope_bytes = (uint32_t)envelope.len };
	struct dict *d = NULL;
	if (plain > WORTHWHILE_BYTES) {
		struct context *c = context_take(p, &d);
		/* No room for a frame that does not save anything: zstd stops by itself. */
		if (plain <= ROOM_BYTES) {
			size = compress(c->zstd, d, envelope, body, c->room, plain - 1);
			out->owned = base_alloc(size + 1);
			memcpy(out->owned, c->room, size);
		} else {
			out->owned = base_alloc(plain);
			size = compress(c->zstd, d, envelope, body, out->owned, plain - 1);
			out->owned = base_realloc(out->owned, size + 1);
		}
		context_give(p, c);
	}
	if (size > 0) {
		out->codec = RECORD_ZSTD;
		out->dict = d;
		out->parts[0] = (struct bytes){ out->owned, size };
		return;
	}
	dict_unref(d);
	out->codec = RECORD_RAW;
	out->owned = base_realloc(out->owned, envelope.len + 1);
	if (envelope.len > 0)
		memcpy(out->owned, envelope.data, envelope.len);
	out->parts[0] = (struct bytes){ out->owned, envelope.len };
	out->parts[1] = body;
}

void
packed_free(struct packed *packed)
{
	dict_unref(packed->dict);
	free(packed->owned);
	*packed = (struct packed){ 0 };
}

struct unpacker {
	ZSTD_DCtx *zstd;
};

struct unpacker *
unpacker_new(void)
{
	struct unpacker *u = base_zalloc(sizeof *u);
	u->zstd = ZSTD_createDCtx();
	ASSERT(u->zstd != NULL);
	return u;
}

void
unpacker_free(struct unpacker *u)
{
	if (u == NULL)
		return;
	ZSTD_freeDCtx(u->zstd);
	free(u);
}

enum rc
unpack(struct unpacker *u, const struct record_header *h, struct bytes payload, const struct dict *d,
	struct arena *a, struct bytes *envelope, struct bytes *body, struct err *e)
{
	if (h->redacted) {
		*envelope = arena_copy(a, (struct bytes){ payload.data + RECORD_REDACTION_BYTES,
						  payload.len - RECORD_REDACTION_BYTES });
		*body = (struct bytes){ NULL, 0 };
		return RC_OK;
	}
	/* The header passed its checksum and LIMIT_RECORD_BYTES bounds what it may ask for. */
	unsigned char *plain = arena_alloc(a, (size_t)h->plain_bytes + 1);
	if (h->codec == RECORD_RAW) {
		if (payload.len != h->plain_bytes)
			return err_set(e, RC_CORRUPT, "log.damaged",
				"record %" PRIu64 " states %" PRIu32 " bytes and holds %zu", h->seq,
				h->plain_bytes, payload.len);
		if (payload.len > 0)
			memcpy(plain, payload.data, payload.len);
	} else if (h->codec == RECORD_ZSTD) {
		size_t size = d == NULL
			? ZSTD_decompressDCtx(u->zstd, plain, h->plain_bytes, payload.data, payload.len)
			: ZSTD_decompress_usingDDict(u->zstd, plain, h->plain_bytes, payload.data,
				  payload.len, d->expand);
		if (ZSTD_isError(size) || size != h->plain_bytes)
			return err_set(e, RC_CORRUPT, "log.damaged",
				"record %" PRIu64 " cannot be decompressed: %s", h->seq,
				ZSTD_isError(size) ? ZSTD_getErrorName(size) : "wrong length");
	} else {
		return err_set(e, RC_INVALID, "log.version",
			"record %" PRIu64 " uses codec %d, which this program does not know; use a newer hooklog",
			h->seq, (int)h->codec);
	}
	*envelope = (struct bytes){ plain, h->envelope_bytes };
	*body = (struct bytes){ plain + h->envelope_bytes, h->plain_bytes - h->envelope_bytes };
	return RC_OK;
}
