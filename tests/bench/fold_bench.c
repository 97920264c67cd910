/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "event/event.h"
#include "projector/state.h"

/* Processor time per event of the projector's parts without a database: reading records out of the log,
 * finding all paths, folding, merging into the rows of a rebuild. Each line includes those above it.
 *
 *	fold_bench DATA [BATCH [PART]]        DATA is a data folder, such as tests/bench/project_bench.mjs makes */

enum part { PART_READ, PART_WALK, PART_FOLD, PART_STATE, PARTS };

static const char *const names[] = { "read", "read, walk", "read, fold", "read, fold, merge" };

static double
cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void
must(enum rc rc, const struct err *e)
{
	if (rc == RC_OK)
		return;
	fprintf(stderr, "%s\n", e->text);
	exit(1);
}

static uint64_t
run(enum part part, struct store_reader *reader, const struct catalog *c, size_t batch, uint64_t *rows)
{
	struct arena *read = arena_new(1024 * 1024), *a = arena_new(1024 * 1024);
	struct jpath_walker *walker = jpath_walker_new(c->paths);
	struct state st;
	struct err e;
	uint64_t seq = 1;
	const struct store_record *records;
	size_t count;
	state_open(&st, c, SIZE_MAX);
	for (;; seq += count) {
		arena_reset(read);
		must(store_read(reader, seq, batch, (size_t)32 * 1024 * 1024, read, &records, &count, &e), &e);
		if (count == 0)
			break;
		arena_reset(a);
		for (size_t i = 0; part == PART_WALK && i < count; i++) {
			const struct jpath_doc *doc;
			must(jpath_walker_walk(walker, records[i].event.body, &doc, &e), &e);
		}
		if (part < PART_FOLD)
			continue;
		struct fold fold;
		fold_events(c, records, count, NULL, a, &fold);
		for (size_t i = 0; i < fold.count; i++) {
			*rows += fold.tables[i].count;
			if (part != PART_STATE || state_is_streamed(fold.tables[i].definition))
				continue;
			for (const struct fold_row *row = fold.tables[i].first; row != NULL; row = row->next)
				state_merge(&st, &st.tables[i], row);
		}
	}
	state_close(&st);
	jpath_walker_free(walker);
	arena_free(read);
	arena_free(a);
	return seq - 1;
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: fold_bench DATA [BATCH [PART]]\n");
		return 2;
	}
	size_t batch = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
	struct arena *a = arena_new(64 * 1024);
	struct catalog c;
	struct store_reader *reader;
	struct err e;
	must(catalog_load(&c, "", a, &e), &e);
	must(store_reader_open(&reader, arena_printf(a, "%s/log", argv[1]), &e), &e);
	long only = argc > 3 ? strtol(argv[3], NULL, 10) : -1; /* for a profile of one part */
	for (int part = PART_READ; part < PARTS; part++) {
		if (only >= 0 && part != only)
			continue;
		uint64_t rows = 0;
		double before = cpu_seconds();
		uint64_t events = run((enum part)part, reader, &c, batch, &rows);
		double us = (cpu_seconds() - before) * 1e6 / (double)(events == 0 ? 1 : events);
		printf("%-20s %7.2f us/event %8.0f events/s of processor time, %.1f rows/event\n", names[part], us,
			1e6 / us, (double)rows / (double)(events == 0 ? 1 : events));
	}
	store_reader_close(reader);
	catalog_free(&c);
	arena_free(a);
	return 0;
}
