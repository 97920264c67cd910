/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/address.h"
#include "http/http.h"

#define HTTP_CONNECT_TIMEOUT_MS 5000
#define HTTP_TIMEOUT_MS 10000
/* RFC 9110 §8.6 and §10.2.3 set no maximum; a year is more than anybody waits. */
#define HTTP_RETRY_AFTER_S_MAX ((int64_t)365 * 24 * 3600)
/* The request line of a URL longer than this is refused by the usual servers. */
#define HTTP_URL_BYTES_MAX ((size_t)8192)

/* Bit 30 of curl_version_info()->features since libcurl 7.84; Ubuntu 22.04's header is older. */
#ifndef CURL_VERSION_THREADSAFE
#define CURL_VERSION_THREADSAFE (1 << 30)
#endif

struct http_client {
	CURL *easy;
	const char *user_agent;
	int64_t connect_timeout_ms, timeout_ms;
	char error[CURL_ERROR_SIZE];
	enum http_reach reach;
	const char *allow, *unix_socket, *pin, *ca_file;
	char refused[64]; /* the last address reach excluded, or "" */
	bool tried;       /* another one */
	bool http2;
	bool global;      /* holds one reference of curl_global_init */
};

static bool
global_init_is_thread_safe(void)
{
	const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
	return (version->features & CURL_VERSION_THREADSAFE) != 0;
}

/* curl_global_init counts its callers and takes a lock since 7.84, so each client just calls it. An
 * older libcurl must be initialised while there is one thread; running before main is the only such
 * moment a library folder knows of, and needs no state of ours. */
