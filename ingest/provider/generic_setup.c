/* SPDX-License-Identifier: Apache-2.0 */
#include "event/jpath.h"
#include "ingest/provider/generic.h"

/* How the .conf of a generic source is read: docs/providers/generic.md. */

#define WINDOW_S_MAX 86400

static const struct {
	const char *name, *scheme;
} auths[] = {
	[GENERIC_NONE] = { "none", "none" },
	[GENERIC_HMAC] = { "hmac", NULL },
	[GENERIC_BASIC] = { "basic", "basic" },
	[GENERIC_BEARER] = { "bearer", "bearer" },
	[GENERIC_HEADER] = { "header", "token" },
	[GENERIC_QUERY] = { "query", "query" },
};
static const char *const hash_names[] = {
	[CRYPTO_SHA1] = "sha1",
	[CRYPTO_SHA256] = "sha256",
	[CRYPTO_SHA512] = "sha512",
};
static const char *const hmac_schemes[] = {
	[CRYPTO_SHA1] = "hmac-sha1",
	[CRYPTO_SHA256] = "hmac-sha256",
	[CRYPTO_SHA512] = "hmac-sha512",
};

const struct generic_setup generic_unset = { .base = { .scheme = "none" }, .prefix = "" };

const struct provider_option generic_options[] = {
	{ "auth", false, "hmac, basic, bearer, header, query or none; required" },
	{ "event_header", false, "header with the type of the event" },
	{ "event_pointer", false, "JSON pointer to it in the body, such as /data/type" },
	{ "id_header", false, "header with the id of the delivery" },
	{ "id_pointer", false, "JSON pointer to it; without either, the SHA-256 of the body" },
	{ "hook_header", false, "header with the id of the hook, within which ids are unique" },
	{ "signature_header", false, "auth=hmac: header with the signature" },
	{ "signature_prefix", false, "auth=hmac: what stands in front of it, such as sha256=" },
	{ "signature_hash", false, "auth=hmac: sha256 (default), sha512 or sha1" },
	{ "signature_encoding", false, "auth=hmac: hex (default) or base64" },
	{ "signature_template", false, "auth=hmac: what is signed, of {id} {timestamp} {body}" },
	{ "timestamp_header", false, "auth=hmac: header with seconds since 1970" },
	{ "timestamp_window", false, "auth=hmac: seconds it may be off; default 300" },
	{ "token_header", false, "auth=header: header with the secret" },
	{ "query_key", false, "auth=query: key of the query with the secret" },
	{ NULL, false, NULL },
};

struct reading {
	const struct provider_pair *pairs;
	size_t count;
	struct arena *a;
	struct generic_setup *s;
	struct err *e;
};

static enum rc
wrong(const struct reading *r, const char *key, const char *text)
{
	return err_set(r->e, RC_INVALID, "ingest.source", "%s: %s", key, text);
}

static const char *
value_of(const struct reading *r, const char *key)
{
	return provider_option_value(r->pairs, r->count, key);
}

/* Which of names the key's value is, or fallback when it is not given. */
static enum rc
read_choice(const struct reading *r, const char *key, const char *const *names, size_t count,
	size_t *choice)
{
	const char *value = value_of(r, key);
	for (size_t i = 0; value != NULL && i < count; i++) {
		if (strcmp(value, names[i]) == 0) {
			*choice = i;
			return RC_OK;
		}
	}
	return value == NULL ? RC_OK : wrong(r, key, "not one of what it may be");
}

/* Header names are tokens (RFC 9110 §5.6.2); these are all that are in use. */
static enum rc
read_header(const struct reading *r, const char *key, const char **header)
{
	*header = value_of(r, key);
	for (const char *c = *header; c != NULL && *c != '\0'; c++) {
		bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
		if (!letter && !(*c >= '0' && *c <= '9') && *c != '-' && *c != '_')
			return wrong(r, key, "no name of a header");
	}
	return *header != NULL && **header == '\0' ? wrong(r, key, "is empty") : RC_OK;
}

/* "/data/items/0/id" (RFC 6901) as the path "data.items[].id": one number, which is the first
 * element of a list. */
