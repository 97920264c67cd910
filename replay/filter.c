/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "event/jpath.h"
#include "replay/replay.h"

#define CONDITIONS_MAX 8

enum compare { EQUAL, UNEQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL };

/* One part of --where. */
struct condition {
	size_t slot;
	enum compare compare;
	struct bytes value; /* points into the select's string */
	bool is_integer;
	int64_t integer;
};

/* Where forges name things, in the order they are looked at: GitHub, Gitea and Bitbucket, then
 * GitLab (reference pages of the providers: docs/providers). */
static const char *const repository_names[] = { "repository.full_name",
	"project.path_with_namespace" };
static const char *const repository_ids[] = { "repository.id", "project.id", "project_id" };
static const char *const sender_names[] = { "sender.login", "user.username", "user_username",
	"actor.nickname", "sender.name", "actor.name" };
static const char *const sender_ids[] = { "sender.id", "user.id", "user_id", "actor.id" };
static const char *const action_names[] = { "action", "object_attributes.action" };

struct replay_filter {
	const struct replay_select *select;
	struct jpath_set *paths;
	size_t actions[COUNT_OF(action_names)];
	size_t repository_names[COUNT_OF(repository_names)];
	size_t repository_ids[COUNT_OF(repository_ids)];
	size_t sender_names[COUNT_OF(sender_names)];
	size_t sender_ids[COUNT_OF(sender_ids)];
	struct condition conditions[CONDITIONS_MAX];
	size_t condition_count;
	bool needs_payload; /* apart from what a name of an event may need */
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
check_origins(const char *list, struct err *e)
{
	struct bytes item;
	enum rc rc = check_list(list, "origin", e);
	while (rc == RC_OK && next_item(&list, &item)) {
		bool known = false;
		for (int i = EVENT_ORIGIN_WEBHOOK; i <= EVENT_ORIGIN_LAST; i++)
			known = known || bytes_is(item, event_origin_name((enum event_origin)i));
		if (!known)
			rc = err_set(e, RC_INVALID, NULL,
				"--origin: '%.*s' is none of webhook, backfill, poll, reconcile, "
				"import, replay, operator, broker",
				(int)(item.len > 100 ? 100 : item.len), (const char *)item.data);
	}
	return rc;
}

static bool
is_number(struct bytes text, int64_t *number)
{
	char copy[24];
	char *end;
	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	if (strspn(copy, "-0123456789") != text.len)
		return false;
	errno = 0;
	*number = strtoll(copy, &end, 10);
	return errno == 0 && *end == '\0' && end != copy;
}

static enum rc
check_repository(struct replay_filter *f, const char *repository, struct err *e)
{
	if (repository[0] != '-' && is_number(bytes_str(repository), &f->repository_id)) {
		f->by_id = true;
		return RC_OK;
	}
	const char *slash = strchr(repository, '/');
	if (slash == NULL || slash == repository || slash[1] == '\0')
		return err_set(e, RC_INVALID, NULL,
			"--repository wants owner/name or a number, not '%.100s'", repository);
	return RC_OK;
}

/* Cuts "path", the comparison and "value" out of text. */
static enum rc
add_condition(struct replay_filter *f, struct bytes text, struct err *e)
{
	static const struct {
		const char *sign;
		enum compare compare;
	} signs[] = { { "!=", UNEQUAL }, { "<=", LESS_EQUAL }, { ">=", GREATER_EQUAL },
		{ "=", EQUAL }, { "<", LESS }, { ">", GREATER } };
	char path[512];
	size_t at = 0;
	while (at < text.len && strchr("=!<>", text.data[at]) == NULL)
		at++;
	size_t sign = 0;
	while (sign < COUNT_OF(signs) &&
		(text.len - at < strlen(signs[sign].sign) ||
			memcmp(text.data + at, signs[sign].sign, strlen(signs[sign].sign)) != 0))
		sign++;
	size_t len = at;
	while (len > 0 && text.data[len - 1] == ' ')
		len--;
	if (sign == COUNT_OF(signs) || len == 0 || len >= sizeof(path))
		return err_set(e, RC_INVALID, NULL,
			"--where wants PATH=VALUE, or != < <= > >= for the =, not '%.*s'",
			(int)(text.len > 200 ? 200 : text.len), (const char *)text.data);
	if (f->condition_count == CONDITIONS_MAX)
		return err_set(
			e, RC_INVALID, NULL, "--where has more than %d conditions", CONDITIONS_MAX);
	struct condition *c = &f->conditions[f->condition_count++];
	memcpy(path, text.data, len);
	path[len] = '\0';
	at += strlen(signs[sign].sign);
	while (at < text.len && text.data[at] == ' ')
		at++;
	*c = (struct condition){ .compare = signs[sign].compare,
		.value = { text.data + at, text.len - at } };
	c->is_integer = is_number(c->value, &c->integer);
	return jpath_add(f->paths, path, &c->slot, e);
}

static enum rc
add_conditions(struct replay_filter *f, const char *where, struct err *e)
{
	enum rc rc = RC_OK;
	while (rc == RC_OK && where != NULL) {
		const char *next = strstr(where, " and ");
		size_t len = next == NULL ? strlen(where) : (size_t)(next - where);
		size_t blank = strspn(where, " ");
		blank = blank < len ? blank : len;
		rc = add_condition(
			f, (struct bytes){ (const unsigned char *)where + blank, len - blank }, e);
		where = next == NULL ? NULL : next + 5;
	}
	return rc;
}

static enum rc
add_paths(struct replay_filter *f, const char *const *paths, size_t count, size_t *slots,
	struct err *e)
{
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		rc = jpath_add(f->paths, paths[i], &slots[i], e);
	return rc;
}

enum rc
replay_filter_new(struct replay_filter **out, const struct replay_select *select, struct err *e)
{
	struct replay_filter *f = base_zalloc(sizeof(*f));
	f->select = select;
	f->paths = jpath_set_new();
	enum rc rc = check_list(select->sources, "source", e);
	if (rc == RC_OK)
		rc = check_list(select->providers, "provider", e);
	if (rc == RC_OK)
		rc = check_list(select->events, "event", e);
	if (rc == RC_OK)
		rc = check_list(select->actions, "action", e);
	if (rc == RC_OK)
		rc = check_list(select->senders, "sender", e);
	if (rc == RC_OK)
		rc = check_origins(select->origins, e);
	if (rc == RC_OK && select->repository != NULL)
		rc = check_repository(f, select->repository, e);
	if (rc == RC_OK)
		rc = add_paths(f, action_names, COUNT_OF(action_names), f->actions, e);
	if (rc == RC_OK && select->repository != NULL)
		rc = add_paths(
			f, repository_names, COUNT_OF(repository_names), f->repository_names, e);
	if (rc == RC_OK && select->repository != NULL)
		rc = add_paths(f, repository_ids, COUNT_OF(repository_ids), f->repository_ids, e);
	if (rc == RC_OK && select->senders != NULL)
		rc = add_paths(f, sender_names, COUNT_OF(sender_names), f->sender_names, e);
	if (rc == RC_OK && select->senders != NULL)
		rc = add_paths(f, sender_ids, COUNT_OF(sender_ids), f->sender_ids, e);
	if (rc == RC_OK)
		rc = add_conditions(f, select->where, e);
	if (rc != RC_OK) {
		replay_filter_free(f);
		return rc;
	}
	f->needs_payload = select->repository != NULL || select->actions != NULL ||
			   select->senders != NULL || f->condition_count > 0;
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

struct store_finder *
replay_filter_finder(const struct replay_filter *f, struct store_reader *r)
{
	const char *list = f->select->sources;
	const char *delivery = f->select->delivery;
	struct bytes *sources = NULL, item;
	size_t count = 0;
	if (list == NULL && delivery == NULL)
		return NULL;
	while (next_item(&list, &item)) {
		sources = base_realloc(sources, (count + 1) * sizeof(*sources));
		sources[count++] = item;
	}
	const struct store_wanted wanted = { .sources = sources,
		.source_count = count,
		.delivery = bytes_str(delivery == NULL ? "" : delivery) };
	struct store_finder *finder = store_finder_open(r, &wanted);
	free(sources);
	return finder;
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

static bool
in_list_nocase(const char *list, struct bytes name)
{
	struct bytes item;
	while (next_item(&list, &item))
		if (item.len == name.len && item.len > 0 &&
			strncasecmp((const char *)item.data, (const char *)name.data, item.len) ==
				0)
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

/* The first of the places that holds a string; empty when none does. */
static struct bytes
first_text(const struct jpath_doc *doc, const size_t *slots, size_t count, struct arena *a)
{
	for (size_t i = 0; i < count; i++) {
		struct jpath_value v = jpath_get(doc, slots[i], 0);
		if (v.type == JPATH_STRING)
			return jpath_text(v, a, NULL);
	}
	return (struct bytes){ NULL, 0 };
}

static bool
first_number(const struct jpath_doc *doc, const size_t *slots, size_t count, int64_t *number)
{
	for (size_t i = 0; i < count; i++)
		if (jpath_int64(jpath_get(doc, slots[i], 0), number))
			return true;
	return false;
}

static bool
same_repository(const struct replay_filter *f, const struct jpath_doc *doc, struct arena *a)
{
	int64_t id;
	if (f->by_id)
		return first_number(doc, f->repository_ids, COUNT_OF(repository_ids), &id) &&
		       id == f->repository_id;
	struct bytes name = first_text(doc, f->repository_names, COUNT_OF(repository_names), a);
	return name.len > 0 && bytes_is_nocase(name, f->select->repository);
}

static bool
wanted_sender(const struct replay_filter *f, const struct jpath_doc *doc, struct arena *a)
{
	const char *list = f->select->senders;
	struct bytes item;
	int64_t id, wanted;
	if (in_list_nocase(list, first_text(doc, f->sender_names, COUNT_OF(sender_names), a)))
		return true;
	if (!first_number(doc, f->sender_ids, COUNT_OF(sender_ids), &id))
		return false;
	while (next_item(&list, &item))
		if (is_number(item, &wanted) && wanted == id)
			return true;
	return false;
}

/* Whole numbers by value, anything else as text. */
static bool
value_matches(const struct condition *c, struct jpath_value v, struct arena *a)
{
	int64_t number;
	int order;
	if (v.type == JPATH_ABSENT)
		return false;
	if (c->is_integer && jpath_int64(v, &number)) {
		order = (number > c->integer) - (number < c->integer);
	} else {
		struct bytes text = v.type == JPATH_STRING ? jpath_text(v, a, NULL) : v.raw;
		size_t len = text.len < c->value.len ? text.len : c->value.len;
		order = len == 0 ? 0 : memcmp(text.data, c->value.data, len);
		if (order == 0)
			order = (text.len > c->value.len) - (text.len < c->value.len);
	}
	switch (c->compare) {
	case EQUAL:
		return order == 0;
	case UNEQUAL:
		return order != 0;
	case LESS:
		return order < 0;
	case LESS_EQUAL:
		return order <= 0;
	case GREATER:
		return order > 0;
	case GREATER_EQUAL:
		return order >= 0;
	}
	return false;
}

static bool
conditions_hold(const struct replay_filter *f, const struct jpath_doc *doc, struct arena *a)
{
	for (size_t i = 0; i < f->condition_count; i++) {
		const struct condition *c = &f->conditions[i];
		size_t rows = jpath_rows(doc, c->slot), row = 0;
		while (row < rows && !value_matches(c, jpath_get(doc, c->slot, row), a))
			row++;
		if (row == rows)
			return false;
	}
	return true;
}

bool
replay_filter_matches(const struct replay_filter *f, const struct event *ev, struct arena *a)
{
	const struct replay_select *s = f->select;
	/* A body that was erased cannot be sent; one without it would be another event. */
	if ((ev->flags & EVENT_FLAG_REDACTED) != 0)
		return false;
	/* First all that needs no look into the payload. */
	if (!in_list(s->sources, ev->source) || !in_list(s->providers, ev->provider))
		return false;
	if (s->delivery != NULL && !bytes_is_nocase(ev->delivery, s->delivery))
		return false;
	if (s->origins != NULL && !in_list(s->origins, bytes_str(event_origin_name(ev->origin))))
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
	if (by_action || s->actions != NULL) {
		struct bytes action = first_text(doc, f->actions, COUNT_OF(action_names), a);
		if (action.data == NULL ||
			(by_action && !action_in_list(s->events, ev->event, action)) ||
			!in_list(s->actions, action))
			return false;
	}
	if (s->repository != NULL && !same_repository(f, doc, a))
		return false;
	if (s->senders != NULL && !wanted_sender(f, doc, a))
		return false;
	return conditions_hold(f, doc, a);
}
