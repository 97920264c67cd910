/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "event/jpath.h"
#include "replay/token.h"

#define PREFIX "hlt_"
#define ID_RANDOM_BYTES 4
#define SECRET_RANDOM_BYTES 32

static const struct {
	const char *name;
	enum token_scope scope;
} scope_names[] = { { "read", TOKEN_READ }, { "ack", TOKEN_ACK }, { "seek", TOKEN_SEEK } };

enum rc
token_scopes_parse(const char *text, unsigned *scopes, struct err *e)
{
	*scopes = 0;
	for (const char *at = text;;) {
		size_t len = strcspn(at, ","), i = 0;
		while (i < COUNT_OF(scope_names) &&
			!(strlen(scope_names[i].name) == len &&
				memcmp(scope_names[i].name, at, len) == 0))
			i++;
		if (i == COUNT_OF(scope_names))
			return err_set(e, RC_INVALID, NULL,
				"scopes are read, ack and seek, with commas between them, not "
				"'%.100s'",
				text);
		*scopes |= scope_names[i].scope;
		if (at[len] == '\0')
			return RC_OK;
		at += len + 1;
	}
}

void
token_scopes_put(char out[24], unsigned scopes)
{
	size_t len = 0;
	out[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(scope_names); i++)
		if ((scopes & scope_names[i].scope) != 0)
			len += (size_t)snprintf(out + len, 24 - len, "%s%s", len == 0 ? "" : ",",
				scope_names[i].name);
}

static const char *
file(const char *dir, struct arena *a)
{
	return arena_printf(a, "%s/tokens.ndjson", dir);
}

enum { ID, SUBSCRIPTION, SCOPES, MADE, EXPIRES, HASH, KEYS };

static bool
read_text(const struct jpath_doc *doc, const size_t *slots, int key, struct arena *a,
	struct bytes *out)
{
	struct jpath_value v = jpath_get(doc, slots[key], 0);
	if (v.type != JPATH_STRING)
		return false;
	*out = jpath_text(v, a, NULL);
	return true;
}

static bool
read_line(const struct jpath_set *set, const size_t *slots, struct bytes line, struct arena *a,
	struct token *t)
{
	struct jpath_doc *doc;
	struct bytes id, subscription, scopes, made, expires, hash;
	*t = (struct token){ 0 };
	if (jpath_walk(set, line, a, &doc, NULL) != RC_OK ||
		!read_text(doc, slots, ID, a, &id) ||
		!read_text(doc, slots, SUBSCRIPTION, a, &subscription) ||
		!read_text(doc, slots, SCOPES, a, &scopes) ||
		!read_text(doc, slots, MADE, a, &made) ||
		!read_text(doc, slots, HASH, a, &hash) || id.len != TOKEN_ID_BYTES - 1)
		return false;
	memcpy(t->id, id.data, id.len);
	t->subscription = arena_string(a, subscription);
	if (read_text(doc, slots, EXPIRES, a, &expires) &&
		!clock_parse_us(expires, &t->expires_us))
		return false;
	return token_scopes_parse(arena_string(a, scopes), &t->scopes, NULL) == RC_OK &&
	       clock_parse_us(made, &t->made_us) &&
	       crypto_unhex(hash, t->sha256, sizeof(t->sha256));
}

enum rc
token_list(const char *dir, struct arena *a, const struct token **tokens, size_t *count,
	struct err *e)
{
	static const char *const keys[KEYS] = { "id", "subscription", "scopes", "made_at",
		"expires_at", "sha256" };
	struct bytes text;
	size_t slots[KEYS], n = 0, lines = 0;
	*tokens = NULL;
	*count = 0;
	enum rc rc = fs_read(file(dir, a), LIMIT_CONFIG_FILE_BYTES, a, &text, e);
	if (rc == RC_NOTFOUND)
		return RC_OK;
	if (rc != RC_OK)
		return rc;
	struct jpath_set *set = jpath_set_new();
	for (size_t i = 0; rc == RC_OK && i < KEYS; i++)
		rc = jpath_add(set, keys[i], &slots[i], e);
	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';
	struct token *list = arena_alloc(a, (lines + 1) * sizeof(*list));
	for (size_t at = 0, end; rc == RC_OK && at < text.len; at = end + 1) {
		end = at;
		while (end < text.len && text.data[end] != '\n')
			end++;
		if (end == text.len ||
			!read_line(set, slots, (struct bytes){ text.data + at, end - at }, a, &list[n]))
			rc = err_set(e, RC_CORRUPT, "subscription.tokens",
				"line %zu of %s/tokens.ndjson is damaged", n + 1, dir);
		n++;
	}
	jpath_set_free(set);
	*tokens = list;
	*count = rc == RC_OK ? n : 0;
	return rc;
}

