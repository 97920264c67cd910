/* SPDX-License-Identifier: Apache-2.0 */
#include <msgpack.h>

#include "event/event.h"

/* The envelope on disk: one msgpack map. Keys and meanings are for ever; a new field gets a new
 * key, and a reader skips keys it does not know.
 *
 *	key   type  meaning                        key   type   meaning
 *	src   str   source                         m     bin    method
 *	prov  str   provider                       p     bin    path
 *	o     uint  origin (enum event_origin)     q     bin    query
 *	v     uint  verified (enum event_verified) ct    bin    content type
 *	ev    bin   event                          ra    str    remote address
 *	del   bin   delivery                       h     array  name, value, name, value, ... (bin)
 *	hook  bin   hook                           xxh   bin    XXH3-128 of the body, 16 bytes
 *	sch   str   scheme                         kid   str    key id
 *
 * What a client chose is bin, because nothing says it is UTF-8; what we chose is str. The reader
 * takes either. Fields that are empty are left out, but for src and xxh, which make it an envelope.
 *
 * Writing uses msgpack-c. Reading does not: its unpacker reserves memory by the counts a message
 * announces (up to 16 GiB for 5 bytes, 4.0.0), and copies what can stay where it is. The cursor
 * below knows every msgpack type well enough to step over it and trusts no length. */

struct field {
	const char *key;
	size_t offset; /* of a struct bytes in struct event */
	bool text;     /* str, else bin */
	bool always;   /* written also when empty, demanded when read */
};

#define FIELD(member) offsetof(struct event, member)
static const struct field fields[] = {
	{ "src", FIELD(source), true, true },
	{ "prov", FIELD(provider), true, false },
	{ "ev", FIELD(event), false, false },
	{ "del", FIELD(delivery), false, false },
	{ "hook", FIELD(hook), false, false },
	{ "sch", FIELD(scheme), true, false },
	{ "kid", FIELD(key_id), true, false },
	{ "m", FIELD(method), false, false },
	{ "p", FIELD(path), false, false },
	{ "q", FIELD(query), false, false },
	{ "ct", FIELD(content_type), false, false },
	{ "ra", FIELD(remote), true, false },
};

/* Bits of the set of keys met: one per row of fields, then these. */
#define SEEN_ORIGIN (1u << COUNT_OF(fields))
#define SEEN_VERIFIED (SEEN_ORIGIN << 1)
#define SEEN_HEADERS (SEEN_ORIGIN << 2)
#define SEEN_HASH (SEEN_ORIGIN << 3)

/* ---- writing ---- */

static int
write_to_buf(void *out, const char *data, size_t len)
{
	buf_put(out, data, len);
	return 0; /* overflow is kept in the buf, where the caller looks */
}

static void
pack_text(msgpack_packer *pk, struct bytes b)
{
	msgpack_pack_str(pk, b.len);
	if (b.len > 0)
		msgpack_pack_str_body(pk, b.data, b.len);
}

static void
pack_bin(msgpack_packer *pk, struct bytes b)
{
	msgpack_pack_bin(pk, b.len);
	if (b.len > 0)
		msgpack_pack_bin_body(pk, b.data, b.len);
}

static struct bytes
field_get(const struct event *ev, const struct field *f)
{
	struct bytes b;
	memcpy(&b, (const unsigned char *)ev + f->offset, sizeof b);
	return b;
}

void
event_encode(const struct event *ev, struct buf *out)
{
	msgpack_packer pk;
	msgpack_packer_init(&pk, out, write_to_buf);

	size_t count = 3; /* o, v and xxh */
	for (size_t i = 0; i < COUNT_OF(fields); i++)
		count += fields[i].always || field_get(ev, &fields[i]).len > 0;
	if (ev->header_count > 0)
		count++;
	msgpack_pack_map(&pk, count);

	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		struct bytes value = field_get(ev, &fields[i]);
		if (value.len == 0 && !fields[i].always)
			continue;
		pack_text(&pk, bytes_str(fields[i].key));
		if (fields[i].text)
			pack_text(&pk, value);
		else
			pack_bin(&pk, value);
	}
	pack_text(&pk, bytes_str("o"));
	msgpack_pack_uint8(&pk, (uint8_t)ev->origin);
	pack_text(&pk, bytes_str("v"));
	msgpack_pack_uint8(&pk, (uint8_t)ev->verified);
	if (ev->header_count > 0) {
		pack_text(&pk, bytes_str("h"));
		msgpack_pack_array(&pk, 2 * ev->header_count);
		for (size_t i = 0; i < ev->header_count; i++) {
			pack_bin(&pk, ev->headers[i].name);
			pack_bin(&pk, ev->headers[i].value);
		}
	}
	pack_text(&pk, bytes_str("xxh"));
	pack_bin(&pk, (struct bytes){ ev->body_xxh128, sizeof ev->body_xxh128 });
}

