/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/tls.h"

#include "base/clock.h"
#include "base/log.h"

#define TLS_ID "ingest.tls"
#define EXPIRY_ID "ingest.tls-expiry"
#define DAY_S ((int64_t)24 * 3600)
#define WARN_BEFORE_S (14 * DAY_S)
/* Each ends within a minute or so of its last connection's deadline. */
#define OLDER_MAX 4

struct older {
	struct MHD_Daemon *daemon;
	struct certificate certificate; /* the library may still point to it */
};

struct tls {
	char *certificate_file, *key_file;
	struct certificate certificate;
	struct older older[OLDER_MAX];
	size_t older_count;
	int64_t warned_s; /* when the last warning of the end was given; 0: none */

	pthread_mutex_t lock; /* of facts */
	struct tls_facts facts;
};

static enum rc
load(const struct tls *tls, struct certificate *c, struct err *e)
{
	enum rc rc = certificate_load(c, tls->certificate_file, tls->key_file, TLS_ID, e);
	/* A file that is not there is a mistake in the settings like any other. */
	if (rc == RC_NOTFOUND)
		rc = e->rc = RC_INVALID;
	return rc;
}

static void
publish(struct tls *tls, bool replaced)
{
	pthread_mutex_lock(&tls->lock);
	memcpy(tls->facts.name, tls->certificate.name, sizeof tls->facts.name);
	tls->facts.not_before_s = tls->certificate.not_before_s;
	tls->facts.not_after_s = tls->certificate.not_after_s;
	tls->facts.replaced += replaced ? 1 : 0;
	pthread_mutex_unlock(&tls->lock);
	tls->warned_s = 0;
}

enum rc
tls_new(struct tls **out, const char *certificate_file, const char *key_file, struct err *e)
{
	if (certificate_file[0] == '\0' || key_file[0] == '\0')
		return err_set(e, RC_INVALID, TLS_ID,
			"ingest.tls_certificate_file and ingest.tls_key_file are set both or "
			"neither");
	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		return err_set(e, RC_INVALID, TLS_ID,
			"the libmicrohttpd of this system was built without TLS; unset "
			"ingest.tls_certificate_file and put a proxy in front");
	struct tls *tls = base_zalloc(sizeof *tls);
	tls->certificate_file = base_strdup(certificate_file);
	tls->key_file = base_strdup(key_file);
	pthread_mutex_init(&tls->lock, NULL);
	enum rc rc = load(tls, &tls->certificate, e);
	if (rc != RC_OK) {
		tls_free(tls);
		return rc;
	}
	publish(tls, false);
	*out = tls;
	return RC_OK;
}

static void
stop(struct older *o)
{
	MHD_stop_daemon(o->daemon);
	certificate_free(&o->certificate);
}

void
tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	while (tls->older_count > 0)
		stop(&tls->older[--tls->older_count]);
	certificate_free(&tls->certificate);
	pthread_mutex_destroy(&tls->lock);
	free(tls->certificate_file);
	free(tls->key_file);
	free(tls);
}

const struct certificate *
tls_certificate(const struct tls *tls)
{
	return &tls->certificate;
}

/* The new server listens before the old one stops to: nobody is refused in between. */
static enum rc
take_over(struct ingest *in, struct certificate *fresh, struct err *e)
{
	struct tls *tls = in->tls;
	struct MHD_Daemon *daemon = NULL;
	if (tls->older_count == OLDER_MAX)
		return err_set(e, RC_AGAIN, TLS_ID,
			"%d certificates before this one still have connections; reload again in a "
			"minute",
			OLDER_MAX);
	enum rc rc = receiver_start(in, fresh, &daemon, e);
	if (rc != RC_OK)
		return rc;
	MHD_quiesce_daemon(in->daemon);
	conns_finish(in->conns);
	tls->older[tls->older_count++] = (struct older){ in->daemon, tls->certificate };
	in->daemon = daemon;
	tls->certificate = *fresh;
	*fresh = (struct certificate){ .chain = NULL };
	return RC_OK;
}

enum rc
tls_replace(struct ingest *in, bool *changed, struct err *e)
{
	struct tls *tls = in->tls;
	struct certificate fresh;
	*changed = false;
	enum rc rc = load(tls, &fresh, e);
	if (rc == RC_OK)
		*changed = strcmp(fresh.chain, tls->certificate.chain) != 0 ||
			   strcmp(fresh.key, tls->certificate.key) != 0;
	if (*changed)
		rc = take_over(in, &fresh, e);
	certificate_free(&fresh);
	if (rc == RC_OK && *changed) {
		publish(tls, true);
	} else if (rc != RC_OK) {
		*changed = false;
		pthread_mutex_lock(&tls->lock);
		tls->facts.failed++;
		pthread_mutex_unlock(&tls->lock);
	}
	return rc;
}

static size_t
connections_of(struct MHD_Daemon *daemon)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info == NULL ? 0 : info->num_connections;
}

static void
warn_of_end(struct tls *tls, int64_t now_s)
{
	const struct certificate *c = &tls->certificate;
	bool early = now_s < c->not_before_s;
	if (!early && now_s < c->not_after_s - WARN_BEFORE_S)
		return;
	if (tls->warned_s != 0 && now_s - tls->warned_s < DAY_S)
		return;
	tls->warned_s = now_s;
	LOG_WARN(EXPIRY_ID, F_S("name", c->name), F_S("file", tls->certificate_file),
		F_I("left_s", c->not_after_s - now_s),
		F_S("error", early                     ? "the certificate is not valid yet"
			     : now_s >= c->not_after_s ? "the certificate has expired"
						       : "the certificate expires soon"));
}

void
tls_tick(struct ingest *in)
{
	struct tls *tls = in->tls;
	for (size_t i = tls->older_count; i-- > 0;) {
		if (connections_of(tls->older[i].daemon) > 0)
			continue;
		stop(&tls->older[i]);
		tls->older[i] = tls->older[--tls->older_count];
	}
	warn_of_end(tls, clock_now_us() / 1000000);
}

struct tls_facts
tls_look(struct tls *tls)
{
	pthread_mutex_lock(&tls->lock);
	struct tls_facts facts = tls->facts;
	pthread_mutex_unlock(&tls->lock);
	return facts;
}
