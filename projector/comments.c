/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "pg/pg.h"
#include "projector/comments.h"
#include "projector/tables.h"

/* Names that mean the same in every table. */
static const struct {
	const char *name, *about;
} words[] = {
	{ "id", "the forge's id; a rename or a transfer does not change it" },
	{ "repo_id", "the repository: gh.repositories.id" },
	{ "org_id", "the organization: gh.organizations.id" },
	{ "sender_id", "who did it: gh.users.id" },
	{ "author_id", "who wrote it: gh.users.id" },
	{ "creator_id", "who made it: gh.users.id" },
	{ "owner_id", "the account it belongs to: gh.users.id" },
	{ "user_id", "the user: gh.users.id" },
	{ "actor_id", "who caused it: gh.users.id" },
	{ "team_id", "the team: gh.teams.id" },
	{ "installation_id", "the installation of an app: gh.installations.id" },
	{ "milestone_id", "gh.milestones.id; null: none" },
	{ "deployment_id", "gh.deployments.id" },
	{ "pull_request_id", "gh.pull_requests.id" },
	{ "release_id", "gh.releases.id" },
	{ "workflow_id", "gh.workflows.id" },
	{ "workflow_run_id", "gh.workflow_runs.id" },
	{ "check_suite_id", "gh.check_suites.id" },
	{ "app_id", "the GitHub App that did it" },
	{ "app_slug", "its name in URLs" },
	{ "node_id", "id in the GraphQL API" },
	{ "number", "number within the repository, as people write it" },
	{ "name", "name" },
	{ "full_name", "owner and name, such as acme/widgets" },
	{ "login", "name of the account" },
	{ "title", "title" },
	{ "body", "text, as written in Markdown" },
	{ "description", "description" },
	{ "state", "state, as the forge calls it" },
	{ "state_reason", "why it is in that state" },
	{ "status", "status, as the forge calls it" },
	{ "conclusion", "how it ended; null: it has not" },
	{ "action", "what was done, as the event says" },
	{ "event", "type of the event" },
	{ "kind", "which kind of thing the row is about" },
	{ "html_url", "its page" },
	{ "url", "address" },
	{ "created_at", "when it was made" },
	{ "updated_at", "when it last changed" },
	{ "closed_at", "when it was closed; null: open" },
	{ "published_at", "when it was published; null: not yet" },
	{ "started_at", "when it began" },
	{ "completed_at", "when it ended; null: it has not" },
	{ "received_at", "when hooklog received the event" },
	{ "seq", "number of the event in the log" },
	{ "position", "place in the event's list, from 0" },
	{ "sha", "hash of the commit" },
	{ "head_sha", "commit at its head" },
	{ "commit_sha", "commit it is about" },
	{ "before_sha", "commit it moved from" },
	{ "after_sha", "commit it moved to" },
	{ "base_sha", "commit it is compared with" },
	{ "head_ref", "branch it comes from" },
	{ "head_branch", "branch it ran for" },
	{ "base_ref", "branch it is for" },
	{ "head_repo_id", "repository it comes from: gh.repositories.id; null: deleted" },
	{ "ref", "branch or tag" },
	{ "path", "file" },
	{ "draft", "not yet meant to be looked at" },
	{ "locked", "comments are closed" },
	{ "author_association", "what the author is to the repository: OWNER, MEMBER, CONTRIBUTOR, ..." },
	{ "comments", "number of comments, as last told" },
	{ "label_ids", "labels it has now: gh.labels.id" },
	{ "assignee_ids", "who it is assigned to now: gh.users.id" },
	{ "pull_request_ids", "pull requests the forge tied to it, none for heads in forks" },
	{ "environment", "environment that is deployed to" },
	{ "permissions", "what it may do, as the forge's object" },
	{ "private", "not open to everybody" },
	{ "type", "type, as the forge calls it" },
	{ "source", "where it comes from" },
	/* What hooklog adds: tables_each_book_column. */
	{ "first_seq", "number of the first event that mentioned it" },
	{ "last_seq", "number of the last event that mentioned it" },
	{ "origin", "how that event came into the log: 0 webhook, 1 backfill, 2 poll, 3 reconcile, 4 import, "
		    "5 replay, 6 operator, 7 broker" },
	{ "webhook_at", "when a webhook last mentioned it" },
	{ "api_at", "when an answer of the API last did" },
	{ "deleted_at", "when it was deleted; null: it was not" },
	{ "deleted_seq", "number of the event that deleted it" },
	{ "partial", "it was only ever mentioned in short form: columns of the group full were never told" },
};

