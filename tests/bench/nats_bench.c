/* SPDX-License-Identifier: Apache-2.0 */
#include <nats/nats.h>

#include "base/clock.h"

/* The limit of a replay to JetStream: a publisher that is nothing but the library. It has the
 * messages of one stream, headers and all, in memory, and publishes them asynchronously to another
 * one. Prints events, seconds and bytes of bodies.
 *
 *	nats_bench URL FROM TO PREFIX     subjects get PREFIX in place of as many bytes; TO is empty
 */

/* As many as hooklog has under way. */
#define IN_FLIGHT 2048

static void
check(const char *what, natsStatus s)
{
	if (s != NATS_OK) {
		const char *more = nats_GetLastError(NULL);
		fprintf(stderr, "nats_bench: %s: %s\n", what,
			more == NULL ? natsStatus_GetText(s) : more);
		exit(1);
	}
}

/* The message as it is published to the other stream. */
static natsMsg *
copy(natsMsg *from, const char *stream, const char *prefix)
{
	natsMsg *msg = NULL;
	const char **names = NULL;
	int count = 0;
	char *subject = base_strdup(natsMsg_GetSubject(from));
	memcpy(subject, prefix, strlen(prefix));
	check("message", natsMsg_Create(&msg, subject, NULL, natsMsg_GetData(from),
				 natsMsg_GetDataLength(from)));
	check("headers", natsMsgHeader_Keys(from, &names, &count));
	for (int i = 0; i < count; i++) {
		const char *value = "";
		check("header", natsMsgHeader_Get(from, names[i], &value));
		if (strcmp(names[i], "Nats-Expected-Stream") == 0)
			value = stream;
		check("header", natsMsgHeader_Set(msg, names[i], value));
	}
	free((void *)(uintptr_t)names);
	free(subject);
	return msg;
}

static natsMsg **
load(jsCtx *js, char **argv, size_t *count, uint64_t *bytes)
{
	jsStreamInfo *info = NULL;
	natsSubscription *sub = NULL;
	jsSubOptions options;
	check("stream", js_GetStreamInfo(&info, js, argv[2], NULL, NULL));
	*count = (size_t)info->State.Msgs;
	natsMsg **messages = base_alloc((*count + 1) * sizeof(natsMsg *));
	jsSubOptions_Init(&options);
	options.Stream = argv[2];
	options.Ordered = true;
	check("subscribe",
		js_SubscribeSync(&sub, js, info->Config->Subjects[0], NULL, &options, NULL));
	for (size_t i = 0; i < *count; i++) {
		natsMsg *msg = NULL;
		check("next message", natsSubscription_NextMsg(&msg, sub, 10000));
		*bytes += (uint64_t)natsMsg_GetDataLength(msg);
		messages[i] = copy(msg, argv[3], argv[4]);
		natsMsg_Destroy(msg);
	}
	natsSubscription_Destroy(sub);
	jsStreamInfo_Destroy(info);
	return messages;
}

int
main(int argc, char **argv)
{
	natsConnection *conn = NULL;
	jsCtx *js = NULL;
	jsOptions options;
	jsPubOptions complete;
	size_t count = 0;
	uint64_t bytes = 0;
	if (argc != 5) {
		fprintf(stderr, "usage: nats_bench URL FROM TO PREFIX\n");
		return 2;
	}
	check("connect", natsConnection_ConnectTo(&conn, argv[1]));
	jsOptions_Init(&options);
	options.Wait = 10000;
	options.PublishAsync.MaxPending = IN_FLIGHT;
	options.PublishAsync.StallWait = 10000;
	check("jetstream", natsConnection_JetStream(&js, conn, &options));
	natsMsg **messages = load(js, argv, &count, &bytes);

	int64_t start_us = clock_monotonic_us();
	for (size_t i = 0; i < count; i++)
		check("publish", js_PublishMsgAsync(js, &messages[i], NULL));
	jsPubOptions_Init(&complete);
	complete.MaxWait = 60000;
	check("complete", js_PublishAsyncComplete(js, &complete));
	int64_t us = clock_monotonic_us() - start_us;

	/* The library tells of failed ones only whom it was told to tell. */
	jsStreamInfo *info = NULL;
	check("stream", js_GetStreamInfo(&info, js, argv[3], NULL, NULL));
	if (info->State.Msgs != count) {
		fprintf(stderr, "nats_bench: %" PRIu64 " of %zu messages arrived\n",
			(uint64_t)info->State.Msgs, count);
		return 1;
	}
	jsStreamInfo_Destroy(info);
	printf("{\"events\":%zu,\"elapsed_ms\":%" PRId64 ",\"body_bytes\":%" PRIu64 "}\n", count,
		us / 1000, bytes);
	free(messages);
	jsCtx_Destroy(js);
	natsConnection_Destroy(conn);
	return 0;
}
