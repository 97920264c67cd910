/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

static int64_t
read_clock_us(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
clock_now_us(void)
{
	return read_clock_us(CLOCK_REALTIME);
}

int64_t
clock_monotonic_us(void)
{
	return read_clock_us(CLOCK_MONOTONIC);
}

int64_t
clock_monotonic_ms(void)
{
	return clock_monotonic_us() / 1000;
}

void
clock_sleep_ms(int64_t ms)
{
	if (ms <= 0)
		return;
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
	nanosleep(&t, NULL);
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar. Years start in March here, so
 * that the leap day is the last day of a year. */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
	if (month <= 2)
		year--;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

static bool
is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* The reverse of days_of. */
static void
date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
				      day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t months = (5 * day_of_year + 2) / 153; /* since March */
	*day = day_of_year - (153 * months + 2) / 5 + 1;
	*month = months < 10 ? months + 3 : months - 9;
	*year = year_of_era + era * 400 + (*month <= 2);
}

static char *
put_digits(char *to, int64_t n, int count)
{
	for (int i = count; i-- > 0; n /= 10)
		to[i] = (char)('0' + n % 10);
	return to + count;
}

void
clock_format_us(int64_t us, char out[CLOCK_TEXT_BYTES])
{
	const int64_t day_us = INT64_C(86400) * 1000000;
	int64_t days = us / day_us, rest = us % day_us, year, month, day;
	if (rest < 0) {
		rest += day_us;
		days--;
	}
	date_of(days, &year, &month, &day);
	/* snprintf would take longer than all else of an event's line. */
	bool usual = year >= 0 && year <= 9999;
	char *to = usual ? put_digits(out, year, 4)
			 : out + snprintf(out, CLOCK_TEXT_BYTES, "%04" PRId64, year);
	const struct {
		char before;
		int count;
		int64_t value;
	} parts[] = { { '-', 2, month }, { '-', 2, day }, { 'T', 2, rest / 3600000000 },
		{ ':', 2, rest / 60000000 % 60 }, { ':', 2, rest / 1000000 % 60 }, { '.', 6, rest % 1000000 } };
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		*to++ = parts[i].before;
		to = put_digits(to, parts[i].value, parts[i].count);
	}
	memcpy(to, "Z", 2);
}

struct cursor {
	const unsigned char *p, *end;
};

static bool
digits(struct cursor *c, int count, int64_t *value)
{
	*value = 0;
	if (c->end - c->p < count)
		return false;
	for (int i = 0; i < count; i++, c->p++) {
		if (*c->p < '0' || *c->p > '9')
			return false;
		*value = *value * 10 + (*c->p - '0');
	}
	return true;
}

static bool
skip(struct cursor *c, unsigned char wanted)
{
	if (c->p == c->end || *c->p != wanted)
		return false;
	c->p++;
	return true;
}

static bool
parse_date(struct cursor *c, int64_t *days)
{
	static const unsigned char month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t year, month, day;
	if (!digits(c, 4, &year) || !skip(c, '-') || !digits(c, 2, &month) || !skip(c, '-') ||
		!digits(c, 2, &day))
		return false;
	if (year < 1 || month < 1 || month > 12 || day < 1)
		return false;
	if (day > month_days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0))
		return false;
	*days = days_of(year, month, day);
	return true;
}

static bool
parse_offset(struct cursor *c, int64_t *offset_s)
{
	*offset_s = 0;
	if (skip(c, 'Z') || skip(c, 'z'))
		return true;
	int64_t hours, minutes;
	int sign = skip(c, '+') ? 1 : skip(c, '-') ? -1 : 0;
	if (sign == 0 || !digits(c, 2, &hours))
		return false;
	skip(c, ':');
	if (!digits(c, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*offset_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool
clock_parse_us(struct bytes text, int64_t *us)
{
	struct cursor c = { text.data, text.data + text.len };
	int64_t days, hour, minute, second, offset_s, fraction = 0;
	if (text.len == 0 || !parse_date(&c, &days))
		return false;
	*us = days * 86400 * 1000000;
	if (c.p == c.end)
		return true;
	if (!skip(&c, 'T') && !skip(&c, 't') && !skip(&c, ' '))
		return false;
	if (!digits(&c, 2, &hour) || !skip(&c, ':') || !digits(&c, 2, &minute) || !skip(&c, ':') ||
		!digits(&c, 2, &second))
		return false;
	if (hour > 23 || minute > 59 || second > 60) /* 60: a leap second, RFC 3339 §5.7 */
		return false;
	if (skip(&c, '.')) {
		int64_t unit = 100000, digit;
		if (!digits(&c, 1, &digit))
			return false;
		do {
			fraction += digit * unit;
			unit /= 10;
		} while (digits(&c, 1, &digit));
	}
	if (!parse_offset(&c, &offset_s) || c.p != c.end)
		return false;
	*us += (hour * 3600 + minute * 60 + second - offset_s) * 1000000 + fraction;
	return true;
}