__attribute__((constructor)) static void
init_old_curl(void)
{
	if (!global_init_is_thread_safe())
		(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

enum rc
http_client_new(struct http_client **c, const struct http_options *options, struct err *e)
{
	if (options->http2 && (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2) == 0)
		return err_set(e, RC_INVALID, NULL, "the libcurl of this system has no HTTP/2");
	bool own_ca = options->ca_file != NULL && options->ca_file[0] != '\0';
	if (own_ca && access(options->ca_file, R_OK) != 0)
		return err_sys(e, RC_INVALID, NULL, errno, "read the certificates in %s",
			options->ca_file);
	struct http_client *client = base_zalloc(sizeof(*client));
	if (global_init_is_thread_safe()) {
		CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
		if (code != CURLE_OK) {
			free(client);
			return err_set(e, RC_IO, NULL, "libcurl cannot start: %s",
				curl_easy_strerror(code));
		}
		client->global = true;
	}
	client->easy = curl_easy_init();
	if (client->easy == NULL) {
		http_client_free(client);
		return err_set(e, RC_IO, NULL, "libcurl cannot make a handle");
	}
	client->user_agent = options->user_agent != NULL ? options->user_agent : "hooklog";
	client->connect_timeout_ms = options->connect_timeout_ms > 0 ? options->connect_timeout_ms
								     : HTTP_CONNECT_TIMEOUT_MS;
	client->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : HTTP_TIMEOUT_MS;
	client->http2 = options->http2;
	client->reach = options->reach;
	client->allow = options->allow;
	client->unix_socket = options->unix_socket;
	client->pin = options->pin;
	client->ca_file = own_ca ? options->ca_file : NULL;
	*c = client;
	return RC_OK;
}

void
http_client_free(struct http_client *c)
{
	if (c == NULL)
		return;
	curl_easy_cleanup(c->easy);
	if (c->global)
		curl_global_cleanup();
	free(c);
}

void
http_response_free(struct http_response *response)
{
	buf_free(&response->body);
}

static size_t
on_body(char *data, size_t size, size_t count, void *context)
{
	struct http_response *response = context;
	struct buf *body = &response->body;
	size_t len = size * count;
	size_t room = body->max_bytes - body->len;
	buf_put(body, data, len < room ? len : room);
	/* Anything else ends the transfer: an answer may have no end. */
	return len <= room ? len : 0;
}

/* The value of Retry-After in seconds: a number or an HTTP date; -1 when it is neither. */
static int64_t
retry_after_s(struct bytes value)
{
	char text[64];
	if (value.len == 0 || value.len >= sizeof(text))
		return -1;
	memcpy(text, value.data, value.len);
	text[value.len] = '\0';
	if (strspn(text, "0123456789") == value.len) {
		int64_t s =
			value.len > 9 ? HTTP_RETRY_AFTER_S_MAX : (int64_t)strtoll(text, NULL, 10);
		return s < HTTP_RETRY_AFTER_S_MAX ? s : HTTP_RETRY_AFTER_S_MAX;
	}
	time_t at = curl_getdate(text, NULL);
	if (at == (time_t)-1)
		return -1;
	int64_t s = (int64_t)at - clock_now_us() / 1000000;
	if (s < 0)
		return 0;
	return s < HTTP_RETRY_AFTER_S_MAX ? s : HTTP_RETRY_AFTER_S_MAX;
}

static struct bytes
trim(struct bytes b)
{
	while (b.len > 0 && (b.data[0] == ' ' || b.data[0] == '\t')) {
		b.data++;
		b.len--;
	}
	while (b.len > 0 && strchr(" \t\r\n", b.data[b.len - 1]) != NULL &&
		b.data[b.len - 1] != '\0')
		b.len--;
	return b;
}

static size_t
on_header(char *data, size_t size, size_t count, void *context)
{
	static const char name[] = "retry-after:";
	struct http_response *response = context;
	struct bytes line = { (const unsigned char *)data, size * count };
	/* An interim 1xx answer comes first with a head of its own. */
	if (line.len >= 5 && memcmp(line.data, "HTTP/", 5) == 0)
		response->retry_after_s = -1;
	size_t len = sizeof(name) - 1;
	if (line.len > len && strncasecmp(data, name, len) == 0)
		response->retry_after_s =
			retry_after_s(trim((struct bytes){ line.data + len, line.len - len }));
	return line.len;
}

/* url without user, password, query and fragment, which may hold secrets: what messages show. */
static void
url_for_people(const char *url, char *out, size_t out_bytes)
{
	const char *host = strstr(url, "://");
	host = host == NULL ? url : host + 3;
	size_t authority = strcspn(host, "/?#");
	size_t path = strcspn(host + authority, "?#");
	size_t user = authority;
	while (user > 0 && host[user - 1] != '@')
		user--;
	host += user;
	authority -= user;
	snprintf(out, out_bytes, "%s://%.*s", strncasecmp(url, "https", 5) == 0 ? "https" : "http",
		(int)(authority + path > 512 ? 512 : authority + path), host);
}

static enum rc
check_url(const char *url, struct err *e)
{
	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return err_set(e, RC_INVALID, NULL, "a URL must start with http:// or https://");
	if (strlen(url) > HTTP_URL_BYTES_MAX)
		return err_set(e, RC_INVALID, NULL, "the URL is longer than %zu bytes",
			HTTP_URL_BYTES_MAX);
	CURLU *parsed = curl_url();
	if (parsed == NULL)
		return err_set(e, RC_IO, NULL, "libcurl cannot make a URL handle");
	CURLUcode code = curl_url_set(parsed, CURLUPART_URL, url, 0);
	curl_url_cleanup(parsed);
	if (code != CURLUE_OK) {
		char shown[600];
		url_for_people(url, shown, sizeof(shown));
		return err_set(
			e, RC_INVALID, NULL, "%s is no URL: libcurl says %d", shown, (int)code);
	}
	return RC_OK;
}

/* RFC 9110 §5.6.2. */
static bool
is_token(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++) {
		unsigned char c = b.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') &&
			(c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return b.len > 0;
}

/* Headers that frame the message: one that differs from what is sent would split requests. */
static bool
is_framing(struct bytes name)
{
	static const char *const names[] = { "Host", "Content-Length", "Connection",
		"Transfer-Encoding", "Expect" };
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (bytes_is_nocase(name, names[i]))
			return true;
	return false;
}

static enum rc
append(struct curl_slist **list, const char *line, struct err *e)
{
	struct curl_slist *longer = curl_slist_append(*list, line);
	if (longer == NULL)
		return err_set(e, RC_IO, NULL, "libcurl is out of memory");
	*list = longer;
	return RC_OK;
}

static enum rc
append_header(struct curl_slist **list, const struct http_header *h, struct err *e)
{
	if (!is_token(h->name) || is_framing(h->name))
		return err_set(e, RC_INVALID, NULL, "header name '%.*s' cannot be sent",
			(int)(h->name.len > 100 ? 100 : h->name.len), (const char *)h->name.data);
	struct bytes value = trim(h->value);
	for (size_t i = 0; i < h->value.len; i++)
		if (h->value.data[i] == '\r' || h->value.data[i] == '\n' ||
			h->value.data[i] == '\0')
			return err_set(e, RC_INVALID, NULL,
				"the value of header %.*s has a line break or NUL in it",
				(int)(h->name.len > 100 ? 100 : h->name.len),
				(const char *)h->name.data);
	struct buf line = buf_new(h->name.len + value.len + 2);
	buf_put_bytes(&line, h->name);
	/* libcurl reads "Name:" as "leave this header out" and "Name;" as "send it empty". */
	buf_put_str(&line, value.len == 0 ? ";" : ": ");
	buf_put_bytes(&line, value);
	enum rc rc = append(list, buf_cstr(&line), e);
	buf_free(&line);
	return rc;
}

static enum rc
make_headers(
	struct curl_slist **list, const struct http_header *headers, size_t count, struct err *e)
{
	bool accept = false, content_type = false;
	for (size_t i = 0; i < count; i++) {
		enum rc rc = append_header(list, &headers[i], e);
		if (rc != RC_OK)
			return rc;
		accept = accept || bytes_is_nocase(headers[i].name, "Accept");
		content_type = content_type || bytes_is_nocase(headers[i].name, "Content-Type");
	}
	/* What libcurl would add by itself. */
	enum rc rc = append(list, "Expect:", e);
	if (rc == RC_OK && !accept)
		rc = append(list, "Accept:", e);
	if (rc == RC_OK && !content_type)
		rc = append(list, "Content-Type:", e);
	return rc;
}

static bool
may_reach(const struct http_client *c, const struct sockaddr *address)
{
	if (c->reach == HTTP_REACH_ANY || address_is_global(address))
		return true;
	const char *at = c->allow == NULL ? "" : c->allow;
	while (*at != '\0') {
		at += strspn(at, " ,");
		size_t len = strcspn(at, " ,");
		if (address_in(address, (struct bytes){ (const unsigned char *)at, len }))
			return true;
		at += len;
	}
	return false;
}

/* libcurl asks here for the socket of each connection, after the name was resolved. */
static curl_socket_t
on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_client *c = context;
	if (purpose != CURLSOCKTYPE_IPCXN || !may_reach(c, &address->addr)) {
		address_text(&address->addr, c->refused, sizeof(c->refused));
		return CURL_SOCKET_BAD;
	}
	c->tried = true;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* libcurl 7.88 sends the preface of HTTP/2 again when it uses such a connection once more; 8.0 does
 * not. */
static bool
begins_http2_twice(void)
{
	unsigned version = curl_version_info(CURLVERSION_NOW)->version_num;
	return version >= 0x075800 && version < 0x080000;
}

static void
set_up(struct http_client *c, const char *method, const char *url, struct curl_slist *headers,
	struct bytes body, struct http_response *response)
{
	CURL *h = c->easy;
	/* Keeps connections and the DNS cache. */
	curl_easy_reset(h);
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_PROXY, "");
	curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(h, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	/* With 1.1 header names keep their case and the request its shape. */
	long two = strncasecmp(url, "https:", 6) == 0 ? CURL_HTTP_VERSION_2TLS
						      : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
	curl_easy_setopt(h, CURLOPT_HTTP_VERSION, c->http2 ? two : (long)CURL_HTTP_VERSION_1_1);
	if (c->http2 && two == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE && begins_http2_twice())
		curl_easy_setopt(h, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_timeout_ms);
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)c->timeout_ms);
	curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, c);
	if (c->unix_socket != NULL)
		curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->unix_socket);
	if (c->pin != NULL) {
		curl_easy_setopt(h, CURLOPT_PINNEDPUBLICKEY, c->pin);
		curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (c->ca_file != NULL) {
		curl_easy_setopt(h, CURLOPT_CAINFO, c->ca_file);
		curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(h, CURLOPT_MAXCONNECTS, 1L);
	curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(h, CURLOPT_USERAGENT, c->user_agent);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, response);
	curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(h, CURLOPT_HEADERDATA, response);
	bool has_body = body.len > 0 || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
			strcmp(method, "PATCH") == 0;
	if (has_body) {
		curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
		curl_easy_setopt(
			h, CURLOPT_POSTFIELDS, body.len > 0 ? (const char *)body.data : "");
	} else if (strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
	}
	curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
}

