/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "base/limits.h"
#include "event/jpath.h"
#include "replay/journal.h"

/* The options of a run as JSON and back. */

enum kind { TEXT, NUMBER, FLAG };

#define O(member) offsetof(struct replay_options, member)
static const struct {
	const char *key;
	enum kind kind;
	size_t offset;
} rows[] = {
	{ "target", TEXT, O(target) },
	{ "format", TEXT, O(format) },
	{ "secret_file", TEXT, O(secret_file) },
	{ "source", TEXT, O(select.sources) },
	{ "provider", TEXT, O(select.providers) },
	{ "origin", TEXT, O(select.origins) },
	{ "event", TEXT, O(select.events) },
	{ "action", TEXT, O(select.actions) },
	{ "sender", TEXT, O(select.senders) },
	{ "repository", TEXT, O(select.repository) },
	{ "delivery", TEXT, O(select.delivery) },
	{ "where", TEXT, O(select.where) },
	{ "concurrency", NUMBER, O(concurrency) },
	{ "rate", NUMBER, O(rate) },
	{ "limit", NUMBER, O(limit) },
	{ "retries", NUMBER, O(retries) },
	{ "total_order", FLAG, O(total_order) },
	{ "keep_going", FLAG, O(keep_going) },
	{ "force", FLAG, O(force) },
	{ "allow_private", FLAG, O(allow_private) },
	{ "http2", FLAG, O(http2) },
};

void
journal_shown_target(const char *target, char *out, size_t out_bytes)
{
	const char *host = strstr(target, "://");
	if (host == NULL) {
		snprintf(out, out_bytes, "%s", target);
		return;
	}
	size_t len = strcspn(target, "?#");
	const char *at = memchr(host + 3, '@', strcspn(host + 3, "/?#"));
	if (at != NULL)
		snprintf(out, out_bytes, "%.*s%.*s", (int)(host + 3 - target), target,
			(int)(target + len - at - 1), at + 1);
	else
		snprintf(out, out_bytes, "%.*s", (int)len, target);
}

void
journal_put_options(struct buf *out, const struct replay_options *o, bool shown)
{
	char separator = '{';
	char target[1024];
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *at = (const char *)o + rows[i].offset;
		const char *text = NULL;
		uint64_t number = 0;
		bool flag = false;
		if (rows[i].kind == TEXT)
			memcpy(&text, at, sizeof(text));
		else if (rows[i].kind == NUMBER)
			memcpy(&number, at, sizeof(number));
		else
			memcpy(&flag, at, sizeof(flag));
		/* retries has another default than zero, so it is always written. */
		if (text == NULL && number == 0 && !flag && strcmp(rows[i].key, "retries") != 0)
			continue;
		if (shown && text != NULL && i == 0) {
			journal_shown_target(text, target, sizeof(target));
			text = target;
		}
		buf_printf(out, "%c\"%s\":", separator, rows[i].key);
		if (text != NULL)
			buf_put_json(out, bytes_str(text));
		else if (rows[i].kind == NUMBER)
			buf_printf(out, "%" PRIu64, number);
		else
			buf_put_str(out, "true");
		separator = ',';
	}
	buf_put_char(out, '}');
}

static enum rc
check_text(const struct replay_options *o, struct err *e)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *text = NULL;
		if (rows[i].kind == TEXT)
			memcpy(&text, (const char *)o + rows[i].offset, sizeof(text));
		if (text != NULL && !utf8_valid(bytes_str(text)))
			return err_set(e, RC_INVALID, NULL, "%s is not UTF-8", rows[i].key);
	}
	return RC_OK;
}

enum rc
journal_rewrite(const char *dir, const char *name, const struct replay_options *o, struct err *e)
{
	struct arena *a = arena_new(4096);
	struct buf json = buf_new(LIMIT_CONFIG_FILE_BYTES);
	enum rc rc = check_text(o, e);
	journal_put_options(&json, o, false);
	buf_put_char(&json, '\n');
	if (rc == RC_OK && json.overflow)
		rc = err_set(e, RC_INVALID, NULL, "the options are too long");
	/* 0600: a URL may hold a token. */
	if (rc == RC_OK)
		rc = fs_write(arena_printf(a, "%s/%s/options.json", dir, name), buf_bytes(&json),
			0600, e);
	buf_free(&json);
	arena_free(a);
	return rc;
}

enum rc
journal_options(
	const char *dir, const char *name, struct arena *a, struct replay_options *o, struct err *e)
{
	struct bytes json;
	struct jpath_doc *doc;
	size_t slots[COUNT_OF(rows)];
	struct jpath_set *set = jpath_set_new();
	const char *path = arena_printf(a, "%s/%s/options.json", dir, name);
	enum rc rc = fs_read(path, LIMIT_CONFIG_FILE_BYTES, a, &json, e);
	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(rows); i++)
		rc = jpath_add(set, rows[i].key, &slots[i], e);
	if (rc == RC_OK && jpath_walk(set, json, a, &doc, e) != RC_OK)
		rc = err_set(e, RC_CORRUPT, "replay.record", "%s is damaged", path);
	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(rows); i++) {
		struct jpath_value v = jpath_get(doc, slots[i], 0);
		char *at = (char *)o + rows[i].offset;
		int64_t number = 0;
		if (rows[i].kind == TEXT && v.type == JPATH_STRING) {
			const char *text = arena_string(a, jpath_text(v, a, NULL));
			memcpy(at, &text, sizeof(text));
		} else if (rows[i].kind == NUMBER && jpath_int64(v, &number)) {
			memcpy(at, &number, sizeof(number));
		} else if (rows[i].kind == FLAG) {
			bool flag = v.type == JPATH_TRUE;
			memcpy(at, &flag, sizeof(flag));
		}
	}
	jpath_set_free(set);
	return rc;
}
