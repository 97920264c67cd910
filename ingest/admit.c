/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "ingest/admit.h"
#include "ingest/compose.h"

#define QUARANTINE_ID "ingest.quarantine"
#define ASK_PREFIX "admit."
#define ANSWER_PREFIX "answer."
#define ANSWER_BYTES_MAX 4096

/* A secret that the sender tells outright was redacted. If it is one of today's, its hash is the
 * same, and it can be put back for the check. */
static struct bytes
unredact(const struct admit *how, const struct source *source, struct bytes value, struct arena *a)
{
	struct bytes found = value;
	struct buf text = buf_new(4 * 1024);
	for (size_t i = 0; i < source->secret_count; i++) {
		struct bytes secret = source->secrets[i].value;
		for (int form = 0; form < 3 && secret.len > 0; form++) {
			buf_clear(&text);
			buf_put_str(&text, form == 1 ? "Bearer " : form == 2 ? "Basic " : "");
			if (form == 2)
				crypto_put_base64(&text, secret);
			else
				buf_put_bytes(&text, secret);
			if (bytes_equal(redact_value(how->salt, buf_bytes(&text), a), value))
				found = arena_copy(a, buf_bytes(&text));
		}
	}
	crypto_wipe(text.data, text.len);
	buf_free(&text);
	return found;
}

/* The same for the query, in which the secret is encoded byte by byte. */
static struct bytes
restore_query(const struct admit *how, const struct source *source, struct bytes query,
	struct arena *a)
{
	const char *key = source->setup->secret_query;
	struct bytes value =
		key == NULL ? (struct bytes){ NULL, 0 } : provider_query_value(query, key, a);
	struct bytes secret = value.data == NULL ? value : unredact(how, source, value, a);
	if (secret.data == value.data)
		return query;
	size_t name = strlen(key);
	struct buf text = buf_new(query.len + 4 * secret.len + 16);
	for (struct bytes rest = query; rest.len > 0;) {
		const unsigned char *end = memchr(rest.data, '&', rest.len);
		size_t len = end == NULL ? rest.len : (size_t)(end - rest.data);
		if (len > name && rest.data[name] == '=' && memcmp(rest.data, key, name) == 0) {
			buf_printf(&text, "%s=", key);
			for (size_t i = 0; i < secret.len; i++)
				buf_printf(&text, "%%%02X", secret.data[i]);
		} else {
			buf_put(&text, rest.data, len);
		}
		if (end != NULL)
			buf_put_char(&text, '&');
		len += end != NULL;
		rest = (struct bytes){ rest.data + len, rest.len - len };
	}
	struct bytes restored = arena_copy(a, buf_bytes(&text));
	crypto_wipe(text.data, text.len);
	buf_free(&text);
	return restored;
}

static const struct event_header *
restore_headers(const struct admit *how, const struct source *source, const struct event *ev,
	struct arena *a)
{
	struct event_header *headers = arena_alloc(a, (ev->header_count + 1) * sizeof *headers);
	for (size_t i = 0; i < ev->header_count; i++) {
		headers[i] = ev->headers[i];
		if (redact_is_secret(source->setup, headers[i].name))
			headers[i].value = unredact(how, source, headers[i].value, a);
	}
	return headers;
}

/* Whether the signature is right today. */
static bool
verify(struct delivery *d, const struct source *source, const struct guard_request *head,
	const struct guard_facts *facts, const struct event *ev, struct arena *a,
	const char **key_id, struct refusal *no)
{
	if (!delivery_begin(d, source, head, facts, a, no) ||
		!delivery_check_time(d, ev->received_at_us / 1000000, no))
		return false;
	if (delivery_verify(d, ev->body, clock_now_us(), key_id))
		return true;
	*no = (struct refusal){ 401, "ingest.signature", "the signature does not match the body",
		NULL };
	return false;
}

/* Waits for a batch to be stored. */
struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t left;
	struct store_result first;
};

