/* tds_types: columns and values between engine.h and the wire: TYPE_INFO and data in both directions.
 * Out: every enum sql_type; (max) types as PLP chunks. In: the types a client may bind in an RPC (MS-TDS 2.2.5.4),
 * without sql_variant, xml, table-valued parameters and CLR types. */
#ifndef SANDBOX_SQL_TDS_TYPES_H
#define SANDBOX_SQL_TDS_TYPES_H

#include "ecosystem/sandbox/sql/engine.h"
#include "ecosystem/sandbox/sql/tds_bytes.h"
#include "ecosystem/sandbox/sql/tds_collation.h"

#define TDS_VALUE_MAX ((size_t)64 << 20) /* bytes of one value */

/* TYPE_INFO of a result column. */
void tds_put_type(struct buf *out, const struct sql_column *column, const struct tds_collation *collation);
/* The value as that TYPE_INFO announces it. -1 when the text is no value of the column's type (out is then in doubt).
 * */
int tds_put_value(struct buf *out, const struct sql_column *column, const struct sql_value *value,
                  const struct tds_collation *collation) MUSTCHECK;

/* Reads TYPE_INFO and value of one parameter: fills column (type, length, precision, scale) and value; the data is
 * malloc'ed, the caller frees it (NULL for a null value). -1 with err->number 8009 for a type or length outside the
 * protocol. `server` decides where the parameter names no collation. */
int tds_get_param(struct tds_reader *r, struct sql_column *column, struct sql_value *value, char **data,
                  const struct tds_collation *server, struct err *err) MUSTCHECK;

#endif
