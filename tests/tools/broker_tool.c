/* SPDX-License-Identifier: Apache-2.0 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <nats/nats.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

/* The other side of a broker, for tests: makes streams and topics, puts messages in, and prints what
 * is there as one JSON object per line. Uses the libraries as their documentation shows it, and
 * nothing of hooklog's own broker folder.
 *
 *	broker_tool nats-stream URL STREAM SUBJECTS REPLICAS
 *	broker_tool nats-put URL SUBJECT               lines of stdin: [NAME=VALUE<tab>...]BODY
 *	broker_tool nats-dump URL STREAM
 *	broker_tool kafka-cluster BROKERS TOPIC PARTITIONS
 *	      prints the servers; then lines of stdin: "down N", "up N"; ends with stdin
 *	broker_tool kafka-put SERVERS TOPIC            as nats-put, one after the other to partition 0
 *	broker_tool kafka-dump SERVERS TOPIC
 *
 * In a BODY "\0" stands for no body at all. */

#define LINE_BYTES ((size_t)64 * 1024 * 1024)
#define FIELDS_MAX 32

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "broker_tool: %s: %s\n", what, why);
	exit(1);
}

static void
check(const char *what, natsStatus s)
{
	if (s != NATS_OK) {
		const char *more = nats_GetLastError(NULL);
		die(what, more == NULL ? natsStatus_GetText(s) : more);
	}
}

static void
put_body(struct buf *out, struct bytes body)
{
	buf_put_str(out, "\"body\":");
	buf_put_json(out, utf8_valid(body) ? body : bytes_str("?"));
	buf_put_str(out, "}\n");
	if (fwrite(out->data, 1, out->len, stdout) != out->len)
		die("print", "stdout");
	buf_clear(out);
}

/* Splits "NAME=VALUE<tab>...BODY" in place. */
struct line {
	char *names[FIELDS_MAX], *values[FIELDS_MAX], *body;
	size_t count;
};

static bool
read_line(char **text, size_t *size, struct line *l)
{
	ssize_t n = getline(text, size, stdin);
	if (n <= 0)
		return false;
	if ((*text)[n - 1] == '\n')
		(*text)[n - 1] = '\0';
	*l = (struct line){ .body = *text };
	for (char *tab; (tab = strchr(l->body, '\t')) != NULL && l->count < FIELDS_MAX;) {
		char *equals = strchr(l->body, '=');
		*tab = '\0';
		if (equals == NULL || equals > tab)
			die("read", "a field is not NAME=VALUE");
		*equals = '\0';
		l->names[l->count] = l->body;
		l->values[l->count++] = equals + 1;
		l->body = tab + 1;
	}
	return true;
}

/* ---- NATS ---- */

static natsConnection *conn;
static jsCtx *js;

static void
nats_connect(const char *url)
{
	check("connect", natsConnection_ConnectTo(&conn, url));
	jsOptions jso;
	jsOptions_Init(&jso);
	jso.Wait = 10000;
	check("jetstream", natsConnection_JetStream(&js, conn, &jso));
}

static int
nats_stream(char **args)
{
	jsStreamConfig config;
	const char *subjects[] = { args[2] };
	jsErrCode code = 0;
	nats_connect(args[0]);
	jsStreamConfig_Init(&config);
	config.Name = args[1];
	config.Subjects = subjects;
	config.SubjectsLen = 1;
	config.Replicas = strtol(args[3], NULL, 10);
	check("make the stream", js_AddStream(NULL, js, &config, NULL, &code));
	return 0;
}

static int
nats_put(char **args)
{
	char *text = NULL;
	size_t size = 0;
	struct line l;
	nats_connect(args[0]);
	while (read_line(&text, &size, &l)) {
		natsMsg *msg = NULL;
		jsErrCode code = 0;
		bool none = strcmp(l.body, "\\0") == 0;
		check("message", natsMsg_Create(&msg, args[1], NULL, l.body,
					 none ? 0 : (int)strlen(l.body)));
		for (size_t i = 0; i < l.count; i++)
			check("header", natsMsgHeader_Add(msg, l.names[i], l.values[i]));
		check("publish", js_PublishMsg(NULL, js, msg, NULL, &code));
		natsMsg_Destroy(msg);
	}
	free(text);
	return 0;
}