/* ---- reading ---- */

enum kind {
	KIND_BAD = 0, /* 0xc1, which msgpack never uses, and values that reach past the end */
	KIND_OTHER,   /* a value without parts that no key of ours has: stepped over */
	KIND_UINT,
	KIND_BYTES, /* str or bin */
	KIND_ARRAY,
	KIND_MAP,
};

struct item {
	enum kind kind;
	uint64_t n;        /* the number, or how many elements or pairs follow */
	struct bytes data; /* of KIND_BYTES */
};

/* What the first byte 0xc0 + i says (msgpack spec, "Formats"): the kind, how many bytes of
 * big-endian number follow, and how many bytes after that belong to a KIND_OTHER besides that
 * number. */
static const struct {
	unsigned char kind, width, extra;
} formats[32] = {
	{ KIND_OTHER, 0, 0 }, { KIND_BAD, 0, 0 },                         /* nil, never used */
	{ KIND_OTHER, 0, 0 }, { KIND_OTHER, 0, 0 },                       /* false, true */
	{ KIND_BYTES, 1, 0 }, { KIND_BYTES, 2, 0 }, { KIND_BYTES, 4, 0 }, /* bin */
	{ KIND_OTHER, 1, 1 }, { KIND_OTHER, 2, 1 }, { KIND_OTHER, 4, 1 }, /* ext */
	{ KIND_OTHER, 0, 4 }, { KIND_OTHER, 0, 8 },                       /* float */
	{ KIND_UINT, 1, 0 }, { KIND_UINT, 2, 0 }, { KIND_UINT, 4, 0 },    /* uint */
	{ KIND_UINT, 8, 0 },                                              /* uint 64 */
	{ KIND_OTHER, 0, 1 }, { KIND_OTHER, 0, 2 }, { KIND_OTHER, 0, 4 }, /* int */
	{ KIND_OTHER, 0, 8 },                                             /* int 64 */
	{ KIND_OTHER, 0, 2 }, { KIND_OTHER, 0, 3 }, { KIND_OTHER, 0, 5 }, /* fixext 1, 2, 4 */
	{ KIND_OTHER, 0, 9 }, { KIND_OTHER, 0, 17 },                      /* fixext 8, 16 */
	{ KIND_BYTES, 1, 0 }, { KIND_BYTES, 2, 0 }, { KIND_BYTES, 4, 0 }, /* str */
	{ KIND_ARRAY, 2, 0 }, { KIND_ARRAY, 4, 0 },                       /* array */
	{ KIND_MAP, 2, 0 }, { KIND_MAP, 4, 0 },                           /* map */
};

/* Takes one value (of an array or map only its head) from the front of *in. */
static struct item
take(struct bytes *in)
{
	static const struct item bad = { .kind = KIND_BAD };
	if (in->len == 0)
		return bad;
	unsigned c = in->data[0];
	struct item it = { .kind = KIND_OTHER };
	size_t width = 0, extra = 0;
	if (c < 0x80) {
		it = (struct item){ .kind = KIND_UINT, .n = c };
	} else if (c < 0x90) {
		it = (struct item){ .kind = KIND_MAP, .n = c & 0x0f };
	} else if (c < 0xa0) {
		it = (struct item){ .kind = KIND_ARRAY, .n = c & 0x0f };
	} else if (c < 0xc0) {
		it = (struct item){ .kind = KIND_BYTES, .n = c & 0x1f };
	} else if (c < 0xe0) {
		it.kind = (enum kind)formats[c - 0xc0].kind;
		width = formats[c - 0xc0].width;
		extra = formats[c - 0xc0].extra;
	}
	if (it.kind == KIND_BAD || in->len - 1 < width)
		return bad;
	for (size_t i = 0; i < width; i++)
		it.n = it.n << 8 | in->data[1 + i];
	in->data += 1 + width;
	in->len -= 1 + width;

	/* extra is at most 17 and n of these kinds at most 32 bits wide: the sum cannot wrap. */
	uint64_t more = it.kind == KIND_BYTES || it.kind == KIND_OTHER ? it.n + extra : 0;
	if (more > in->len)
		return bad;
	if (it.kind == KIND_BYTES)
		it.data = (struct bytes){ in->data, (size_t)more };
	in->data += more;
	in->len -= (size_t)more;
	/* Every element needs at least one byte, so an announced count is checked before it is
	 * used. */
	if ((it.kind == KIND_ARRAY && it.n > in->len) ||
		(it.kind == KIND_MAP && it.n > in->len / 2))
		return bad;
	return it;
}

