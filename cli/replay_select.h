/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_REPLAY_SELECT_H
#define CLI_REPLAY_SELECT_H

#include "base/cli.h"
#include "replay/replay.h"

/* The options that select events, which `replay` and `subscription add` have in common. */

#define REPLAY_SELECT_OPTIONS                                                                      \
	{ "source", CLI_STRING, "NAMES", "received by one of these sources" },                     \
		{ "provider", CLI_STRING, "NAMES", "of one of these providers" },                  \
		{ "origin", CLI_STRING, "NAMES",                                                   \
			"that came in one of these ways: webhook, backfill, poll, reconcile, "     \
			"import, broker" },                                                                \
		{ "event", CLI_STRING, "NAMES",                                                    \
			"of one of these types; pull_request.closed names an action too" },        \
		{ "action", CLI_STRING, "NAMES", "whose payload names one of these actions" },     \
		{ "sender", CLI_STRING, "NAMES", "caused by one of these users: login or number" }, \
		{ "repository", CLI_STRING, "REPO",                                                \
			"about this repository: owner/name or its number" },                       \
		{ "delivery", CLI_STRING, "ID", "with this delivery id" },                         \
		{ "where", CLI_STRING, "PATH=VALUE",                                               \
			"whose payload has this value there; also != < <= > >=, several with "     \
			"' and '" }

static inline void
replay_select_read(const struct cli_call *call, struct replay_select *s)
{
	s->sources = cli_option(call, "source")->text;
	s->providers = cli_option(call, "provider")->text;
	s->origins = cli_option(call, "origin")->text;
	s->events = cli_option(call, "event")->text;
	s->actions = cli_option(call, "action")->text;
	s->senders = cli_option(call, "sender")->text;
	s->repository = cli_option(call, "repository")->text;
	s->delivery = cli_option(call, "delivery")->text;
	s->where = cli_option(call, "where")->text;
}

#endif
