/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/kind.h"

#define URL_BYTES_MAX ((size_t)4096)

static const struct broker_kind *const kinds[] = { &broker_nats, &broker_kafka };

static const struct broker_kind *
kind_of(const char *spec)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (broker_is(spec, kinds[i]->name))
			return kinds[i];
	}
	return NULL;
}

bool
broker_is(const char *spec, const char *kind)
{
	size_t len = strlen(kind);
	return strncasecmp(spec, kind, len) == 0 && strncmp(spec + len, "://", 3) == 0;
}

bool
broker_accepts(const char *spec)
{
	return kind_of(spec) != NULL;
}

/* ---- the URL ---- */

/* The parts of a URL; all borrowed. */
struct parts {
	struct bytes servers, path;
	const char *query; /* "" without */
};

static struct parts
split(const char *spec)
{
	struct parts p;
	const char *at = strstr(spec, "://") + 3;
	p.servers = (struct bytes){ (const unsigned char *)at, strcspn(at, "/?#") };
	at += p.servers.len;
	at += *at == '/';
	p.path = (struct bytes){ (const unsigned char *)at, strcspn(at, "?#") };
	at += p.path.len;
	p.query = *at == '?' ? at + 1 : "";
	return p;
}

/* The next pair of a query; false: there is none. */
static bool
next_pair(const char **query, struct bytes *name, struct bytes *value)
{
	const char *at = *query;
	at += strspn(at, "&");
	if (*at == '\0' || *at == '#')
		return false;
	size_t len = strcspn(at, "&#"), equals = strcspn(at, "=&#");
	*name = (struct bytes){ (const unsigned char *)at, equals };
	*value = (struct bytes){ (const unsigned char *)at + equals, 0 };
	if (equals < len)
		*value = (struct bytes){ (const unsigned char *)at + equals + 1, len - equals - 1 };
	*query = at + len;
	return true;
}

static enum rc
check_param(struct bytes name, struct bytes value, const char *const *known, struct err *e)
{
	bool ok = false;
	for (; !ok && *known != NULL; known++)
		ok = bytes_is(name, *known);
	if (!ok)
		return err_set(e, RC_INVALID, NULL,
			"the URL of a broker cannot have '%.*s' here; see docs/brokers.md",
			(int)name.len, (const char *)name.data);
	if (value.len == 0)
		return err_set(e, RC_INVALID, NULL, "%.*s has no value in the URL of the broker",
			(int)name.len, (const char *)name.data);
	/* A run that goes on elsewhere must find the same file. */
	static const char *const files[] = { "creds", "token", "password", "seed", "ca",
		"cert", "key", "config" };
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		if (bytes_is(name, files[i]) && value.data[0] != '/')
			return err_set(e, RC_INVALID, NULL,
				"%s must be the whole path of a file, from / on", files[i]);
	}
	return RC_OK;
}

enum rc
broker_check(const char *spec, enum broker_use use, struct err *e)
{
	const struct broker_kind *kind = kind_of(spec);
	if (kind == NULL || strlen(spec) > URL_BYTES_MAX)
		return err_set(e, RC_INVALID, NULL,
			"'%.100s' is no URL of a broker: nats://HOST/STREAM or kafka://HOST/TOPIC",
			spec);
	struct parts p = split(spec);
	if (memchr(p.servers.data, '@', p.servers.len) != NULL)
		return err_set(e, RC_INVALID, NULL,
			"the URL of a broker must not hold a user or a password; put them into a "
			"file: docs/brokers.md");
	if (p.servers.len == 0 || p.path.len == 0 ||
		memchr(p.path.data, '/', p.path.len) != NULL)
		return err_set(e, RC_INVALID, NULL,
			"name server and %s: %s://HOST/NAME",
			kind == &broker_nats ? "stream" : "topic", kind->name);
	struct bytes name, value;
	enum rc rc = RC_OK;
	while (rc == RC_OK && next_pair(&p.query, &name, &value))
		rc = check_param(name, value,
			use == BROKER_PUBLISH ? kind->publish_params : kind->consume_params, e);
	return rc;
}

const char *
broker_param(const char *spec, const char *wanted, struct arena *a)
{
	const char *query = split(spec).query;
	struct bytes name, value;
	while (next_pair(&query, &name, &value)) {
		if (bytes_is(name, wanted))
			return arena_string(a, value);
	}
	return NULL;
}

const char *
broker_servers(const char *spec, struct arena *a)
{
	return arena_string(a, split(spec).servers);
}

const char *
broker_path(const char *spec, struct arena *a)
{
	return arena_string(a, split(spec).path);
}

/* ---- messages under way ---- */

bool
broker_flight_full(const struct broker_flight *f, size_t bytes)
{
	return f->sent - f->stored >= BROKER_IN_FLIGHT_MAX ||
	       (f->sent > f->stored && f->bytes + bytes > BROKER_IN_FLIGHT_BYTES_MAX);
}

uint64_t
broker_flight_add(struct broker_flight *f, size_t bytes)
{
	uint64_t place = f->sent++;
	f->slots[place % BROKER_IN_FLIGHT_MAX].stored = false;
	f->slots[place % BROKER_IN_FLIGHT_MAX].bytes = bytes;
	f->bytes += bytes;
	return place;
}

void
broker_flight_store(struct broker_flight *f, uint64_t place)
{
	if (place < f->stored || place >= f->sent)
		return;
	f->slots[place % BROKER_IN_FLIGHT_MAX].stored = true;
	while (f->stored < f->sent && f->slots[f->stored % BROKER_IN_FLIGHT_MAX].stored)
		f->bytes -= f->slots[f->stored++ % BROKER_IN_FLIGHT_MAX].bytes;
}

size_t
broker_flight_count(struct broker_flight *f)
{
	size_t count = (size_t)(f->stored - f->told);
	f->told = f->stored;
	return count;
}

/* ---- by kind ---- */

enum rc
broker_publisher_open(struct broker_publisher **p, const char *spec, const char *run, struct err *e)
{
	enum rc rc = broker_check(spec, BROKER_PUBLISH, e);
	return rc != RC_OK ? rc : kind_of(spec)->publisher_open(p, spec, run, e);
}

enum rc
broker_publish(struct broker_publisher *p, const struct broker_message *m, struct err *e)
{
	return p->kind->publish(p, m, e);
}

enum rc
broker_confirm(struct broker_publisher *p, bool all, size_t *count, struct err *e)
{
	return p->kind->confirm(p, all, count, e);
}

void
broker_publisher_close(struct broker_publisher *p)
{
	if (p != NULL)
		p->kind->publisher_close(p);
}

enum rc
broker_consumer_open(struct broker_consumer **c, const char *spec, struct err *e)
{
	enum rc rc = broker_check(spec, BROKER_CONSUME, e);
	return rc != RC_OK ? rc : kind_of(spec)->consumer_open(c, spec, e);
}

enum rc
broker_take(struct broker_consumer *c, size_t max, int64_t wait_ms, struct arena *a,
	const struct broker_received **messages, size_t *count, struct err *e)
{
	return c->kind->take(c, max, wait_ms, a, messages, count, e);
}

enum rc
broker_done(struct broker_consumer *c, struct err *e)
{
	return c->kind->done(c, e);
}

void
broker_consumer_close(struct broker_consumer *c)
{
	if (c != NULL)
		c->kind->consumer_close(c);
}
