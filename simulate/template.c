/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "simulate/template.h"

void
template_time(int64_t at_us, char out[24])
{
	char text[CLOCK_TEXT_BYTES];
	clock_format_us(at_us, text);
	/* GitHub's times have whole seconds. */
	snprintf(out, 24, "%.19sZ", text);
}

static void
put_i64(struct buf *out, int64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%" PRId64, v);
	buf_put(out, text, (size_t)n);
}

static void
put_time(struct buf *out, int64_t at_us)
{
	char text[24];
	if (at_us == 0) {
		buf_put_str(out, "null");
		return;
	}
	template_time(at_us, text);
	buf_put_char(out, '"');
	buf_put_str(out, text);
	buf_put_char(out, '"');
}

static void
put_string_or_null(struct buf *out, const char *s)
{
	if (s == NULL)
		buf_put_str(out, "null");
	else
		buf_put_json(out, bytes_str(s));
}

void
template_put(struct buf *out, const char *template, ...)
{
	va_list args;
	va_start(args, template);
	for (const char *p = template; *p != '\0';) {
		size_t plain = strcspn(p, "'%");
		buf_put(out, p, plain);
		p += plain;
		if (*p == '\'') {
			buf_put_char(out, '"');
			p++;
			continue;
		}
		if (*p == '\0')
			break;
		int64_t number;
		switch (p[1]) {
		case 's':
			put_string_or_null(out, va_arg(args, const char *));
			break;
		case 'u':
			buf_put_str(out, va_arg(args, const char *));
			break;
		case 'i':
			put_i64(out, va_arg(args, int64_t));
			break;
		case 'n':
			number = va_arg(args, int64_t);
			if (number == 0)
				buf_put_str(out, "null");
			else
				put_i64(out, number);
			break;
		case 'b':
			buf_put_str(out, va_arg(args, int) ? "true" : "false");
			break;
		case 't':
			put_time(out, va_arg(args, int64_t));
			break;
		case '%':
			buf_put_char(out, '%');
			break;
		default:
			ASSERT(p[1] == 's' /* no other letter is known */);
		}
		p += 2;
	}
	va_end(args);
}
