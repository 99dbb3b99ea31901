/* The frame of an RPC message and the naming of its parameters. Types and values are read in tds_param.c, the
 * declarations in tds_defs.c; nothing is executed here. */
#include "ecosystem/sandbox/sql/tds_rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/utf8.h"
#include "ecosystem/sandbox/sql/tds_types.h"

#define NAME_BY_NUMBER 0xFFFF
#define STATUS_BY_REFERENCE 0x01

int tds_skip_headers(struct tds_reader *r, struct err *err)
{
	uint32_t total = tds_get32(r);

	if (r->failed || total < 4 || total - 4 > tds_reader_left(r))
		return err_set(err, ERR_PERM, "TDS", "ALL_HEADERS is longer than the message");
	tds_get_bytes(r, total - 4);
	return 0;
}

static int proc_of(const char *name)
{
	static const struct {
		const char *name;
		int proc;
	} table[] = {
		{ "sp_executesql", TDS_SP_EXECUTESQL }, { "sp_prepare", TDS_SP_PREPARE },
		{ "sp_execute", TDS_SP_EXECUTE },       { "sp_prepexec", TDS_SP_PREPEXEC },
		{ "sp_unprepare", TDS_SP_UNPREPARE },
	};
	const char *dot = strrchr(name, '.');

	name = dot ? dot + 1 : name;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcasecmp(name, table[i].name) == 0)
			return table[i].proc;
	return TDS_PROC_NAMED;
}

static int get_proc(struct tds_rpc *rpc, struct tds_reader *r, struct err *err)
{
	uint16_t units = tds_get16(r);
	struct buf name;
	int rc = 0;

	if (units == NAME_BY_NUMBER) {
		rpc->proc = tds_get16(r);
		return 0;
	}
	buf_init(&name, sizeof(rpc->name) - 1);
	tds_get_utf16(r, units, &name);
	if (r->failed || name.failed || name.len == 0)
		rc = err_set_number(err, ERR_PERM, "TDS", 8009, "The name of the remote procedure is missing or too long.");
	else
		memcpy(rpc->name, buf_text(&name), name.len + 1);
	rpc->proc = proc_of(rpc->name);
	buf_release(&name);
	return rc;
}

static int room(struct tds_rpc *rpc, int *cap, struct err *err)
{
	int want = *cap ? *cap * 2 : 8;
	struct sql_param *params;
	char **data;
	bool *output;

	if (rpc->count < *cap)
		return 0;
	params = realloc(rpc->params, (size_t)want * sizeof(*params));
	if (params)
		rpc->params = params;
	data = realloc(rpc->data, (size_t)want * sizeof(*data));
	if (data)
		rpc->data = data;
	output = realloc(rpc->output, (size_t)want * sizeof(*output));
	if (output)
		rpc->output = output;
	if (!params || !data || !output)
		return err_set_number(err, ERR_TEMP, "MEMORY", 701, "There is insufficient system memory to run this query.");
	*cap = want;
	return 0;
}

int tds_rpc_decode(struct tds_rpc *rpc, struct tds_reader *r, const struct tds_collation *server, struct err *err)
{
	int cap = 0;

	memset(rpc, 0, sizeof(*rpc));
	if (get_proc(rpc, r, err) != 0)
		return -1;
	tds_get16(r); /* options: recompile, no metadata */
	while (tds_reader_left(r) > 0) {
		struct sql_param *param;

		if (r->data[r->at] == 0xFF || r->data[r->at] == 0x80)
			return err_set_number(err, ERR_PERM, "TDS", 8009, "Several procedure calls in one message are not served.");
		if (rpc->count == TDS_PARAMS_MAX)
			return err_set_number(err, ERR_PERM, "TDS", 8003,
			                      "The incoming request has too many parameters. The server supports a maximum of %d "
			                      "parameters. Reduce the number of parameters and resend the request.",
			                      TDS_PARAMS_MAX);
		if (room(rpc, &cap, err) != 0)
			return -1;
		param = &rpc->params[rpc->count];
		memset(param, 0, sizeof(*param));
		tds_get_name(r, param->name, sizeof(param->name));
		rpc->output[rpc->count] = (tds_get8(r) & STATUS_BY_REFERENCE) != 0;
		if (tds_get_param(r, &param->column, &param->value, &rpc->data[rpc->count], server, err) != 0) {
			free(rpc->data[rpc->count]);
			return -1;
		}
		rpc->count++;
	}
	return r->failed ? err_set_number(err, ERR_PERM, "TDS", 8009, "The remote procedure call ends too early.") : 0;
}

