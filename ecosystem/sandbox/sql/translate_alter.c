/* What ALTER COLUMN does with the values that are there. */
#include "ecosystem/sandbox/sql/translate_internal.h"

const char *translate_conversion(struct arena *arena, const struct tr_host *host, const struct object *table, int column,
                                 const struct column *before, struct sqlerror *error) {
	struct tr tr;
	struct xtype from = xtype_of_column(before);
	tr_init(&tr, arena, host, NULL, error);
	from.nullable = true;
	const char *sql = tr_put(&tr, table->columns[column].sql, &from, table, column, "UPDATE", 1);
	return error->number ? NULL : sql;
}
