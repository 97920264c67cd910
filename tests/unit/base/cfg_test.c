/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cfg.h"
#include "base/fs.h"

struct values {
	const char *listen, *mode;
	uint64_t threads, bytes, time_ms, age_s;
	bool keep;
};

static const char *const modes[] = { "fast", "slow", "off", NULL };

#define ROW(key, t, m) .name = key, .type = t, .offset = offsetof(struct values, m), .help = "Help."
static const struct cfg_key keys[] = {
	{ ROW("net.listen", CFG_STRING, listen), .fallback = "127.0.0.1:80" },
	{ ROW("net.mode", CFG_STRING, mode), .fallback = "fast", .choices = modes },
	{ ROW("net.threads", CFG_U64, threads), .fallback = "4", .min = 1, .max = 64 },
	{ ROW("net.keep", CFG_BOOL, keep), .fallback = "false" },
	{ ROW("disk.segment_bytes_max", CFG_U64, bytes), .fallback = "1GiB", .min = 1024 },
	{ ROW("disk.wait_ms", CFG_U64, time_ms), .fallback = "30s" },
	{ ROW("disk.age_s_max", CFG_U64, age_s), .fallback = "7d" },
};

struct fixture {
	struct arena *a;
	struct values v;
	enum cfg_origin origins[COUNT_OF(keys)];
	struct cfg_table t;
	struct err e;
	char path[200];
};