enum rc
http_request(struct http_client *c, const char *method, const char *url,
	const struct http_header *headers, size_t header_count, struct bytes body,
	struct http_response *response, struct err *e)
{
	struct curl_slist *list = NULL;
	if (response->body.max_bytes == 0)
		response->body = buf_new(HTTP_ANSWER_BYTES);
	buf_clear(&response->body);
	response->status = 0;
	response->retry_after_s = -1;
	enum rc rc = check_url(url, e);
	if (rc == RC_OK && !is_token(bytes_str(method)))
		rc = err_set(e, RC_INVALID, NULL, "'%.32s' is no HTTP method", method);
	if (rc == RC_OK)
		rc = make_headers(&list, headers, header_count, e);
	if (rc != RC_OK)
		goto done;

	c->error[0] = c->refused[0] = '\0';
	c->tried = false;
	set_up(c, method, url, list, body, response);
	CURLcode code = curl_easy_perform(c->easy);
	bool enough = code == CURLE_WRITE_ERROR && response->body.len == response->body.max_bytes;
	if (code != CURLE_OK && !enough) {
		char shown[600];
		url_for_people(url, shown, sizeof(shown));
		if (c->refused[0] != '\0' && !c->tried)
			rc = err_set(e, RC_DENIED, NULL,
				"%s leads to %s, which is no address of the public internet", shown,
				c->refused);
		else
			rc = err_set(e, RC_IO, NULL, "%s %s: %s", method, shown,
				c->error[0] != '\0' ? c->error : curl_easy_strerror(code));
		goto done;
	}
	long status = 0;
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	response->status = (int)status;
done:
	curl_slist_free_all(list);
	return rc;
}
