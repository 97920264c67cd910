/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/clock.h"
#include "base/limits.h"
#include "ingest/source_edit.h"
#include "tests/unit/ingest/folder.h"

#define SECRET "0123456789abcdef"

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
		{ "provider = github\nsecret_not_after = 2026-01-01\nsecret_file = ok\n",
			"behind" },
		{ "provider = github\nsecret_file = ok\nsecret_not_after = soon\n", "soon" },
		{ "provider = github\nsecret_file = ok\nsecret_not_before = 2026-01-02\n"
		  "secret_not_after = 2026-01-01\n",
			"never" },
		{ "provider = github\nsecret_file = ok\nsecret_not_after = 2026-01-01\n"
		  "secret_not_after = 2026-01-02\n",
			"twice" },
		{ "provider = github\nsecret_file = ok\nbody_bytes_max = 1TB\n", "body_bytes_max" },
		{ "provider = github\nsecret_file = ok\nbody_bytes_max = 1\nbody_bytes_max = 1\n",
			"twice" },
		{ "provider = github\nsecret_credential = x\n", "LoadCredential=x" },
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
	struct source_plan plan = { .name = "gh", .provider = "github" };
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

static void
secrets_have_their_times_and_sources_their_limits(void **state)
{
	struct folder *f = *state;
	struct sources *s = NULL;
	struct err e;
	int64_t noon;
	put(f, "k1", SECRET "1", 0600);
	put(f, "k2", SECRET "2", 0400);
	put(f, "a.conf",
		"provider = github\nsecret_file = k1\n"
		"secret_not_before = 2026-01-01T12:00:00Z\nsecret_file = k2\n"
		"secret_not_after = 2026-01-01T12:00:00Z\nbody_bytes_max = 2KiB\n"
		"requests_per_second_max = 3\nin_flight_bytes_max = 100\ndisabled = true\n",
		0644);
	if (sources_load(&s, f->path, &e) != RC_OK)
		fail_msg("%s", e.text);
	const struct source *a = sources_at(s, 0);
	assert_true(a->disabled);
	assert_int_equal(a->body_bytes_max, 2048);
	assert_true(clock_parse_us(bytes_str("2026-01-01T12:00:00Z"), &noon));
	assert_false(source_secret_active(&a->secrets[0], noon - 1));
	assert_true(source_secret_active(&a->secrets[0], noon));
	assert_true(source_secret_active(&a->secrets[1], noon - 1));
	assert_false(source_secret_active(&a->secrets[1], noon));
	assert_true(bytes_is(source_signing_secret(a, noon), SECRET "1"));
	assert_true(bytes_is(source_signing_secret(a, noon - 1), SECRET "2"));
	/* Three at once, then one for each third of a second. */
	for (int i = 0; i < 3; i++)
		assert_true(source_take_turn(a, 5000000));
	assert_false(source_take_turn(a, 5000000));
	assert_true(source_take_turn(a, 5333334));
	assert_false(source_take_turn(a, 5333335));
	assert_true(source_take_room(a, 60));
	/* A reload keeps what is going on. */
	struct sources *fresh = NULL;
	assert_int_equal(sources_load(&fresh, f->path, &e), RC_OK);
	sources_adopt(fresh, s);
	assert_false(source_take_room(sources_at(fresh, 0), 41));
	assert_true(source_take_room(sources_at(fresh, 0), 40));
	source_give_room(a, 100);
	assert_true(source_take_room(sources_at(fresh, 0), 100));
	assert_false(source_take_turn(sources_at(fresh, 0), 5333335));
	sources_release(fresh);
	sources_release(s);
}

static void
credentials_come_from_the_service_manager(void **state)
{
	struct folder *f = *state;
	struct sources *s = NULL;
	struct err e;
	unsigned char secret[LIMIT_SECRET_BYTES];
	size_t len;
	const char *dir = arena_printf(f->arena, "%s/credentials", f->path);
	put(f, "a.conf", "provider = github\nsecret_credential = gh\n", 0644);
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(sources_look(&s, f->path, &e), RC_OK);
	assert_string_equal(sources_at(s, 0)->secrets[0].key_id, "");
	assert_false(source_secret_active(&sources_at(s, 0)->secrets[0], 0));
	sources_release(s);
	assert_int_equal(fs_mkdir(dir, &e), RC_OK);
	put(f, "credentials/gh", SECRET "\n", 0440);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_int_equal(sources_load(&s, f->path, &e), RC_OK);
	assert_true(bytes_is(sources_at(s, 0)->secrets[0].value, SECRET));
	sources_release(s);
	assert_int_equal(source_read_credential("../a.conf", secret, &len, &e), RC_INVALID);
	assert_int_equal(source_read_credential("", secret, &len, &e), RC_INVALID);
	assert_int_equal(source_read_credential("none", secret, &len, &e), RC_NOTFOUND);
	put(f, "credentials/gh", SECRET, 0444);
	assert_int_equal(source_read_credential("gh", secret, &len, &e), RC_INVALID);
	unsetenv("CREDENTIALS_DIRECTORY");
}

static const struct source *
loaded(struct folder *f, struct sources **s)
{
	struct err e;
	sources_release(*s);
	*s = NULL;
	if (sources_load(s, f->path, &e) != RC_OK)
		fail_msg("%s", e.text);
	return sources_find(*s, bytes_str("a"));
}

static bool
has(struct folder *f, const char *name)
{
	return fs_exists(arena_printf(f->arena, "%s/%s", f->path, name));
}

