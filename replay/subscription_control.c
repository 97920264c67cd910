/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "event/jpath.h"
#include "replay/subscription.h"

#define CONTROL_BYTES_MAX 4096

bool
subscription_name_valid(const char *name)
{
	size_t len = strlen(name);
	bool letter = (name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z');
	return letter && len <= 40 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
		       len;
}

bool
subscription_is_pulled(const char *dir, const char *name, struct arena *a)
{
	struct replay_options o = { 0 };
	struct err e;
	return journal_options(dir, name, a, &o, &e) == RC_OK && o.target != NULL &&
	       strcmp(o.target, SUBSCRIPTION_PULL) == 0;
}

enum rc
subscription_control_read(
	const char *dir, const char *name, struct subscription_control *c, struct err *e)
{
	static const char *const names[] = { "resumed", "sought", "seek_seq", "retried", "paused",
		"removed" };
	uint64_t *const numbers[] = { &c->resumed, &c->sought, &c->seek_seq, &c->retried };
	struct arena *a = arena_new(8192);
	struct jpath_set *set = jpath_set_new();
	struct jpath_doc *doc;
	struct bytes json = { NULL, 0 };
	size_t slots[COUNT_OF(names)];
	*c = (struct subscription_control){ 0 };
	enum rc rc = fs_read(
		arena_printf(a, "%s/%s/control.json", dir, name), CONTROL_BYTES_MAX, a, &json, e);
	if (rc == RC_NOTFOUND) {
		rc = RC_OK;
		goto done;
	}
	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(names); i++)
		rc = jpath_add(set, names[i], &slots[i], e);
	if (rc == RC_OK && jpath_walk(set, json, a, &doc, NULL) != RC_OK)
		rc = err_set(
			e, RC_CORRUPT, "replay.record", "%s/%s/control.json is damaged", dir, name);
	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(numbers); i++) {
		int64_t number;
		if (jpath_int64(jpath_get(doc, slots[i], 0), &number))
			*numbers[i] = (uint64_t)number;
	}
	if (rc == RC_OK) {
		c->paused = jpath_get(doc, slots[4], 0).type == JPATH_TRUE;
		c->removed = jpath_get(doc, slots[5], 0).type == JPATH_TRUE;
	}
done:
	jpath_set_free(set);
	arena_free(a);
	return rc;
}

enum rc
subscription_control_write(
	const char *dir, const char *name, const struct subscription_control *c, struct err *e)
{
	struct arena *a = arena_new(8192);
	struct buf json = buf_new(CONTROL_BYTES_MAX);
	buf_printf(&json,
		"{\"paused\":%s,\"removed\":%s,\"resumed\":%" PRIu64 ",\"sought\":%" PRIu64
		",\"seek_seq\":%" PRIu64 ",\"retried\":%" PRIu64 "}\n",
		c->paused ? "true" : "false", c->removed ? "true" : "false", c->resumed, c->sought,
		c->seek_seq, c->retried);
	enum rc rc = fs_write(
		arena_printf(a, "%s/%s/control.json", dir, name), buf_bytes(&json), 0600, e);
	buf_free(&json);
	arena_free(a);
	return rc;
}
