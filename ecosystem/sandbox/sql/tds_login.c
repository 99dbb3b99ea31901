/* Decoders of the two messages before a session exists, and the answer to the first. What a login may do is the
 * engine's. */
#include "ecosystem/sandbox/sql/tds_login.h"

#include <string.h>
#include "common/utf8.h"
#include "ecosystem/sandbox/sql/tds_bytes.h"

enum { OPTION_VERSION, OPTION_ENCRYPTION, OPTION_INSTANCE, OPTION_THREAD, OPTION_MARS, OPTION_END = 0xFF };

static unsigned big16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

int tds_prelogin_decode(const void *data, size_t len, enum tds_encryption *encryption, struct err *err)
{
	const uint8_t *bytes = data;

	*encryption = TDS_ENCRYPT_NOT_SUP;
	for (size_t at = 0;; at += 5) {
		size_t offset, size;

		if (at < len && bytes[at] == OPTION_END)
			return 0;
		if (len < 5 || at > len - 5)
			return err_set(err, ERR_PERM, "TDS", "PRELOGIN: the list of options has no end");
		offset = big16(bytes + at + 1);
		size = big16(bytes + at + 3);
		if (offset > len || size > len - offset)
			return err_set(err, ERR_PERM, "TDS", "PRELOGIN: an option lies outside the message");
		if (bytes[at] != OPTION_ENCRYPTION || size == 0)
			continue;
		if (bytes[offset] > TDS_ENCRYPT_REQ)
			return err_set(err, ERR_PERM, "TDS", "PRELOGIN: unknown encryption %u", bytes[offset]);
		*encryption = (enum tds_encryption)bytes[offset];
	}
}

void tds_prelogin_encode(struct buf *out, enum tds_encryption encryption)
{
	/* version 14.0.3456.0 at 26, encryption at 32, instance at 33, thread (empty) at 34, MARS at 34 */
	static const uint8_t head[] = {
		OPTION_VERSION, 0, 26, 0, 6, OPTION_ENCRYPTION, 0, 32, 0, 1, OPTION_INSTANCE, 0, 33, 0, 1,
		OPTION_THREAD, 0, 34, 0, 0, OPTION_MARS, 0, 34, 0, 1, OPTION_END, 14, 0, 0x0D, 0x80, 0, 0,
	};

	buf_add(out, head, sizeof(head));
	tds_put8(out, (uint8_t)encryption);
	tds_put8(out, 0);
	tds_put8(out, 0);
}

int tds_prelogin_agree(enum tds_encryption client, bool have_tls, bool required, enum tds_encryption *answer)
{
	if (!have_tls) {
		*answer = TDS_ENCRYPT_NOT_SUP;
		return client == TDS_ENCRYPT_ON || client == TDS_ENCRYPT_REQ || required ? -1 : 0;
	}
	if (client == TDS_ENCRYPT_NOT_SUP) {
		*answer = required ? TDS_ENCRYPT_REQ : TDS_ENCRYPT_NOT_SUP;
		return required ? -1 : 0;
	}
	if (required && client == TDS_ENCRYPT_OFF)
		*answer = TDS_ENCRYPT_REQ;
	else
		*answer = client == TDS_ENCRYPT_OFF ? TDS_ENCRYPT_OFF : TDS_ENCRYPT_ON;
	return 0;
}

/* One offset and length pair; the text lies elsewhere in the same message. */
static void get_text(struct tds_reader *r, bool scrambled, char *out)
{
	size_t offset = tds_get16(r), units = tds_get16(r), len;
	uint8_t plain[256];
	struct tds_reader text;
	struct buf utf8;

	out[0] = '\0';
	if (units == 0)
		return;
	if (units > 128 || offset > r->len || units * 2 > r->len - offset) {
		r->failed = true;
		return;
	}
	memcpy(plain, r->data + offset, units * 2);
	for (size_t i = 0; scrambled && i < units * 2; i++) {
		uint8_t c = plain[i] ^ 0xA5;

		plain[i] = (uint8_t)(c << 4 | c >> 4);
	}
	buf_init(&utf8, TDS_LOGIN_TEXT - 1);
	tds_reader_init(&text, plain, units * 2);
	tds_get_utf16(&text, units, &utf8);
	len = utf8.failed ? 0 : utf8.len;
	memcpy(out, buf_text(&utf8), len);
	out[len] = '\0';
	if (scrambled && utf8.data)
		explicit_bzero(utf8.data, utf8.cap);
	explicit_bzero(plain, sizeof(plain));
	buf_release(&utf8);
}

int tds_login_decode(struct tds_login *login, const void *data, size_t len, struct err *err)
{
	struct tds_reader r;
	uint8_t flags2;

	memset(login, 0, sizeof(*login));
	tds_reader_init(&r, data, len);
	if (tds_get32(&r) > len)
		r.failed = true;
	login->tds_version = tds_get32(&r);
	login->packet_size = tds_get32(&r);
	tds_get_bytes(&r, 4 + 4 + 4 + 1); /* client version, process, connection, first flags */
	flags2 = tds_get8(&r);
	tds_get_bytes(&r, 1 + 1 + 4 + 4); /* type flags, third flags, time zone, locale */
	login->integrated = (flags2 & 0x80) != 0;
	get_text(&r, false, login->host);
	get_text(&r, false, login->user);
	get_text(&r, true, login->password);
	get_text(&r, false, login->application);
	get_text(&r, false, login->server);
	tds_get_bytes(&r, 4); /* extension: no feature of it is served */
	get_text(&r, false, login->library);
	get_text(&r, false, login->language);
	get_text(&r, false, login->database);
	if (r.failed)
		return err_set(err, ERR_PERM, "TDS", "LOGIN7: a field lies outside the message");
	if (login->tds_version < 0x72090002 || login->tds_version > 0x74FFFFFF)
		return err_set(err, ERR_PERM, "TDS", "LOGIN7: TDS version 0x%08X is not served (7.2 to 7.4)",
		               login->tds_version);
	return 0;
}
