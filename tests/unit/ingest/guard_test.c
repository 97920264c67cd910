/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "ingest/guard.h"

#define H(n, v)                                                                                    \
	{                                                                                          \
		{ (const unsigned char *)(n), sizeof(n) - 1 },                                     \
		{                                                                                  \
			(const unsigned char *)(v), sizeof(v) - 1                                  \
		}                                                                                  \
	}

static unsigned
status(const char *method, const char *uri, const char *version, const struct event_header *headers,
	size_t count, struct guard_facts *facts)
{
	struct refusal no = { 0 };
	struct event_header all[LIMIT_HEADERS + 2] = { H("Host", "localhost") };
	for (size_t i = 0; i < count; i++)
		all[i + 1] = headers[i];
	const struct guard_request request = { bytes_str(method), bytes_str(uri),
		bytes_str(version), all, count + 1 };
	if (!guard_head(&request, facts, &no))
		return no.status;
	if (!guard_body(&request, facts, &no))
		return no.status;
	return 0;
}

/* Up to four headers; the rest is empty. */
struct head_case {
	unsigned status;
	const char *version;
	struct event_header headers[4];
};

static void
one_header_of_each_kind_and_no_tricks(void **state UNUSED)
{
	static const struct head_case cases[] = {
		{ 0, "HTTP/1.1", { H("Content-Length", "2") } },
		{ 0, "HTTP/1.0", { H("Content-Length", "2") } },
		{ 0, "HTTP/1.1", { H("Transfer-Encoding", "chunked") } },
		{ 0, "HTTP/1.1", { H("transfer-encoding", "CHUNKED") } },
		{ 0, "HTTP/1.1", { H("X-A", "b"), H("X-A", "c") } },
		{ 0, "HTTP/1.1", { H("X-Obs", "\xc3\xa9\tz") } },
		{ 0, "HTTP/1.1", { H("!#$%&'*+-.^_`|~09azAZ", "") } },
		{ 0, "HTTP/1.1", { H("Content-Encoding", "identity") } },
		{ 400, "HTTP/0.9", { H("X-A", "b") } },
		{ 400, "HTTP/1.9", { H("X-A", "b") } },
		{ 400, "HTTP/2.0", { H("X-A", "b") } },
		{ 400, "http/1.1", { H("X-A", "b") } },
		{ 400, "", { H("X-A", "b") } },
		{ 400, "HTTP/1.1", { H("Content-Length", "2"), H("content-length", "2") } },
		{ 400, "HTTP/1.1",
			{ H("Content-Length", "2"), H("Transfer-Encoding", "chunked") } },
		{ 400, "HTTP/1.1",
			{ H("Transfer-Encoding", "chunked"), H("Transfer-Encoding", "chunked") } },
		{ 400, "HTTP/1.1", { H("HOST", "localhost") } },
		{ 400, "HTTP/1.1", { H("Content-Type", "a"), H("Content-Type", "a") } },
		{ 400, "HTTP/1.1",
			{ H("Content-Encoding", "gzip"), H("Content-Encoding", "identity") } },
		{ 400, "HTTP/1.1", { H("Transfer-Encoding", "gzip, chunked") } },
		{ 400, "HTTP/1.1", { H("Transfer-Encoding", "chunked\t") } },
		{ 400, "HTTP/1.1", { H("Transfer-Encoding", "xchunked") } },
		{ 400, "HTTP/1.1", { H("Transfer-Encoding", "") } },
		{ 400, "HTTP/1.0", { H("Transfer-Encoding", "chunked") } },
		{ 400, "HTTP/1.1", { H("Content-Length", "") } },
		{ 400, "HTTP/1.1", { H("Content-Length", "-1") } },
		{ 400, "HTTP/1.1", { H("Content-Length", "+2") } },
		{ 400, "HTTP/1.1", { H("Content-Length", "2, 2") } },
		{ 400, "HTTP/1.1", { H("Content-Length", "0x2") } },
		{ 400, "HTTP/1.1", { H("Content-Length", "18446744073709551616") } },
		{ 400, "HTTP/1.1", { H("Content-Length ", "2") } },
		{ 400, "HTTP/1.1", { H("X\0A", "2") } },
		{ 400, "HTTP/1.1", { H("X\x7f", "2") } },
		{ 400, "HTTP/1.1", { H("X-\xc3\xa9", "2") } },
		{ 400, "HTTP/1.1", { H("X:A", "2") } },
		{ 400, "HTTP/1.1", { H("X-A", "a\rb") } },
		{ 400, "HTTP/1.1", { H("X-A", "a\nb") } },
		{ 400, "HTTP/1.1", { H("X-A", "a\0b") } },
		{ 400, "HTTP/1.1", { H("X-A", "a\x7f") } },
		{ 413, "HTTP/1.1", { H("Content-Length", "26214401") } },
		{ 413, "HTTP/1.1", { H("Content-Length", "9999999999999999999") } },
		{ 0, "HTTP/1.1", { H("Content-Length", "26214400") } },
		{ 0, "HTTP/1.1",
			{ H("Content-Length", "26214401"),
				H("Content-Type", "application/x-www-form-urlencoded") } },
		{ 413, "HTTP/1.1",
			{ H("Content-Length", "26214401"),
				H("Content-Type", "application/x-www-form-urlencodedx") } },
		{ 413, "HTTP/1.1",
			{ H("Content-Length", "78643201"),
				H("Content-Type",
					"Application/X-WWW-Form-URLEncoded; charset=utf-8") } },
		{ 415, "HTTP/1.1", { H("Content-Encoding", "gzip") } },
		{ 415, "HTTP/1.1", { H("Content-Encoding", "identity, gzip") } },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct guard_facts facts;
		size_t count = 0;
		while (count < 4 && cases[i].headers[count].name.data != NULL)
			count++;
		unsigned got =
			status("POST", "/in/x", cases[i].version, cases[i].headers, count, &facts);
		if (got != cases[i].status)
			fail_msg("case %zu: want %u, got %u", i, cases[i].status, got);
	}
}