/* Steps over one value with everything in it. */
static bool
skip(struct bytes *in)
{
	uint64_t pending = 1;
	while (pending > 0) {
		struct item it = take(in);
		if (it.kind == KIND_BAD)
			return false;
		pending--;
		if (it.kind == KIND_ARRAY)
			pending += it.n;
		else if (it.kind == KIND_MAP)
			pending += 2 * it.n;
		if (pending > in->len)
			return false;
	}
	return true;
}

static bool
take_bytes(struct bytes *in, struct bytes *out)
{
	/* Nearly all are a fixstr, or a str or bin whose length is one byte. */
	if (in->len >= 2) {
		unsigned c = in->data[0];
		bool fixed = (c & 0xe0) == 0xa0;
		size_t head = fixed ? 1 : 2, n = fixed ? c & 0x1f : in->data[1];
		if ((fixed || c == 0xc4 || c == 0xd9) && n <= in->len - head) {
			*out = (struct bytes){ in->data + head, n };
			in->data += head + n;
			in->len -= head + n;
			return true;
		}
	}
	struct item it = take(in);
	*out = it.data;
	return it.kind == KIND_BYTES;
}

static bool
take_uint(struct bytes *in, uint64_t max, unsigned *out)
{
	struct item it = take(in);
	*out = (unsigned)it.n;
	return it.kind == KIND_UINT && it.n <= max;
}

static bool
take_headers(struct bytes *in, struct arena *a, struct event *ev)
{
	struct item it = take(in);
	if (it.kind != KIND_ARRAY || it.n % 2 != 0)
		return false;
	/* take() bounded n by the bytes left, so this is at most 16 times the envelope. */
	size_t count = (size_t)it.n / 2;
	struct event_header *headers = arena_alloc(a, count * sizeof *headers);
	for (size_t i = 0; i < count; i++) {
		if (!take_bytes(in, &headers[i].name) || !take_bytes(in, &headers[i].value))
			return false;
	}
	ev->headers = headers;
	ev->header_count = count;
	return true;
}

/* As bytes_is, and quick to say no, which it mostly has to. */
static inline bool
key_is(struct bytes key, const char *name)
{
	size_t i = 0;
	while (i < key.len && name[i] != '\0' && key.data[i] == (unsigned char)name[i])
		i++;
	return i == key.len && name[i] == '\0';
}

/* Takes the value of the key and tells which key it was in *bit (0: unknown, stepped over). *row is the field
 * asked for first, and becomes the one behind: they are written in this order, and read in any. */
static bool
take_value(struct bytes *in, struct bytes key, struct arena *a, struct event *ev, size_t *row,
	unsigned *bit)
{
	unsigned number = 0;
	for (size_t n = 0; n < COUNT_OF(fields); n++) {
		struct bytes value;
		size_t i = (*row + n) % COUNT_OF(fields);
		if (!key_is(key, fields[i].key))
			continue;
		*row = i + 1;
		*bit = 1u << i;
		if (!take_bytes(in, &value))
			return false;
		memcpy((unsigned char *)ev + fields[i].offset, &value, sizeof value);
		return true;
	}
	if (key_is(key, "o")) {
		*bit = SEEN_ORIGIN;
		bool ok = take_uint(in, EVENT_ORIGIN_LAST, &number);
		ev->origin = (enum event_origin)number;
		return ok;
	}
	if (key_is(key, "v")) {
		*bit = SEEN_VERIFIED;
		bool ok = take_uint(in, EVENT_VERIFIED_FAILED, &number);
		ev->verified = (enum event_verified)number;
		return ok;
	}
	if (key_is(key, "h")) {
		*bit = SEEN_HEADERS;
		return take_headers(in, a, ev);
	}
	if (key_is(key, "xxh")) {
		struct bytes hash;
		*bit = SEEN_HASH;
		if (!take_bytes(in, &hash) || hash.len != sizeof ev->body_xxh128)
			return false;
		memcpy(ev->body_xxh128, hash.data, hash.len);
		return true;
	}
	*bit = 0;
	return skip(in);
}

