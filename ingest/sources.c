/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cfg.h"
#include "base/fs.h"
#include "base/limits.h"
#include "ingest/guard.h"
#include "ingest/sources.h"

#define SOURCE_ID "ingest.source"
/* White space around a secret that is read before it is trimmed. */
#define SECRET_FILE_SLACK 64
/* More sources than this in one folder is a mistake; each lookup walks the sorted list by halves.
 */
#define SOURCES_MAX 4096

struct sources {
	atomic_size_t references;
	struct arena *arena;
	struct source *list;
	size_t count;
};

void
source_key_id(struct bytes secret, char out[SOURCE_KEY_ID_BYTES + 1])
{
	/* The prefix keeps the id useless as a step towards any other hash of the secret. */
	const struct bytes parts[] = { bytes_str("hooklog key id"), secret };
	unsigned char hash[SHA256_BYTES];
	crypto_sha256_parts(parts, COUNT_OF(parts), hash);
	snprintf(out, SOURCE_KEY_ID_BYTES + 1, "%02x%02x%02x%02x", hash[0], hash[1], hash[2],
		hash[3]);
}

static bool
is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum rc
check_secret(struct bytes secret, const char *where, struct err *e)
{
	if (secret.len < LIMIT_SECRET_BYTES_MIN)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"%s: the secret has %zu bytes, which can be guessed; use at least %d, such "
			"as the "
			"output of: openssl rand -hex 32",
			where, secret.len, LIMIT_SECRET_BYTES_MIN);
	if (secret.len > LIMIT_SECRET_BYTES)
		return err_set(e, RC_INVALID, SOURCE_ID, "%s: the secret is longer than %d bytes",
			where, LIMIT_SECRET_BYTES);
	return RC_OK;
}

static enum rc
read_file(int fd, const char *path, unsigned char *data, size_t cap, size_t *len, struct err *e)
{
	*len = 0;
	while (*len < cap) {
		ssize_t n = read(fd, data + *len, cap - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, RC_IO, SOURCE_ID, errno, "read %s", path);
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return RC_OK;
}

enum rc
source_read_secret(const char *path, unsigned char *out, size_t *len, struct err *e)
{
	/* Not fs_read: its memory is not wiped. */
	unsigned char raw[LIMIT_SECRET_BYTES + SECRET_FILE_SLACK];
	size_t have = 0, start = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, errno == ENOENT ? RC_NOTFOUND : RC_IO, SOURCE_ID, errno,
			"cannot open the secret file %s", path);
	enum rc rc = RC_OK;
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		rc = err_set(e, RC_INVALID, SOURCE_ID, "%s is not a regular file", path);
		goto done;
	}
	if ((st.st_mode & 077) != 0) {
		rc = err_set(e, RC_INVALID, SOURCE_ID,
			"%s can be read by others (mode %03o); run: chmod 600 %s", path,
			(unsigned)st.st_mode & 0777u, path);
		goto done;
	}
	rc = read_file(fd, path, raw, sizeof raw, &have, e);
	if (rc != RC_OK)
		goto done;
	while (have > 0 && is_space(raw[have - 1]))
		have--;
	while (start < have && is_space(raw[start]))
		start++;
	rc = check_secret((struct bytes){ raw + start, have - start }, path, e);
	if (rc != RC_OK)
		goto done;
	*len = have - start;
	memcpy(out, raw + start, *len);
done:
	crypto_wipe(raw, sizeof raw);
	close(fd);
	return rc;
}

struct loading {
	struct sources *sources;
	struct source *source;
	const char *dir;
	bool provider_given, allow_given;
};

static enum rc
add_secret(struct loading *l, const char *file, struct err *e)
{
	struct source *source = l->source;
	if (source->secret_count == SOURCE_SECRETS_MAX)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"secret_file: at most %d per source; remove the retired ones",
			SOURCE_SECRETS_MAX);
	const char *path =
		file[0] == '/' ? file : arena_printf(l->sources->arena, "%s/%s", l->dir, file);
	unsigned char *value = arena_alloc(l->sources->arena, LIMIT_SECRET_BYTES);
	struct source_secret *secret = &source->secrets[source->secret_count];
	size_t len = 0;
	enum rc rc = source_read_secret(path, value, &len, e);
	if (rc != RC_OK) {
		err_wrap(e, "secret_file");
		/* A .conf that names a missing file is wrong, not missing. */
		return rc == RC_NOTFOUND && e != NULL ? (e->rc = RC_INVALID) : rc;
	}
	secret->value = (struct bytes){ value, len };
	secret->file = arena_string(l->sources->arena, bytes_str(file));
	source_key_id(secret->value, secret->key_id);
	source->secret_count++;
	return RC_OK;
}

static enum rc
on_pair(const char *section, const char *name, const char *value, void *context, struct err *e)
{
	struct loading *l = context;
	if (section[0] != '\0')
		return err_set(e, RC_INVALID, SOURCE_ID, "[%s]: a source has no sections", section);
	if (strcmp(name, "secret_file") == 0)
		return add_secret(l, value, e);
	if (strcmp(name, "provider") == 0 && !l->provider_given) {
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
	if (strcmp(name, "allow_unsigned") == 0 && !l->allow_given) {
		l->allow_given = true;
		l->source->allow_unsigned = strcmp(value, "true") == 0;
		if (!l->source->allow_unsigned && strcmp(value, "false") != 0)
			return err_set(e, RC_INVALID, SOURCE_ID,
				"allow_unsigned: true or false, not \"%s\"", value);
		return RC_OK;
	}
	if (l->provider_given && strcmp(name, "provider") == 0)
		return err_set(e, RC_INVALID, SOURCE_ID, "provider: given twice");
	if (l->allow_given && strcmp(name, "allow_unsigned") == 0)
		return err_set(e, RC_INVALID, SOURCE_ID, "allow_unsigned: given twice");
	return err_set(e, RC_INVALID, SOURCE_ID,
		"%s: unknown key; a source has provider, secret_file, allow_unsigned", name);
}

static enum rc
load_one(struct sources *s, struct source *source, const char *dir, struct err *e)
{
	struct loading l = { .sources = s, .source = source, .dir = dir };
	const char *path = arena_printf(s->arena, "%s/%s.conf", dir, source->name);
	enum rc rc = cfg_pairs(path, on_pair, &l, e);
	if (rc != RC_OK) {
		if (e != NULL)
			e->id = SOURCE_ID;
		return rc;
	}
	if (source->provider == NULL)
		return err_set(e, RC_INVALID, SOURCE_ID, "%s: provider is missing", path);
	if (source->secret_count == 0 && !source->allow_unsigned)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"%s: secret_file is missing; anybody could write to this source. Name a "
			"file, or set "
			"allow_unsigned = true if that is wanted",
			path);
	if (source->secret_count > 0 && source->allow_unsigned)
		return err_set(e, RC_INVALID, SOURCE_ID,
			"%s: allow_unsigned = true and secret_file exclude each other", path);
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
		s->list[s->count++].name = arena_string(s->arena, name);
	}
	if (s->count > 0)
		qsort(s->list, s->count, sizeof *s->list, by_name);
	return RC_OK;
}

enum rc
sources_load(struct sources **out, const char *dir, struct err *e)
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
		rc = load_one(s, &s->list[i], dir, e);
done:
	if (folder != NULL)
		closedir(folder);
	if (rc == RC_OK)
		*out = s;
	else
		sources_release(s);
	return rc;
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
