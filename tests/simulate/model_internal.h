/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the model share. */
#ifndef SIMULATE_MODEL_INTERNAL_H
#define SIMULATE_MODEL_INTERNAL_H

#include "calls.h"

/* Nothing of it is under way, nor was within a lease. */
bool model_is_quiet(const struct world *world, const struct quiet *quiet);

/* Nothing else was under way since before the call began, when `then` of them had begun; -1: it was not quiet then. */
bool model_was_quiet(const struct sim_call *call, const struct quiet *quiet, int then);

/* The token may be dead by the call; it is. */
void model_suspect_token(struct sim_token *token, const struct sim_call *call);
void model_end_token(struct sim_token *token, const struct sim_call *call);

/* Of model_own.c. After how long a token of the credential is idle; whether that was known since before the call. */
int64_t model_idle(struct world *world, int credential);
bool model_knew_idle(const struct sim_call *call, int credential);

/* Has it no idle timeout of its own, nor had since the call began? */
bool model_lives_by_settings(const struct sim_call *call, int credential);

/* The token is said to be active: past its own life, or from outside its networks? */
void model_check_own(struct world *world, const struct sim_call *call, const struct sim_token *token);
void model_check_own_hit(struct world *world, const struct sim_token *token, int64_t bound, const char *peer);
/* It is said not to be: because of them? Of a credential that is quiet. */
bool model_own_excuses(struct world *world, const struct sim_call *call, const struct sim_token *token);
/* A token is issued, where the networks may not allow it. */
void model_check_own_issue(struct world *world, const struct sim_call *call);

void model_begin_limits(struct world *world, struct sim_call *call);
void model_end_limits(struct world *world, struct sim_call *call);

/* Who of a number of ends says that the question must not be answered by yes? -1: none. */
int model_forbids(const struct ends *ends, const struct sim_call *question);

/* model_question.c: Introspect is answered. */
void model_end_question(struct world *world, struct sim_call *call);

#endif