static void
rotation_puts_the_new_secret_first_and_ends_the_old(void **state)
{
	const int64_t hour_us = 3600 * (int64_t)1000000;
	struct folder *f = *state;
	struct sources *s = NULL;
	struct bytes text;
	struct err e;
	const char *path;
	put(f, "a.secret", SECRET "1", 0600);
	put(f, "a.conf",
		"# mine\nprovider = github\nsecret_file = a.secret\n"
		"secret_not_before = 1970-01-01\n# the end",
		0644);
	struct source_rotation r = {
		.secret = bytes_str(SECRET "2"), .now_us = hour_us, .keep_us = hour_us
	};
	assert_int_equal(source_rotate(f->path, "a", &r, f->arena, &path, &e), RC_OK);
	const struct source *a = loaded(f, &s);
	assert_int_equal(a->secret_count, 2);
	assert_true(bytes_is(a->secrets[0].value, SECRET "2"));
	assert_true(bytes_is(a->secrets[1].value, SECRET "1"));
	assert_int_equal(a->secrets[1].not_before_us, 0);
	assert_int_equal(a->secrets[1].not_after_us, 2 * hour_us);
	assert_int_equal(a->secrets[0].not_after_us, INT64_MAX);
	assert_int_equal(
		fs_read(arena_printf(f->arena, "%s/a.conf", f->path), 4096, f->arena, &text, &e),
		RC_OK);
	assert_non_null(memmem(text.data, text.len, "# mine\n", 7));
	assert_non_null(memmem(text.data, text.len, "# the end\n", 10));

	/* Again before the end: the first one keeps its own, earlier one. */
	r = (struct source_rotation){ .now_us = hour_us + 1, .keep_us = 5 * hour_us };
	assert_int_equal(source_rotate(f->path, "a", &r, f->arena, &path, &e), RC_OK);
	a = loaded(f, &s);
	assert_int_equal(a->secret_count, 3);
	assert_int_equal(a->secrets[0].value.len, 64);
	assert_int_equal(a->secrets[1].not_after_us, 6 * hour_us + 1);
	assert_int_equal(a->secrets[2].not_after_us, 2 * hour_us);

	/* What has ended goes, with its file. */
	r = (struct source_rotation){ .now_us = 3 * hour_us, .keep_us = hour_us };
	assert_true(has(f, "a.secret"));
	assert_int_equal(source_rotate(f->path, "a", &r, f->arena, &path, &e), RC_OK);
	assert_int_equal(loaded(f, &s)->secret_count, 3);
	assert_false(has(f, "a.secret"));
	r = (struct source_rotation){ .now_us = 3 * hour_us + 2, .keep_us = hour_us };
	assert_int_equal(source_rotate(f->path, "a", &r, f->arena, &path, &e), RC_OK);
	assert_int_equal(loaded(f, &s)->secret_count, 4);
	assert_int_equal(source_rotate(f->path, "a", &r, f->arena, &path, &e), RC_INVALID);
	r.keep_us = 0;
	assert_int_equal(source_rotate(f->path, "a", &r, f->arena, &path, &e), RC_OK);
	a = loaded(f, &s);
	assert_int_equal(a->secret_count, 1);
	assert_true(fs_exists(path));
	sources_release(s);
	assert_int_equal(source_rotate(f->path, "b", &r, f->arena, &path, &e), RC_NOTFOUND);
}

static void
sources_are_disabled_and_removed(void **state)
{
	struct folder *f = *state;
	struct sources *s = NULL;
	struct err e;
	const char **files, *path;
	size_t count;
	bool changed = false;
	put(f, "a.secret", SECRET "1", 0600);
	put(f, "shared", SECRET "2", 0600);
	put(f, "a.conf", "provider = github\nsecret_file = a.secret\nsecret_file = shared", 0644);
	put(f, "b.conf", "provider = github\nsecret_file = shared\n", 0644);
	put(f, "open.conf", "provider = github\nallow_unsigned = true\n", 0644);
	assert_int_equal(source_set_disabled(f->path, "a", true, f->arena, &changed, &e), RC_OK);
	assert_true(changed && loaded(f, &s)->disabled);
	assert_int_equal(source_set_disabled(f->path, "a", true, f->arena, &changed, &e), RC_OK);
	assert_false(changed);
	assert_int_equal(source_set_disabled(f->path, "a", false, f->arena, &changed, &e), RC_OK);
	assert_true(changed && !loaded(f, &s)->disabled);
	assert_int_equal(source_files(f->path, "a", f->arena, &files, &count, &e), RC_OK);
	assert_int_equal(count, 2);
	assert_int_equal(source_remove(f->path, "a", f->arena, &e), RC_OK);
	assert_false(has(f, "a.conf") || has(f, "a.secret"));
	assert_true(has(f, "shared"));
	assert_null(loaded(f, &s));
	assert_int_equal(sources_count(s), 2);
	sources_release(s);
	assert_int_equal(source_remove(f->path, "a", f->arena, &e), RC_NOTFOUND);
	const struct source_rotation r = { .keep_us = 1 };
	assert_int_equal(source_rotate(f->path, "open", &r, f->arena, &path, &e), RC_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sources_are_loaded_and_found, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(missing_folder_is_no_source, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(wrong_files_are_named, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(added_sources_can_be_loaded, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(
			secrets_have_their_times_and_sources_their_limits, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(
			credentials_come_from_the_service_manager, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(
			rotation_puts_the_new_secret_first_and_ends_the_old, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(sources_are_disabled_and_removed, folder_make, folder_drop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
