/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SOURCES_H
#define INGEST_SOURCES_H

#include <pthread.h>
#include <stdatomic.h>

#include "ingest/metrics.h"
#include "ingest/provider.h"
#include "ingest/silence.h"

/* Sources: the named endpoints. One folder holds <name>.conf for each,
 *
 *	provider = github
 *	secret_file = github.secret       up to SOURCE_SECRETS_MAX times, while a secret is rotated
 *	secret_not_before = <time>        of the secret in the line above; RFC 3339
 *	secret_not_after = <time>         of the secret in the line above
 *	secret_credential = github        like secret_file, from $CREDENTIALS_DIRECTORY (systemd)
 *	allow_unsigned = true             instead of a secret: nothing is verified
 *	trust_replays = true              another hooklog with the secret may say when and how an event
 *	                                  first came
 *	disabled = true                   answered as if it did not exist
 *	body_bytes_max = 1MiB             limits of its own; 0: only those of all sources
 *	requests_per_second_max = 50
 *	in_flight_bytes_max = 32MiB
 *	silence_after_s = 6h              warn when no event came for so long; 0: what is unusual
 *
 * options of its provider (ingest/provider.h, docs/providers),
 * and the files with the secrets, readable by the owner only. White space around a secret is no
 * part of it. All errors carry the id ingest.source and name file and key. */

#define SOURCE_SECRETS_MAX 4
#define SOURCE_KEY_ID_BYTES 8

struct source_secret {
	struct bytes value;                   /* never logged, never printed */
	char key_id[SOURCE_KEY_ID_BYTES + 1]; /* names the secret without telling it */
	const char *file;                     /* as in the .conf */
	bool credential;                      /* file is the name of a credential of systemd */
	int64_t not_before_us, not_after_us;  /* INT64_MIN, INT64_MAX: no limit */
};

/* What a source has going on now. Outlives a reload: the snapshots share it. Every member may be
 * touched by any thread. */
struct source_state {
	atomic_size_t references;
	atomic_size_t in_flight_bytes;
	atomic_llong due_us; /* when the rate limit has room for a full second's burst again */
	atomic_ullong outcomes[OUTCOME_COUNT];
	atomic_llong last_event_us; /* microseconds since 1970; 0: none known */
	atomic_bool silent;
	pthread_mutex_t lock; /* of what follows */
	struct silence silence;
};

struct source {
	const char *name;
	const struct provider *provider;
	const struct provider_setup *setup;
	bool allow_unsigned, disabled, trust_replays;
	struct source_secret secrets[SOURCE_SECRETS_MAX];
	size_t secret_count;
	uint64_t body_bytes_max, requests_per_second_max, in_flight_bytes_max; /* 0: no limit */
	uint64_t silence_after_s;
	struct source_state *state;
};

struct sources; /* what a folder held at one time; constant, shared by threads */

/* Reads the folder; one that does not exist gives an empty set. The caller owns one reference.
 * RC_INVALID: a file is wrong, too open or too long; the message says what to do. RC_IO. */
enum rc sources_load(struct sources **s, const char *dir, struct err *e) MUST_CHECK;

/* As sources_load, for those who only look: a credential is listed without its key id where
 * $CREDENTIALS_DIRECTORY is not set, as in a shell. */
enum rc sources_look(struct sources **s, const char *dir, struct err *e) MUST_CHECK;

/* Gives fresh the states of old's sources, so that limits and counts go on over a reload. Before
 * fresh is shown to other threads. */
void sources_adopt(struct sources *fresh, const struct sources *old);

/* Whether the secret is valid at a time in microseconds since 1970. */
bool source_secret_active(const struct source_secret *secret, int64_t at_us);

/* The secret to sign with now: the first one that is active, else an empty run. */
struct bytes source_signing_secret(const struct source *source, int64_t now_us);

/* Counts one delivery against requests_per_second_max; false: it is over the rate. A second's worth
 * may come at once. now_us: of clock_monotonic_us. */
