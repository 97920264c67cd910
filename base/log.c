/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static enum log_level
threshold(void)
{
	const char *wanted = getenv("HOOKLOG_LOG_LEVEL");
	for (size_t i = 0; wanted != NULL && i < COUNT_OF(level_names); i++) {
		if (strcmp(wanted, level_names[i]) == 0)
			return (enum log_level)i;
	}
	return LOG_LEVEL_INFO;
}

/* Plain values are written bare; everything else quoted, with each byte outside printable ASCII as
 * \xNN, so that no input can end the line or fake a field. */
static void
put_value(struct buf *out, struct bytes v)
{
	bool cut = v.len > LIMIT_LOG_VALUE_BYTES;
	if (cut)
		v.len = LIMIT_LOG_VALUE_BYTES;
	bool plain = v.len > 0 && !cut;
	for (size_t i = 0; plain && i < v.len; i++) {
		unsigned char c = v.data[i];
		plain = c > 0x20 && c < 0x7f && c != '"' && c != '=' && c != '\\';
	}
	if (plain) {
		buf_put_bytes(out, v);
		return;
	}
	buf_put_char(out, '"');
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = v.data[i];
		if (c == '"' || c == '\\') {
			buf_put_char(out, '\\');
			buf_put_char(out, (char)c);
		} else if (c < 0x20 || c >= 0x7f) {
			buf_printf(out, "\\x%02x", c);
		} else {
			buf_put_char(out, (char)c);
		}
	}
	buf_put_str(out, cut ? "...\"" : "\"");
}

void
log_line(enum log_level level, const char *id, const struct log_field *fields, size_t count)
{
	if (level < threshold())
		return;
	struct buf out = buf_new(LIMIT_LOG_LINE_BYTES);
	char when[CLOCK_TEXT_BYTES];
	clock_format_us(clock_now_us(), when);
	buf_printf(&out, "%s %s %s", when, level_names[level], id);
	for (size_t i = 0; i < count; i++) {
		const struct log_field *f = &fields[i];
		buf_printf(&out, " %s=", f->key);
		switch (f->type) {
		case LOG_FIELD_STR:
			put_value(&out, bytes_str(f->value.s));
			break;
		case LOG_FIELD_BYTES:
			put_value(&out, f->value.b);
			break;
		case LOG_FIELD_U64:
			buf_printf(&out, "%" PRIu64, f->value.u);
			break;
		case LOG_FIELD_I64:
			buf_printf(&out, "%" PRId64, f->value.i);
			break;
		}
	}
	/* What was too long is cut, but the line always ends: the next one must not continue it. */
	if (out.overflow && out.len == out.max_bytes)
		out.len--;
	out.overflow = false;
	/* One write per line: lines of several threads or processes do not mix. */
	buf_put_char(&out, '\n');
	ssize_t ignored UNUSED = write(STDERR_FILENO, out.data, out.len);
	buf_free(&out);
}

void
log_err(const char *fallback_id, const struct err *e)
{
	const char *id = e->id == NULL ? fallback_id : e->id;
	if (e->code[0] != '\0')
		LOG_ERROR(id, F_S("error", e->text), F_S("code", e->code));
	else
		LOG_ERROR(id, F_S("error", e->text));
}
