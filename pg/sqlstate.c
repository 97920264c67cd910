/* SPDX-License-Identifier: Apache-2.0 */
#include "pg/sqlstate.h"

enum rc
sqlstate_rc(const char *state, const char **id)
{
	static const struct {
		const char *prefix;
		enum rc rc;
		const char *id;
	} rows[] = {
		{ "25006", RC_DENIED, "postgres.refused" },
		{ "25P03", RC_AGAIN, "postgres.unavailable" },
		{ "42501", RC_DENIED, "postgres.refused" },
		{ "42804", RC_INVALID, NULL },
		{ "28", RC_DENIED, "postgres.refused" },
		{ "3D", RC_DENIED, "postgres.refused" },
		{ "22", RC_INVALID, NULL },
		{ "23", RC_INVALID, NULL },
		{ "54", RC_INVALID, NULL },
		{ "HL", RC_CONFLICT, NULL },
		{ "08", RC_AGAIN, "postgres.unavailable" },
		{ "40", RC_AGAIN, "postgres.unavailable" },
		{ "53", RC_AGAIN, "postgres.unavailable" },
		{ "55", RC_AGAIN, "postgres.unavailable" },
		{ "57", RC_AGAIN, "postgres.unavailable" },
		{ "58", RC_AGAIN, "postgres.unavailable" },
		{ "XX", RC_AGAIN, "postgres.unavailable" },
	};
	*id = NULL;
	for (size_t i = 0; state != NULL && i < COUNT_OF(rows); i++) {
		if (strncmp(state, rows[i].prefix, strlen(rows[i].prefix)) == 0) {
			*id = rows[i].id;
			return rows[i].rc;
		}
	}
	return RC_IO;
}

bool
sqlstate_of_login(const char *text, char state[6])
{
	for (const char *p = text; (p = strstr(p, ":  ")) != NULL; p += 3) {
		if (strspn(p + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && p[8] == ':') {
			snprintf(state, 6, "%s", p + 3);
			return true;
		}
	}
	return false;
}
