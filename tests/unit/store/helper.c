/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/helper.h"

char *
helper_dir(void)
{
	const char *base = getenv("TMPDIR");
	size_t bytes = strlen(base == NULL ? "/tmp" : base) + 32;
	char *dir = base_alloc(bytes);
	snprintf(dir, bytes, "%s/hooklog-store.XXXXXX", base == NULL ? "/tmp" : base);
	assert_non_null(mkdtemp(dir));
	return dir;
}

void
helper_remove(char *dir)
{
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			assert_int_equal(unlinkat(dirfd(d), entry->d_name, 0), 0);
	}
	closedir(d);
	assert_int_equal(rmdir(dir), 0);
	free(dir);
}

struct event
helper_event(const char *delivery, struct bytes body)
{
	return (struct event){
		.origin = EVENT_ORIGIN_WEBHOOK,
		.verified = EVENT_VERIFIED_OK,
		.source = bytes_str("gh"),
		.provider = bytes_str("github"),
		.event = bytes_str("push"),
		.delivery = bytes_str(delivery),
		.hook = bytes_str("17"),
		.scheme = bytes_str("hmac-sha256"),
		.key_id = bytes_str("k1"),
		.method = bytes_str("POST"),
		.path = bytes_str("/in/gh"),
		.content_type = bytes_str("application/json"),
		.remote = bytes_str("203.0.113.7:41234"),
		.body = body,
	};
}

struct store *
helper_open_with(struct store_options options)
{
	struct store *s;
	struct err e;
	if (store_open(&s, &options, &e) != RC_OK)
		fail_msg("store_open: %s", e.text);
	return s;
}

struct store *
helper_open(const char *dir)
{
	return helper_open_with((struct store_options){ .dir = dir });
}

struct store_result
helper_append_bytes(struct store *s, const char *delivery, struct bytes body)
{
	struct event ev = helper_event(delivery, body);
	struct store_result result = store_append(s, &ev);
	if (result.rc != RC_OK)
		fail_msg("store_append: %s", result.err.text);
	return result;
}

uint64_t
helper_append(struct store *s, const char *delivery, const char *body)
{
	return helper_append_bytes(s, delivery, bytes_str(body)).seq;
}

static void
print_finding(uint64_t seq, const char *text, void *context)
{
	if (context != NULL)
		fprintf(stderr, "finding at %" PRIu64 ": %s\n", seq, text);
}

void
helper_verify(const char *dir, uint64_t last_seq, enum rc want)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct store_verify_report report;
		struct err e = { .text = "" };
		enum rc rc = store_verify(dir, 1, 0, print_finding, want == RC_OK ? &report : NULL,
			&report, &e);
		if (rc != RC_OK && want == RC_OK)
			fprintf(stderr, "verify: %s\n", e.text);
		_exit(rc == RC_OK && report.last_seq == last_seq ? 0 : 1);
	}
	int status;
	while (waitpid(child, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	if (want == RC_OK)
		assert_int_equal(status, 0);
	else
		assert_int_not_equal(status, 0);
}

unsigned char *
helper_noise(size_t size, uint64_t seed)
{
	unsigned char *p = base_alloc(size + 8);
	for (size_t i = 0; i < size; i += 8) {
		/* splitmix64 */
		uint64_t z = (seed += 0x9e3779b97f4a7c15u);
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		z ^= z >> 31;
		memcpy(p + i, &z, 8);
	}
	return p;
}