static int
setup(void **state)
{
	struct fixture *f = base_zalloc(sizeof *f);
	const char *tmp = getenv("TMPDIR");
	f->a = arena_new(1024);
	f->t = (struct cfg_table){ keys, COUNT_OF(keys), &f->v, f->origins };
	cfg_defaults(&f->t, f->a);
	snprintf(f->path, sizeof f->path, "%s/cfg-test-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	int fd = mkstemp(f->path);
	*state = f;
	return fd < 0 ? -1 : close(fd);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	unlink(f->path);
	arena_free(f->a);
	free(f);
	return 0;
}

/* Reads content as a file; gives back the message without the path, or "" when all was right. */
static const char *
read_text(struct fixture *f, struct bytes content)
{
	cfg_defaults(&f->t, f->a);
	assert_int_equal(fs_write(f->path, content, 0600, &f->e), RC_OK);
	memset(&f->e, 0, sizeof f->e);
	enum rc rc = cfg_file(&f->t, f->path, f->a, &f->e);
	if (rc == RC_OK)
		return "";
	assert_int_equal(rc, RC_INVALID);
	assert_string_equal(f->e.id, "config.invalid");
	assert_memory_equal(f->e.text, f->path, strlen(f->path));
	return f->e.text + strlen(f->path);
}

static void
defaults_fill_every_member(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(f->v.listen, "127.0.0.1:80");
	assert_string_equal(f->v.mode, "fast");
	assert_int_equal(f->v.threads, 4);
	assert_int_equal(f->v.bytes, (uint64_t)1 << 30);
	assert_int_equal(f->v.time_ms, 30000);
	assert_int_equal(f->v.age_s, 604800);
	assert_false(f->v.keep);
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		assert_int_equal(f->origins[i], CFG_DEFAULT);
}

static void
a_file_sets_what_it_names(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(read_text(f, bytes_str("# comment\n; comment\n\n[net]\n  listen = [::1]:8080 ; note\n"
						   "\tkeep=true\r\nmode =  slow  \n[disk]\nsegment_bytes_max = 64MiB\n"
						   "wait_ms = 1500ms\n[net]\nthreads = 64")),
		"");
	assert_string_equal(f->v.listen, "[::1]:8080");
	assert_string_equal(f->v.mode, "slow");
	assert_true(f->v.keep);
	assert_int_equal(f->v.bytes, 64 << 20);
	assert_int_equal(f->v.time_ms, 1500);
	assert_int_equal(f->v.threads, 64);
	assert_int_equal(f->origins[0], CFG_FILE);
	assert_int_equal(f->origins[6], CFG_DEFAULT);
	assert_string_equal(read_text(f, bytes_str("")), "");
	assert_string_equal(read_text(f, bytes_str("\xef\xbb\xbf[net]\nthreads = 2\n")), "");
	assert_int_equal(f->v.threads, 2);
}

static void
a_wrong_file_is_refused_with_its_line(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "[net]\nlistn = x\n", ":2: net.listn is not a known key; did you mean net.listen?" },
		{ "[net]\n\nzzz = x\nthreads = y\n", ":3: net.zzz is not a known key" },
		{ "[nett]\nlisten = x\n",
			":1: [nett] is not a known section; did you mean [net]?; known: [net] [disk]" },
		{ "[quux]\n", ":1: [quux] is not a known section; known: [net] [disk]" },
		{ "[net]\nkeep = true\nkeep = true\n", ":3: net.keep is set twice, first in line 2" },
		{ "listen = x\n", ":1: 'listen' stands before the first [section]" },
		{ "[net]\nthreads = 65\n", ":2: net.threads: '65' is not allowed; allowed: a number, 1 to 64" },
		{ "[net]\nthreads = 0\n", ":2: net.threads: '0' is not allowed; allowed: a number, 1 to 64" },
		{ "[net]\nmode = quick\n",
			":2: net.mode: 'quick' is not allowed; allowed: fast, slow or off" },
		{ "[net]\nkeep = yes\n", ":2: net.keep: 'yes' is not allowed; allowed: true or false" },
		{ "[net]\nkeep\n", ":2: allowed are [section], key = value and comments" },
		{ "[net\nkeep = true\n", ":1: allowed are [section], key = value and comments" },
		{ "[net]\nkeep = true\n  false\n", ":3: allowed are [section], key = value and comments" },
		{ "[net]\nbroken\nlistn = x\n", ":2: allowed are [section], key = value and comments" },
		{ "[net]\nlistn = x\nbroken\n",
			":2: net.listn is not a known key; did you mean net.listen?" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_string_equal(read_text(f, bytes_str(rows[i].text)), rows[i].message);
	struct bytes nul = { (const unsigned char *)"[net]\nlisten = a\0b\n", 19 };
	assert_string_equal(read_text(f, nul), ":2: the line holds a NUL byte");
}

/* Values as long as a line may be come in whole; one byte more is an error, never a cut. */
static void
a_long_line_is_an_error_not_a_cut(void **state)
{
	struct fixture *f = *state;
	bool seen_error = false;
	for (size_t len = 150; len < 400; len++) {
		char text[500];
		int n = snprintf(text, sizeof text, "[net]\nlisten = ");
		memset(text + n, 'x', len);
		text[(size_t)n + len] = '\0';
		const char *message = read_text(f, bytes_str(text));
		if (message[0] == '\0') {
			assert_int_equal(strlen(f->v.listen), len);
			assert_false(seen_error);
		} else {
			assert_memory_equal(message, ":2: the line has ", 17);
			seen_error = true;
		}
	}
	assert_true(seen_error);
}

static void
a_missing_file_is_told_apart(void **state)
{
	struct fixture *f = *state;
	unlink(f->path);
	assert_int_equal(cfg_file(&f->t, f->path, f->a, &f->e), RC_NOTFOUND);
	assert_string_equal(f->e.id, "config.missing");
	assert_int_equal(cfg_file(&f->t, "/", f->a, &f->e), RC_INVALID);
}

static void
numbers_have_the_units_of_their_key(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *key, *value;
		bool right;
	} rows[] = {
		{ "disk.segment_bytes_max", "1024", true },
		{ "disk.segment_bytes_max", "1KiB", true },
		{ "disk.segment_bytes_max", "1023", false },
		{ "disk.segment_bytes_max", "1KB", false },
		{ "disk.segment_bytes_max", "1 KiB", false },
		{ "disk.segment_bytes_max", "5s", false },
		{ "disk.segment_bytes_max", "18446744073709551615", true },
		{ "disk.segment_bytes_max", "18446744073709551616", false },
		{ "disk.segment_bytes_max", "17179869184GiB", false }, /* 2^64 */
		{ "disk.wait_ms", "1d", true },
		{ "disk.wait_ms", "1GiB", false },
		{ "disk.age_s_max", "5ms", false },
		{ "disk.age_s_max", "2h", true },
		{ "net.threads", "4s", false },
		{ "net.threads", "-1", false },
		{ "net.threads", "+1", false },
		{ "net.threads", "0x10", false },
		{ "net.threads", "1.5", false },
		{ "net.threads", "", false },
		{ "net.threads", "007", true },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		enum rc rc = cfg_set(&f->t, rows[i].key, rows[i].value, CFG_OPTION, f->a, &f->e);
		if (rc != (rows[i].right ? RC_OK : RC_INVALID))
			fail_msg("%s = %s", rows[i].key, rows[i].value);
	}
	assert_int_equal(f->v.bytes, UINT64_MAX);
	assert_int_equal(f->v.time_ms, 86400000);
	assert_int_equal(f->v.age_s, 7200);
	assert_int_equal(cfg_set(&f->t, "net.thread", "1", CFG_OPTION, f->a, &f->e), RC_INVALID);
	assert_string_equal(f->e.text, "net.thread is not a known key; did you mean net.threads?");
}

