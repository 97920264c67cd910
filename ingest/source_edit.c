/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "ingest/source_edit.h"

#define SOURCE_ID "ingest.source"

static enum rc
find(const char *dir, const char *name, struct sources **sources, const struct source **source,
	struct err *e)
{
	enum rc rc = sources_look(sources, dir, e);
	if (rc != RC_OK)
		return rc;
	*source = sources_find(*sources, bytes_str(name));
	if (*source == NULL)
		rc = err_set(e, RC_NOTFOUND, NULL,
			"there is no source %s in %s; `hooklog source list` shows them", name, dir);
	return rc;
}

/* The next line of text with its newline; false at the end. */
static bool
next_line(struct bytes *text, struct bytes *line)
{
	if (text->len == 0)
		return false;
	const unsigned char *end = memchr(text->data, '\n', text->len);
	line->data = text->data;
	line->len = end == NULL ? text->len : (size_t)(end - text->data) + 1;
	text->data += line->len;
	text->len -= line->len;
	return true;
}

/* Whether the line is "key = ...". */
static bool
is_key(struct bytes line, const char *key)
{
	size_t at = 0, len = strlen(key);
	while (at < line.len && (line.data[at] == ' ' || line.data[at] == '\t'))
		at++;
	if (line.len - at < len || memcmp(line.data + at, key, len) != 0)
		return false;
	at += len;
	while (at < line.len && (line.data[at] == ' ' || line.data[at] == '\t'))
		at++;
	return at < line.len && (line.data[at] == '=' || line.data[at] == ':');
}

static bool
is_secret_line(struct bytes line)
{
	return is_key(line, "secret_file") || is_key(line, "secret_credential");
}

static void
put_line(struct buf *out, struct bytes line)
{
	buf_put_bytes(out, line);
	if (line.len > 0 && line.data[line.len - 1] != '\n')
		buf_put_char(out, '\n');
}

static bool
is_kept(const struct source_secret *secret, const struct source_rotation *r)
{
	return r->keep_us > 0 && secret->not_after_us > r->now_us;
}

static int64_t
new_end_us(const struct source_secret *secret, const struct source_rotation *r)
{
	int64_t end_us = r->now_us + r->keep_us;
	if (end_us <= secret->not_before_us)
		return secret->not_after_us;
	return secret->not_after_us < end_us ? secret->not_after_us : end_us;
}

/* The text of the .conf with the new secret first and an end for each of the others. */
static void
rewrite(struct buf *out, struct bytes text, const struct source *source, const char *file,
	const struct source_rotation *r)
{
	struct bytes line;
	size_t index = 0;
	bool dropping = false, in_secret = false;
	while (next_line(&text, &line)) {
		if (is_secret_line(line)) {
			const struct source_secret *secret = &source->secrets[index];
			if (index++ == 0)
				buf_printf(out, "secret_file = %s\n", file);
			in_secret = true;
			dropping = !is_kept(secret, r);
			if (dropping)
				continue;
			put_line(out, line);
			int64_t end_us = new_end_us(secret, r);
			if (end_us == INT64_MAX)
				continue;
			char end[CLOCK_TEXT_BYTES];
			clock_format_us(end_us, end);
			buf_printf(out, "secret_not_after = %s\n", end);
			continue;
		}
		bool end_line = is_key(line, "secret_not_after");
		if (in_secret && (end_line || (dropping && is_key(line, "secret_not_before"))))
			continue;
		put_line(out, line);
	}
}

/* A name in dir that is not taken. */
static enum rc
free_name(const char *dir, const char *name, struct arena *a, const char **file, struct err *e)
{
	for (unsigned i = 1; i <= 2 * SOURCE_SECRETS_MAX; i++) {
		*file = i == 1 ? arena_printf(a, "%s.secret", name)
			       : arena_printf(a, "%s.%u.secret", name, i);
		if (!fs_exists(arena_printf(a, "%s/%s", dir, *file)))
			return RC_OK;
	}
	return err_set(e, RC_CONFLICT, SOURCE_ID,
		"%s holds %d files %s.*.secret already; remove those that no source names", dir,
		2 * SOURCE_SECRETS_MAX, name);
}

/* Whether file lies in the folder itself and only one secret of all sources is read from it. */
static bool
is_own_file(const struct sources *sources, const struct source_secret *secret)
{
	size_t uses = 0;
	if (secret->credential || strchr(secret->file, '/') != NULL)
		return false;
	for (size_t i = 0; i < sources_count(sources); i++) {
		const struct source *source = sources_at(sources, i);
		for (size_t k = 0; k < source->secret_count; k++)
			uses += strcmp(source->secrets[k].file, secret->file) == 0;
	}
	return uses == 1;
}

