/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/cfg.h"
#include "base/clock.h"
#include "base/limits.h"
#include "ingest/guard.h"
#include "ingest/source_state.h"

#define SOURCE_ID "ingest.source"
/* More sources than this in one folder is a mistake; each lookup walks the sorted list by halves.
 */
#define SOURCES_MAX 4096

struct sources {
	atomic_size_t references;
	struct arena *arena;
	struct source *list;
	size_t count;
};

/* What a .conf may say besides its provider and its secrets. */
#define ROW(key, t, m) .name = key, .type = t, .offset = offsetof(struct source, m)
static const struct cfg_key source_keys[] = {
	{ ROW("allow_unsigned", CFG_BOOL, allow_unsigned), .fallback = "false" },
	{ ROW("disabled", CFG_BOOL, disabled), .fallback = "false" },
	{ ROW("trust_replays", CFG_BOOL, trust_replays), .fallback = "false" },
	{ ROW("body_bytes_max", CFG_U64, body_bytes_max), .fallback = "0",
		.max = LIMIT_FORM_BODY_BYTES },
	{ ROW("requests_per_second_max", CFG_U64, requests_per_second_max), .fallback = "0",
		.max = 1000000 },
	{ ROW("in_flight_bytes_max", CFG_U64, in_flight_bytes_max), .fallback = "0",
		.max = (uint64_t)1 << 40 },
	{ ROW("silence_after_s", CFG_U64, silence_after_s), .fallback = "0",
		.max = (uint64_t)366 * 86400 },
};

struct loading {
	struct sources *sources;
	struct source *source;
	const char *dir;
	bool provider_given, lenient;
	struct source_pairs pairs;
	struct cfg_table table;
	enum cfg_origin origins[COUNT_OF(source_keys)];
};

static enum rc
add_secret(struct loading *l, const char *file, bool credential, struct err *e)
{
	struct source *source = l->source;
	const char *key = credential ? "secret_credential" : "secret_file";
	if (source->secret_count == SOURCE_SECRETS_MAX)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"%s: at most %d per source; remove the retired ones", key,
			SOURCE_SECRETS_MAX);
	unsigned char *value = arena_alloc(l->sources->arena, LIMIT_SECRET_BYTES);
	struct source_secret *secret = &source->secrets[source->secret_count];
	size_t len = 0;
	const char *path = credential || file[0] == '/'
				   ? file
				   : arena_printf(l->sources->arena, "%s/%s", l->dir, file);
	bool unseen = credential && l->lenient && getenv("CREDENTIALS_DIRECTORY") == NULL;
	enum rc rc = RC_OK;
	if (!unseen)
		rc = credential ? source_read_credential(path, value, &len, e)
				: source_read_secret(path, value, &len, e);
	if (rc != RC_OK) {
		err_wrap(e, "%s", key);
		/* A .conf that names a missing file is wrong, not missing. */
		return rc == RC_NOTFOUND && e != NULL ? (e->rc = RC_INVALID) : rc;
	}
	*secret = (struct source_secret){ .value = { value, len },
		.file = arena_string(l->sources->arena, bytes_str(file)),
		.credential = credential,
		.not_before_us = INT64_MIN,
		.not_after_us = INT64_MAX };
	if (!unseen)
		source_key_id(secret->value, secret->key_id);
	source->secret_count++;
	return RC_OK;
}

/* Limits the secret named last. */
static enum rc
limit_secret(struct loading *l, const char *name, const char *value, struct err *e)
{
	struct source *source = l->source;
	int64_t at_us = 0;
	if (source->secret_count == 0)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"%s: belongs behind the secret_file it limits", name);
	if (!clock_parse_us(bytes_str(value), &at_us))
		return err_set(e, RC_INVALID, SOURCE_ID,
			"%s: \"%s\" is no time; write it as 2026-03-01T12:00:00Z", name, value);
	struct source_secret *secret = &source->secrets[source->secret_count - 1];
	int64_t *limit = strcmp(name, "secret_not_before") == 0 ? &secret->not_before_us
								: &secret->not_after_us;
	if (*limit != INT64_MIN && *limit != INT64_MAX)
		return err_set(e, RC_INVALID, SOURCE_ID, "%s: given twice", name);
	*limit = at_us;
	if (secret->not_before_us >= secret->not_after_us)
		return err_set(
			e, RC_INVALID, SOURCE_ID, "%s: the secret would never be valid", name);
	return RC_OK;
}

