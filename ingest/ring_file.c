/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "ingest/ring_file.h"

const char ring_magic[8] = "hkring1";

uint64_t
ring_record_size(uint64_t bytes)
{
	return (sizeof(struct ring_record) + bytes + 7) & ~(uint64_t)7;
}

enum rc
ring_damaged(const struct ring *r, struct err *e)
{
	return err_set(e, RC_CORRUPT, RING_ID,
		"%s is ring_damaged; remove it and restart the receiver", r->path);
}

enum rc
ring_read_at(struct ring *r, void *out, size_t len, uint64_t at, struct err *e)
{
	unsigned char *p = out;
	while (len > 0) {
		ssize_t n = pread(r->fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, RC_IO, RING_ID, errno, "read %s", r->path);
		if (n == 0)
			return ring_damaged(r, e);
		p += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return RC_OK;
}

enum rc
ring_write_at(struct ring *r, const void *data, size_t len, uint64_t at, struct err *e)
{
	const unsigned char *p = data;
	while (len > 0) {
		ssize_t n = pwrite(r->fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno == ENOSPC ? RC_FULL : RC_IO, RING_ID, errno,
				"write %s", r->path);
		p += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return RC_OK;
}

static void
check_of(const struct bytes *parts, size_t count, unsigned char out[RING_CHECK_BYTES])
{
	unsigned char hash[SHA256_BYTES];
	crypto_sha256_parts(parts, count, hash);
	memcpy(out, hash, RING_CHECK_BYTES);
}

static void
header_check(const struct ring_header *h, unsigned char out[RING_CHECK_BYTES])
{
	const struct bytes part = { (const unsigned char *)h, offsetof(struct ring_header, check) };
	check_of(&part, 1, out);
}

void
ring_record_check(
	const struct ring_record *rec, struct bytes data, unsigned char out[RING_CHECK_BYTES])
{
	const struct bytes parts[] = {
		{ (const unsigned char *)&rec->id, sizeof rec->id },
		{ (const unsigned char *)&rec->at_us, sizeof rec->at_us },
		data,
	};
	check_of(parts, COUNT_OF(parts), out);
}

enum rc
ring_read_header(struct ring *r, struct ring_header *h, struct err *e)
{
	unsigned char check[RING_CHECK_BYTES];
	enum rc rc = ring_read_at(r, h, sizeof *h, 0, e);
	if (rc != RC_OK)
		return rc;
	header_check(h, check);
	if (memcmp(h->magic, ring_magic, sizeof ring_magic) != 0 ||
		memcmp(check, h->check, sizeof check) != 0 || h->size < RING_SIZE_MIN ||
		h->first < RING_AREA_AT || h->first > h->size || h->next < RING_AREA_AT ||
		h->next > h->size)
		return ring_damaged(r, e);
	return RC_OK;
}

enum rc
ring_write_header(struct ring *r, struct ring_header *h, struct err *e)
{
	header_check(h, h->check);
	return ring_write_at(r, h, sizeof *h, 0, e);
}

enum rc
ring_record_at(struct ring *r, uint64_t *at, struct ring_record *rec, struct err *e)
{
	for (int wraps = 0; wraps < 2; wraps++) {
		uint64_t magic = 0;
		enum rc rc = RC_OK;
		if (r->size - *at >= sizeof *rec)
			rc = ring_read_at(r, &magic, sizeof magic, *at, e);
		if (rc != RC_OK)
			return rc;
		if (magic == RING_RECORD_MAGIC)
			break;
		*at = RING_AREA_AT;
	}
	enum rc rc = ring_read_at(r, rec, sizeof *rec, *at, e);
	if (rc != RC_OK)
		return rc;
	if (rec->magic != RING_RECORD_MAGIC || rec->bytes > r->size ||
		ring_record_size(rec->bytes) > r->size - *at)
		return ring_damaged(r, e);
	return RC_OK;
}
