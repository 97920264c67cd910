/* SPDX-License-Identifier: Apache-2.0 */
#include "event/jpath.h"
#include "replay/entity.h"

/* GitHub, Gitea; GitLab; Bitbucket Cloud. Ids, since names change. */
static const char *const places[] = { "repository.id", "project.id", "project_id",
	"repository.uuid" };

struct replay_entities {
	struct jpath_set *paths;
	size_t slots[COUNT_OF(places)];
};

struct replay_entities *
replay_entities_new(void)
{
	struct replay_entities *x = base_zalloc(sizeof(*x));
	x->paths = jpath_set_new();
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		enum rc rc = jpath_add(x->paths, places[i], &x->slots[i], NULL);
		ASSERT(rc == RC_OK);
	}
	return x;
}

void
replay_entities_free(struct replay_entities *x)
{
	if (x == NULL)
		return;
	jpath_set_free(x->paths);
	free(x);
}

/* FNV-1a, 64 bits (draft-eastlake-fnv). */
static uint64_t
mix(uint64_t hash, struct bytes data)
{
	for (size_t i = 0; i < data.len; i++)
		hash = (hash ^ data.data[i]) * UINT64_C(0x100000001b3);
	return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

uint64_t
replay_entity(const struct replay_entities *x, const struct event *ev, struct arena *a)
{
	uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), ev->source);
	struct bytes json;
	struct jpath_doc *doc;
	if (event_payload(ev, a, &json, NULL) != RC_OK ||
		jpath_walk(x->paths, json, a, &doc, NULL) != RC_OK)
		return hash;
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		struct jpath_value v = jpath_get(doc, x->slots[i], 0);
		if (v.type == JPATH_NUMBER || v.type == JPATH_STRING)
			return mix(hash, v.raw);
	}
	return hash;
}
