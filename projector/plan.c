/* SPDX-License-Identifier: Apache-2.0 */
#include "projector/plan.h"

static int
compare_bytes(struct bytes left, struct bytes right)
{
	size_t len = left.len < right.len ? left.len : right.len;
	int order = len == 0 ? 0 : memcmp(left.data, right.data, len);
	if (order != 0)
		return order;
	return left.len < right.len ? -1 : left.len > right.len;
}

static int
compare_names(const struct plan_entry *one, struct bytes provider, struct bytes event)
{
	int order = compare_bytes(one->provider, provider);
	return order != 0 ? order : compare_bytes(one->event, event);
}

static int
compare_entries(const void *left, const void *right)
{
	const struct plan_entry *other = right;
	return compare_names(left, other->provider, other->event);
}

static bool
takes_event(const struct rows_line *r, struct bytes event)
{
	for (size_t i = 0; i < r->event_count; i++) {
		if (bytes_is(event, r->events[i]))
			return true;
	}
	return r->event_count == 0;
}

/* Finds the lines of an entry, whose names are set. False: they are those of the provider's other events. */
static bool
fill(struct plan_entry *entry, const struct definition *definitions, size_t count, struct plan_line *room,
	struct arena *a)
{
	bool named = entry->event.len == 0;
	for (size_t i = 0; i < count; i++) {
		const struct definition *d = &definitions[i];
		bool own = bytes_is(entry->provider, d->provider);
		entry->own_tables = entry->own_tables || own;
		for (size_t r = 0; (own || strcmp(d->provider, "*") == 0) && r < d->rows_count; r++) {
			if (!takes_event(&d->rows[r], entry->event))
				continue;
			named = named || d->rows[r].event_count > 0;
			room[entry->count++] = (struct plan_line){ i, &d->rows[r] };
		}
	}
	if (named && entry->count > 0) {
		struct plan_line *lines = arena_alloc(a, entry->count * sizeof *lines);
		memcpy(lines, room, entry->count * sizeof *lines);
		entry->lines = lines;
	}
	return named;
}

/* The names that definitions have, each one once and the empty name for all others. */
static size_t
distinct(struct bytes *names, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		size_t k = 0;
		while (k < kept && compare_bytes(names[k], names[i]) != 0)
			k++;
		if (k == kept)
			names[kept++] = names[i];
	}
	return kept;
}

void
plan_make(struct plan *p, const struct definition *definitions, size_t count, struct arena *a)
{
	size_t lines = 0, event_room = 1, provider_count = 1, event_count = 1;
	for (size_t i = 0; i < count; i++) {
		lines += definitions[i].rows_count;
		for (size_t r = 0; r < definitions[i].rows_count; r++)
			event_room += definitions[i].rows[r].event_count;
	}
	struct bytes *providers = base_zalloc((count + 1) * sizeof *providers);
	struct bytes *events = base_zalloc(event_room * sizeof *events);
	struct plan_line *room = base_alloc((lines + 1) * sizeof *room);
	for (size_t i = 0; i < count; i++) {
		providers[provider_count++] = bytes_str(definitions[i].provider);
		for (size_t r = 0; r < definitions[i].rows_count; r++) {
			for (size_t k = 0; k < definitions[i].rows[r].event_count; k++)
				events[event_count++] = bytes_str(definitions[i].rows[r].events[k]);
		}
	}
	provider_count = distinct(providers, provider_count);
	event_count = distinct(events, event_count);
	struct plan_entry *entries = arena_alloc(a, provider_count * event_count * sizeof *entries);
	p->entries = entries;
	p->count = 0;
	for (size_t i = 0; i < provider_count; i++) {
		for (size_t k = 0; k < event_count; k++) {
			entries[p->count] = (struct plan_entry){ .provider = providers[i], .event = events[k] };
			p->count += fill(&entries[p->count], definitions, count, room, a);
		}
	}
	qsort(entries, p->count, sizeof *entries, compare_entries);
	free(providers);
	free(events);
	free(room);
}

static const struct plan_entry *
look_up(const struct plan *p, struct bytes provider, struct bytes event)
{
	for (size_t low = 0, end = p->count; low < end;) {
		size_t middle = low + (end - low) / 2;
		int order = compare_names(&p->entries[middle], provider, event);
		if (order == 0)
			return &p->entries[middle];
		if (order < 0)
			low = middle + 1;
		else
			end = middle;
	}
	return NULL;
}

const struct plan_entry *
plan_find(const struct plan *p, struct bytes provider, struct bytes event)
{
	static const struct bytes other = { NULL, 0 };
	const struct plan_entry *found = look_up(p, provider, event);
	if (found == NULL)
		found = look_up(p, provider, other);
	if (found == NULL)
		found = look_up(p, other, event);
	if (found == NULL)
		found = look_up(p, other, other);
	ASSERT(found != NULL);
	return found;
}