static void
request_line_has_no_control_bytes(void **state UNUSED)
{
	struct guard_facts facts;
	assert_int_equal(status("POST", "/in/x", "HTTP/1.1", NULL, 0, &facts), 0);
	assert_int_equal(status("PO ST", "/in/x", "HTTP/1.1", NULL, 0, &facts), 400);
	assert_int_equal(status("", "/in/x", "HTTP/1.1", NULL, 0, &facts), 400);
	assert_int_equal(status("POST", "", "HTTP/1.1", NULL, 0, &facts), 400);
	assert_int_equal(status("POST", "/in/x y", "HTTP/1.1", NULL, 0, &facts), 400);
	assert_int_equal(status("POST", "/in/\001", "HTTP/1.1", NULL, 0, &facts), 400);
	assert_int_equal(status("POST", "/in/\xc3", "HTTP/1.1", NULL, 0, &facts), 400);
}

static void
number_of_headers_is_limited(void **state UNUSED)
{
	struct event_header headers[LIMIT_HEADERS];
	struct guard_facts facts;
	for (size_t i = 0; i < COUNT_OF(headers); i++)
		headers[i] = (struct event_header)H("X-A", "b");
	assert_int_equal(status("POST", "/", "HTTP/1.1", headers, LIMIT_HEADERS - 1, &facts), 0);
	assert_int_equal(status("POST", "/", "HTTP/1.1", headers, LIMIT_HEADERS, &facts), 400);
}

static void
host_is_needed_from_http_1_1_on(void **state UNUSED)
{
	struct guard_facts facts;
	struct refusal no;
	struct guard_request request = { bytes_str("GET"), bytes_str("/"), bytes_str("HTTP/1.1"),
		NULL, 0 };
	assert_false(guard_head(&request, &facts, &no));
	assert_int_equal(no.status, 400);
	request.version = bytes_str("HTTP/1.0");
	assert_true(guard_head(&request, &facts, &no));
}

static void
facts_are_read_from_the_head(void **state UNUSED)
{
	static const struct event_header headers[] = { H("content-TYPE", "application/json"),
		H("Content-Length", "123") };
	struct guard_facts facts;
	assert_int_equal(status("POST", "/in/x?a=%20?&b", "HTTP/1.1", headers, 2, &facts), 0);
	assert_true(bytes_is(facts.path, "/in/x"));
	assert_true(bytes_is(facts.query, "a=%20?&b"));
	assert_true(bytes_is(facts.content_type, "application/json"));
	assert_int_equal(facts.content_length, 123);
	assert_false(facts.form || facts.chunked);
	assert_int_equal(status("POST", "HTTP://h:1/in/y", "HTTP/1.1", NULL, 0, &facts), 0);
	assert_true(bytes_is(facts.path, "/in/y"));
	assert_true(bytes_is(facts.query, ""));
	assert_int_equal(status("POST", "http://h", "HTTP/1.1", NULL, 0, &facts), 0);
	assert_true(bytes_is(facts.path, ""));
}

static void
source_names_are_words(void **state UNUSED)
{
	static const char *const good[] = { "a", "0", "a_b-9", "github" };
	static const char *const bad[] = { "", "A", "-a", "_a", "a.b", "a/b", "a b", "..",
		"\xc3\xa9" };
	char long_name[LIMIT_SOURCE_NAME_BYTES + 2];
	memset(long_name, 'a', sizeof long_name);
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(guard_is_source_name(bytes_str(good[i])));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(guard_is_source_name(bytes_str(bad[i])));
	struct bytes name = { (unsigned char *)long_name, LIMIT_SOURCE_NAME_BYTES };
	assert_true(guard_is_source_name(name));
	name.len++;
	assert_false(guard_is_source_name(name));
	assert_true(bytes_is(guard_source_name(bytes_str("/in/x")), "x"));
	static const char *const paths[] = { "", "/", "/in", "/in/", "/IN/x", "/in/x/",
		"/in/../in/x", "in/x" };
	for (size_t i = 0; i < COUNT_OF(paths); i++)
		assert_null(guard_source_name(bytes_str(paths[i])).data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_header_of_each_kind_and_no_tricks),
		cmocka_unit_test(request_line_has_no_control_bytes),
		cmocka_unit_test(number_of_headers_is_limited),
		cmocka_unit_test(host_is_needed_from_http_1_1_on),
		cmocka_unit_test(facts_are_read_from_the_head),
		cmocka_unit_test(source_names_are_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
