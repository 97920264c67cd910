/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cli_help.h"
#include "base/clock.h"
#include "base/limits.h"

#define WORD_MAX 63
#define ID NULL /* a usage error needs no page: its text says it all */

/* ---- near misses ---- */

/* Edits (insert, delete, replace, swap neighbours) from a to b; both at most WORD_MAX bytes. */
static size_t
distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];
	size_t a_len = strlen(a), b_len = strlen(b);
	for (size_t j = 0; j <= b_len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		size_t *spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[b_len];
}

const char *
cli_nearest(const char *word, const char *const *candidates, size_t count)
{
	size_t len = strlen(word);
	if (len == 0 || len > WORD_MAX)
		return NULL;
	const char *nearest = NULL;
	/* A third of the letters wrong is a slip; more is another word. */
	size_t best = (len + 2) / 3 + 1;
	for (size_t i = 0; i < count; i++) {
		if (strlen(candidates[i]) > WORD_MAX)
			continue;
		size_t d = distance(word, candidates[i]);
		if (d < best) {
			best = d;
			nearest = candidates[i];
		}
	}
	return nearest;
}

/* ---- finding the command ---- */

static const struct cli_command *
find_command(const struct cli_command *const *commands, size_t count, const char *first,
	const char *second)
{
	char name[2 * WORD_MAX + 2];
	const char *glue = second == NULL ? "" : " ";
	int n = snprintf(name, sizeof name, "%s%s%s", first, glue, second == NULL ? "" : second);
	for (size_t i = 0; n >= 0 && (size_t)n < sizeof name && i < count; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

static bool
is_group(const struct cli_command *const *commands, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++) {
		if (cli_in_group(commands[i], word))
			return true;
	}
	return false;
}

static enum rc
unknown_command(const struct cli_command *const *commands, size_t count, const char *first,
	const char *second, struct err *e)
{
	bool group = is_group(commands, count, first);
	if (group && second == NULL)
		return err_set(e, RC_INVALID, ID,
			"'%s' needs one more word; 'hooklog help %s' lists them", first, first);
	char word[2 * WORD_MAX + 2];
	snprintf(word, sizeof word, "%s%s%s", first, group && second != NULL ? " " : "",
		group && second != NULL ? second : "");
	/* Names, their last words, for who forgot the group, and "help". */
	const char **names = base_alloc((2 * count + 1) * sizeof *names);
	size_t n = 0;
	names[n++] = "help";
	for (size_t i = 0; i < count; i++)
		names[n++] = commands[i]->name;
	for (size_t i = 0; i < count; i++) {
		const char *space = strchr(commands[i]->name, ' ');
		if (space != NULL)
			names[n++] = space + 1;
	}
	const char *nearest = cli_nearest(word, names, n);
	for (size_t i = 0; nearest != NULL && i < count; i++) {
		const char *space = strchr(commands[i]->name, ' ');
		if (space != NULL && nearest == space + 1)
			nearest = commands[i]->name;
	}
	/* "porject run": the group itself is misspelt. */
	char both[2 * WORD_MAX + 2];
	if (!group && second != NULL) {
		snprintf(both, sizeof both, "%s %s", first, second);
		const char *better = cli_nearest(both, names + 1, count);
		if (better != NULL)
			nearest = better;
	}
	free(names);
	if (nearest != NULL)
		return err_set(e, RC_INVALID, ID, "unknown command '%s'; did you mean 'hooklog %s'?", word,
			nearest);
	return err_set(e, RC_INVALID, ID, "unknown command '%s'; 'hooklog help%s%s' lists them", word,
		group ? " " : "", group ? first : "");
}

/* Prints help for no, one or two words. */
static enum rc
help(const struct cli_command *const *commands, size_t count, const char *first, const char *second,
	struct err *e)
{
	struct buf out = buf_new(LIMIT_TEXT_BYTES);
	enum rc rc = RC_NOTFOUND;
	const struct cli_command *c = NULL;
	if (first != NULL) {
		c = second == NULL ? NULL : find_command(commands, count, first, second);
		if (c == NULL)
			c = find_command(commands, count, first, NULL);
	}
	if (first == NULL)
		cli_put_overview(&out, commands, count, NULL);
	else if (c != NULL)
		cli_put_command_help(&out, c);
	else if (second == NULL && is_group(commands, count, first))
		cli_put_overview(&out, commands, count, first);
	else
		rc = unknown_command(commands, count, first, second, e);
	if (out.len > 0)
		fputs(buf_cstr(&out), stdout);
	buf_free(&out);
	return rc;
}

/* ---- parsing ---- */

struct parser {
	const struct cli_command *const *commands;
	size_t count;
	int argc, at;
	const char *const *argv;
	struct cli_call *call;
	struct cli_value globals[CLI_GLOBALS];
	bool only_args; /* after -- */
	struct err *e;
};

static bool
parse_u64(const char *text, uint64_t *out)
{
	uint64_t v = 0;
	for (size_t i = 0; text[i] != '\0'; i++) {
		if (text[i] == '_' && i > 0 && text[i - 1] != '_' && text[i + 1] != '\0')
			continue;
		if (text[i] < '0' || text[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(text[i] - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return text[0] != '\0';
}

/* Fills value from the "=text" part or the following argument. */
static enum rc
take_value(struct parser *p, const struct cli_option *o, const char *inlined, struct cli_value *value)
{
	if (value->given)
		return err_set(p->e, RC_INVALID, ID, "option --%s is given twice", o->name);
	value->given = true;
	if (o->type == CLI_FLAG) {
		if (inlined != NULL)
			return err_set(p->e, RC_INVALID, ID, "option --%s takes no value", o->name);
		return RC_OK;
	}
	value->text = inlined;
	if (inlined == NULL && p->at < p->argc && strncmp(p->argv[p->at], "--", 2) != 0)
		value->text = p->argv[p->at++];
	if (value->text == NULL)
		return err_set(p->e, RC_INVALID, ID,
			"option --%s needs a value: --%s %s, or --%s=%s when it starts with --", o->name, o->name,
			o->metavar, o->name, o->metavar);
	if (o->type == CLI_U64 && !parse_u64(value->text, &value->u64))
		return err_set(p->e, RC_INVALID, ID, "option --%s: '%s' is not a whole number", o->name,
			value->text);
	if (o->type == CLI_TIME && !clock_parse_us(bytes_str(value->text), &value->time_us))
		return err_set(p->e, RC_INVALID, ID,
			"option --%s: '%s' is not a time such as 2026-03-01T12:00:00Z or a date such as 2026-03-01",
			o->name, value->text);
	return RC_OK;
}

static enum rc
unknown_option(struct parser *p, const char *text, size_t len)
{
	const struct cli_command *c = p->call->command;
	const char *names[CLI_OPTIONS_MAX + CLI_GLOBALS];
	size_t count = 0;
	for (size_t i = 0; c != NULL && i < c->option_count; i++)
		names[count++] = c->options[i].name;
	for (size_t i = 0; i < CLI_GLOBALS; i++)
		names[count++] = cli_global_options[i].name;
	char word[WORD_MAX + 1] = "";
	if (len > 2 && len - 2 <= WORD_MAX)
		snprintf(word, sizeof word, "%.*s", (int)(len - 2), text + 2);
	const char *nearest = cli_nearest(word, names, count);
	const char *name = c == NULL ? "" : c->name;
	if (nearest != NULL)
		return err_set(p->e, RC_INVALID, ID, "unknown option '%.*s'; did you mean --%s?", (int)len, text,
			nearest);
	return err_set(p->e, RC_INVALID, ID, "unknown option '%.*s'; 'hooklog help%s%s' lists them",
		(int)len, text, c == NULL ? "" : " ", name);
}

/* Takes the option at p->at: the command's own, once the command is known, or a global one. */
static enum rc
take_option(struct parser *p)
{
	const char *text = p->argv[p->at++];
	if (strcmp(text, "-h") == 0)
		text = "--help";
	const char *equals = strchr(text, '=');
	size_t len = equals == NULL ? strlen(text) : (size_t)(equals - text);
	const char *inlined = equals == NULL ? NULL : equals + 1;
	if (text[1] != '-')
		return unknown_option(p, text, len);
	struct bytes name = { (const unsigned char *)text + 2, len - 2 };
	const struct cli_command *c = p->call->command;
	for (size_t i = 0; c != NULL && i < c->option_count; i++) {
		if (bytes_is(name, c->options[i].name))
			return take_value(p, &c->options[i], inlined, &p->call->options[i]);
	}
	for (size_t i = 0; i < CLI_GLOBALS; i++) {
		if (bytes_is(name, cli_global_options[i].name))
			return take_value(p, &cli_global_options[i], inlined, &p->globals[i]);
	}
	return unknown_option(p, text, len);
}

static bool
is_option(const struct parser *p)
{
	const char *text = p->argv[p->at];
	return !p->only_args && text[0] == '-' && text[1] != '\0';
}

/* Options in front of the command, then the one or two words that name it. */
static enum rc
take_command(struct parser *p)
{
	while (p->at < p->argc && is_option(p)) {
		enum rc rc = take_option(p);
		if (rc != RC_OK)
			return rc;
	}
	const char *first = p->at < p->argc ? p->argv[p->at] : NULL;
	const char *second = p->at + 1 < p->argc ? p->argv[p->at + 1] : NULL;
	if (second != NULL && second[0] == '-')
		second = NULL;
	if (first == NULL) {
		if (p->globals[CLI_GLOBAL_HELP].given)
			return help(p->commands, p->count, NULL, NULL, p->e);
		return err_set(p->e, RC_INVALID, ID, "no command given; 'hooklog help' lists them");
	}
	if (strcmp(first, "help") == 0) {
		const char *third = second != NULL && p->at + 2 < p->argc ? p->argv[p->at + 2] : NULL;
		return help(p->commands, p->count, second, third, p->e);
	}
	const struct cli_command *c = NULL;
	if (second != NULL)
		c = find_command(p->commands, p->count, first, second);
	if (c != NULL) {
		p->at += 2;
	} else {
		c = find_command(p->commands, p->count, first, NULL);
		p->at++;
	}
	p->call->command = c;
	if (c != NULL) {
		ASSERT(c->option_count <= CLI_OPTIONS_MAX && c->args_max < CLI_ARGS_MAX);
		return RC_OK;
	}
	bool wants_help = p->globals[CLI_GLOBAL_HELP].given;
	for (int i = p->at; i < p->argc && second == NULL; i++)
		wants_help |= strcmp(p->argv[i], "--help") == 0 || strcmp(p->argv[i], "-h") == 0;
	if (wants_help)
		return help(p->commands, p->count, first, second, p->e);
	return unknown_command(p->commands, p->count, first, second, p->e);
}

static enum rc
take_rest(struct parser *p)
{
	const struct cli_command *c = p->call->command;
	struct cli_call *call = p->call;
	size_t surplus = 0;
	while (p->at < p->argc) {
		enum rc rc = RC_OK;
		if (!p->only_args && strcmp(p->argv[p->at], "--") == 0) {
			p->only_args = true;
			p->at++;
		} else if (is_option(p)) {
			rc = take_option(p);
		} else if (call->arg_count < c->args_max) {
			call->args[call->arg_count++] = p->argv[p->at++];
		} else {
			surplus = surplus == 0 ? (size_t)p->at : surplus;
			p->at++;
		}
		if (rc != RC_OK)
			return rc;
	}
	if (p->globals[CLI_GLOBAL_HELP].given)
		return RC_OK;
	if (surplus > 0)
		return err_set(p->e, RC_INVALID, ID, "'%s' is one argument too many for 'hooklog %s%s%s'",
			p->argv[surplus], c->name, c->args_help[0] == '\0' ? "" : " ", c->args_help);
	if (call->arg_count < c->args_min)
		return err_set(p->e, RC_INVALID, ID, "'hooklog %s' needs %s; 'hooklog help %s' tells more",
			c->name, c->args_help, c->name);
	return RC_OK;
}

enum rc
cli_parse(const struct cli_command *const *commands, size_t count, int argc,
	const char *const *argv, struct cli_call *call, struct err *e)
{
	*call = (struct cli_call){ 0 };
	struct parser p = { .commands = commands, .count = count, .argc = argc, .at = 1, .argv = argv,
		.call = call, .e = e };
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("hooklog %s\n", CLI_VERSION);
		return RC_NOTFOUND;
	}
	enum rc rc = take_command(&p);
	if (rc == RC_OK)
		rc = take_rest(&p);
	if (rc != RC_OK)
		return rc;
	if (p.globals[CLI_GLOBAL_HELP].given)
		return help(commands, count, call->command->name, NULL, e);
	call->config_path = p.globals[CLI_GLOBAL_CONFIG].text;
	call->data_dir = p.globals[CLI_GLOBAL_DATA].text;
	call->json = p.globals[CLI_GLOBAL_JSON].given;
	return RC_OK;
}

const struct cli_value *
cli_option(const struct cli_call *call, const char *name)
{
	const struct cli_command *c = call->command;
	size_t i = 0;
	while (i < c->option_count && strcmp(c->options[i].name, name) != 0)
		i++;
	ASSERT(i < c->option_count);
	return &call->options[i];
}

enum cli_exit
cli_exit_of(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return EXIT_DONE;
	case RC_NOTFOUND:
		return EXIT_NOTFOUND;
	case RC_FULL:
		return EXIT_LOG;
	case RC_CORRUPT:
		return EXIT_DAMAGE;
	case RC_CONFLICT:
		return EXIT_CONFLICT;
	case RC_AGAIN:
	case RC_INVALID:
	case RC_DENIED:
	case RC_IO:
		break;
	}
	return EXIT_FAILED;
}
