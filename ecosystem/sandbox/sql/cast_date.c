/* Conversions to dates and times. */
#include "ecosystem/sandbox/sql/cast.h"

#include <math.h>
#include "ecosystem/sandbox/sql/datetime.h"

#define CONTEXT ((struct functions *)sqlite3_user_data(c))

static void date_failed(sqlite3_context *c, const struct cast_source *s, struct cast_target *to, enum datetime_status status) {
	if (status == DATETIME_MALFORMED)
		cast_failf(c, to, to->type == SQL_SMALLDATETIME ? 295 : 241,
			to->type == SQL_SMALLDATETIME
				? "Conversion failed when converting character string to smalldatetime data type."
				: "Conversion failed when converting date and/or time from character string.");
	else if (xtype_is_char(s->type) && to->type != SQL_DATETIME && to->type != SQL_SMALLDATETIME)
		cast_failf(c, to, 241, "Conversion failed when converting date and/or time from character string.");
	else
		cast_failf(c, to, 242, "The conversion of a %s data type to a %s data type resulted in an out-of-range value.",
			cast_type_name(s->type), cast_type_name(to->type));
}

static void number_date(const struct cast_source *s, struct tds_date *d) {
	double days = 0;
	struct decimal x;
	if (xtype_family(s->type) == FAMILY_EXACT)
		days = decimal_parse(s->text, s->len, &x) == DECIMAL_OK ? decimal_to_double(&x) : 0;
	else
		days = sqlite3_value_double(s->value);
	if (days < -1e6 || days > 1e7)
		days = -1e6;
	double whole = floor(days);
	*d = (struct tds_date){ .days = TDS_DATE_1900 + (int32_t)whole,
		.ticks = (int64_t)((days - whole) * (double)TDS_TICKS_A_DAY) };
}

void cast_to_date(sqlite3_context *c, const struct cast_source *s, struct cast_target *to) {
	struct tds_date d = { 0 };
	char text[DATETIME_TEXT];
	enum datetime_status status = DATETIME_OK;
	if (xtype_is_char(s->type))
		status = datetime_parse(s->text, s->len, to->type, CONTEXT->date_format, to->style, &d);
	else if (xtype_is_date(s->type))
		status = tds_date_parse(&d, s->text, s->len) == 0 ? DATETIME_OK : DATETIME_MALFORMED;
	else
		number_date(s, &d);
	if (s->type == SQL_TIME)
		d.days = TDS_DATE_1900;
	if (status == DATETIME_OK)
		status = datetime_fit(&d, s->type, to->type, to->scale);
	if (status != DATETIME_OK)
		date_failed(c, s, to, status);
	else
		sqlite3_result_text(c, text, (int)datetime_format(&d, to->type, to->scale, text), SQLITE_TRANSIENT);
}
