/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/crypto.h"
#include "base/secret.h"
#include "broker/nats.h"

/* Streams of NATS JetStream: the connection. */

#define SERVERS_MAX 32

const char *const nats_publish_params[] = { "subject", "shared", NATS_LINK_PARAMS, NULL };
const char *const nats_consume_params[] = { "subject", "durable", NATS_LINK_PARAMS, NULL };

/* A server does not let us in, whatever it is asked. */
static bool
is_refusal(natsStatus status, jsErrCode code)
{
	switch (status) {
	case NATS_CONNECTION_AUTH_FAILED:
	case NATS_NOT_PERMITTED:
	case NATS_SECURE_CONNECTION_REQUIRED:
	case NATS_SECURE_CONNECTION_WANTED:
	case NATS_SSL_ERROR:
		return true;
	default:
		return code == JSStreamNotFoundErr || code == JSNotEnabledForAccountErr ||
		       code == JSNoAccountErr;
	}
}

enum rc
nats_fail(const struct nats_link *l, const char *what, natsStatus status, jsErrCode code,
	struct err *e)
{
	const char *said = nats_GetLastError(NULL);
	char detail[400] = "";
	if (said != NULL && said[0] != '\0')
		snprintf(detail, sizeof(detail), ": %.390s", said);
	if (code == JSStreamNotFoundErr)
		return err_set(e, RC_DENIED, "broker.refused",
			"there is no stream %s at %s; streams are made by whoever runs the broker",
			l->stream, l->servers);
	if (is_refusal(status, code))
		return err_set(e, RC_DENIED, "broker.refused", "%s: NATS at %s: %s%s", what,
			l->servers, natsStatus_GetText(status), detail);
	return err_set(e, RC_AGAIN, "broker.unreachable", "%s: NATS at %s: %s%s", what, l->servers,
		natsStatus_GetText(status), detail);
}

/* "HOST[:PORT],..." as the library wants it. */
static natsStatus
set_servers(struct nats_link *l, natsOptions *o, bool tls)
{
	const char *list[SERVERS_MAX];
	int count = 0;
	for (const char *at = l->servers; *at != '\0' && count < SERVERS_MAX;) {
		size_t len = strcspn(at, ",");
		if (len > 0)
			list[count++] = arena_printf(
				l->arena, "%s://%.*s", tls ? "tls" : "nats", (int)len, at);
		at += len + (at[len] == ',');
	}
	return natsOptions_SetServers(o, list, count);
}

/* The one line of a file that others cannot read, in the link's arena until the options have copied it. */
static enum rc
read_line(struct nats_link *l, const char *path, struct bytes *secret, const char **text,
	struct err *e)
{
	enum rc rc = secret_read(path, SECRET_GROUP_TOO, true, NULL, l->arena, secret, e);
	if (rc == RC_OK)
		*text = arena_string(l->arena, *secret);
	return rc;
}

/* The library reads this file itself; others must not. */
static enum rc
check_secret_file(const char *path, struct err *e)
{
	int fd;
	enum rc rc = secret_open(&fd, path, SECRET_GROUP_TOO, NULL, e);
	if (rc == RC_OK)
		close(fd);
	return rc;
}

