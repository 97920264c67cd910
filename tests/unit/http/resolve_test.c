/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http.h"
#include "tests/unit/http/server.h"

/* Names that lead where nobody may go, and names that change their mind (DNS rebinding): libcurl finds this
 * program's resolver before libc's. */

#define NAME "rebind.test"

/* What NAME resolves to: at each question the next one, the last one for ever; several with commas. */
static const char *answers[4];
static size_t asked;

typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **result)
{
	resolver *real;
	void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
	memcpy(&real, &symbol, sizeof real);
	if (node == NULL || strcmp(node, NAME) != 0)
		return real(node, service, hints, result);
	size_t last = 0;
	while (last + 1 < COUNT_OF(answers) && answers[last + 1] != NULL)
		last++;
	const char *list = answers[asked < last ? asked : last];
	asked++;
	struct addrinfo how = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
	struct addrinfo **end = result;
	*result = NULL;
	while (*list != '\0') {
		char one[64];
		size_t len = strcspn(list, ",");
		snprintf(one, sizeof one, "%.*s", (int)len, list);
		list += len + (list[len] == ',');
		int failed = real(one, service, &how, end);
		if (failed != 0)
			return failed;
		while (*end != NULL)
			end = &(*end)->ai_next;
	}
	return 0;
}

/* One request of a new client, which has no memory of earlier answers. */
static enum rc
ask(const struct server *s, const char *first, const char *second, struct err *e)
{
	struct http_client *c = NULL;
	struct http_response response = { 0 };
	const struct http_options options = { .reach = HTTP_REACH_GLOBAL, .allow = "127.0.0.1" };
	char at[128], url[160];
	answers[0] = first;
	answers[1] = second;
	asked = 0;
	url_of(s, "/", at, sizeof at);
	snprintf(url, sizeof url, "http://" NAME "%s", strrchr(at, ':'));
	assert_int_equal(http_client_new(&c, &options, e), RC_OK);
	enum rc rc = http_request(c, "POST", url, NULL, 0, bytes_str("x"), &response, e);
	assert_true(asked > 0);
	/* Again with the connection, and the answer, that the client has. */
	if (rc == RC_OK)
		rc = http_request(c, "POST", url, NULL, 0, bytes_str("x"), &response, e);
	http_response_free(&response);
	http_client_free(c);
	return rc;
}

static void
a_name_that_leads_inside_is_refused(void **state UNUSED)
{
	static const char *const inside[] = { "10.0.0.1", "169.254.169.254", "127.0.0.2", "::1",
		"::ffff:10.0.0.1", "fd00::1", "64:ff9b::7f00:1", "0.0.0.0", "10.0.0.1,192.168.0.1" };
	static const char *const none[] = { "" };
	struct server s;
	server_start(&s, none, 0);
	for (size_t i = 0; i < COUNT_OF(inside); i++) {
		struct err e = { .text = "" };
		assert_int_equal(ask(&s, inside[i], NULL, &e), RC_DENIED);
		assert_non_null(strstr(e.text, "which is no address of the public internet"));
	}
	server_stop(&s);
	assert_int_equal(s.connections, 0);
	buf_free(&s.requests);
}

/* What counts is the address of the connection, not that of a look-up before. */
static void
a_name_that_changes_its_mind_gains_nothing(void **state UNUSED)
{
	static const char *const ok[] = { "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n" };
	struct server s;
	struct err e;
	server_start(&s, ok, 2);
	assert_int_equal(ask(&s, "127.0.0.1", "10.0.0.1", &e), RC_OK);
	server_stop(&s);
	buf_free(&s.requests);
	server_start(&s, ok, 0);
	assert_int_equal(ask(&s, "10.0.0.1", "127.0.0.1", &e), RC_DENIED);
	server_stop(&s);
	assert_int_equal(s.connections, 0);
	buf_free(&s.requests);
}

/* The address that may be reached is, and the other one is not tried. */
static void
of_two_addresses_only_the_one_that_may_be_reached(void **state UNUSED)
{
	static const char *const ok[] = { "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n" };
	struct server s;
	struct err e;
	server_start(&s, ok, 2);
	assert_int_equal(ask(&s, "127.0.0.2,127.0.0.1", NULL, &e), RC_OK);
	server_stop(&s);
	buf_free(&s.requests);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_that_leads_inside_is_refused),
		cmocka_unit_test(a_name_that_changes_its_mind_gains_nothing),
		cmocka_unit_test(of_two_addresses_only_the_one_that_may_be_reached),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
