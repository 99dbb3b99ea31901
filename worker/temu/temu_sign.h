/* temu_sign: the root parameters of a request, its signature and its body (temu_api.md section 2). Each value is built once as
 * text; those bytes are hashed and those bytes are sent. No clock, no network. */
#ifndef WORKER_TEMU_TEMU_SIGN_H
#define WORKER_TEMU_TEMU_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"

#define TEMU_PARAMS_MAX 32
#define TEMU_PARAMS_BYTES ((size_t)1 << 20)
#define TEMU_SIGN_LEN 32

/* The parameters in sending order. Open only so that it can be embedded; use the functions. */
struct temu_params {
	struct temu_param {
		size_t name, value, len; /* offsets in text, length of the value */
		bool string;             /* quoted in the body, bare under the signature */
	} items[TEMU_PARAMS_MAX];
	size_t count;
	struct buf text;
	const char *wrong; /* first mistake of a caller; NULL when there is none */
};

void temu_params_init(struct temu_params *params);
void temu_params_release(struct temu_params *params);
void temu_params_clear(struct temu_params *params);

/* Copies. A NULL or empty value leaves the parameter out (2.2). Mistakes are kept and reported by temu_params_check. Refused:
 * strings that are no UTF-8 or hold '"', '\' or a control character (every client signs them differently, 2.3), a name twice. */
void temu_params_add_string(struct temu_params *params, const char *name, const char *value);
void temu_params_add_int64(struct temu_params *params, const char *name, int64_t value);
void temu_params_add_bool(struct temu_params *params, const char *name, bool value);
/* A non-empty array or object as compact JSON text (what common/json writes): no blanks, no \u for what can be written raw,
 * '/' bare, whole numbers only. Anything else is refused. */
void temu_params_add_json(struct temu_params *params, const char *name, const char *json_text);

/* Copies all of from behind what is there; a name that is in both is a mistake. */
void temu_params_append(struct temu_params *params, const struct temu_params *from);

/* 0, or -1 with TEMU_PARAMS (PERM) naming the parameter. */
int temu_params_check(const struct temu_params *params, struct err *err) MUSTCHECK;

/* The signature over all parameters, upper-case hex. The secret is used as it is: trim before (secret_new does). */
int temu_sign(const struct temu_params *params, const char *secret, char out[TEMU_SIGN_LEN + 1], struct err *err) MUSTCHECK;

/* The request body: all parameters in their order, then "sign". out is cleared first. */
int temu_sign_body(const struct temu_params *params, const char *secret, struct buf *out, struct err *err) MUSTCHECK;

#endif
