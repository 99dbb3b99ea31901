/* temu: the client of one shop: envelope, error classes, retries, several requests in flight from one thread (temu_api.md
 * sections 1 to 3). A client belongs to one thread at a time and keeps its connections; the pace is shared by app key.
 * Logs nothing but retries and a corrected clock; secrets, tokens and bodies are never in any text. */
#ifndef WORKER_TEMU_TEMU_H
#define WORKER_TEMU_TEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "common/json.h"
#include "common/secret.h"
#include "worker/temu/temu_codes.h"
#include "worker/temu/temu_sign.h"

struct temu;

struct temu_config {
	const char *url;    /* the router's address; NULL or "": by region */
	const char *region; /* eu, us, global */
	const struct secret *app_key, *app_secret, *access_token; /* borrowed for the life of the client */
	int64_t rate;       /* temu.rate: requests per second and app key */
	int64_t in_flight;  /* requests under way at once, 1..64 */
	int64_t timeout_ms; /* one request */
	int64_t attempts;   /* per call for network errors, 5xx and class R; R1 and CLOCK get one retry, RATE has its own count */
	const char *ca_file; /* NULL or "": the system's */
	/* 0: the usual ones */
	size_t max_response;    /* bytes, 8 MB */
	int64_t backoff_ms;     /* ceiling of the first wait, 500; doubles, full jitter */
	int64_t backoff_max_ms; /* 8000 */
	int64_t rate_wait_ms;   /* first wait after 4000004, 1000; doubles to 30000, jitter */
};

/* NULL on error: TEMU_CONFIG (PERM: missing credential, unknown region, refused address), HTTP_SETUP, HTTP_MEMORY. */
struct temu *temu_new(const struct temu_config *config, struct err *err) MUSTCHECK;
void temu_free(struct temu *temu); /* not while temu_run is under way */

/* From any thread: temu_run looks at its limits now. (It looks every 100 ms anyway.) */
void temu_wakeup(struct temu *temu);

#define TEMU_REQUEST_ID_MAX 80

struct temu_call {
	/* What the caller says. temu_call_init sets type and empties the rest. */
	const char *type;          /* method; static text */
	struct temu_params params; /* business parameters; owned by the call */
	bool write;                /* has an effect at TEMU. A lost answer of a read is retried freely */
	/* A write whose outcome is unknown is retried only when it is repeatable; before every further attempt of a repeatable
	 * write (also after a plain refusal) remake fills the params anew, with a fresh request key. -1 ends the call. */
	bool repeatable;
	int (*remake)(struct temu_call *call, struct err *err);
	/* NULL, or asked right before an attempt goes out that is not the first, or that waited since next gave the call: what was true then
	 * may have changed. -1: nothing is sent and the call ends. */
	int (*may)(struct temu_call *call, struct err *err);
	/* NULL, or a look at the result of a read before it counts: -1 means garbled, retried like a broken answer. */
	int (*check)(struct temu_call *call, struct err *err);
	void *arg;                 /* the caller's */

	/* What came of it, filled before done is called. */
	struct err err;            /* class NONE: success:true. See below */
	const struct json *result; /* NULL when absent or null; valid until temu_call_release or the call is used again */
	enum temu_class class;     /* of the last answer; OK also when there was no answer */
	int64_t code;              /* TEMU's errorCode, 0 when none came */
	char request_id[TEMU_REQUEST_ID_MAX]; /* of the last answer; "" when none came */
	int status;                /* HTTP status of the last answer, 0 when none came */
	int attempts;              /* requests sent */
	int lost;                  /* of a write: attempts that may have taken effect without our knowing; one may still arrive late,
	                            * also after a later attempt was confirmed */
	bool unknown;              /* of a write that failed: it may have taken effect (now or later) */
	bool repaired;             /* the answer held invalid UTF-8 or impossible \u escapes; they are U+FFFD in result */

	struct json *document;     /* the client's own */
};
/* err of a call:
 *   TEMU_<number>   success:false; class by temu_codes.h; text: method, TEMU's words, request id, what to do. AUTH is HOLD.
 *   TEMU_GARBLED    TEMP: no envelope, or not the one of 3.1 (HTML, cut, mistyped)
 *   HTTP_<status>   5xx, 408: TEMP; 429: TEMP, handled like 4000004; other: PERM
 *   HTTP_...        of common/http.h
 *   TEMU_PARAMS     PERM: the parameters cannot be signed; nothing was sent
 *   CANCELLED       CANCELLED: limits ended the run first */

void temu_call_init(struct temu_call *call, const char *type);
void temu_call_release(struct temu_call *call);

/* When to stop. All zero: never. */
struct temu_limits {
	bool (*cancelled)(void *arg); /* asked on the thread of temu_run, often */
	void *arg;
	int64_t deadline_ms; /* clock_mono_ms(); 0: none */
	int64_t grace_ms;    /* after cancelled() what is in flight may still finish this long (no new attempts); then it is aborted.
	                      * A deadline has no grace */
};

/* The pull driver. next gives the next call, or NULL: nothing at the moment (asked again after every done; the run ends when
 * nothing is open either). Calls start in the order they were given; at most in_flight are open. done is called once for each;
 * the call must stay put until then, may be released or freed in done, and is not touched after it. A call that waits for its
 * retry keeps its place, the others go on. limits NULL: none.
 * After an AUTH answer (3000032: for this method only) the rest of this run's calls get the same error unsent.
 * 0 when everything given was done, whatever came of each; -1 with CANCELLED when the limits ended it: all open calls were
 * done with CANCELLED (or their own end) first. */
int temu_run(struct temu *temu, struct temu_call *(*next)(void *arg), void (*done)(struct temu_call *call, void *arg), void *arg,
             const struct temu_limits *limits, struct err *err) MUSTCHECK;

/* One call, blocking. 0 or -1 with the call's err. */
int temu_call_one(struct temu *temu, struct temu_call *call, const struct temu_limits *limits, struct err *err) MUSTCHECK;

/* Since temu_new; the difference of two looks is a run's share. */
struct temu_stats {
	int64_t requests;  /* sent */
	int64_t retries;   /* of them, not the first of their call */
	int64_t limited;   /* 4000004 and HTTP 429 */
	int64_t failed;    /* calls that ended with an error */
	int64_t bytes_out, bytes_in; /* bodies */
	int64_t waits;     /* times a request had to wait for the budget */
};
void temu_stats_get(const struct temu *temu, struct temu_stats *out);

/* Address of a region, NULL when unknown. */
const char *temu_region_url(const char *region);

#endif
