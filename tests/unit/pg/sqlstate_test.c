/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pg/sqlstate.h"

/* Parked, tried again or given up: every code that decides about an event. */
static void
test_codes(void **state UNUSED)
{
	static const struct {
		const char *state;
		enum rc rc;
		const char *id;
	} rows[] = {
		{ "22003", RC_INVALID, NULL },                    /* out of range */
		{ "22P05", RC_INVALID, NULL },                    /* NUL in jsonb */
		{ "23514", RC_INVALID, NULL },                    /* check constraint */
		{ "42804", RC_INVALID, NULL },                    /* wrong type */
		{ "54000", RC_INVALID, NULL },                    /* row too long for its index */
		{ "08006", RC_AGAIN, "postgres.unavailable" },    /* connection failure */
		{ "40P01", RC_AGAIN, "postgres.unavailable" },    /* deadlock */
		{ "53100", RC_AGAIN, "postgres.unavailable" },    /* disk full */
		{ "55P03", RC_AGAIN, "postgres.unavailable" },    /* lock timeout */
		{ "57P01", RC_AGAIN, "postgres.unavailable" },    /* shutdown */
		{ "58030", RC_AGAIN, "postgres.unavailable" },    /* I/O error */
		{ "25P03", RC_AGAIN, "postgres.unavailable" },    /* we were stopped within a transaction */
		{ "XX000", RC_AGAIN, "postgres.unavailable" },    /* internal error */
		{ "25006", RC_DENIED, "postgres.refused" },       /* standby */
		{ "28P01", RC_DENIED, "postgres.refused" },       /* wrong password */
		{ "3D000", RC_DENIED, "postgres.refused" },       /* no such database */
		{ "42501", RC_DENIED, "postgres.refused" },       /* no privilege */
		{ "HL001", RC_CONFLICT, NULL },                   /* the checkpoint moved */
		{ "42P01", RC_IO, NULL },                         /* no such table */
		{ "25001", RC_IO, NULL },
		{ "", RC_IO, NULL },
		{ NULL, RC_IO, NULL },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *id = "left over";
		if (sqlstate_rc(rows[i].state, &id) != rows[i].rc)
			fail_msg("%s", rows[i].state == NULL ? "NULL" : rows[i].state);
		if (rows[i].id == NULL)
			assert_null(id);
		else
			assert_string_equal(id, rows[i].id);
	}
}

static void
test_login_in_any_language(void **state UNUSED)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "connection to server on socket \"/x/.s.PGSQL.5432\" failed: FATAL:  28000: role \"x\" does "
		  "not exist\nLOCATION:  InitializeSessionUserId, miscinit.c:758\n",
			"28000" },
		{ "connection to server at \"h\" (10.0.0.1), port 5432 failed: FATAL:  3D000: Datenbank "
		  "\xc2\xbbx\xc2\xab existiert nicht\n",
			"3D000" },
		{ "connection to server on socket \"/a:  b\" failed: FATAL:  57P03: starting up", "57P03" },
		{ "connection to server on socket \"/x\" failed: No such file or directory\n\tIs the server "
		  "running locally?",
			NULL },
		{ "connection to server failed: FATAL:  password: no", NULL },
		{ "FATAL:  ", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char got[6] = "";
		bool found = sqlstate_of_login(rows[i].text, got);
		assert_int_equal(found, rows[i].want != NULL);
		if (found)
			assert_string_equal(got, rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_login_in_any_language),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
