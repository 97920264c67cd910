/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "base/limits.h"
#include "broker/kafka.h"

/* Topics of Kafka: settings and errors. */

static const char *const publish_params[] = { "config", NULL };
static const char *const consume_params[] = { "config", "group", NULL };

static bool
is_refusal(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
		return true;
	default:
		return false;
	}
}

enum rc
kafka_fail(const char *what, const char *servers, rd_kafka_resp_err_t code, const char *trouble,
	struct err *e)
{
	bool refused = is_refusal(code);
	const char *colon = trouble[0] == '\0' ? "" : ": ";
	return err_set(e, refused ? RC_DENIED : RC_AGAIN,
		refused ? "broker.refused" : "broker.unreachable", "%s: Kafka at %s: %s%s%s", what,
		servers, rd_kafka_err2str(code), colon, trouble);
}

static enum rc
set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e)
{
	char said[256];
	rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, name, value, said, sizeof(said));
	return res == RD_KAFKA_CONF_OK ? RC_OK
				       : err_set(e, RC_INVALID, "config.invalid", "Kafka: %s", said);
}

/* One line of the file; a piece of text that is ours to write into. */
static enum rc
set_line(rd_kafka_conf_t *conf, char *line, const char *path, unsigned number, struct err *e)
{
	line += strspn(line, " \t");
	size_t len = strlen(line);
	while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL)
		line[--len] = '\0';
	if (len == 0 || line[0] == '#')
		return RC_OK;
	char *equals = strchr(line, '=');
	if (equals == NULL)
		return err_set(e, RC_INVALID, "config.invalid",
			"%s:%u: this is not \"name = value\"", path, number);
	char *value = equals + 1 + strspn(equals + 1, " \t");
	while (equals > line && (equals[-1] == ' ' || equals[-1] == '\t'))
		equals--;
	*equals = '\0';
	return set(conf, line, value, e) == RC_OK ? RC_OK : err_wrap(e, "%s:%u", path, number);
}

static enum rc
set_file(rd_kafka_conf_t *conf, const char *path, struct arena *a, struct err *e)
{
	struct bytes text;
	enum rc rc = fs_read(path, LIMIT_CONFIG_FILE_BYTES, a, &text, e);
	if (rc != RC_OK)
		return rc;
	char *line = arena_string(a, text);
	for (unsigned number = 1; rc == RC_OK && line != NULL; number++) {
		char *end = strchr(line, '\n');
		if (end != NULL)
			*end = '\0';
		rc = set_line(conf, line, path, number, e);
		line = end == NULL ? NULL : end + 1;
	}
	return rc;
}

enum rc
kafka_settings(rd_kafka_conf_t **out, const char *spec, const struct kafka_setting *usual,
	size_t usual_count, const struct kafka_setting *must, size_t must_count, struct arena *a,
	struct err *e)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const char *file = broker_param(spec, "config", a);
	enum rc rc = RC_OK;
	for (size_t i = 0; rc == RC_OK && i < usual_count; i++)
		rc = set(conf, usual[i].name, usual[i].value, e);
	if (rc == RC_OK && file != NULL)
		rc = set_file(conf, file, a, e);
	for (size_t i = 0; rc == RC_OK && i < must_count; i++)
		rc = set(conf, must[i].name, must[i].value, e);
	if (rc == RC_OK)
		rc = set(conf, "bootstrap.servers", broker_servers(spec, a), e);
	if (rc != RC_OK)
		rd_kafka_conf_destroy(conf);
	else
		*out = conf;
	return rc;
}

const struct broker_kind broker_kafka = {
	.name = "kafka",
	.publish_params = publish_params,
	.consume_params = consume_params,
	.publisher_open = kafka_publisher_open,
	.publish = kafka_publish,
	.confirm = kafka_confirm,
	.publisher_close = kafka_publisher_close,
	.consumer_open = kafka_consumer_open,
	.take = kafka_take,
	.done = kafka_done,
	.consumer_close = kafka_consumer_close,
};
