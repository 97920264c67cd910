/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "pg/pg.h"

/* Between 1970-01-01 and PostgreSQL's epoch 2000-01-01. */
#define EPOCH_DIFFERENCE_US INT64_C(946684800000000)
/* 4713-11-24 BC to 294276 AD (PostgreSQL: datatype/timestamp.h), in its own epoch. */
#define TIMESTAMP_MIN INT64_C(-211813488000000000)
#define TIMESTAMP_END INT64_C(9223371331200000000)

#define HEADER_BYTES 20

static enum pg_type
element_type(enum pg_type array)
{
	switch (array) {
	case PG_BOOL_ARRAY:
		return PG_BOOL;
	case PG_INT8_ARRAY:
		return PG_INT8;
	case PG_TIMESTAMPTZ_ARRAY:
		return PG_TIMESTAMPTZ;
	default:
		return PG_TEXT;
	}
}

void
pg_array_start(struct pg_array *array, enum pg_type type, size_t max_bytes)
{
	static const unsigned char room[HEADER_BYTES];
	array->buf = buf_new(max_bytes);
	array->type = type;
	array->count = 0;
	array->has_null = false;
	buf_put(&array->buf, room, sizeof room); /* filled in at the end */
}

void
pg_array_null(struct pg_array *array)
{
	buf_put_be32(&array->buf, UINT32_MAX);
	array->has_null = true;
	array->count++;
}

void
pg_array_int8(struct pg_array *array, int64_t v)
{
	buf_put_be32(&array->buf, 8);
	buf_put_be64(&array->buf, (uint64_t)v);
	array->count++;
}

void
pg_array_bool(struct pg_array *array, bool v)
{
	buf_put_be32(&array->buf, 1);
	buf_put_char(&array->buf, v ? 1 : 0);
	array->count++;
}

void
pg_array_text(struct pg_array *array, struct bytes v)
{
	buf_put_be32(&array->buf, (uint32_t)v.len);
	buf_put_bytes(&array->buf, v);
	array->count++;
}

bool
pg_timestamptz(int64_t us, int64_t *out)
{
	*out = us;
	if (us == INT64_MIN)
		return true;
	if (us < TIMESTAMP_MIN + EPOCH_DIFFERENCE_US || us >= TIMESTAMP_END)
		return false;
	*out = us - EPOCH_DIFFERENCE_US;
	return true;
}

void
pg_array_timestamptz(struct pg_array *array, int64_t us)
{
	int64_t at;
	if (pg_timestamptz(us, &at))
		pg_array_int8(array, at);
	else
		pg_array_null(array);
}

static void
set_be32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)(v >> 24);
	p[1] = (unsigned char)(v >> 16);
	p[2] = (unsigned char)(v >> 8);
	p[3] = (unsigned char)v;
}

enum rc
pg_array_param(struct pg_array *array, struct pg_param *param, struct err *e)
{
	if (array->buf.overflow)
		return err_set(e, RC_INVALID, NULL, "a batch column passes %zu bytes",
			array->buf.max_bytes);
	unsigned char *header = array->buf.data;
	set_be32(header, 1); /* dimensions */
	set_be32(header + 4, array->has_null ? 1 : 0);
	set_be32(header + 8, (uint32_t)element_type(array->type));
	set_be32(header + 12, array->count);
	set_be32(header + 16, 1); /* lower bound */
	*param = (struct pg_param){ array->type, buf_bytes(&array->buf) };
	return RC_OK;
}

void
pg_array_free(struct pg_array *array)
{
	buf_free(&array->buf);
}

struct pg_param
pg_param_int8(int64_t v, unsigned char buffer[8])
{
	set_be32(buffer, (uint32_t)((uint64_t)v >> 32));
	set_be32(buffer + 4, (uint32_t)v);
	return (struct pg_param){ PG_INT8, { buffer, 8 } };
}

struct pg_param
pg_param_int4(int32_t v, unsigned char buffer[4])
{
	set_be32(buffer, (uint32_t)v);
	return (struct pg_param){ PG_INT4, { buffer, 4 } };
}

struct pg_param
pg_param_text(const char *s)
{
	return (struct pg_param){ PG_TEXT, bytes_str(s) };
}

struct pg_param
pg_param_bytea(const void *data, size_t len)
{
	return (struct pg_param){ PG_BYTEA, { data, len } };
}
