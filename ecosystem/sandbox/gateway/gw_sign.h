/* gw_sign: the server's side of the signature (temu_api.md section 2), written without a look at the client's. */
#ifndef GW_SIGN_H
#define GW_SIGN_H

#include "common/err.h"
#include "ecosystem/sandbox/gateway/gw_json.h"

#define GW_SIGN_LEN 32

/* The signature of a parsed request body into out (upper-case hex). Root members sorted by name in byte order, `sign` left
 * out, containers compact in their own order. Fails only above 256 members or 4 MB of text. */
int gw_sign(const struct gw_value *body, const char *secret, char out[GW_SIGN_LEN + 1], struct err *err) MUSTCHECK;

#endif
