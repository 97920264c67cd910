/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATE_WORDS_H
#define SIMULATE_WORDS_H

#include "base/buf.h"
#include "simulate/prng.h"

/* Names and sentences of the invented world. */

#define WORDS_PEOPLE 48
#define WORDS_BOTS 3
#define WORDS_ORGS 3
#define WORDS_REPOS 18
#define WORDS_LABELS 8
#define WORDS_LANGUAGES 6

extern const char *const words_people[WORDS_PEOPLE];
extern const char *const words_bots[WORDS_BOTS];
extern const char *const words_orgs[WORDS_ORGS];
extern const char *const words_repos[WORDS_REPOS];
extern const char *const words_labels[WORDS_LABELS];
extern const char *const words_colors[WORDS_LABELS];
extern const char *const words_languages[WORDS_LANGUAGES];

/* "Make the tide gauge reject stale buoys". */
void words_title(struct prng *p, char *out, size_t out_bytes);

/* "mend-tide-gauge-412". */
void words_branch(struct prng *p, char *out, size_t out_bytes);

/* One to five sentences; now and then Markdown, a quotation mark, an umlaut or an emoji. */
void words_text(struct prng *p, char *out, size_t out_bytes);

/* "src/gauge/tide.c". */
void words_file(struct prng *p, char *out, size_t out_bytes);

#endif