static void
print_nats(struct buf *out, natsMsg *msg)
{
	const char **names = NULL;
	int count = 0;
	jsMsgMetaData *meta = NULL;
	check("place", natsMsg_GetMetaData(&meta, msg));
	buf_printf(out, "{\"seq\":%" PRIu64 ",\"subject\":", (uint64_t)meta->Sequence.Stream);
	buf_put_json(out, bytes_str(natsMsg_GetSubject(msg)));
	buf_put_str(out, ",\"headers\":{");
	(void)natsMsgHeader_Keys(msg, &names, &count);
	for (int i = 0; i < count; i++) {
		const char *value = "";
		check("header", natsMsgHeader_Get(msg, names[i], &value));
		buf_put_str(out, i == 0 ? "" : ",");
		buf_put_json(out, bytes_str(names[i]));
		buf_put_char(out, ':');
		buf_put_json(out, bytes_str(value));
	}
	free(names);
	buf_put_str(out, "},");
	put_body(out, (struct bytes){ (const unsigned char *)natsMsg_GetData(msg),
			      (size_t)natsMsg_GetDataLength(msg) });
	jsMsgMetaData_Destroy(meta);
}

static int
nats_dump(char **args)
{
	struct buf out = buf_new(LINE_BYTES);
	jsStreamInfo *info = NULL;
	jsSubOptions options;
	natsSubscription *sub = NULL;
	nats_connect(args[0]);
	check("stream", js_GetStreamInfo(&info, js, args[1], NULL, NULL));
	uint64_t left = info->State.Msgs;
	jsSubOptions_Init(&options);
	options.Stream = args[1];
	options.Ordered = true;
	if (left > 0)
		check("subscribe", js_SubscribeSync(
					   &sub, js, info->Config->Subjects[0], NULL, &options, NULL));
	while (left > 0) {
		natsMsg *msg = NULL;
		check("next message", natsSubscription_NextMsg(&msg, sub, 10000));
		print_nats(&out, msg);
		left--;
		natsMsg_Destroy(msg);
	}
	natsSubscription_Destroy(sub);
	jsStreamInfo_Destroy(info);
	buf_free(&out);
	return 0;
}

/* ---- Kafka ---- */

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char said[256];
	if (rd_kafka_conf_set(conf, name, value, said, sizeof(said)) != RD_KAFKA_CONF_OK)
		die(name, said);
}

static rd_kafka_t *
new_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char said[256];
	rd_kafka_t *client = rd_kafka_new(type, conf, said, sizeof(said));
	if (client == NULL)
		die("Kafka", said);
	return client;
}

static int
kafka_cluster(char **args)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "log_level", "0");
	rd_kafka_t *client = new_client(RD_KAFKA_PRODUCER, conf);
	rd_kafka_mock_cluster_t *cluster =
		rd_kafka_mock_cluster_new(client, (int)strtol(args[0], NULL, 10));
	char *text = NULL;
	size_t size = 0;
	if (cluster == NULL || rd_kafka_mock_topic_create(cluster, args[1],
				       (int)strtol(args[2], NULL, 10), 1) != 0)
		die("cluster", "cannot be made");
	printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);
	while (getline(&text, &size, stdin) > 0) {
		int broker = (int)strtol(strchr(text, ' ') + 1, NULL, 10);
		rd_kafka_resp_err_t code = strncmp(text, "down", 4) == 0
						   ? rd_kafka_mock_broker_set_down(cluster, broker)
						   : rd_kafka_mock_broker_set_up(cluster, broker);
		printf("%s\n", rd_kafka_err2name(code));
		fflush(stdout);
	}
	free(text);
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(client);
	return 0;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