static const struct column *
find_column(const struct definition *d, const char *name)
{
	for (size_t i = 0; i < d->column_count; i++) {
		if (strcmp(d->columns[i].name, name) == 0)
			return &d->columns[i];
	}
	return NULL;
}

static const char *
about_version(const char *name)
{
	static const struct {
		const char *end, *about;
	} parts[] = { { "version_at", "version of the group: the time that the object carried" },
		{ "version_rank", "version of the group: how directly the event was about it" },
		{ "version_seq", "version of the group: the event that told it" } };
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		size_t len = strlen(name), end = strlen(parts[i].end);
		if (len >= end && strcmp(name + len - end, parts[i].end) == 0)
			return parts[i].about;
	}
	return "";
}

const char *
comments_about_column(const struct definition *d, const char *name)
{
	const struct column *c = find_column(d, name);
	if (c != NULL && c->about != NULL)
		return c->about;
	for (size_t i = 0; i < d->generated_count; i++) {
		if (strcmp(d->generated[i].name, name) == 0 && d->generated[i].about != NULL)
			return d->generated[i].about;
	}
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (strcmp(words[i].name, name) == 0)
			return words[i].about;
	}
	return c == NULL ? about_version(name) : "";
}

void
comments_put_source(struct buf *out, const struct definition *d, const char *name)
{
	const struct column *c = find_column(d, name);
	if (c == NULL)
		return;
	if (d->kind == DEFINITION_ENTITY && !c->key && c->group > 0)
		buf_printf(out, "%s ", d->groups[c->group]);
	buf_printf(out, "= %s", c->source);
}

struct commenter {
	struct buf *out;
	const struct definition *d;
	const char *schema;
};

static void
put_column(const char *name, const char *sql_type UNUSED, void *context)
{
	const struct commenter *c = context;
	struct buf text = buf_new(LIMIT_CONFIG_FILE_BYTES), source = buf_new(LIMIT_CONFIG_FILE_BYTES);
	comments_put_source(&source, c->d, name);
	buf_put_str(&text, comments_about_column(c->d, name));
	if (source.len > 0)
		buf_printf(&text, "%s(%s)", text.len == 0 ? "" : " ", buf_cstr(&source));
	if (text.len > 0) {
		buf_put_str(c->out, "comment on column ");
		pg_put_identifier(c->out, c->schema);
		buf_printf(c->out, ".%s.%s is ", c->d->table, name);
		pg_put_literal(c->out, buf_cstr(&text));
		buf_put_str(c->out, ";\n");
	}
	buf_free(&text);
	buf_free(&source);
}

void
comments_put(struct buf *out, const struct definition *d, const char *schema)
{
	struct commenter c = { out, d, schema };
	if (d->about[0] != '\0') {
		buf_put_str(out, "comment on table ");
		pg_put_identifier(out, schema);
		buf_printf(out, ".%s is ", d->table);
		pg_put_literal(out, d->about);
		buf_put_str(out, ";\n");
	}
	for (size_t i = 0; i < d->column_count; i++)
		put_column(d->columns[i].name, NULL, &c);
	for (size_t i = 0; i < d->generated_count; i++)
		put_column(d->generated[i].name, NULL, &c);
	tables_each_book_column(d, put_column, &c);
}

void
comments_put_prose(struct buf *out, const char *text)
{
	for (bool first = true; strncmp(text, "-- ", 3) == 0; first = false) {
		size_t len = strcspn(text, "\n");
		if (!first)
			buf_put_char(out, ' ');
		buf_put(out, text + 3, len - 3);
		text += len + (text[len] == '\n');
	}
}
