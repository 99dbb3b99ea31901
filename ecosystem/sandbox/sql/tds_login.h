/* tds_login: PRELOGIN and LOGIN7 as plain data. Untrusted input: every offset is checked. */
#ifndef SANDBOX_SQL_TDS_LOGIN_H
#define SANDBOX_SQL_TDS_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"

#define TDS_LOGIN_TEXT 513 /* 128 UTF-16 units in UTF-8 and the NUL */

enum tds_encryption {
	TDS_ENCRYPT_OFF = 0, /* login only */
	TDS_ENCRYPT_ON = 1,
	TDS_ENCRYPT_NOT_SUP = 2,
	TDS_ENCRYPT_REQ = 3,
};

struct tds_login {
	uint32_t tds_version, packet_size;
	char host[TDS_LOGIN_TEXT], user[TDS_LOGIN_TEXT], password[TDS_LOGIN_TEXT], application[TDS_LOGIN_TEXT];
	char server[TDS_LOGIN_TEXT], library[TDS_LOGIN_TEXT], language[TDS_LOGIN_TEXT], database[TDS_LOGIN_TEXT];
	bool integrated; /* Windows login: no user and password */
};

/* What the client wants (default TDS_ENCRYPT_NOT_SUP when it says nothing). */
int tds_prelogin_decode(const void *data, size_t len, enum tds_encryption *encryption, struct err *err) MUSTCHECK;
/* Our answer: version, encryption, instance, thread, MARS off. */
void tds_prelogin_encode(struct buf *out, enum tds_encryption encryption);
/* The agreement of both sides; -1 when they exclude each other (the connection ends). have_tls: a certificate is
 * loaded. */
int tds_prelogin_agree(enum tds_encryption client, bool have_tls, bool required, enum tds_encryption *answer) MUSTCHECK;

int tds_login_decode(struct tds_login *login, const void *data, size_t len, struct err *err) MUSTCHECK;

#endif
