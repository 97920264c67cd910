/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "cli/config.h"

struct fixture {
	struct arena *a;
	struct config c;
	struct config_origins origins;
	struct err e;
	char dir[200];
};

static const char *const variables[] = { "HOOKLOG_CONFIG", "HOOKLOG_DATA_DIR", "HOOKLOG_LOG_LEVEL",
	"HOOKLOG_INGEST_LISTEN", "DATABASE_URL", "PGHOST", "PGSERVICE" };

static int
setup(void **state)
{
	struct fixture *f = base_zalloc(sizeof *f);
	const char *tmp = getenv("TMPDIR");
	f->a = arena_new(4096);
	snprintf(f->dir, sizeof f->dir, "%s/config-test-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	for (size_t i = 0; i < COUNT_OF(variables); i++)
		unsetenv(variables[i]);
	*state = f;
	return mkdtemp(f->dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	unlink(arena_printf(f->a, "%s/hooklog.conf", f->dir));
	unlink(arena_printf(f->a, "%s/other.conf", f->dir));
	int failed = rmdir(f->dir);
	arena_free(f->a);
	free(f);
	return failed;
}

static enum rc
load(struct fixture *f, struct cli_call call)
{
	return config_load(&f->c, &call, f->a, &f->origins, &f->e);
}

static void
write_file(struct fixture *f, const char *name, const char *text)
{
	assert_int_equal(fs_write(arena_printf(f->a, "%s/%s", f->dir, name), bytes_str(text), 0600, &f->e),
		RC_OK);
}

static enum cfg_origin
origin_of(struct fixture *f, const char *name)
{
	for (size_t i = 0; i < config_key_count; i++) {
		if (strcmp(config_keys[i].name, name) == 0)
			return f->origins.of[i];
	}
	fail();
	return CFG_DEFAULT;
}

static void
defaults_and_derived_folders(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f, (struct cli_call){ .data_dir = f->dir }), RC_OK);
	assert_string_equal(f->c.data_dir, f->dir);
	assert_string_equal(f->c.log_dir, arena_printf(f->a, "%s/log", f->dir));
	assert_string_equal(f->c.sources_dir, arena_printf(f->a, "%s/sources", f->dir));
	assert_string_equal(f->c.cluster_dir, arena_printf(f->a, "%s/postgres", f->dir));
	assert_string_equal(f->c.ingest_listen, "127.0.0.1:8080");
	assert_string_equal(f->c.ingest_threading, "pool");
	assert_int_equal(f->c.ingest_in_flight_bytes_max, 256 << 20);
	assert_int_equal(f->c.ingest_request_timeout_ms, 30000);
	assert_int_equal(f->c.store_segment_bytes_max, 1 << 30);
	assert_int_equal(f->c.store_segment_age_s_max, 604800);
	assert_false(f->c.ingest_keep_alive);
	assert_string_equal(getenv("HOOKLOG_LOG_LEVEL"), "info");
	assert_int_equal(origin_of(f, "data.dir"), CFG_OPTION);
	assert_int_equal(origin_of(f, "store.segment_bytes_max"), CFG_DEFAULT);
}

static void
option_over_environment_over_file_over_default(void **state)
{
	struct fixture *f = *state;
	write_file(f, "hooklog.conf", "[ingest]\nlisten = file:1\nthreads = 3\n[log]\nlevel = error\n");
	assert_int_equal(setenv("HOOKLOG_DATA_DIR", f->dir, 1), 0);
	assert_int_equal(setenv("HOOKLOG_INGEST_LISTEN", "env:1", 1), 0);
	assert_int_equal(load(f, (struct cli_call){ 0 }), RC_OK);
	assert_string_equal(f->c.data_dir, f->dir);
	assert_string_equal(f->c.ingest_listen, "env:1");
	assert_int_equal(f->c.ingest_threads, 3);
	assert_string_equal(getenv("HOOKLOG_LOG_LEVEL"), "error");
	assert_int_equal(origin_of(f, "ingest.listen"), CFG_ENVIRONMENT);
	assert_int_equal(origin_of(f, "ingest.threads"), CFG_FILE);
	assert_int_equal(load(f, (struct cli_call){ .data_dir = "/elsewhere" }), RC_OK);
	assert_string_equal(f->c.data_dir, "/elsewhere");
	assert_int_equal(f->c.ingest_threads, 0);
}

