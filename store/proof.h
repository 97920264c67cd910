/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_PROOF_H
#define STORE_PROOF_H

/* One event, shown to somebody who has nothing but the log's public key (docs/on-disk-format.md): proof.c
 * makes it, proof_check.c checks it. */

#define PROOF_TITLE "hooklog proof 1"

#endif
