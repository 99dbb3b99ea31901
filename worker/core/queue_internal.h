/* queue_internal: the insides of the queue, for queue*.c only. A move is stored without the lock: `moving` keeps everybody else off the
 * run meanwhile, and whoever needs it waits for `changed`. */
#ifndef WORKER_CORE_QUEUE_INTERNAL_H
#define WORKER_CORE_QUEUE_INTERNAL_H

#include "worker/core/queue.h"
#include "worker/core/run_internal.h"

struct queue {
	struct run_shared shared;
	struct queue_config config;
	struct life_policy policy;
	struct run *first, **last;
	bool journal_down; /* said once */
};

/* Under the lock. */
void queue_list_append(struct queue *queue, struct run *run);
void queue_list_remove(struct queue *queue, struct run *run);
int64_t queue_count(struct queue *queue, enum run_state state);

void queue_run_free(struct run *run);

/* queue_submit.c. A run for a request (type, shop and key chosen; parameters copied, not checked); NULL with err. */
struct run *queue_run_new(struct queue *queue, const struct job_type *type, int64_t shop, const struct queue_request *request,
                          struct err *err) MUSTCHECK;
/* Puts the run into its slot, not yet stored. 0, or -1: the run is still the caller's, and answer names who has the slot. */
int queue_claim(struct queue *queue, struct run *run, struct queue_answer *answer, struct err *err) MUSTCHECK;
/* Journals a claimed run, with the confirmation of run `confirms` ("" = none) and the event's text (NULL = the trigger). 0 with the run's
 * answer (or that of the run its key belongs to), or -1. The run is the queue's or gone. */
int queue_store(struct queue *queue, struct run *run, const char *confirms, const char *note, struct queue_answer *answer,
                struct err *err) MUSTCHECK;

/* The one setter. Stores next (a changed copy of the record) with an event saying `text`, and makes it the run's. The caller has set
 * run->moving and does not hold the lock; moving is over afterwards. A run that is over, or interrupted at the end of its attempt, has left
 * the list and is gone on return; one whose attempt has ended otherwise is last in the list and may be anybody's. */
int queue_move(struct queue *queue, struct run *run, const struct run_record *next, const char *text, struct err *err) MUSTCHECK;

#endif