static void
a_named_file_must_exist(void **state)
{
	struct fixture *f = *state;
	const char *path = arena_printf(f->a, "%s/other.conf", f->dir);
	struct cli_call call = { .data_dir = f->dir, .config_path = path };
	assert_int_equal(load(f, call), RC_NOTFOUND);
	assert_string_equal(f->e.id, "config.missing");
	write_file(f, "other.conf", "[ingest]\nthreads = 7\n");
	write_file(f, "hooklog.conf", "[ingest]\nthreads = 8\n");
	assert_int_equal(load(f, call), RC_OK);
	assert_int_equal(f->c.ingest_threads, 7);
	assert_int_equal(setenv("HOOKLOG_CONFIG", path, 1), 0);
	assert_int_equal(load(f, (struct cli_call){ .data_dir = f->dir }), RC_OK);
	assert_int_equal(f->c.ingest_threads, 7);
	write_file(f, "other.conf", "[ingest]\nthreads = x\n");
	assert_int_equal(load(f, call), RC_INVALID);
	assert_string_equal(f->e.id, "config.invalid");
}

static void
a_relative_folder_becomes_absolute(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load(f, (struct cli_call){ .data_dir = "some/where" }), RC_OK);
	assert_int_equal(f->c.data_dir[0], '/');
	assert_non_null(strstr(f->c.data_dir, "/some/where"));
}

static void
postgres_is_named_in_several_ways(void **state)
{
	struct fixture *f = *state;
	struct cli_call call = { .data_dir = f->dir };
	assert_int_equal(load(f, call), RC_OK);
	assert_false(config_names_postgres(&f->c));
	assert_int_equal(setenv("PGHOST", "db", 1), 0);
	assert_true(config_names_postgres(&f->c));
	assert_int_equal(setenv("PGHOST", "", 1), 0);
	assert_false(config_names_postgres(&f->c));
	assert_int_equal(setenv("PGSERVICE", "s", 1), 0);
	assert_true(config_names_postgres(&f->c));
	unsetenv("PGSERVICE");
	assert_int_equal(setenv("DATABASE_URL", "postgres://h/d", 1), 0);
	assert_int_equal(load(f, call), RC_OK);
	assert_string_equal(f->c.postgres_url, "postgres://h/d");
	assert_int_equal(origin_of(f, "postgres.url"), CFG_ENVIRONMENT);
	unsetenv("DATABASE_URL");
	assert_true(config_names_postgres(&f->c));
	assert_int_equal(setenv("DATABASE_URL", "postgres://h/d", 1), 0);
	write_file(f, "hooklog.conf", "[postgres]\nurl = postgres://own/\n");
	assert_int_equal(load(f, call), RC_OK);
	assert_string_equal(f->c.postgres_url, "postgres://own/");
}

/* Also with no configuration file in play, and named before the missing file in it. */
static void
a_file_as_the_data_folder_is_named(void **state)
{
	struct fixture *f = *state;
	write_file(f, "other.conf", "");
	const char *file = arena_printf(f->a, "%s/other.conf", f->dir);
	assert_int_equal(load(f, (struct cli_call){ .data_dir = file }), RC_INVALID);
	assert_non_null(strstr(f->e.text, file));
	assert_non_null(strstr(f->e.text, "--data"));
	assert_int_equal(load(f, (struct cli_call){ .data_dir = file, .config_path = file }), RC_INVALID);
	assert_non_null(strstr(f->e.text, "is not a folder"));
}

int
main(void)
{
#define WITH_FIXTURE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(defaults_and_derived_folders),
		WITH_FIXTURE(option_over_environment_over_file_over_default),
		WITH_FIXTURE(a_named_file_must_exist),
		WITH_FIXTURE(a_file_as_the_data_folder_is_named),
		WITH_FIXTURE(a_relative_folder_becomes_absolute),
		WITH_FIXTURE(postgres_is_named_in_several_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
