/* gw_router: the gateway itself: from an HTTP request to the reply envelope, through the checks of temu_api.md 3.5. */
#ifndef GW_ROUTER_H
#define GW_ROUTER_H

#include <pthread.h>
#include "ecosystem/sandbox/gateway/gw_calls.h"
#include "ecosystem/sandbox/gateway/gw_faults.h"
#include "ecosystem/sandbox/gateway/gw_rate.h"
#include "ecosystem/sandbox/gateway/gw_shops.h"
#include "ecosystem/sandbox/gateway/gw_wire.h"
#include "ecosystem/sandbox/gateway/gw_writes.h"

#define GW_DETAIL_MAX ((size_t)256 << 10)

struct gw_late; /* a stock edit whose effect comes later */

/* Everything behind both ports. The lock covers all of it; handlers of gw_wire call in from many threads. */
struct gw {
	pthread_mutex_t lock;
	pthread_cond_t late_changed;
	pthread_t late_thread;
	struct gw_late *late;
	bool stopping;
	struct gw_shops shops;
	struct gw_calls calls;
	struct gw_writes writes;
	struct gw_faults faults;
	struct gw_rate rate;
	int64_t clock_offset_s;
	int64_t latency_ms;
	bool repeat_key_error; /* a known requestUniqueKey: error 150010003; otherwise success with operateResult false */
};

#define GW_OK 1000000
#define GW_BAD_PARAMS 3000000
#define GW_BAD_REQUEST 150010003

struct gw_answer {
	int64_t code;      /* GW_OK or the error */
	char text[256];
	struct buf result; /* JSON text of "result"; empty: absent */
	struct buf detail; /* JSON text for the list of calls; may stay empty */
	char via[GW_VIA_MAX]; /* who calls */
};

/* Sets the error; returns -1. */
int gw_answer_error(struct gw_answer *answer, int64_t code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Heap, with its thread for late effects. NULL and err when that fails. */
struct gw *gw_new(struct err *err);
/* Stop the wires first. Late effects that are not due are dropped. NULL is accepted. */
void gw_free(struct gw *gw);

/* gw_handler of the gateway's port; arg is the struct gw. */
void gw_router_handle(void *arg, const struct gw_request *request, struct gw_reply *reply);
/* gw_handler of the control port (gw_control.c). */
void gw_control_handle(void *arg, const struct gw_request *request, struct gw_reply *reply);

#endif
