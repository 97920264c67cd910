/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "base/cli.h"

/* Every command, sorted by name as `hooklog help` lists them: row `x_y` is the constant cmd_x_y in one
 * of cli/cmd_*.c. A new command is that constant and its line here. */
#define COMMANDS(X)                                                                                \
	X(config_check)                                                                            \
	X(config_show)                                                                             \
	X(consume)                                                                                 \
	X(docs_cli)                                                                                \
	X(docs_config)                                                                             \
	X(docs_schema)                                                                             \
	X(ingest)                                                                                  \
	X(log_archive)                                                                             \
	X(log_backup)                                                                              \
	X(log_check_proof)                                                                         \
	X(log_export)                                                                              \
	X(log_import)                                                                              \
	X(log_key)                                                                                 \
	X(log_prove)                                                                               \
	X(log_prune)                                                                               \
	X(log_redact)                                                                              \
	X(log_restore)                                                                             \
	X(log_rotate_key)                                                                          \
	X(log_segments)                                                                            \
	X(log_show)                                                                                \
	X(log_stat)                                                                                \
	X(log_tail)                                                                                \
	X(log_verify)                                                                              \
	X(project_as_of)                                                                           \
	X(project_check)                                                                           \
	X(project_drop)                                                                            \
	X(project_explain)                                                                         \
	X(project_new)                                                                             \
	X(project_parked)                                                                          \
	X(project_pause)                                                                           \
	X(project_rebuild)                                                                         \
	X(project_reset)                                                                           \
	X(project_resume)                                                                          \
	X(project_rollback)                                                                        \
	X(project_run)                                                                             \
	X(project_status)                                                                          \
	X(project_verify)                                                                          \
	X(quarantine_admit)                                                                        \
	X(quarantine_drop)                                                                         \
	X(quarantine_list)                                                                         \
	X(quarantine_show)                                                                         \
	X(replay)                                                                                  \
	X(replay_runs)                                                                             \
	X(simulate)                                                                                \
	X(source_add)                                                                              \
	X(source_disable)                                                                          \
	X(source_enable)                                                                           \
	X(source_list)                                                                             \
	X(source_remove)                                                                           \
	X(source_rotate)                                                                           \
	X(source_show)                                                                             \
	X(source_test)                                                                             \
	X(subscription_add)                                                                \
	X(subscription_list)                                                               \
	X(subscription_pause)                                                              \
	X(subscription_remove)                                                             \
	X(subscription_resume)                                                             \
	X(subscription_retry)                                                              \
	X(subscription_run)                                                                \
	X(subscription_seek)                                                               \
	X(subscription_show)                                                               \
	X(token_add)                                                                       \
	X(token_list)                                                                      \
	X(token_revoke)                                                                    \
	X(up)

#define DECLARE(name) extern const struct cli_command cmd_##name;
COMMANDS(DECLARE)
#undef DECLARE

/* The table made of the rows above; in cli/main.c. */
extern const struct cli_command *const command_table[];
extern const size_t command_count;

#endif
