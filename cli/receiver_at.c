/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/receiver_at.h"

#include "base/certificate.h"
#include "base/clock.h"

static const char unix_prefix[] = "unix:";

static enum rc
pin_of(const char *file, struct arena *a, const char **pin, struct err *e)
{
	struct certificate certificate;
	enum rc rc = certificate_load(&certificate, file, NULL, "ingest.tls", e);
	if (rc != RC_OK)
		return rc;
	struct buf text = buf_new(64);
	buf_put_str(&text, "sha256//");
	crypto_put_base64(&text, (struct bytes){ certificate.pin, sizeof certificate.pin });
	*pin = arena_string(a, buf_bytes(&text));
	buf_free(&text);
	certificate_free(&certificate);
	return RC_OK;
}

/* The address that is called; one that means all can be listened on and not be called everywhere.
 */
static const char *
callable(const char *listening, struct arena *a)
{
	const char *port = strrchr(listening, ':');
	if (port != NULL && (strncmp(listening, "0.0.0.0:", 8) == 0 || port == listening))
		return arena_printf(a, "127.0.0.1%s", port);
	if (strncmp(listening, "[::]:", 5) == 0)
		return arena_printf(a, "[::1]%s", port);
	return listening;
}

enum rc
receiver_at(struct receiver_at *at, const struct config *c, const char *listening,
	const char *source, struct arena *a, struct err *e)
{
	*at = (struct receiver_at){ .url = NULL };
	if (listening == NULL)
		listening = c->ingest_listen;
	const char *scheme = c->ingest_tls_certificate_file[0] == '\0' ? "http" : "https";
	if (strncmp(listening, unix_prefix, sizeof unix_prefix - 1) == 0) {
		at->unix_socket = arena_string(a, bytes_str(listening + sizeof unix_prefix - 1));
		at->url = arena_printf(a, "%s://localhost/in/%s", scheme, source);
	} else {
		at->url = arena_printf(a, "%s://%s/in/%s", scheme, callable(listening, a), source);
	}
	if (strcmp(scheme, "http") == 0)
		return RC_OK;
	return pin_of(c->ingest_tls_certificate_file, a, &at->pin, e);
}

enum rc
receiver_ping(const struct receiver_at *at, const struct source *source, struct arena *a,
	struct http_response *answer, struct err *e)
{
	const char *url = at->url;
	struct provider_ping ping;
	struct http_header headers[PROVIDER_PING_HEADERS];
	struct http_client *client = NULL;
	const struct http_options options = { .unix_socket = at->unix_socket, .pin = at->pin };
	enum rc rc = source->provider->ping(
		source->setup, source_signing_secret(source, clock_now_us()), a, &ping, e);
	if (rc != RC_OK)
		return rc;
	if (ping.query.len > 0)
		url = arena_printf(a, "%s%c%.*s", url, strchr(url, '?') == NULL ? '?' : '&',
			(int)ping.query.len, (const char *)ping.query.data);
	for (size_t i = 0; i < ping.header_count; i++)
		headers[i] = (struct http_header){ ping.headers[i].name, ping.headers[i].value };
	rc = http_client_new(&client, &options, e);
	if (rc == RC_OK)
		rc = http_request(
			client, "POST", url, headers, ping.header_count, ping.body, answer, e);
	http_client_free(client);
	return rc;
}
