/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_SCRATCH_H
#define STORE_SCRATCH_H

#include "store/store.h"

/* Folders in which something is made that shall appear as a whole or not at all. */

/* Makes the folder <dir>.<purpose>.tmp beside dir, throwing away what an interrupted run left
 * there. *path is the caller's to free through scratch_remove. */
enum rc scratch_make(const char *dir, const char *purpose, char **path, struct err *e) MUST_CHECK;

/* Lets the folders dir and path change places in one step, and makes that durable. Afterwards path
 * holds what dir held. */
enum rc scratch_swap(const char *dir, const char *path, struct err *e) MUST_CHECK;

/* Deletes the folder with its files, and frees path. NULL is fine. */
void scratch_remove(char *path);

#endif
