/* The answers that are no result: login accepted or refused, the reset of a connection, and the two broken answers that
 * tests order. The sink is in tds_reply.c. */
#include <stdio.h>
#include <string.h>
#include "ecosystem/sandbox/sql/tds_reply_internal.h"

#define TDS_7_4 0x74000004u

void tds_reply_env_text(struct tds_reply *reply, uint8_t type, const char *now, const char *before)
{
	size_t at;

	tds_reply_token_begin(reply);
	tds_put8(&reply->token, TOKEN_ENVCHANGE);
	at = reply->token.len;
	tds_put16(&reply->token, 0);
	tds_put8(&reply->token, type);
	tds_put_name(&reply->token, now);
	tds_put_name(&reply->token, before);
	tds_patch_len16(&reply->token, at);
	tds_reply_token_send(reply);
}

static void env_collation(struct tds_reply *reply)
{
	tds_reply_token_begin(reply);
	tds_put8(&reply->token, TOKEN_ENVCHANGE);
	tds_put16(&reply->token, 1 + 1 + TDS_COLLATION_LEN + 1);
	tds_put8(&reply->token, 7);
	tds_put8(&reply->token, TDS_COLLATION_LEN);
	buf_add(&reply->token, reply->collation->bytes, TDS_COLLATION_LEN);
	tds_put8(&reply->token, 0);
	tds_reply_token_send(reply);
}

static void login_ack(struct tds_reply *reply)
{
	size_t at;

	tds_reply_token_begin(reply);
	tds_put8(&reply->token, TOKEN_LOGINACK);
	at = reply->token.len;
	tds_put16(&reply->token, 0);
	tds_put8(&reply->token, 1);
	for (int shift = 24; shift >= 0; shift -= 8)
		tds_put8(&reply->token, (uint8_t)(TDS_7_4 >> shift));
	tds_put_name(&reply->token, "Microsoft SQL Server");
	buf_add(&reply->token, "\x0E\x00\x0D\x80", 4);
	tds_patch_len16(&reply->token, at);
	tds_reply_token_send(reply);
}

void tds_reply_login(struct tds_reply *reply, const char *database, size_t packet_size)
{
	char text[200], now[16], before[16];

	tds_reply_env_text(reply, 1, database, "master");
	snprintf(text, sizeof(text), "Changed database context to '%s'.", database);
	tds_reply_message(reply, 5701, 0, 2, 1, text);
	env_collation(reply);
	tds_reply_env_text(reply, 2, "us_english", "");
	tds_reply_message(reply, 5703, 0, 1, 1, "Changed language setting to us_english.");
	login_ack(reply);
	snprintf(now, sizeof(now), "%zu", packet_size);
	snprintf(before, sizeof(before), "%zu", reply->packet->size);
	tds_reply_env_text(reply, 4, now, before);
	tds_reply_put_done(reply, TOKEN_DONE, 0, 0, 0);
	tds_packet_end(reply->packet);
	reply->packet->size = packet_size;
}

void tds_reply_login_failed(struct tds_reply *reply, int number, int severity, const char *text)
{
	tds_reply_message(reply, number, severity, 1, 1, text);
	tds_reply_put_done(reply, TOKEN_DONE, 0x02, 0, 0);
	tds_packet_end(reply->packet);
}

void tds_reply_reset_done(struct tds_reply *reply)
{
	tds_reply_token_begin(reply);
	buf_add(&reply->token, "\xE3\x03\x00\x12\x00\x00", 6);
	tds_reply_token_send(reply);
}

void tds_reply_garbage(struct tds_reply *reply)
{
	uint8_t bytes[64];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + 1);
	tds_packet_write(reply->packet, bytes, sizeof(bytes));
	tds_packet_end(reply->packet);
}

void tds_reply_bad_metadata(struct tds_reply *reply)
{
	/* three columns announced, half of the first one sent */
	static const uint8_t bytes[] = { TOKEN_COLMETADATA, 3, 0, 0, 0, 0, 0, 9, 0, 0xE7, 0x40 };

	tds_packet_write(reply->packet, bytes, sizeof(bytes));
	tds_packet_end(reply->packet);
}
