/* temu_answer: what one HTTP answer means for a call: envelope, codes, texts (temu_api.md section 3). Pure; internal to the
 * client and open for its tests. */
#ifndef WORKER_TEMU_TEMU_ANSWER_H
#define WORKER_TEMU_TEMU_ANSWER_H

#include <stdbool.h>
#include "common/http.h"
#include "worker/temu/temu.h"

/* Reads a finished request: fills err, document, result, class, code, request_id, status and repaired of call, and says in
 * *doubtful whether the request may have taken effect (also for reads). Returns how to act: R also for network errors, 5xx and
 * garbled answers, RATE also for HTTP 429, STRANGE for what will not get better. The document in call must be free before. */
enum temu_class temu_answer_read(struct temu_call *call, const struct http_request *request, bool *doubtful);

#define TEMU_WORDS_MAX 200
/* TEMU's words fit for a text of ours: one line, cut, without mail addresses and known secrets. */
void temu_words(char out[TEMU_WORDS_MAX + 1], const char *text);

/* Drops document and result. */
void temu_answer_forget(struct temu_call *call);

#endif