static void
the_environment_goes_over_the_file(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(read_text(f, bytes_str("[net]\nthreads = 2\nlisten = file\n")), "");
	assert_int_equal(setenv("HOOKLOG_NET_THREADS", "3", 1), 0);
	assert_int_equal(setenv("HOOKLOG_DISK_SEGMENT_BYTES_MAX", "2KiB", 1), 0);
	assert_int_equal(setenv("HOOKLOG_CONFIG", "x", 1), 0);
	assert_int_equal(setenv("HOOKLOG_LOG_LEVEL", "info", 1), 0);
	assert_int_equal(cfg_environment(&f->t, f->a, &f->e), RC_OK);
	assert_int_equal(f->v.threads, 3);
	assert_int_equal(f->v.bytes, 2048);
	assert_string_equal(f->v.listen, "file");
	assert_int_equal(f->origins[2], CFG_ENVIRONMENT);
	assert_int_equal(setenv("HOOKLOG_NET_THREADS", "many", 1), 0);
	assert_int_equal(cfg_environment(&f->t, f->a, &f->e), RC_INVALID);
	assert_memory_equal(f->e.text, "environment variable HOOKLOG_NET_THREADS: net.threads: 'many'", 61);
	assert_int_equal(unsetenv("HOOKLOG_NET_THREADS"), 0);
	assert_int_equal(setenv("HOOKLOG_NET_THREAD", "3", 1), 0);
	assert_int_equal(cfg_environment(&f->t, f->a, &f->e), RC_INVALID);
	assert_string_equal(f->e.text,
		"environment variable HOOKLOG_NET_THREAD is not a known key; did you mean "
		"HOOKLOG_NET_THREADS?");
	static const char *const names[] = { "HOOKLOG_NET_THREAD", "HOOKLOG_DISK_SEGMENT_BYTES_MAX",
		"HOOKLOG_CONFIG", "HOOKLOG_LOG_LEVEL" };
	for (size_t i = 0; i < COUNT_OF(names); i++)
		unsetenv(names[i]);
}

static void
what_is_printed_is_read_again(void **state)
{
	struct fixture *f = *state;
	static const char *const settings[][2] = { { "net.listen", "" }, { "net.mode", "off" },
		{ "net.keep", "true" }, { "disk.segment_bytes_max", "1536KiB" }, { "disk.wait_ms", "90s" },
		{ "disk.age_s_max", "0" } };
	for (size_t i = 0; i < COUNT_OF(settings); i++)
		assert_int_equal(cfg_set(&f->t, settings[i][0], settings[i][1], CFG_OPTION, f->a, &f->e),
			RC_OK);
	for (int origins = 0; origins < 2; origins++) {
		struct values before = f->v;
		struct buf out = buf_new(10000);
		cfg_put(&out, &f->t, origins == 1);
		assert_string_equal(read_text(f, buf_bytes(&out)), "");
		assert_string_equal(f->v.listen, "");
		assert_string_equal(f->v.mode, before.mode);
		assert_int_equal(f->v.bytes, before.bytes);
		assert_int_equal(f->v.time_ms, 90000);
		assert_int_equal(f->v.age_s, 0);
		assert_true(f->v.keep);
		buf_free(&out);
	}
	struct buf out = buf_new(10000);
	cfg_put(&out, &f->t, true);
	assert_non_null(strstr(buf_cstr(&out), "[disk]\nsegment_bytes_max = 1536KiB ; file\n"));
	buf_clear(&out);
	cfg_put_reference(&out, keys, COUNT_OF(keys));
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		assert_non_null(strstr(buf_cstr(&out), keys[i].name));
	assert_non_null(strstr(buf_cstr(&out), "`HOOKLOG_DISK_SEGMENT_BYTES_MAX`"));
	buf_free(&out);
}

int
main(void)
{
#define WITH_FIXTURE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	unsetenv("HOOKLOG_LOG_LEVEL");
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(defaults_fill_every_member),
		WITH_FIXTURE(a_file_sets_what_it_names),
		WITH_FIXTURE(a_wrong_file_is_refused_with_its_line),
		WITH_FIXTURE(a_long_line_is_an_error_not_a_cut),
		WITH_FIXTURE(a_missing_file_is_told_apart),
		WITH_FIXTURE(numbers_have_the_units_of_their_key),
		WITH_FIXTURE(the_environment_goes_over_the_file),
		WITH_FIXTURE(what_is_printed_is_read_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