static enum rc
set_provider(struct loading *l, const char *value, struct err *e)
{
	if (l->provider_given)
		return err_set(e, RC_INVALID, SOURCE_ID, "provider: given twice");
	l->provider_given = true;
	l->source->provider = provider_find(bytes_str(value));
	if (l->source->provider != NULL)
		return RC_OK;
	struct buf names = buf_new(1024);
	provider_put_names(&names);
	err_set(e, RC_INVALID, SOURCE_ID, "provider: \"%s\" is not one of: %s", value,
		buf_cstr(&names));
	buf_free(&names);
	return RC_INVALID;
}

static enum rc
on_pair(const char *section, const char *name, const char *value, void *context, struct err *e)
{
	struct loading *l = context;
	if (section[0] != '\0')
		return err_set(e, RC_INVALID, SOURCE_ID, "[%s]: a source has no sections", section);
	if (strcmp(name, "secret_file") == 0)
		return add_secret(l, value, false, e);
	if (strcmp(name, "secret_credential") == 0)
		return add_secret(l, value, true, e);
	if (strcmp(name, "secret_not_before") == 0 || strcmp(name, "secret_not_after") == 0)
		return limit_secret(l, name, value, e);
	if (strcmp(name, "provider") == 0)
		return set_provider(l, value, e);
	for (size_t i = 0; i < COUNT_OF(source_keys); i++) {
		if (strcmp(name, source_keys[i].name) != 0)
			continue;
		if (l->origins[i] != CFG_DEFAULT)
			return err_set(e, RC_INVALID, SOURCE_ID, "%s: given twice", name);
		return cfg_set(&l->table, name, value, CFG_FILE, l->sources->arena, e);
	}
	return source_pairs_add(&l->pairs, name, value, l->sources->arena, e);
}

static enum rc
load_one(struct sources *s, struct source *source, const char *dir, bool lenient, struct err *e)
{
	struct loading l = { .sources = s, .source = source, .dir = dir, .lenient = lenient };
	l.table = (struct cfg_table){ .keys = source_keys,
		.count = COUNT_OF(source_keys),
		.values = source,
		.origins = l.origins };
	cfg_defaults(&l.table, s->arena);
	const char *path = arena_printf(s->arena, "%s/%s.conf", dir, source->name);
	enum rc rc = cfg_pairs(path, on_pair, &l, e);
	if (rc != RC_OK) {
		if (e != NULL)
			e->id = SOURCE_ID;
		return rc;
	}
	if (source->provider == NULL)
		return err_set(e, RC_INVALID, SOURCE_ID, "%s: provider is missing", path);
	rc = source_set_up(source, &l.pairs, s->arena, e);
	if (rc != RC_OK)
		return err_wrap(e, "%s", path);
	if (source->secret_count == 0 && !source->allow_unsigned)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"%s: secret_file is missing; anybody could write to this source. Name a "
			"file, or set allow_unsigned = true if that is wanted",
			path);
	if (source->secret_count > 0 && source->allow_unsigned)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"%s: allow_unsigned = true and secret_file exclude each other", path);
	if (source->trust_replays && source->allow_unsigned)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"%s: trust_replays = true needs a secret: it would trust anybody", path);
	return RC_OK;
}

/* The name in "<name>.conf", or a run with data NULL for any other file. */
static struct bytes
conf_name(const char *file)
{
	size_t len = strlen(file), suffix = strlen(".conf");
	if (file[0] == '.' || len <= suffix || strcmp(file + len - suffix, ".conf") != 0)
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ (const unsigned char *)file, len - suffix };
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct source *)a)->name, ((const struct source *)b)->name);
}