static enum rc
damaged(struct bytes data, struct bytes rest, struct bytes key, struct err *e)
{
	/* A key of a damaged envelope may be anything; only a plain one is worth showing. */
	bool show = key.len > 0 && key.len <= 8;
	for (size_t i = 0; show && i < key.len; i++)
		show = key.data[i] >= 'a' && key.data[i] <= 'z';
	return err_set(e, RC_CORRUPT, "event.envelope-damaged",
		"envelope of %zu bytes is damaged, or from a newer hooklog: near byte %zu%s%.*s",
		data.len, data.len - rest.len, show ? ", key " : "", show ? (int)key.len : 0,
		show ? (const char *)key.data : "");
}

enum rc
event_decode(struct bytes data, struct arena *a, struct event *ev, struct err *e)
{
	struct bytes in = data, key = { NULL, 0 };
	struct event got = {
		.seq = ev->seq,
		.received_at_us = ev->received_at_us,
		.flags = ev->flags,
		.same_key_seq = ev->same_key_seq,
		.body = ev->body,
	};
	struct item map = take(&in);
	if (map.kind != KIND_MAP)
		return damaged(data, in, key, e);

	unsigned seen = 0;
	size_t row = 0;
	for (uint64_t i = 0; i < map.n; i++) {
		unsigned bit = 0;
		key = (struct bytes){ NULL, 0 };
		if (!take_bytes(&in, &key) || !take_value(&in, key, a, &got, &row, &bit))
			return damaged(data, in, key, e);
		if ((seen & bit) != 0) /* never written twice: which one would be right? */
			return damaged(data, in, key, e);
		seen |= bit;
	}
	unsigned need = SEEN_HASH;
	for (size_t i = 0; i < COUNT_OF(fields); i++)
		need |= fields[i].always ? 1u << i : 0;
	key = (struct bytes){ NULL, 0 };
	if ((seen & need) != need || in.len != 0)
		return damaged(data, in, key, e);
	*ev = got;
	return RC_OK;
}

/* ---- looking into an event ---- */

struct bytes
event_header_value(const struct event *ev, const char *name)
{
	for (size_t i = 0; i < ev->header_count; i++) {
		if (!bytes_is_nocase(ev->headers[i].name, name))
			continue;
		struct bytes value = ev->headers[i].value;
		return value.data != NULL ? value : bytes_str(""); /* NULL means: no such header */
	}
	return (struct bytes){ NULL, 0 };
}

const char *
event_origin_name(enum event_origin origin)
{
	static const char *const names[] = {
		[EVENT_ORIGIN_WEBHOOK] = "webhook",
		[EVENT_ORIGIN_BACKFILL] = "backfill",
		[EVENT_ORIGIN_POLL] = "poll",
		[EVENT_ORIGIN_RECONCILE] = "reconcile",
		[EVENT_ORIGIN_IMPORT] = "import",
		[EVENT_ORIGIN_REPLAY] = "replay",
		[EVENT_ORIGIN_OPERATOR] = "operator",
		[EVENT_ORIGIN_BROKER] = "broker",
	};
	ASSERT((size_t)origin < COUNT_OF(names));
	return names[origin];
}

bool
event_origin_parse(struct bytes name, enum event_origin *origin)
{
	for (int i = 0; i <= EVENT_ORIGIN_LAST; i++) {
		if (!bytes_is(name, event_origin_name((enum event_origin)i)))
			continue;
		*origin = (enum event_origin)i;
		return true;
	}
	return false;
}
