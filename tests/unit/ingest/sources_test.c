/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/limits.h"
#include "ingest/sources.h"

#define SECRET "0123456789abcdef"

struct folder {
	char path[128];
	struct arena *arena;
};

static int
make(void **state)
{
	struct folder *f = base_zalloc(sizeof *f);
	const char *tmp = getenv("TMPDIR");
	snprintf(f->path, sizeof f->path, "%s/hooklog-sources-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	assert_non_null(mkdtemp(f->path));
	f->arena = arena_new(1024);
	*state = f;
	return 0;
}

static int
remove_entry(
	const char *path, const struct stat *st UNUSED, int type UNUSED, struct FTW *ftw UNUSED)
{
	return remove(path);
}

static int
drop(void **state)
{
	struct folder *f = *state;
	nftw(f->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	arena_free(f->arena);
	free(f);
	return 0;
}

static const char *
put(struct folder *f, const char *name, const char *text, unsigned mode)
{
	struct err e;
	const char *path = arena_printf(f->arena, "%s/%s", f->path, name);
	assert_int_equal(fs_write(path, bytes_str(text), 0600, &e), RC_OK);
	assert_int_equal(chmod(path, (mode_t)mode), 0);
	return path;
}

static void
sources_are_loaded_and_found(void **state)
{
	struct folder *f = *state;
	struct sources *s = NULL;
	struct err e;
	put(f, "b.conf", "provider = github\nsecret_file = b1\nsecret_file = b2\n", 0644);
	put(f, "b1", " \t" SECRET "1\r\n\n", 0600);
	put(f, "b2", SECRET "2", 0400);
	put(f, "a-1.conf", "# comment\nprovider=github\nallow_unsigned = true\n", 0644);
	put(f, ".hidden.conf", "nonsense", 0644);
	put(f, "b.conf.tmp", "nonsense", 0644);
	if (sources_load(&s, f->path, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(sources_count(s), 2);
	assert_string_equal(sources_at(s, 0)->name, "a-1");
	assert_true(sources_at(s, 0)->allow_unsigned);
	const struct source *b = sources_find(s, bytes_str("b"));
	assert_ptr_equal(b, sources_at(s, 1));
	assert_string_equal(b->provider->name, "github");
	assert_int_equal(b->secret_count, 2);
	assert_true(bytes_is(b->secrets[0].value, SECRET "1"));
	assert_true(bytes_is(b->secrets[1].value, SECRET "2"));
	assert_string_not_equal(b->secrets[0].key_id, b->secrets[1].key_id);
	assert_null(sources_find(s, bytes_str("")));
	assert_null(sources_find(s, bytes_str("a")));
	assert_null(sources_find(s, bytes_str("a-11")));
	assert_null(sources_find(s, bytes_str("c")));
	sources_release(sources_retain(s));
	assert_int_equal(sources_count(s), 2);
	sources_release(s);
}

static void
missing_folder_is_no_source(void **state)
{
	struct folder *f = *state;
	struct sources *s = NULL;
	struct err e;
	assert_int_equal(sources_load(&s, arena_printf(f->arena, "%s/none", f->path), &e), RC_OK);
	assert_int_equal(sources_count(s), 0);
	assert_null(sources_find(s, bytes_str("a")));
	sources_release(s);
}

static void
wrong_files_are_named(void **state)
{
	static const struct {
		const char *conf, *in_text;
	} cases[] = {
		{ "", "provider is missing" },
		{ "provider = github\n", "secret_file is missing" },
		{ "provider = nobody\nallow_unsigned = true\n", "github" },
		{ "provider = github\nprovider = github\nallow_unsigned = true\n", "twice" },
		{ "provider = github\nallow_unsigned = yes\n", "true or false" },
		{ "provider = github\nallow_unsigned = false\n", "secret_file is missing" },
		{ "provider = github\nallow_unsigned = true\nsecret_file = ok\n", "exclude" },
		{ "provider = github\nsecret = x\n", "unknown key" },
		{ "[x]\nprovider = github\n", "no sections" },
		{ "provider = github\nsecret_file = absent\n", "absent" },
		{ "provider = github\nsecret_file = open\n", "chmod 600" },
		{ "provider = github\nsecret_file = short\n", "15 bytes" },
		{ "provider = github\nsecret_file = long\n", "longer" },
		{ "provider = github\nsecret_file = .\n", "regular file" },
		{ "provider = github\nsecret_file = ok\nsecret_file = ok\nsecret_file = ok\n"
		  "secret_file = ok\nsecret_file = ok\n",
			"at most 4" },
		{ "provider\n", "line 1" },
	};
	struct folder *f = *state;
	char long_secret[LIMIT_SECRET_BYTES + 2];
	memset(long_secret, 'x', sizeof long_secret);
	long_secret[sizeof long_secret - 1] = '\0';
	put(f, "ok", SECRET, 0600);
	put(f, "open", SECRET, 0640);
	put(f, "short", "0123456789abcde \n", 0600);
	put(f, "long", long_secret, 0600);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sources *s = NULL;
		struct err e = { 0 };
		put(f, "a.conf", cases[i].conf, 0644);
		assert_int_equal(sources_load(&s, f->path, &e), RC_INVALID);
		assert_null(s);
		assert_string_equal(e.id, "ingest.source");
		if (strstr(e.text, "a.conf") == NULL || strstr(e.text, cases[i].in_text) == NULL)
			fail_msg("case %zu: %s", i, e.text);
		assert_null(strstr(e.text, SECRET));
	}
	struct sources *s = NULL;
	struct err e;
	put(f, "a.conf", "provider = github\nsecret_file = ok\n", 0644);
	put(f, "Bad.conf", "provider = github\nsecret_file = ok\n", 0644);
	assert_int_equal(sources_load(&s, f->path, &e), RC_INVALID);
	assert_non_null(strstr(e.text, "Bad.conf"));
}

static void
added_sources_can_be_loaded(void **state)
{
	struct folder *f = *state;
	const char *dir = arena_printf(f->arena, "%s/new/sources", f->path), *path;
	struct source_plan plan = { "gh", "github", { NULL, 0 }, false };
	struct sources *s = NULL;
	struct stat st;
	struct err e;
	assert_int_equal(source_add(dir, &plan, f->arena, &path, &e), RC_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(source_add(dir, &plan, f->arena, &path, &e), RC_CONFLICT);
	plan.name = "given";
	plan.secret = bytes_str(SECRET);
	assert_int_equal(source_add(dir, &plan, f->arena, &path, &e), RC_OK);
	plan.secret = bytes_str("short");
	plan.name = "other";
	assert_int_equal(source_add(dir, &plan, f->arena, &path, &e), RC_INVALID);
	plan.secret = (struct bytes){ NULL, 0 };
	plan.name = "../other";
	assert_int_equal(source_add(dir, &plan, f->arena, &path, &e), RC_INVALID);
	plan.name = "other";
	plan.provider = "nobody";
	assert_int_equal(source_add(dir, &plan, f->arena, &path, &e), RC_INVALID);
	assert_int_equal(sources_load(&s, dir, &e), RC_OK);
	assert_int_equal(sources_count(s), 2);
	assert_true(bytes_is(sources_find(s, bytes_str("given"))->secrets[0].value, SECRET));
	assert_int_equal(sources_find(s, bytes_str("gh"))->secrets[0].value.len, 64);
	sources_release(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sources_are_loaded_and_found, make, drop),
		cmocka_unit_test_setup_teardown(missing_folder_is_no_source, make, drop),
		cmocka_unit_test_setup_teardown(wrong_files_are_named, make, drop),
		cmocka_unit_test_setup_teardown(added_sources_can_be_loaded, make, drop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
