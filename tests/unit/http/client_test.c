/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/http.h"
#include "tests/unit/http/server.h"

static struct http_client *
client_new(int64_t timeout_ms)
{
	struct http_client *c = NULL;
	struct err e;
	struct http_options options = { .timeout_ms = timeout_ms };
	assert_int_equal(http_client_new(&c, &options, &e), RC_OK);
	return c;
}

static void
sends_exactly_what_was_given(void **state UNUSED)
{
	static const char *const answers[] = {
		"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\n{\"seq\":1}"
	};
	struct server s;
	server_start(&s, answers, 1);
	struct http_client *c = client_new(0);
	const struct http_header headers[] = {
		{ bytes_str("X-First"), bytes_str("1") },
		{ bytes_str("content-TYPE"), bytes_str("application/json") },
		{ bytes_str("X-Empty"), bytes_str("") },
		{ bytes_str("X-First"), bytes_str("2") },
	};
	static const unsigned char body[] = { '{', 0, 0xff, '\r', '\n', '}' };
	struct http_response response = { 0 };
	struct err e;
	char url[128];
	url_of(&s, "/in/a?b=c%20d", url, sizeof(url));
	assert_int_equal(http_request(c, "POST", url, headers, 4,
				 (struct bytes){ body, sizeof(body) }, &response, &e),
		RC_OK);
	assert_int_equal(response.status, 202);
	assert_int_equal(response.retry_after_s, -1);
	assert_true(bytes_is(buf_bytes(&response.body), "{\"seq\":1}"));
	server_stop(&s);
	/* libcurl puts Content-Length where it likes among the headers. */
	assert_non_null(strstr(buf_cstr(&s.requests), "POST /in/a?b=c%20d HTTP/1.1\r\nHost: "));
	assert_non_null(strstr(buf_cstr(&s.requests), "\r\nUser-Agent: hooklog\r\n"));
	const char *first = strstr(buf_cstr(&s.requests), "\r\nX-First: 1\r\n");
	assert_non_null(first);
	assert_non_null(
		strstr(first, "\r\ncontent-TYPE: application/json\r\nX-Empty:\r\nX-First: 2\r\n"));
	assert_non_null(strstr(buf_cstr(&s.requests), "\r\nContent-Length: 6\r\n"));
	assert_memory_equal(s.requests.data + s.requests.len - sizeof(body), body, sizeof(body));
	http_response_free(&response);
	http_client_free(c);
	buf_free(&s.requests);
}

static void
a_large_body_goes_out_whole_and_without_expect(void **state UNUSED)
{
	static const char *const answers[] = { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" };
	struct server s;
	server_start(&s, answers, 1);
	struct http_client *c = client_new(0);
	size_t len = (size_t)3 * 1024 * 1024;
	unsigned char *body = base_alloc(len);
	for (size_t i = 0; i < len; i++)
		body[i] = (unsigned char)(i * 31 + (i >> 8));
	struct http_response response = { 0 };
	struct err e;
	char url[128];
	url_of(&s, "/", url, sizeof(url));
	assert_int_equal(
		http_request(c, "POST", url, NULL, 0, (struct bytes){ body, len }, &response, &e),
		RC_OK);
	server_stop(&s);
	assert_true(s.requests.len > len);
	assert_memory_equal(s.requests.data + s.requests.len - len, body, len);
	assert_null(strcasestr(buf_cstr(&s.requests), "\r\nexpect:"));
	free(body);
	http_response_free(&response);
	http_client_free(c);
	buf_free(&s.requests);
}

static void
reuses_the_connection_and_survives_its_end(void **state UNUSED)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nb",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nc",
	};
	struct server s;
	server_start(&s, answers, 3);
	struct http_client *c = client_new(0);
	struct http_response response = { 0 };
	struct err e;
	char url[128];
	url_of(&s, "/", url, sizeof(url));
	for (size_t i = 0; i < 3; i++) {
		const char want[2] = { (char)('a' + i), '\0' };
		assert_int_equal(
			http_request(c, "GET", url, NULL, 0, bytes_str(""), &response, &e), RC_OK);
		assert_true(bytes_is(buf_bytes(&response.body), want));
	}
	server_stop(&s);
	assert_int_equal(s.connections, 2);
	http_response_free(&response);
	http_client_free(c);
	buf_free(&s.requests);
}

