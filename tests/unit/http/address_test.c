/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cmocka.h>

#include "http/address.h"

union any {
	struct sockaddr address;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

static union any
parse(const char *text)
{
	union any a = { 0 };
	if (strchr(text, ':') == NULL) {
		a.v4.sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &a.v4.sin_addr), 1);
	} else {
		a.v6.sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &a.v6.sin6_addr), 1);
	}
	return a;
}

static void
tells_public_addresses(void **unused UNUSED)
{
	static const char *const public[] = { "1.1.1.1", "9.255.255.255", "11.0.0.0",
		"100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.1.1",
		"172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.1.1", "192.169.1.1",
		"198.17.1.1", "198.20.0.0", "223.255.255.255", "2600::1", "2a00:1450::1",
		"2001:200::1", "::ffff:1.1.1.1", "3ffe::1" };
	static const char *const not_public[] = { "0.0.0.0", "0.1.2.3", "10.0.0.1",
		"10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255",
		"169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.1", "192.0.2.1",
		"192.88.99.1", "192.168.0.1", "198.18.0.0", "198.19.255.255", "198.51.100.1",
		"203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::127.0.0.1", "64:ff9b::a00:1",
		"100::1", "2001::1", "2001:1ff::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1",
		"fc00::1", "fdff::1", "fe80::1", "fec0::1", "ff02::1", "4000::1" };
	for (size_t i = 0; i < COUNT_OF(public); i++) {
		union any a = parse(public[i]);
		if (!address_is_global(&a.address))
			fail_msg("%s is public", public[i]);
	}
	for (size_t i = 0; i < COUNT_OF(not_public); i++) {
		union any a = parse(not_public[i]);
		if (address_is_global(&a.address))
			fail_msg("%s is not public", not_public[i]);
	}
	union any un = { .un.sun_family = AF_UNIX };
	assert_false(address_is_global(&un.address));
}

static bool
in(const char *address, const char *range)
{
	union any a = parse(address);
	return address_in(&a.address, bytes_str(range));
}

static void
matches_ranges(void **unused UNUSED)
{
	assert_true(in("10.1.2.3", "10.0.0.0/8"));
	assert_true(in("10.1.2.3", "10.1.2.3"));
	assert_true(in("10.1.2.3", "0.0.0.0/0"));
	assert_true(in("::ffff:10.1.2.3", "10.1.0.0/16"));
	assert_false(in("10.1.2.3", "10.1.2.4"));
	assert_false(in("11.1.2.3", "10.0.0.0/8"));
	assert_false(in("10.1.2.3", "10.1.2.2/32"));
	assert_true(in("fd00::1", "fd00::/8"));
	assert_true(in("::1", "::1"));
	assert_false(in("::2", "::1"));
	assert_false(in("10.1.2.3", "::/1"));
	static const char *const wrong[] = { "", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "10.0.0",
		"::/129", "host.example", "/8", "10.0.0.0/-1", "10.0.0.0/0008" };
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_false(in("10.0.0.0", wrong[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_public_addresses),
		cmocka_unit_test(matches_ranges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