static enum rc
read_pointer(const struct reading *r, const char *key, const char **path)
{
	const char *pointer = value_of(r, key);
	struct buf out = buf_new(1024);
	size_t slot, lists = 0;
	struct err ignored;
	if (pointer == NULL)
		return RC_OK;
	bool right = pointer[0] == '/';
	for (const char *at = pointer; right && *at == '/';) {
		size_t len = strcspn(++at, "/");
		if (len == 1 && *at == '0') {
			buf_put_str(&out, "[]");
			lists++;
		} else {
			if (out.len > 0)
				buf_put_char(&out, '.');
			for (size_t i = 0; i < len; i++) {
				bool escape = at[i] == '~' && i + 1 < len;
				char c = escape ? (at[i + 1] == '0' ? '~' : '/') : at[i];
				right = right && c != '.' && c != '[' && c != ']' &&
					(at[i] != '~' ||
						(escape && (at[i + 1] == '0' || at[i + 1] == '1')));
				buf_put_char(&out, c);
				i += escape;
			}
			right = right && len > 0;
		}
		at += len;
	}
	struct jpath_set *set = jpath_set_new();
	right = right && !out.overflow && lists <= 1 &&
		jpath_add(set, buf_cstr(&out), &slot, &ignored) == RC_OK;
	jpath_set_free(set);
	if (right)
		*path = arena_string(r->a, buf_bytes(&out));
	buf_free(&out);
	return right ? RC_OK
		     : wrong(r, key,
			       "no JSON pointer, or not one to members whose names have no . [ ] "
			       "and at most one list, of which /0 is the first element");
}

static enum rc
read_template(const struct reading *r)
{
	static const char *const places[] = { NULL, "{id}", "{timestamp}", "{body}" };
	struct generic_setup *s = r->s;
	const char *text = value_of(r, "signature_template");
	size_t seen[COUNT_OF(places)] = { 0 };
	if (text == NULL)
		text = "{body}";
	while (*text != '\0') {
		struct generic_part part = { .kind = GENERIC_PART_TEXT };
		for (size_t k = GENERIC_PART_ID; k <= GENERIC_PART_BODY; k++) {
			if (strncmp(text, places[k], strlen(places[k])) == 0)
				part.kind = (enum generic_part_kind)k;
		}
		size_t len = part.kind == GENERIC_PART_TEXT ? 1 + strcspn(text + 1, "{")
							    : strlen(places[part.kind]);
		part.text = (struct bytes){ (const unsigned char *)text, len };
		if (part.kind == GENERIC_PART_TEXT && memchr(text, '{', len) != NULL)
			return wrong(r, "signature_template",
				"in braces only {id}, {timestamp} and {body}");
		if (s->part_count == GENERIC_PARTS_MAX)
			return wrong(r, "signature_template", "too many parts");
		seen[part.kind]++;
		s->parts[s->part_count++] = part;
		text += len;
	}
	/* What is not covered could be replaced by the sender of a copy. */
	if (seen[GENERIC_PART_BODY] != 1)
		return wrong(r, "signature_template", "has {body} exactly once");
	if (seen[GENERIC_PART_ID] > 0 && s->id_header == NULL)
		return wrong(r, "signature_template", "{id} needs id_header");
	if (seen[GENERIC_PART_TIMESTAMP] > 0 && s->timestamp_header == NULL)
		return wrong(r, "signature_template", "{timestamp} needs timestamp_header");
	if (seen[GENERIC_PART_TIMESTAMP] == 0 && s->timestamp_header != NULL)
		return wrong(r, "timestamp_header",
			"a time that signature_template does not cover proves nothing");
	return RC_OK;
}

static enum rc
read_hmac(const struct reading *r)
{
	static const char *const encodings[] = { "hex", "base64" };
	struct generic_setup *s = r->s;
	size_t hash = CRYPTO_SHA256, encoding = 0;
	enum rc rc = read_header(r, "signature_header", &s->proof_header);
	if (rc == RC_OK && s->proof_header == NULL)
		rc = wrong(r, "signature_header", "auth = hmac needs it");
	if (rc == RC_OK)
		rc = read_choice(r, "signature_hash", hash_names, COUNT_OF(hash_names), &hash);
	if (rc == RC_OK)
		rc = read_choice(
			r, "signature_encoding", encodings, COUNT_OF(encodings), &encoding);
	if (rc == RC_OK)
		rc = read_header(r, "timestamp_header", &s->timestamp_header);
	if (rc == RC_OK)
		rc = read_template(r);
	const char *window = value_of(r, "timestamp_window");
	s->base.window_s = s->timestamp_header == NULL ? 0 : 300;
	if (rc == RC_OK && window != NULL &&
		(s->timestamp_header == NULL ||
			!provider_parse_seconds(bytes_str(window), &s->base.window_s) ||
			s->base.window_s < 1 || s->base.window_s > WINDOW_S_MAX))
		rc = wrong(r, "timestamp_window", "1 to 86400 seconds, with timestamp_header");
	if (value_of(r, "signature_prefix") != NULL)
		s->prefix = value_of(r, "signature_prefix");
	s->hash = (enum crypto_hash)hash;
	s->is_base64 = encoding == 1;
	s->base.scheme = hmac_schemes[hash];
	return rc;
}

