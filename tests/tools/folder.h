/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TOOLS_FOLDER_H
#define TESTS_TOOLS_FOLDER_H

/* Removes everything below the folder, in all depths; the folder stays. */
void folder_empty(const char *path);

/* The folder, too. */
void folder_remove(const char *path);

#endif
