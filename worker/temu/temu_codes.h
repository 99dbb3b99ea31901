/* temu_codes: what TEMU's error numbers mean and what the client does about each (temu_api.md 3.2 to 3.4). Pure. */
#ifndef WORKER_TEMU_TEMU_CODES_H
#define WORKER_TEMU_TEMU_CODES_H

#include <stdint.h>
#include "common/err.h"

#define TEMU_CODE_OK 1000000

/* name, class of the error, what a person should do about it */
#define TEMU_CLASSES(X) \
	X(OK, ERR_NONE, "") \
	X(RATE, ERR_TEMP, "lower temu.rate if it stays so") \
	X(R, ERR_TEMP, "TEMU's own trouble; tried again") \
	X(R1, ERR_TEMP, "TEMU's own trouble; tried again once") \
	X(CLOCK, ERR_TEMP, "set this machine's clock") \
	X(LATER, ERR_TEMP, "TEMU is not ready with it; comes again with a later run") \
	X(AUTH, ERR_HOLD, "check region, app key, secret, token and the app's permissions in the seller center, then authorise again") \
	X(AUTH_METHOD, ERR_HOLD, "not in the token's scopes: let the seller authorise the app again, enter the new token") \
	X(BUG, ERR_PERM, "TEMU does not accept the request as it was built; keep the request id") \
	X(CONFIG, ERR_PERM, "check the configuration") \
	X(DATA, ERR_PERM, "concerns this item only") \
	X(STRANGE, ERR_PERM, "a code this version does not know; keep the request id")

enum temu_class {
#define X(name, class, advice) TEMU_##name,
	TEMU_CLASSES(X)
#undef X
};

/* text: TEMU's errorMsg, NULL when there is none; only 4000000 needs it. */
enum temu_class temu_code_class(int64_t code, const char *text);
const char *temu_class_name(enum temu_class class);
enum err_class temu_class_err(enum temu_class class);
const char *temu_class_advice(enum temu_class class);

#endif
