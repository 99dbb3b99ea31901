/* Fuzz target of the TDS decoders: PRELOGIN, LOGIN7, RPC with its declarations, and lines of the control port. The
 * first byte chooses. Parameters that are accepted must be valid text for the engine. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "common/utf8.h"
#include "ecosystem/sandbox/sql/tds_fault.h"
#include "ecosystem/sandbox/sql/tds_login.h"
#include "ecosystem/sandbox/sql/tds_rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_param(const struct sql_param *param)
{
	bool binary = param->column.type == SQL_BINARY || param->column.type == SQL_VARBINARY;

	if (param->value.null)
		return;
	if (!param->value.data || (!binary && !utf8_valid(param->value.data, param->value.len)))
		abort();
}

static void rpc(const uint8_t *data, size_t size)
{
	struct tds_collation collation;
	struct err err = ERR_INIT;
	struct tds_rpc call = { 0 };
	struct tds_reader r;

	tds_collation_init(&collation, "Latin1_General_CI_AS");
	tds_reader_init(&r, data, size);
	if (tds_skip_headers(&r, &err) != 0)
		return;
	if (tds_rpc_decode(&call, &r, &collation, &err) == 0) {
		for (int i = 0; i < call.count; i++)
			check_param(&call.params[i]);
		if (call.count >= 2 && call.params[1].value.data &&
		    tds_rpc_bind(&call, 2, call.params[1].value.data, &err) == 0)
			for (int i = 2; i < call.count; i++)
				check_param(&call.params[i]);
	}
	tds_rpc_release(&call);
}

static void text(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	struct err err = ERR_INIT;
	struct tds_fault fault;
	struct tds_def *defs;

	if (!line)
		return;
	memcpy(line, data, size);
	line[size] = '\0';
	if (tds_fault_parse(&fault, line, &err) == 0 && fault.count < 0)
		abort();
	if (tds_defs_parse(line, &defs) >= 0)
		free(defs);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum tds_encryption encryption;
	struct err err = ERR_INIT;
	struct tds_login login;

	if (size == 0)
		return 0;
	if (data[0] % 4 == 0 && tds_prelogin_decode(data + 1, size - 1, &encryption, &err) == 0 &&
	    encryption > TDS_ENCRYPT_REQ)
		abort();
	if (data[0] % 4 == 1 && tds_login_decode(&login, data + 1, size - 1, &err) == 0 &&
	    !utf8_valid(login.password, strlen(login.password)))
		abort();
	if (data[0] % 4 == 2)
		rpc(data + 1, size - 1);
	if (data[0] % 4 == 3)
		text(data + 1, size - 1);
	return 0;
}