enum rc
source_rotate(const char *dir, const char *name, const struct source_rotation *r, struct arena *a,
	const char **secret_path, struct err *e)
{
	struct sources *sources = NULL;
	const struct source *source = NULL;
	struct buf text = buf_new(LIMIT_CONFIG_FILE_BYTES);
	struct buf secret_text = buf_new(LIMIT_SECRET_BYTES);
	struct bytes before;
	const char *conf = arena_printf(a, "%s/%s.conf", dir, name), *file = NULL;
	size_t kept = 0;
	enum rc rc = find(dir, name, &sources, &source, e);
	if (rc != RC_OK)
		goto done;
	if (source->allow_unsigned) {
		rc = err_set(e, RC_INVALID, SOURCE_ID,
			"%s: the source is unsigned and has no secret to rotate", conf);
		goto done;
	}
	for (size_t i = 0; i < source->secret_count; i++)
		kept += is_kept(&source->secrets[i], r);
	if (kept == SOURCE_SECRETS_MAX) {
		rc = err_set(e, RC_INVALID, SOURCE_ID,
			"%s: %d secrets are still valid; wait until one ends, or use --keep 0",
			conf, SOURCE_SECRETS_MAX);
		goto done;
	}
	rc = source_choose_secret(source, r->secret, &secret_text, e);
	if (rc == RC_OK)
		rc = fs_read(conf, LIMIT_CONFIG_FILE_BYTES, a, &before, e);
	if (rc == RC_OK)
		rc = free_name(dir, name, a, &file, e);
	if (rc != RC_OK)
		goto done;
	*secret_path = arena_printf(a, "%s/%s", dir, file);
	rc = source_write_secret(*secret_path, buf_bytes(&secret_text), e);
	if (rc != RC_OK)
		goto done;
	rewrite(&text, before, source, file, r);
	rc = fs_write(conf, buf_bytes(&text), 0600, e);
	for (size_t i = 0; rc == RC_OK && i < source->secret_count; i++) {
		const struct source_secret *secret = &source->secrets[i];
		if (!is_kept(secret, r) && is_own_file(sources, secret))
			unlink(arena_printf(a, "%s/%s", dir, secret->file));
	}
done:
	if (secret_text.data != NULL)
		crypto_wipe(secret_text.data, secret_text.len);
	buf_free(&secret_text);
	buf_free(&text);
	sources_release(sources);
	return rc;
}

enum rc
source_set_disabled(const char *dir, const char *name, bool disabled, struct arena *a,
	bool *changed, struct err *e)
{
	struct sources *sources = NULL;
	const struct source *source = NULL;
	struct buf text = buf_new(LIMIT_CONFIG_FILE_BYTES);
	struct bytes before, line;
	const char *conf = arena_printf(a, "%s/%s.conf", dir, name);
	enum rc rc = find(dir, name, &sources, &source, e);
	if (rc != RC_OK)
		goto done;
	*changed = source->disabled != disabled;
	if (!*changed)
		goto done;
	rc = fs_read(conf, LIMIT_CONFIG_FILE_BYTES, a, &before, e);
	if (rc != RC_OK)
		goto done;
	while (next_line(&before, &line)) {
		if (!is_key(line, "disabled"))
			put_line(&text, line);
	}
	if (disabled)
		buf_put_str(&text, "disabled = true\n");
	rc = fs_write(conf, buf_bytes(&text), 0600, e);
done:
	buf_free(&text);
	sources_release(sources);
	return rc;
}

enum rc
source_files(const char *dir, const char *name, struct arena *a, const char ***files, size_t *count,
	struct err *e)
{
	struct sources *sources = NULL;
	const struct source *source = NULL;
	*files = arena_alloc(a, (SOURCE_SECRETS_MAX + 1) * sizeof **files);
	*count = 0;
	enum rc rc = find(dir, name, &sources, &source, e);
	if (rc == RC_OK) {
		(*files)[(*count)++] = arena_printf(a, "%s/%s.conf", dir, name);
		for (size_t i = 0; i < source->secret_count; i++) {
			if (is_own_file(sources, &source->secrets[i]))
				(*files)[(*count)++] =
					arena_printf(a, "%s/%s", dir, source->secrets[i].file);
		}
	}
	sources_release(sources);
	return rc;
}

enum rc
source_remove(const char *dir, const char *name, struct arena *a, struct err *e)
{
	const char **files = NULL;
	size_t count = 0;
	enum rc rc = source_files(dir, name, a, &files, &count, e);
	/* The .conf is the first: without it nobody looks for the secrets. */
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		if (unlink(files[i]) != 0 && errno != ENOENT)
			rc = err_sys(e, RC_IO, SOURCE_ID, errno, "cannot remove %s", files[i]);
	}
	return rc == RC_OK ? fs_sync_dir(dir, e) : rc;
}
