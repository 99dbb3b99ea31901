/* tds_reply_internal: what the tds_reply*.c files share; nobody else includes it. */
#ifndef SANDBOX_SQL_TDS_REPLY_INTERNAL_H
#define SANDBOX_SQL_TDS_REPLY_INTERNAL_H

#include "ecosystem/sandbox/sql/tds_bytes.h"
#include "ecosystem/sandbox/sql/tds_reply.h"

enum tds_token {
	TOKEN_RETURNSTATUS = 0x79,
	TOKEN_COLMETADATA = 0x81,
	TOKEN_ERROR = 0xAA,
	TOKEN_INFO = 0xAB,
	TOKEN_RETURNVALUE = 0xAC,
	TOKEN_LOGINACK = 0xAD,
	TOKEN_ROW = 0xD1,
	TOKEN_NBCROW = 0xD2,
	TOKEN_ENVCHANGE = 0xE3,
	TOKEN_DONE = 0xFD,
	TOKEN_DONEPROC = 0xFE,
	TOKEN_DONEINPROC = 0xFF,
};

/* Tokens are built in reply->token between begin and send. */
void tds_reply_token_begin(struct tds_reply *reply);
void tds_reply_token_send(struct tds_reply *reply);
void tds_reply_put_done(struct tds_reply *reply, uint8_t token, uint16_t status, uint16_t command, int64_t rows);
/* ENVCHANGE with two texts. */
void tds_reply_env_text(struct tds_reply *reply, uint8_t type, const char *now, const char *before);

#endif