static void
follows_no_redirect_and_no_proxy_variable(void **state UNUSED)
{
	static const char *const answers[] = {
		"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
	};
	struct server s;
	server_start(&s, answers, 1);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	struct http_client *c = client_new(0);
	struct http_response response = { 0 };
	struct err e;
	char url[128];
	url_of(&s, "/", url, sizeof(url));
	assert_int_equal(
		http_request(c, "POST", url, NULL, 0, bytes_str("x"), &response, &e), RC_OK);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	assert_int_equal(response.status, 302);
	server_stop(&s);
	http_response_free(&response);
	http_client_free(c);
	buf_free(&s.requests);
}

static void
reads_retry_after_in_both_forms(void **state UNUSED)
{
	char future[128];
	time_t at = (time_t)(clock_now_us() / 1000000) + 1000;
	struct tm tm;
	gmtime_r(&at, &tm);
	strftime(future, sizeof(future),
		"HTTP/1.1 503 x\r\nRetry-After: %a, %d %b %Y %H:%M:%S GMT\r\nContent-Length: "
		"0\r\n\r\n",
		&tm);
	const char *const answers[] = {
		"HTTP/1.1 429 x\r\nretry-after:  7 \r\nContent-Length: 0\r\n\r\n",
		future,
		"HTTP/1.1 503 x\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 503 x\r\nRetry-After: Thu, 01 Jan 1998 00:00:00 GMT\r\nContent-Length: "
		"0\r\n\r\n",
		"HTTP/1.1 103 Early\r\nRetry-After: 5\r\n\r\nHTTP/1.1 503 x\r\nContent-Length: "
		"0\r\n\r\n",
	};
	struct server s;
	server_start(&s, answers, COUNT_OF(answers));
	struct http_client *c = client_new(0);
	struct http_response response = { 0 };
	struct err e;
	char url[128];
	url_of(&s, "/", url, sizeof(url));
	int64_t got[COUNT_OF(answers)];
	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		assert_int_equal(
			http_request(c, "POST", url, NULL, 0, bytes_str(""), &response, &e), RC_OK);
		got[i] = response.retry_after_s;
	}
	assert_int_equal(got[0], 7);
	/* However slow the machine is, it is between now and the named moment. */
	assert_in_range(got[1], 0, 1000);
	assert_true(got[1] > 0);
	assert_int_equal(got[2], -1);
	assert_int_equal(got[3], 0);
	assert_int_equal(got[4], -1);
	server_stop(&s);
	http_response_free(&response);
	http_client_free(c);
	buf_free(&s.requests);
}

