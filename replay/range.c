/* SPDX-License-Identifier: Apache-2.0 */
#include "event/jpath.h"
#include "replay/replay.h"

struct replay_filter {
	const struct replay_select *select;
	struct jpath_set *paths;
	size_t action, full_name, id;
	bool needs_payload;
	bool by_id;
	int64_t repository_id;
};

/* Cuts the next item off a list with commas; false at its end. Blanks around an item do not count.
 */
static bool
next_item(const char **list, struct bytes *item)
{
	if (*list == NULL)
		return false;
	const char *start = *list + strspn(*list, " ");
	size_t len = strcspn(start, ",");
	*list = start[len] == ',' ? start + len + 1 : NULL;
	while (len > 0 && start[len - 1] == ' ')
		len--;
	*item = (struct bytes){ (const unsigned char *)start, len };
	return true;
}

static enum rc
check_list(const char *list, const char *option, struct err *e)
{
	struct bytes item;
	while (next_item(&list, &item))
		if (item.len == 0)
			return err_set(e, RC_INVALID, NULL, "--%s has an empty name in it", option);
	return RC_OK;
}

static enum rc
check_repository(struct replay_filter *f, const char *repository, struct err *e)
{
	size_t len = strlen(repository);
	if (len > 0 && len < 19 && strspn(repository, "0123456789") == len) {
		f->by_id = true;
		f->repository_id = strtoll(repository, NULL, 10);
		return RC_OK;
	}
	const char *slash = strchr(repository, '/');
	if (slash == NULL || slash == repository || slash[1] == '\0')
		return err_set(e, RC_INVALID, NULL,
			"--repository wants owner/name or a number, not '%.100s'", repository);
	return RC_OK;
}

enum rc
replay_filter_new(struct replay_filter **out, const struct replay_select *select, struct err *e)
{
	struct replay_filter *f = base_zalloc(sizeof(*f));
	f->select = select;
	f->paths = jpath_set_new();
	enum rc rc = check_list(select->sources, "source", e);
	if (rc == RC_OK)
		rc = check_list(select->events, "event", e);
	if (rc == RC_OK && select->repository != NULL)
		rc = check_repository(f, select->repository, e);
	if (rc == RC_OK)
		rc = jpath_add(f->paths, "action", &f->action, e);
	if (rc == RC_OK)
		rc = jpath_add(f->paths, "repository.full_name", &f->full_name, e);
	if (rc == RC_OK)
		rc = jpath_add(f->paths, "repository.id", &f->id, e);
	if (rc != RC_OK) {
		replay_filter_free(f);
		return rc;
	}
	f->needs_payload = select->repository != NULL;
	*out = f;
	return RC_OK;
}

void
replay_filter_free(struct replay_filter *f)
{
	if (f == NULL)
		return;
	jpath_set_free(f->paths);
	free(f);
}

static bool
in_list(const char *list, struct bytes name)
{
	struct bytes item;
	if (list == NULL)
		return true;
	while (next_item(&list, &item))
		if (bytes_equal(item, name))
			return true;
	return false;
}

/* Whether an item of the list is "<event>.<something>", so that the action decides. */
static bool
action_decides(const char *list, struct bytes event)
{
	struct bytes item;
	while (next_item(&list, &item))
		if (item.len > event.len && item.data[event.len] == '.' && event.len > 0 &&
			memcmp(item.data, event.data, event.len) == 0)
			return true;
	return false;
}

static bool
action_in_list(const char *list, struct bytes event, struct bytes action)
{
	struct bytes item;
	while (next_item(&list, &item))
		if (item.len == event.len + 1 + action.len && item.data[event.len] == '.' &&
			memcmp(item.data, event.data, event.len) == 0 &&
			memcmp(item.data + event.len + 1, action.data, action.len) == 0)
			return true;
	return false;
}

static bool
same_repository(const struct replay_filter *f, const struct jpath_doc *doc, struct arena *a)
{
	if (f->by_id) {
		int64_t id;
		return jpath_int64(jpath_get(doc, f->id, 0), &id) && id == f->repository_id;
	}
	struct jpath_value name = jpath_get(doc, f->full_name, 0);
	return name.type == JPATH_STRING &&
	       bytes_is_nocase(jpath_text(name, a, NULL), f->select->repository);
}

bool
replay_filter_matches(const struct replay_filter *f, const struct event *ev, struct arena *a)
{
	const struct replay_select *s = f->select;
	if (!in_list(s->sources, ev->source))
		return false;
	if (s->delivery != NULL && !bytes_is_nocase(ev->delivery, s->delivery))
		return false;
	bool by_action = !in_list(s->events, ev->event);
	if (by_action && !action_decides(s->events, ev->event))
		return false;
	if (!by_action && !f->needs_payload)
		return true;

	struct bytes json;
	struct jpath_doc *doc;
	if (event_payload(ev, a, &json, NULL) != RC_OK ||
		jpath_walk(f->paths, json, a, &doc, NULL) != RC_OK)
		return false;
	if (by_action) {
		struct jpath_value action = jpath_get(doc, f->action, 0);
		if (action.type != JPATH_STRING ||
			!action_in_list(s->events, ev->event, jpath_text(action, a, NULL)))
			return false;
	}
	return !f->needs_payload || same_repository(f, doc, a);
}

enum rc
replay_range(struct store_reader *r, const struct replay_select *select, uint64_t *from,
	uint64_t *to, struct err *e)
{
	struct store_span span;
	enum rc rc = store_span(r, &span, e);
	if (rc != RC_OK)
		return rc;
	if (select->from_seq > 0 && select->from_seq < span.first_seq)
		return err_set(e, RC_NOTFOUND, "replay.range-gone",
			"the log holds events from %" PRIu64 " on, not %" PRIu64
			" any more; give --from %" PRIu64 " or restore the older segments",
			span.first_seq, select->from_seq, span.first_seq);
	*from = select->from_seq > 0 ? select->from_seq : span.first_seq;
	*to = select->to_seq > 0 && select->to_seq < span.last_seq ? select->to_seq : span.last_seq;
	if (span.last_seq == 0) {
		*from = 1;
		*to = 0;
		return RC_OK;
	}
	/* received_at never goes backwards from one sequence to the next: a time range is a range.
	 */
	uint64_t seq;
	if (select->has_since) {
		rc = store_seq_at(r, select->since_us, &seq, e);
		if (rc != RC_OK)
			return rc;
		*from = seq > *from ? seq : *from;
	}
	if (select->has_until) {
		rc = store_seq_at(r, select->until_us, &seq, e);
		if (rc != RC_OK)
			return rc;
		*to = seq <= *to ? seq - 1 : *to;
	}
	return RC_OK;
}