static enum rc
set_who(struct nats_link *l, natsOptions *o, const char *spec, struct err *e)
{
	const char *creds = broker_param(spec, "creds", l->arena);
	const char *token = broker_param(spec, "token", l->arena);
	const char *user = broker_param(spec, "user", l->arena);
	const char *password = broker_param(spec, "password", l->arena);
	const char *nkey = broker_param(spec, "nkey", l->arena);
	const char *seed = broker_param(spec, "seed", l->arena);
	struct bytes secret = { NULL, 0 };
	const char *text = NULL;
	natsStatus s = NATS_OK;
	enum rc rc = RC_OK;
	if ((user == NULL) != (password == NULL))
		return err_set(e, RC_INVALID, NULL, "user and password belong together");
	if ((nkey == NULL) != (seed == NULL))
		return err_set(e, RC_INVALID, NULL, "nkey and seed belong together");
	if ((creds != NULL) + (token != NULL) + (user != NULL) + (nkey != NULL) > 1)
		return err_set(e, RC_INVALID, NULL,
			"one of creds, token, user and nkey says who this is");
	if (creds != NULL || seed != NULL)
		rc = check_secret_file(creds != NULL ? creds : seed, e);
	else if (token != NULL || password != NULL)
		rc = read_line(l, token != NULL ? token : password, &secret, &text, e);
	if (rc != RC_OK)
		return rc;
	if (creds != NULL)
		s = natsOptions_SetUserCredentialsFromFiles(o, creds, NULL);
	else if (nkey != NULL)
		s = natsOptions_SetNKeyFromSeed(o, nkey, seed);
	else if (token != NULL)
		s = natsOptions_SetToken(o, text);
	else if (user != NULL)
		s = natsOptions_SetUserInfo(o, user, text);
	if (text != NULL)
		crypto_wipe((void *)(uintptr_t)text, secret.len);
	secret_forget(&secret);
	return s == NATS_OK ? RC_OK : nats_fail(l, "set who this is", s, 0, e);
}

static enum rc
set_options(struct nats_link *l, natsOptions *o, const char *spec, struct err *e)
{
	const char *ca = broker_param(spec, "ca", l->arena);
	const char *cert = broker_param(spec, "cert", l->arena);
	const char *key = broker_param(spec, "key", l->arena);
	const char *tls = broker_param(spec, "tls", l->arena);
	bool secure = ca != NULL || cert != NULL || (tls != NULL && strcmp(tls, "yes") == 0);
	if ((cert == NULL) != (key == NULL))
		return err_set(e, RC_INVALID, NULL, "cert and key belong together");
	natsStatus s = set_servers(l, o, secure);
	if (s == NATS_OK)
		s = natsOptions_SetAllowReconnect(o, false);
	if (s == NATS_OK)
		s = natsOptions_SetTimeout(o, NATS_ANSWER_MS);
	if (s == NATS_OK)
		s = natsOptions_SetName(o, "hooklog");
	if (s == NATS_OK && secure)
		s = natsOptions_SetSecure(o, true);
	if (s == NATS_OK && ca != NULL)
		s = natsOptions_LoadCATrustedCertificates(o, ca);
	if (s == NATS_OK && cert != NULL)
		s = natsOptions_LoadCertificatesChain(o, cert, key);
	return s == NATS_OK ? set_who(l, o, spec, e)
			    : nats_fail(l, "read the options of the connection", s, 0, e);
}

enum rc
nats_link_open(struct nats_link *l, const char *spec, struct err *e)
{
	natsOptions *options = NULL;
	*l = (struct nats_link){ .arena = arena_new(4096) };
	l->servers = broker_servers(spec, l->arena);
	l->stream = broker_path(spec, l->arena);
	natsStatus s = natsOptions_Create(&options);
	enum rc rc = s == NATS_OK ? set_options(l, options, spec, e)
				  : nats_fail(l, "make options", s, 0, e);
	if (rc == RC_OK) {
		s = natsConnection_Connect(&l->conn, options);
		if (s == NATS_OK) {
			jsOptions js;
			jsOptions_Init(&js);
			js.Wait = NATS_ANSWER_MS;
			s = natsConnection_JetStream(&l->js, l->conn, &js);
		}
		if (s != NATS_OK)
			rc = nats_fail(l, "connect", s, 0, e);
	}
	natsOptions_Destroy(options);
	return rc;
}

void
nats_link_close(struct nats_link *l)
{
	jsCtx_Destroy(l->js);
	natsConnection_Destroy(l->conn);
	arena_free(l->arena);
}

const struct broker_kind broker_nats = {
	.name = "nats",
	.publish_params = nats_publish_params,
	.consume_params = nats_consume_params,
	.publisher_open = nats_publisher_open,
	.publish = nats_publish,
	.confirm = nats_confirm,
	.publisher_close = nats_publisher_close,
	.consumer_open = nats_consumer_open,
	.take = nats_take,
	.done = nats_done,
	.consumer_close = nats_consumer_close,
};