static enum rc
list_names(struct sources *s, DIR *folder, const char *dir, struct err *e)
{
	size_t cap = 0;
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		struct bytes name = conf_name(entry->d_name);
		if (name.data == NULL)
			continue;
		if (!guard_is_source_name(name))
			return err_set(e, RC_INVALID, SOURCE_ID,
				"%s/%s: a source's name is 1 to %d of a-z 0-9 _ -, the first a "
				"letter or digit",
				dir, entry->d_name, LIMIT_SOURCE_NAME_BYTES);
		if (s->count == SOURCES_MAX)
			return err_set(e, RC_INVALID, SOURCE_ID, "%s holds more than %d sources",
				dir, SOURCES_MAX);
		if (s->count == cap) {
			cap = cap == 0 ? 8 : cap * 2;
			s->list = base_realloc(s->list, cap * sizeof *s->list);
		}
		memset(&s->list[s->count], 0, sizeof *s->list);
		s->list[s->count].state = source_state_new();
		s->list[s->count++].name = arena_string(s->arena, name);
	}
	if (s->count > 0)
		qsort(s->list, s->count, sizeof *s->list, by_name);
	return RC_OK;
}

static enum rc
load(struct sources **out, const char *dir, bool lenient, struct err *e)
{
	enum rc rc = RC_OK;
	struct sources *s = base_zalloc(sizeof *s);
	s->arena = arena_new(4096);
	atomic_init(&s->references, 1);
	DIR *folder = opendir(dir);
	if (folder == NULL && errno != ENOENT) {
		rc = err_sys(e, RC_IO, SOURCE_ID, errno, "cannot read the sources in %s", dir);
		goto done;
	}
	if (folder != NULL)
		rc = list_names(s, folder, dir, e);
	for (size_t i = 0; rc == RC_OK && i < s->count; i++)
		rc = load_one(s, &s->list[i], dir, lenient, e);
done:
	if (folder != NULL)
		closedir(folder);
	if (rc == RC_OK)
		*out = s;
	else
		sources_release(s);
	return rc;
}

enum rc
sources_load(struct sources **s, const char *dir, struct err *e)
{
	return load(s, dir, false, e);
}

enum rc
sources_look(struct sources **s, const char *dir, struct err *e)
{
	return load(s, dir, true, e);
}

void
sources_adopt(struct sources *fresh, const struct sources *old)
{
	for (size_t i = 0; i < fresh->count; i++) {
		const struct source *before = sources_find(old, bytes_str(fresh->list[i].name));
		if (before == NULL)
			continue;
		source_state_release(fresh->list[i].state);
		fresh->list[i].state = source_state_retain(before->state);
	}
}

struct sources *
sources_retain(struct sources *s)
{
	atomic_fetch_add(&s->references, 1);
	return s;
}

void
sources_release(struct sources *s)
{
	if (s == NULL || atomic_fetch_sub(&s->references, 1) > 1)
		return;
	for (size_t i = 0; i < s->count; i++) {
		source_state_release(s->list[i].state);
		source_tear_down(&s->list[i]);
		for (size_t k = 0; k < s->list[i].secret_count; k++) {
			struct bytes secret = s->list[i].secrets[k].value;
			crypto_wipe((void *)(uintptr_t)secret.data, secret.len);
		}
	}
	free(s->list);
	arena_free(s->arena);
	free(s);
}

const struct source *
sources_find(const struct sources *s, struct bytes name)
{
	size_t low = 0, high = s->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct bytes at = bytes_str(s->list[middle].name);
		size_t shorter = at.len < name.len ? at.len : name.len;
		int order = memcmp(at.data, name.data, shorter);
		if (order == 0 && at.len == name.len)
			return &s->list[middle];
		if (order < 0 || (order == 0 && at.len < name.len))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

size_t
sources_count(const struct sources *s)
{
	return s->count;
}

const struct source *
sources_at(const struct sources *s, size_t index)
{
	ASSERT(index < s->count);
	return &s->list[index];
}

uint64_t
sources_stamp(const char *dir)
{
	uint64_t stamp = 0;
	DIR *folder = opendir(dir);
	if (folder == NULL)
		return 0;
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		struct stat st;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(folder), entry->d_name, &st, 0) != 0)
			continue;
		/* FNV-1a over what tells two states of a file apart; added up, since the order of a
		 * folder means nothing. */
		uint64_t parts[] = { st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
			(uint64_t)st.st_mtim.tv_nsec, (uint64_t)st.st_ctim.tv_nsec, st.st_mode };
		const unsigned char *bytes = (const unsigned char *)parts;
		uint64_t hash = 14695981039346656037u;
		for (size_t i = 0; i < sizeof parts; i++)
			hash = (hash ^ bytes[i]) * 1099511628211u;
		stamp += hash;
	}
	closedir(folder);
	return stamp == 0 ? 1 : stamp;
}