/* Options of another kind of proof would be believed to be in force. */
static enum rc
check_unused(const struct reading *r)
{
	static const struct {
		const char *key;
		enum generic_auth of;
	} owned[] = { { "signature_header", GENERIC_HMAC }, { "signature_prefix", GENERIC_HMAC },
		{ "signature_hash", GENERIC_HMAC }, { "signature_encoding", GENERIC_HMAC },
		{ "signature_template", GENERIC_HMAC }, { "timestamp_header", GENERIC_HMAC },
		{ "timestamp_window", GENERIC_HMAC }, { "token_header", GENERIC_HEADER },
		{ "query_key", GENERIC_QUERY } };
	for (size_t i = 0; i < COUNT_OF(owned); i++) {
		if (r->s->auth != owned[i].of && value_of(r, owned[i].key) != NULL)
			return err_set(r->e, RC_INVALID, "ingest.source", "%s: only with auth = %s",
				owned[i].key, auths[owned[i].of].name);
	}
	return RC_OK;
}

static enum rc
read_auth(const struct reading *r)
{
	struct generic_setup *s = r->s;
	const char *names[COUNT_OF(auths)];
	size_t auth = GENERIC_NONE;
	for (size_t i = 0; i < COUNT_OF(auths); i++)
		names[i] = auths[i].name;
	if (value_of(r, "auth") == NULL)
		return wrong(r, "auth", "hmac, basic, bearer, header, query or none; say which");
	enum rc rc = read_choice(r, "auth", names, COUNT_OF(names), &auth);
	s->auth = (enum generic_auth)auth;
	if (rc == RC_OK)
		rc = check_unused(r);
	if (rc != RC_OK)
		return rc;
	s->base.scheme = auths[auth].scheme;
	if (s->auth == GENERIC_HMAC)
		return read_hmac(r);
	if (s->auth == GENERIC_BASIC || s->auth == GENERIC_BEARER)
		s->proof_header = "Authorization";
	if (s->auth == GENERIC_HEADER) {
		rc = read_header(r, "token_header", &s->proof_header);
		return rc == RC_OK && s->proof_header == NULL
			       ? wrong(r, "token_header", "auth = header needs it")
			       : rc;
	}
	if (s->auth == GENERIC_QUERY) {
		s->query_key = value_of(r, "query_key");
		if (s->query_key == NULL || s->query_key[0] == '\0' ||
			strpbrk(s->query_key, "&=%+# ") != NULL)
			return wrong(r, "query_key", "auth = query needs it, without & = % + #");
		s->base.secret_query = s->query_key;
	}
	return RC_OK;
}

enum rc
generic_configure(const struct provider_pair *pairs, size_t count, struct arena *a,
	const struct provider_setup **out, struct err *e)
{
	struct generic_setup *s = arena_zalloc(a, sizeof *s);
	const struct reading r = { pairs, count, a, s, e };
	*s = generic_unset;
	enum rc rc = read_header(&r, "event_header", &s->event_header);
	if (rc == RC_OK)
		rc = read_header(&r, "id_header", &s->id_header);
	if (rc == RC_OK)
		rc = read_header(&r, "hook_header", &s->hook_header);
	if (rc == RC_OK)
		rc = read_pointer(&r, "event_pointer", &s->event_path);
	if (rc == RC_OK)
		rc = read_pointer(&r, "id_pointer", &s->id_path);
	if (rc == RC_OK && s->event_header != NULL && s->event_path != NULL)
		rc = wrong(&r, "event_pointer", "there is an event_header already");
	if (rc == RC_OK && s->id_header != NULL && s->id_path != NULL)
		rc = wrong(&r, "id_pointer", "there is an id_header already");
	if (rc == RC_OK)
		rc = read_auth(&r);
	const char *const singles[] = { s->event_header, s->id_header, s->hook_header,
		s->timestamp_header };
	size_t n = 0;
	for (size_t i = 0; i < COUNT_OF(singles); i++) {
		if (singles[i] != NULL)
			s->singles[n++] = singles[i];
	}
	s->secrets[0] = s->proof_header;
	s->base.single_headers = s->singles;
	s->base.secret_headers = s->secrets;
	*out = &s->base;
	return rc;
}

enum rc
generic_check_secret(const struct provider_setup *base, struct bytes secret, struct err *e)
{
	const struct generic_setup *s = (const struct generic_setup *)base;
	if (s->auth == GENERIC_NONE)
		return err_set(e, RC_INVALID, "ingest.source",
			"auth = none takes no secret; set allow_unsigned = true if anybody may "
			"write");
	if (s->auth == GENERIC_BASIC && memchr(secret.data, ':', secret.len) == NULL)
		return err_set(e, RC_INVALID, "ingest.source",
			"the secret for auth = basic is user:password");
	return RC_OK;
}

void
generic_make_secret(const struct provider_setup *base, struct buf *out)
{
	const struct generic_setup *s = (const struct generic_setup *)base;
	unsigned char random[32];
	crypto_random(random, sizeof random);
	if (s->auth == GENERIC_BASIC)
		buf_put_str(out, "hooklog:");
	buf_put_hex(out, random, sizeof random);
	crypto_wipe(random, sizeof random);
}