void tds_rpc_release(struct tds_rpc *rpc)
{
	for (int i = 0; i < rpc->count; i++)
		free(rpc->data[i]);
	free(rpc->data);
	free(rpc->params);
	free(rpc->output);
	memset(rpc, 0, sizeof(*rpc));
}

/* Declared and sent type may differ; text of one family means the same in the other types of the family. */
static int family(enum sql_type type)
{
	switch (type) {
	case SQL_BIT:
	case SQL_TINYINT:
	case SQL_SMALLINT:
	case SQL_INT:
	case SQL_BIGINT:
		return 1;
	case SQL_DECIMAL:
	case SQL_MONEY:
		return 2;
	case SQL_FLOAT:
	case SQL_REAL:
		return 3;
	case SQL_CHAR:
	case SQL_VARCHAR:
	case SQL_NCHAR:
	case SQL_NVARCHAR:
		return 4;
	case SQL_BINARY:
	case SQL_VARBINARY:
	case SQL_ROWVERSION:
		return 5;
	case SQL_DATE:
		return 6;
	case SQL_TIME:
		return 7;
	case SQL_DATETIME:
	case SQL_SMALLDATETIME:
	case SQL_DATETIME2:
		return 8;
	case SQL_DATETIMEOFFSET:
		return 9;
	case SQL_UNIQUEIDENTIFIER:
		return 10;
	}
	return 0;
}

/* An integer value must fit the smaller declared type; else it keeps its own and the engine reports the overflow. */
static bool takes_type(const struct sql_param *param, const struct tds_def *def)
{
	int given = family(param->column.type), wanted = family(def->column.type);

	if (!def->known)
		return false;
	if (param->value.null)
		return true;
	if (given == 1 && wanted == 1)
		return def->column.type >= param->column.type;
	if (given == 2 && wanted == 2)
		return def->column.type == param->column.type && def->column.scale >= param->column.scale &&
		       def->column.precision >= param->column.precision;
	if (wanted >= 6 && wanted <= 9)
		return def->column.type == param->column.type && def->column.scale >= param->column.scale;
	return given == wanted;
}

static void apply(struct sql_param *param, const struct tds_def *def)
{
	snprintf(param->name, sizeof(param->name), "%s", def->name);
	if (takes_type(param, def))
		param->column = def->column;
	param->column.nullable = true;
}

static const struct tds_def *def_of(const struct tds_def *defs, int count, const struct sql_param *param, int position)
{
	if (param->name[0] == '\0')
		return position < count ? &defs[position] : NULL;
	for (int i = 0; i < count; i++)
		if (strcasecmp(defs[i].name, param->name) == 0)
			return &defs[i];
	return NULL;
}

static bool given(const struct tds_rpc *rpc, int first, const char *name)
{
	for (int i = first; i < rpc->count; i++)
		if (strcasecmp(rpc->params[i].name, name) == 0)
			return true;
	return false;
}

int tds_rpc_bind(struct tds_rpc *rpc, int first, const char *text, struct err *err)
{
	struct tds_def *defs = NULL;
	int count = tds_defs_parse(text, &defs), rc = 0;

	if (count < 0)
		return err_set_number(err, ERR_PERM, "TDS", 102, "Incorrect syntax in the list of parameters.");
	for (int i = first; rc == 0 && i < rpc->count; i++) {
		const struct tds_def *def = def_of(defs, count, &rpc->params[i], i - first);

		if (!def)
			rc = err_set_number(err, ERR_PERM, "TDS", 8144,
			                    "Procedure or function sp_executesql has too many arguments specified.");
		else
			apply(&rpc->params[i], def);
	}
	for (int i = 0; rc == 0 && i < count; i++)
		if (!given(rpc, first, defs[i].name))
			rc = err_set_number(err, ERR_PERM, "TDS", 8178,
			                    "The parameterized query expects the parameter '%s', which was not supplied.",
			                    defs[i].name);
	free(defs);
	return rc;
}