static void
on_stored(size_t index, const struct store_result *result, void *context)
{
	struct waiting *w = context;
	pthread_mutex_lock(&w->lock);
	if (index == 0)
		w->first = *result;
	w->left--;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* All of them or none, as when they are received. */
static enum rc
store_all(struct store *store, const struct event *events, size_t count, struct admitted *out,
	struct err *e)
{
	struct waiting w = { .lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.left = count };
	if (count == 0) {
		*out = (struct admitted){ 0, false };
		return RC_OK;
	}
	enum rc rc = store_submit_batch(store, events, count, on_stored, &w, e);
	if (rc == RC_OK) {
		pthread_mutex_lock(&w.lock);
		while (w.left > 0)
			pthread_cond_wait(&w.changed, &w.lock);
		pthread_mutex_unlock(&w.lock);
		rc = w.first.rc;
		if (rc == RC_OK)
			*out = (struct admitted){ w.first.seq, w.first.duplicate };
		else
			*e = w.first.err;
	}
	pthread_mutex_destroy(&w.lock);
	pthread_cond_destroy(&w.changed);
	return rc;
}

static enum rc
admit(const struct admit *how, const struct quarantined *q, const struct source *source,
	struct arena *a, struct admitted *out, struct err *e)
{
	const struct event *ev = &q->event;
	struct delivery d;
	struct refusal no = { .status = 0 };
	struct event *events = NULL;
	const char *key_id = "";
	size_t count = 0;
	struct guard_request head = { .method = ev->method,
		.uri = ev->path,
		.version = bytes_str("HTTP/1.1"),
		.headers = restore_headers(how, source, ev, a),
		.header_count = ev->header_count };
	const struct guard_facts facts = { .http11 = true,
		.content_length = ev->body.len,
		.path = ev->path,
		.query = restore_query(how, source, ev->query, a),
		.content_type = ev->content_type };
	bool verified = verify(&d, source, &head, &facts, ev, a, &key_id, &no);
	if (!verified && !how->unverified)
		return err_set(e, RC_DENIED, "ingest.signature", "request %" PRIu64 ": %s",
			q->entry.id, no.error);
	if (verified && !delivery_read_body(&d, ev->body, &no))
		return err_set(
			e, RC_INVALID, no.id, "request %" PRIu64 ": %s", q->entry.id, no.error);
	if (!verified)
		d.content = (struct provider_content){
			.claims = { .event = ev->event, .delivery = ev->delivery, .hook = ev->hook }
		};
	const struct compose c = { .source = source,
		.content = &d.content,
		.headers = head.headers,
		.header_count = head.header_count,
		.path = ev->path,
		.query = facts.query,
		.content_type = ev->content_type,
		.remote = ev->remote,
		.body = ev->body,
		.salt = how->salt,
		.origin = ev->origin,
		.verified = !verified                ? EVENT_VERIFIED_FAILED
			    : source->allow_unsigned ? EVENT_VERIFIED_NONE
						     : EVENT_VERIFIED_OK,
		.key_id = key_id,
		.received_at_us = ev->received_at_us,
		.relay = verified ? &d.relay : NULL };
	compose_events(&c, a, &events, &count);
	return store_all(how->store, events, count, out, e);
}

enum rc
admit_one(const struct admit *how, uint64_t id, struct admitted *out, struct err *e)
{
	struct arena *a = arena_new(16 * 1024);
	struct quarantined q;
	*out = (struct admitted){ 0, false };
	enum rc rc = quarantine_read(how->ring, id, a, &q, e);
	if (rc != RC_OK)
		goto done;
	if (q.entry.state != RING_WAITING) {
		rc = err_set(e, RC_INVALID, NULL, "request %" PRIu64 " was %s already", id,
			quarantine_state_name(q.entry.state));
		goto done;
	}
	const struct source *source = sources_find(how->sources, q.event.source);
	if (source == NULL) {
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no source %.*s any more",
			(int)q.event.source.len, (const char *)q.event.source.data);
		goto done;
	}
	rc = admit(how, &q, source, a, out, e);
	if (rc == RC_OK)
		rc = ring_mark(how->ring, id, RING_ADMITTED, out->seq, e);
done:
	arena_free(a);
	return rc;
}

/* ---- asking the receiver ---- */

