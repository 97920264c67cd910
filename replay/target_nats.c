/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/message.h"

/* A stream of NATS JetStream: the original body and headers, under a subject made of a template. */

#define SUBJECT_DEFAULT "hooklog.{source}.{event}"

struct nats {
	struct message *message;
	const char *template;
};

static bool
nats_accepts(const char *spec)
{
	return broker_is(spec, "nats");
}

static enum rc
check_template(const char *template, struct err *e)
{
	static const char *const names[] = { "{provider}", "{source}", "{event}" };
	for (const char *at = template; *at != '\0';) {
		size_t len = 1;
		for (size_t i = 0; *at == '{' && i < COUNT_OF(names); i++)
			len = strncmp(at, names[i], strlen(names[i])) == 0 ? strlen(names[i]) : len;
		if (len == 1 && (*at <= ' ' || *at >= 0x7f || strchr("*>{}", *at) != NULL))
			return err_set(e, RC_INVALID, NULL,
				"the subject '%.100s' is no good: only {provider}, {source} and "
				"{event} stand in braces, and there are no wildcards",
				template);
		at += len;
	}
	if (template[0] == '.' || template[strlen(template) - 1] == '.' ||
		strstr(template, "..") != NULL)
		return err_set(e, RC_INVALID, NULL, "the subject '%.100s' has an empty part",
			template);
	return RC_OK;
}

static enum rc
nats_close(void *state, bool complete UNUSED, struct err *e UNUSED)
{
	struct nats *t = state;
	message_close(t->message);
	free(t);
	return RC_OK;
}

static enum rc
nats_open(void **state, const struct replay_target_options *options, struct err *e)
{
	struct nats *t = base_zalloc(sizeof(*t));
	enum rc rc = message_open(&t->message, options, e);
	if (rc == RC_OK) {
		t->template = message_param(t->message, "subject");
		t->template = t->template == NULL ? SUBJECT_DEFAULT : t->template;
		rc = check_template(t->template, e);
	}
	if (rc != RC_OK)
		(void)nats_close(t, false, NULL);
	else
		*state = t;
	return rc;
}

static bool
nats_keeps(const void *state UNUSED)
{
	return true;
}

/* One part of a subject: what could be read as more than that becomes '_'. */
static void
put_token(struct buf *out, struct bytes value)
{
	if (value.len == 0)
		buf_put_char(out, '_');
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = value.data[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			     (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
		buf_put_char(out, plain ? (char)c : '_');
	}
}

static const char *
subject_of(const char *template, const struct event *ev, struct arena *a)
{
	const struct {
		const char *name;
		struct bytes value;
	} places[] = { { "{provider}", ev->provider }, { "{source}", ev->source },
		{ "{event}", ev->event } };
	struct buf out = buf_new((size_t)64 * 1024);
	for (const char *at = template; *at != '\0';) {
		size_t len = 0;
		for (size_t i = 0; len == 0 && i < COUNT_OF(places); i++) {
			if (strncmp(at, places[i].name, strlen(places[i].name)) != 0)
				continue;
			len = strlen(places[i].name);
			put_token(&out, places[i].value);
		}
		if (len == 0)
			buf_put_char(&out, *at);
		at += len == 0 ? 1 : len;
	}
	const char *subject = arena_string(a, buf_bytes(&out));
	buf_free(&out);
	return subject;
}

static enum rc
nats_publish_event(void *state, const struct event *ev, struct err *e)
{
	struct nats *t = state;
	struct arena *a = message_scratch(t->message);
	arena_reset(a);
	const char *subject = subject_of(t->template, ev, a);
	return message_publish(t->message, ev, subject, (struct bytes){ NULL, 0 }, e);
}

static enum rc
nats_confirm_events(void *state, bool all, size_t *count, struct err *e)
{
	return message_confirm(((struct nats *)state)->message, all, count, e);
}

const struct replay_target_kind replay_target_nats = {
	.name = "nats",
	.accepts = nats_accepts,
	.batch_max = 1,
	.open = nats_open,
	.publish = nats_publish_event,
	.confirm = nats_confirm_events,
	.keeps = nats_keeps,
	.close = nats_close,
};