static void
caps_the_answer(void **state UNUSED)
{
	size_t len = HTTP_ANSWER_BYTES + 100000;
	struct buf answer = buf_new(len + 200);
	buf_printf(&answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
	for (size_t i = 0; i < len; i++)
		buf_put_char(&answer, 'z');
	const char *const answers[] = { buf_cstr(&answer),
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" };
	struct server s;
	server_start(&s, answers, 2);
	struct http_client *c = client_new(0);
	struct http_response response = { 0 };
	struct err e;
	char url[128];
	url_of(&s, "/", url, sizeof(url));
	assert_int_equal(http_request(c, "GET", url, NULL, 0, bytes_str(""), &response, &e), RC_OK);
	assert_int_equal(response.body.len, HTTP_ANSWER_BYTES);
	assert_int_equal(http_request(c, "GET", url, NULL, 0, bytes_str(""), &response, &e), RC_OK);
	assert_true(bytes_is(buf_bytes(&response.body), "ok"));
	server_stop(&s);
	http_response_free(&response);
	http_client_free(c);
	buf_free(&answer);
	buf_free(&s.requests);
}

static void
refuses_what_cannot_be_sent(void **state UNUSED)
{
	struct http_client *c = client_new(0);
	struct http_response response = { 0 };
	struct err e;
	static const char *const urls[] = { "ftp://127.0.0.1/", "file:///etc/hostname", "127.0.0.1",
		"http://", "http://a b/", "" };
	for (size_t i = 0; i < COUNT_OF(urls); i++)
		assert_int_equal(
			http_request(c, "GET", urls[i], NULL, 0, bytes_str(""), &response, &e),
			RC_INVALID);
	static const struct http_header bad[] = {
		{ { (const unsigned char *)"A b", 3 }, { (const unsigned char *)"x", 1 } },
		{ { (const unsigned char *)"", 0 }, { (const unsigned char *)"x", 1 } },
		{ { (const unsigned char *)"A:", 2 }, { (const unsigned char *)"x", 1 } },
		{ { (const unsigned char *)"A", 1 }, { (const unsigned char *)"x\r\nB: y", 7 } },
		{ { (const unsigned char *)"A", 1 }, { (const unsigned char *)"x\n", 2 } },
		{ { (const unsigned char *)"A", 1 }, { (const unsigned char *)"x\0y", 3 } },
		{ { (const unsigned char *)"host", 4 }, { (const unsigned char *)"x", 1 } },
		{ { (const unsigned char *)"Content-Length", 14 },
			{ (const unsigned char *)"1", 1 } },
		{ { (const unsigned char *)"Transfer-Encoding", 17 },
			{ (const unsigned char *)"x", 1 } },
	};
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(http_request(c, "POST", "http://127.0.0.1:1/", &bad[i], 1,
					 bytes_str(""), &response, &e),
			RC_INVALID);
	assert_int_equal(http_request(c, "PO ST", "http://127.0.0.1:1/", NULL, 0, bytes_str(""),
				 &response, &e),
		RC_INVALID);
	http_response_free(&response);
	http_client_free(c);
}

static void
tells_when_there_is_no_answer_without_telling_secrets(void **state UNUSED)
{
	static const char *const answers[] = { NULL };
	struct server s;
	server_start(&s, answers, 1);
	struct http_client *c = client_new(0);
	struct http_response response = { 0 };
	struct err e;
	char url[160], shown[160];
	snprintf(url, sizeof(url), "http://robot:hush@127.0.0.1:%u/in?token=hush#f", s.port);
	snprintf(shown, sizeof(shown), "http://127.0.0.1:%u/in", s.port);
	assert_int_equal(
		http_request(c, "POST", url, NULL, 0, bytes_str("x"), &response, &e), RC_IO);
	assert_non_null(strstr(e.text, shown));
	assert_null(strstr(e.text, "hush"));
	server_stop(&s);
	/* Nobody listens any more. */
	assert_int_equal(
		http_request(c, "POST", url, NULL, 0, bytes_str("x"), &response, &e), RC_IO);
	assert_null(strstr(e.text, "hush"));
	http_response_free(&response);
	http_client_free(c);
	buf_free(&s.requests);
}

static void
gives_up_after_the_timeout(void **state UNUSED)
{
	/* Promises more than it sends, then waits for the next request, which never comes. */
	static const char *const answers[] = { "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc",
		"" };
	struct server s;
	server_start(&s, answers, 2);
	struct http_client *c = client_new(200);
	struct http_response response = { 0 };
	struct err e;
	char url[128];
	url_of(&s, "/", url, sizeof(url));
	assert_int_equal(
		http_request(c, "POST", url, NULL, 0, bytes_str("x"), &response, &e), RC_IO);
	http_client_free(c);
	server_stop(&s);
	http_response_free(&response);
	buf_free(&s.requests);
}

#define CLIENT_THREADS 4

static void *
one_client(void *context)
{
	const struct server *s = context;
	for (int i = 0; i < 5; i++) {
		struct http_client *c = NULL;
		struct http_options options = { 0 };
		struct http_response response = { 0 };
		struct err e;
		char url[128];
		url_of(s, "/", url, sizeof(url));
		if (http_client_new(&c, &options, &e) != RC_OK)
			return "no client";
		enum rc rc = http_request(c, "POST", url, NULL, 0, bytes_str("x"), &response, &e);
		int status = response.status;
		http_response_free(&response);
		http_client_free(c);
		if (rc != RC_OK || status != 200)
			return "no answer";
	}
	return NULL;
}

static void
clients_in_several_threads(void **state UNUSED)
{
	const char *answers[CLIENT_THREADS * 5];
	for (size_t i = 0; i < COUNT_OF(answers); i++)
		answers[i] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	struct server s;
	server_start(&s, answers, COUNT_OF(answers));
	pthread_t threads[CLIENT_THREADS];
	for (size_t i = 0; i < CLIENT_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, one_client, &s), 0);
	for (size_t i = 0; i < CLIENT_THREADS; i++) {
		void *failed = NULL;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	server_stop(&s);
	assert_int_equal(s.connections, COUNT_OF(answers));
	buf_free(&s.requests);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_exactly_what_was_given),
		cmocka_unit_test(a_large_body_goes_out_whole_and_without_expect),
		cmocka_unit_test(reuses_the_connection_and_survives_its_end),
		cmocka_unit_test(follows_no_redirect_and_no_proxy_variable),
		cmocka_unit_test(reads_retry_after_in_both_forms),
		cmocka_unit_test(caps_the_answer),
		cmocka_unit_test(refuses_what_cannot_be_sent),
		cmocka_unit_test(tells_when_there_is_no_answer_without_telling_secrets),
		cmocka_unit_test(gives_up_after_the_timeout),
		cmocka_unit_test(clients_in_several_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