/* What an answer's first word means. */
static enum rc
rc_named(const char *name)
{
	for (int rc = RC_OK; rc <= RC_IO; rc++) {
		if (strcmp(rc_name((enum rc)rc), name) == 0)
			return (enum rc)rc;
	}
	return RC_IO;
}

/* "ok <seq> <duplicate>", or the name of a result code and a sentence. */
static enum rc
read_answer(const char *text, struct admitted *out, struct err *e)
{
	char name[32];
	size_t len = strcspn(text, " ");
	snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : 0, text);
	const char *rest = text[len] == ' ' ? text + len + 1 : text + len;
	enum rc rc = rc_named(name);
	if (rc != RC_OK)
		return err_set(e, rc, rc == RC_DENIED ? "ingest.signature" : NULL, "%s", rest);
	char *end = NULL;
	out->seq = strtoull(rest, &end, 10);
	out->duplicate = strcmp(end, " 1") == 0;
	return RC_OK;
}

enum rc
admit_ask(const char *dir, uint64_t id, bool unverified, int64_t timeout_ms, struct admitted *out,
	struct err *e)
{
	struct arena *a = arena_new(1024);
	const char *ask = arena_printf(a, "%s/" ASK_PREFIX "%" PRIu64, dir, id);
	const char *answer = arena_printf(a, "%s/" ANSWER_PREFIX "%" PRIu64, dir, id);
	int64_t start_ms = clock_monotonic_ms();
	unlink(answer);
	enum rc rc = fs_write(ask, bytes_str(unverified ? "unverified" : "verify"), 0600, e);
	while (rc == RC_OK) {
		struct bytes text;
		if (fs_exists(answer)) {
			rc = fs_read(answer, ANSWER_BYTES_MAX, a, &text, e);
			if (rc == RC_OK)
				rc = read_answer((const char *)text.data, out, e);
			unlink(answer);
			break;
		}
		if (clock_monotonic_ms() - start_ms >= timeout_ms) {
			unlink(ask);
			rc = err_set(e, RC_AGAIN, QUARANTINE_ID,
				"the process that holds the log did not answer; is it a receiver "
				"of "
				"this version?");
			break;
		}
		clock_sleep_ms(20);
	}
	arena_free(a);
	return rc;
}

static void
answer_one(const char *dir, const struct admit *how, const char *name, struct arena *a)
{
	struct err e = { .rc = RC_OK };
	struct bytes asked = { NULL, 0 };
	struct admitted out = { 0, false };
	struct admit this_one = *how;
	char *end = NULL;
	uint64_t id = strtoull(name + strlen(ASK_PREFIX), &end, 10);
	if (*end != '\0')
		return; /* a temporary file of fs_write */
	const char *path = arena_printf(a, "%s/%s", dir, name);
	enum rc rc = fs_read(path, 64, a, &asked, &e);
	unlink(path);
	this_one.unverified = bytes_is(asked, "unverified");
	if (rc == RC_OK)
		rc = ring_open(&this_one.ring, arena_printf(a, "%s/" QUARANTINE_FILE, dir), 0, &e);
	if (rc == RC_OK)
		rc = admit_one(&this_one, id, &out, &e);
	ring_close(this_one.ring);
	const char *text = rc == RC_OK
				   ? arena_printf(a, "ok %" PRIu64 " %d", out.seq, out.duplicate)
				   : arena_printf(a, "%s %s", rc_name(rc), e.text);
	if (rc == RC_OK)
		LOG_INFO("ingest.admitted", F_U("id", id), F_U("seq", out.seq),
			F_S("verified", this_one.unverified ? "unchecked" : "yes"));
	if (fs_write(arena_printf(a, "%s/" ANSWER_PREFIX "%" PRIu64, dir, id), bytes_str(text),
		    0600, &e) != RC_OK)
		log_err(QUARANTINE_ID, &e);
}

void
admit_answer_all(const char *dir, const struct admit *how)
{
	DIR *folder = opendir(dir);
	if (folder == NULL)
		return;
	struct arena *a = arena_new(1024);
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		if (strncmp(entry->d_name, ASK_PREFIX, strlen(ASK_PREFIX)) == 0)
			answer_one(dir, how, entry->d_name, a);
	}
	arena_free(a);
	closedir(folder);
}
