/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_INDEX_VIEW_H
#define STORE_INDEX_VIEW_H

#include "store/index_levels.h"
#include "store/index_meta.h"
#include "store/index_sources.h"
#include "store/reader.h"

/* index.mdb looked at from outside, while another process may write it: to find a delivery or the numbers of a source, and
 * to verify it. */

/* Whether the log of r has the history of cover; a record that cannot be read is no reason to doubt. */
bool index_fits(struct store_reader *r, const struct index_cover *cover);

struct index_view;

/* RC_NOTFOUND: there is no index, or one of another version. */
enum rc index_view_open(struct index_view **v, const char *dir, struct err *e) MUST_CHECK;
void index_view_close(struct index_view *v); /* NULL is fine */

/* Takes a fresh look; *cover is what the index covers from now on. */
enum rc index_view_refresh(struct index_view *v, struct index_cover *cover, struct err *e) MUST_CHECK;

/* Ends the look, so that the writer can use old pages again. */
void index_view_rest(struct index_view *v);

/* Calls fn for every entry, in the order of keys. */
enum rc index_view_each(const struct index_view *v, index_entry_fn fn, void *context, struct err *e)
	MUST_CHECK;

/* The number the index would answer a redelivery of ev with: ev's own, or that of an equal event; 0: it
 * does not know it. Only for events with a delivery id. */
uint64_t index_view_find(const struct index_view *v, const struct event *ev);

/* Calls fn with the number of every record that has this delivery id in whatever case, and of a few that
 * do not have it. */
typedef void (*index_seq_fn)(uint64_t seq, void *context);
enum rc index_view_deliveries(const struct index_view *v, struct bytes delivery, index_seq_fn fn,
	void *context, struct err *e) MUST_CHECK;

/* Calls fn for every set of numbers. */
typedef void (*index_set_fn)(uint64_t tag, uint64_t block, const struct source_set *set, void *context);
enum rc index_view_each_source(const struct index_view *v, index_set_fn fn, void *context, struct err *e)
	MUST_CHECK;

/* Whether the index has the event among those of its source. Best called by rising numbers. */
bool index_view_has_source(struct index_view *v, const struct event *ev);

/* Adds the numbers of the source in block to *set. */
enum rc index_view_source(const struct index_view *v, uint64_t tag, uint64_t block, struct source_set *set,
	struct err *e) MUST_CHECK;

/* Sets *block to the first one at or after it in which the source has any. RC_NOTFOUND: none. */
enum rc index_view_next_block(const struct index_view *v, uint64_t tag, uint64_t *block, struct err *e)
	MUST_CHECK;

#endif