bool source_take_turn(const struct source *source, int64_t now_us);

/* Takes bytes of the source's in_flight_bytes_max; false, and nothing taken: there is no room. */
bool source_take_room(const struct source *source, size_t bytes);
void source_give_room(const struct source *source, size_t bytes);

/* An event of the source was stored. */
void source_heard(const struct source *source);

/* One was stored at received_at_us (microseconds since 1970), before the start. In their order. */
void source_recall(const struct source *source, int64_t received_at_us);

/* Whether the source has been quiet for far longer than it usually is; *changed: since the last
 * call. *quiet_us: for how long. One thread at a time. */
bool source_is_silent(const struct source *source, bool *changed, int64_t *quiet_us);

/* The pairs of a .conf that only the source's provider can understand. */
#define SOURCE_PAIRS_MAX 64
struct source_pairs {
	struct provider_pair list[SOURCE_PAIRS_MAX];
	size_t count;
};

/* RC_INVALID: too many. Copies into a. */
enum rc source_pairs_add(struct source_pairs *pairs, const char *name, const char *value,
	struct arena *a, struct err *e) MUST_CHECK;

/* Makes the source's setup of the pairs and checks its secrets against it. RC_INVALID: a key the
 * provider does not know or that is given twice, a wrong value, a secret of the wrong form. */
enum rc source_set_up(struct source *source, const struct source_pairs *pairs, struct arena *a,
	struct err *e) MUST_CHECK;
void source_tear_down(const struct source *source);

/* Appends the secret a source that is set up is to get: the given one, or when that is empty a new one
 * of the form its provider wants. The caller wipes out. RC_INVALID: it has not that form, or only the
 * sender can make one. */
enum rc source_choose_secret(const struct source *source, struct bytes given, struct buf *out,
	struct err *e) MUST_CHECK;

/* Any thread. The last release wipes the secrets; NULL is fine. */
struct sources *sources_retain(struct sources *s);
void sources_release(struct sources *s);

/* Borrowed while the caller holds a reference. NULL: no such source. */
const struct source *sources_find(const struct sources *s, struct bytes name);

/* Sorted by name. */
size_t sources_count(const struct sources *s);
const struct source *sources_at(const struct sources *s, size_t index);

/* A number that changes when a file in the folder is added, removed or written to; 0: no folder. */
uint64_t sources_stamp(const char *dir);

/* Writes a new source; secret is copied, an empty one makes 32 random bytes in hexadecimal, and
 * NULL data with allow_unsigned none at all. *secret_path (in a) names the file made, NULL without
 * one. RC_INVALID: name, provider or secret are no good. RC_CONFLICT: there is one of that name.
 * RC_IO. */
struct source_plan {
	const char *name, *provider;
	struct bytes secret;
	bool allow_unsigned, trust_replays;
	const struct source_pairs *options; /* of the provider, or NULL */
};
enum rc source_add(const char *dir, const struct source_plan *plan, struct arena *a,
	const char **secret_path, struct err *e) MUST_CHECK;

/* Reads a file that holds a secret and trims it; out has room for LIMIT_SECRET_BYTES. The caller
 * wipes it. From the first call on the process leaves no core dump and cannot be attached to by its
 * user's other processes. RC_INVALID: too short, too long, readable by others, or somebody else's.
 * RC_NOTFOUND, RC_IO. */
enum rc source_read_secret(
	const char *path, unsigned char *out, size_t *len, struct err *e) MUST_CHECK;

/* As source_read_secret for a credential that the service manager handed over. RC_NOTFOUND also
 * when it handed over none at all. */
enum rc source_read_credential(
	const char *name, unsigned char *out, size_t *len, struct err *e) MUST_CHECK;

/* The first 8 hexadecimal digits of SHA-256("hooklog key id" || secret). */
void source_key_id(struct bytes secret, char out[SOURCE_KEY_ID_BYTES + 1]);

#endif