static void
put_line(struct buf *out, const struct token *t)
{
	char scopes[24], at[CLOCK_TEXT_BYTES];
	token_scopes_put(scopes, t->scopes);
	clock_format_us(t->made_us, at);
	buf_printf(out, "{\"id\":\"%s\",\"subscription\":\"%s\",\"scopes\":\"%s\",\"made_at\":\"%s\"",
		t->id, t->subscription, scopes, at);
	if (t->expires_us != 0) {
		clock_format_us(t->expires_us, at);
		buf_printf(out, ",\"expires_at\":\"%s\"", at);
	}
	buf_put_str(out, ",\"sha256\":\"");
	buf_put_hex(out, t->sha256, sizeof(t->sha256));
	buf_put_str(out, "\"}\n");
}

/* Two commands at once must not lose each other's change. The caller closes *fd. */
static enum rc
lock_file(const char *dir, struct arena *a, int *fd, struct err *e)
{
	enum rc rc = fs_mkdir(dir, e);
	if (rc != RC_OK)
		return rc;
	const char *path = arena_printf(a, "%s/.tokens.lock", dir);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0 || flock(*fd, LOCK_EX) != 0)
		return err_sys(e, RC_IO, NULL, errno, "lock %s", path);
	return RC_OK;
}

/* Writes all that are not to go, and one more, if there is one. *gone: how many went. */
static enum rc
rewrite(const char *dir, const char *id, const char *subscription, const struct token *more,
	size_t *gone, struct err *e)
{
	struct arena *a = arena_new(16384);
	struct buf out = buf_new(LIMIT_CONFIG_FILE_BYTES);
	const struct token *list;
	size_t count = 0;
	int fd = -1;
	*gone = 0;
	enum rc rc = lock_file(dir, a, &fd, e);
	if (rc == RC_OK)
		rc = token_list(dir, a, &list, &count, e);
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		bool goes = (id != NULL && strcmp(list[i].id, id) == 0) ||
			    (subscription != NULL &&
				    strcmp(list[i].subscription, subscription) == 0);
		*gone += goes;
		if (!goes)
			put_line(&out, &list[i]);
	}
	if (rc == RC_OK && more != NULL)
		put_line(&out, more);
	if (rc == RC_OK && out.overflow)
		rc = err_set(e, RC_FULL, NULL, "there are too many tokens; revoke some");
	if (rc == RC_OK && (*gone > 0 || more != NULL))
		rc = fs_write(file(dir, a), buf_bytes(&out), 0600, e);
	if (fd >= 0)
		close(fd);
	buf_free(&out);
	arena_free(a);
	return rc;
}

enum rc
token_add(const char *dir, const char *subscription, unsigned scopes, int64_t expires_us,
	char text[TOKEN_TEXT_BYTES], struct token *t, struct err *e)
{
	unsigned char random[ID_RANDOM_BYTES + SECRET_RANDOM_BYTES];
	struct buf hex = buf_new(2 * sizeof(random));
	size_t gone;
	crypto_random(random, sizeof(random));
	buf_put_hex(&hex, random, sizeof(random));
	*t = (struct token){ .subscription = subscription,
		.scopes = scopes,
		.made_us = clock_now_us(),
		.expires_us = expires_us };
	snprintf(t->id, sizeof(t->id), "%.8s", buf_cstr(&hex));
	snprintf(text, TOKEN_TEXT_BYTES, PREFIX "%s_%s", t->id, buf_cstr(&hex) + 8);
	crypto_sha256(bytes_str(text), t->sha256);
	crypto_wipe(random, sizeof(random));
	crypto_wipe(hex.data, hex.len);
	buf_free(&hex);
	return rewrite(dir, NULL, NULL, t, &gone, e);
}

enum rc
token_revoke(const char *dir, const char *id, const char *subscription, struct err *e)
{
	size_t gone;
	enum rc rc = rewrite(dir, id, subscription, NULL, &gone, e);
	if (rc == RC_OK && gone == 0 && id != NULL)
		rc = err_set(e, RC_NOTFOUND, NULL, "there is no token %.20s", id);
	return rc;
}

enum rc
token_check(const char *dir, const char *text, int64_t now_us, struct arena *a, struct token *t,
	struct err *e)
{
	const struct token *list;
	size_t count;
	unsigned char sha256[SHA256_BYTES];
	enum rc rc = token_list(dir, a, &list, &count, e);
	if (rc != RC_OK)
		return rc;
	/* What an attacker learns from the time of comparing hashes leads to no token. */
	crypto_sha256(bytes_str(text), sha256);
	for (size_t i = 0; i < count; i++) {
		if (!crypto_equal(list[i].sha256, sha256, sizeof(sha256)))
			continue;
		if (list[i].expires_us != 0 && list[i].expires_us <= now_us)
			return err_set(e, RC_DENIED, NULL, "the token has expired");
		*t = list[i];
		return RC_OK;
	}
	return err_set(e, RC_DENIED, NULL, "the token is not known");
}
