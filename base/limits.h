/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* Every maximum of the program in one place, each with its reason. What an operator may change is a
 * key of the configuration (docs/reference/config.md) and only has its default there. */

/* GitHub sends at most 25 MB (docs.github.com, "Webhook events and payloads"); 25 MiB leaves slack. */
#define LIMIT_BODY_BYTES ((size_t)25 * 1024 * 1024)
/* A form body percent-encodes each byte into at most three. */
#define LIMIT_FORM_BODY_BYTES (3 * LIMIT_BODY_BYTES)
/* Envelope of one record: 64 headers fit with room to spare, since the request head is bounded by
 * the HTTP server's 32 KiB pool. */
#define LIMIT_ENVELOPE_BYTES ((size_t)128 * 1024)
#define LIMIT_RECORD_BYTES (LIMIT_FORM_BODY_BYTES + LIMIT_ENVELOPE_BYTES + 4096)
#define LIMIT_HEADERS 64
/* Headers of an imported line: more than any server takes; the envelope's limit does the rest. */
#define LIMIT_IMPORT_HEADERS 1024
/* Events one commit of the log may take: keeps its dirty pages far below what LMDB would spill. */
#define LIMIT_COMMIT_EVENTS 1024
#define LIMIT_COMMIT_BYTES ((size_t)32 * 1024 * 1024)
/* Nesting a JSON body may have; PostgreSQL and most parsers give up in the thousands. */
#define LIMIT_JSON_DEPTH 512
#define LIMIT_LOG_VALUE_BYTES 1024
#define LIMIT_LOG_LINE_BYTES ((size_t)16 * 1024)
/* Names of sources: they appear in URLs, file names and rows. */
#define LIMIT_SOURCE_NAME_BYTES 64
/* GitHub rejects shorter secrets in its own examples; anything shorter can be guessed offline. */
#define LIMIT_SECRET_BYTES_MIN 16
#define LIMIT_SECRET_BYTES 1024
/* Configuration, source and projection files. */
#define LIMIT_CONFIG_FILE_BYTES ((size_t)1024 * 1024)
/* One answer to a person or a program, such as help or a JSON report. */
#define LIMIT_TEXT_BYTES ((size_t)64 * 1024 * 1024)
/* PostgreSQL refuses a message of 1 GiB; one batch of the projector stays far below. */
#define LIMIT_PG_PARAM_BYTES ((size_t)256 * 1024 * 1024)

#endif