static void
produce(rd_kafka_t *client, const char *topic, const struct line *l)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(l->count);
	bool none = strcmp(l->body, "\\0") == 0;
	for (size_t i = 0; i < l->count; i++)
		(void)rd_kafka_header_add(headers, l->names[i], -1, l->values[i], -1);
	rd_kafka_resp_err_t code = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic),
		RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_VALUE(none ? NULL : l->body, none ? 0 : strlen(l->body)),
		RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		die("produce", rd_kafka_err2str(code));
}
#pragma GCC diagnostic pop

static int
kafka_put(char **args)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char *text = NULL;
	size_t size = 0;
	struct line l;
	set(conf, "bootstrap.servers", args[0]);
	rd_kafka_t *client = new_client(RD_KAFKA_PRODUCER, conf);
	while (read_line(&text, &size, &l))
		produce(client, args[1], &l);
	if (rd_kafka_flush(client, 20000) != RD_KAFKA_RESP_ERR_NO_ERROR)
		die("flush", "not all arrived");
	free(text);
	rd_kafka_destroy(client);
	return 0;
}

static void
print_kafka(struct buf *out, rd_kafka_message_t *m)
{
	rd_kafka_headers_t *headers = NULL;
	const char *name;
	const void *value;
	size_t size;
	buf_printf(out, "{\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"key\":", m->partition,
		m->offset);
	buf_put_json(out, (struct bytes){ m->key, m->key_len });
	buf_put_str(out, ",\"headers\":{");
	if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
				   RD_KAFKA_RESP_ERR_NO_ERROR;
			i++) {
			buf_put_str(out, i == 0 ? "" : ",");
			buf_put_json(out, bytes_str(name));
			buf_put_char(out, ':');
			buf_put_json(out, (struct bytes){ value, size });
		}
	}
	buf_put_str(out, "},");
	put_body(out, (struct bytes){ m->payload, m->len });
}

/* A group of its own that never commits; ends when every partition was read to its end. */
static int
kafka_dump(char **args)
{
	struct buf out = buf_new(LINE_BYTES);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const struct rd_kafka_metadata *meta = NULL;
	char group[64];
	snprintf(group, sizeof(group), "dump-%d", (int)getpid());
	set(conf, "bootstrap.servers", args[0]);
	set(conf, "group.id", group);
	set(conf, "enable.partition.eof", "true");
	rd_kafka_t *client = new_client(RD_KAFKA_CONSUMER, conf);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client, args[1], NULL);
	if (rd_kafka_metadata(client, 0, topic, &meta, 10000) != RD_KAFKA_RESP_ERR_NO_ERROR)
		die("dump", "no metadata");
	int left = meta->topics[0].partition_cnt;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(left);
	for (int i = 0; i < left; i++)
		rd_kafka_topic_partition_list_add(list, args[1], i)->offset =
			RD_KAFKA_OFFSET_BEGINNING;
	(void)rd_kafka_assign(client, list);
	int64_t end_ms = clock_monotonic_ms() + 30000;
	while (left > 0 && clock_monotonic_ms() < end_ms) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(client, 500);
		if (m == NULL)
			continue;
		if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			left--;
		else if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			print_kafka(&out, m);
		rd_kafka_message_destroy(m);
	}
	if (left > 0)
		die("dump", "the end of a partition was not reached");
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_metadata_destroy(meta);
	rd_kafka_topic_destroy(topic);
	(void)rd_kafka_consumer_close(client);
	rd_kafka_destroy(client);
	buf_free(&out);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **args);
	} commands[] = { { "nats-stream", 4, nats_stream }, { "nats-put", 2, nats_put },
		{ "nats-dump", 2, nats_dump }, { "kafka-cluster", 3, kafka_cluster },
		{ "kafka-put", 2, kafka_put }, { "kafka-dump", 2, kafka_dump } };
	for (size_t i = 0; argc > 1 && i < COUNT_OF(commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0 && argc == commands[i].args + 2) {
			int code = commands[i].run(argv + 2);
			jsCtx_Destroy(js);
			natsConnection_Destroy(conn);
			return code;
		}
	}
	fprintf(stderr, "broker_tool: see the top of tests/tools/broker_tool.c\n");
	return 2;
}
