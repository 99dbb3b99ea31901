/* The statements of dbo.temu_log_mark and of writing to dbo.scheduler_logs. Which lines, when, and what to do after an error: the job's
 * business (worker/jobs/mirror.c). */
#include "worker/db/log_mirror.h"

#include <inttypes.h>
#include <string.h>
#include "common/utf8.h"
#include "worker/db/rows.h"

#define JOB_ID_BYTES 255
#define JOB_TYPE_BYTES 100
#define TEXT_MAX ((size_t)1 << 20)
#define PRIMARY_KEY_TWICE 2627

/* --- the mark --- */

static const char sql_read[] = "SELECT last FROM dbo.temu_log_mark WHERE journal = @journal";
static const char sql_make[] = "INSERT INTO dbo.temu_log_mark (journal, last, written_at) VALUES (@journal, 0, SYSUTCDATETIME())";

static int take_mark(void *arg, const struct db_row *row, struct err *err)
{
	return db_row_int64(row, 0, arg, err);
}

/* *mark stays as it is when there is no row. */
static int read_mark(struct db *db, const struct db_param *journal, int64_t *mark, struct err *err)
{
	struct db_statement read = {
		.label = "log mark", .sql = sql_read, .params = journal, .count = 1, .row = take_mark, .arg = mark
	};

	return db_query(db, &read, NULL, err);
}

int log_mirror_mark(struct db *db, const char *journal, int64_t *mark, struct err *err)
{
	struct db_param param = db_param_text("@journal", journal);
	struct db_statement make = { .label = "log mark", .sql = sql_make, .params = &param, .count = 1 };
	struct err inner = ERR_INIT;
	int64_t found = -1;

	if (read_mark(db, &param, &found, err) != 0)
		return -1;
	if (found < 0) {
		if (db_query(db, &make, NULL, &inner) != 0 && inner.number != PRIMARY_KEY_TWICE) { /* another one was faster */
			*err = inner;
			return -1;
		}
		if (read_mark(db, &param, &found, err) != 0)
			return -1;
	}
	if (found < 0)
		return err_set(err, ERR_TEMP, "LOG_MARK_MOVED", "the mark of journal %s went away", journal);
	*mark = found;
	return 0;
}

/* --- a batch --- */

void log_batch_init(struct log_batch *batch, const char *journal)
{
	*batch = (struct log_batch){ .journal = journal };
	dbjson_init(&batch->rows, ROWS_MAX);
	buf_init(&batch->text, TEXT_MAX);
}

void log_batch_release(struct log_batch *batch)
{
	dbjson_release(&batch->rows);
	buf_release(&batch->text);
}

void log_batch_clear(struct log_batch *batch, int64_t mark)
{
	dbjson_clear(&batch->rows);
	batch->from = batch->to = mark;
}

/* At most max bytes of text, as valid UTF-8. Error texts may end in half a character. */
static const char *clean(struct log_batch *batch, const char *text, size_t max)
{
	struct buf *out = &batch->text;
	size_t len = strlen(text);

	buf_clear(out);
	for (size_t at = 0, step; at < len; at += step ? step : 1) {
		step = utf8_sequence(text + at, len - at);
		if (out->len + (step ? step : 1) > max)
			break;
		if (step)
			buf_add(out, text + at, step);
		else
			buf_add_char(out, '?');
	}
	return buf_text(out);
}

void log_batch_add(struct log_batch *batch, const struct log_row *row)
{
	struct dbjson *rows = &batch->rows;
	char time[ROWS_TIME_MAX];

	dbjson_row(rows);
	dbjson_int64(rows, "n", row->seq);
	dbjson_text(rows, "t", rows_time(row->time_ms, time));
	dbjson_int64(rows, "z", row->zone_min);
	dbjson_text(rows, "i", clean(batch, row->job_id, JOB_ID_BYTES));
	dbjson_text(rows, "y", clean(batch, row->job_type, JOB_TYPE_BYTES));
	dbjson_text(rows, "l", row->level);
	dbjson_text(rows, "m", clean(batch, row->message, TEXT_MAX - 1));
	if (row->status)
		dbjson_text(rows, "s", row->status);
	if (row->error)
		dbjson_text(rows, "e", clean(batch, row->error, TEXT_MAX - 1));
	if (row->duration_ms >= 0)
		dbjson_int64(rows, "d", row->duration_ms);
	batch->to = row->seq;
}

/* @server: the server's difference to UTC in minutes, to the quarter of an hour, whenever the two clocks were read. The lines get their
 * numbers (log_id) in the order of the journal. */
static const char sql_write[] =
    "DECLARE @moved int, @server int\n"
    "SET @server = (DATEDIFF(second, SYSUTCDATETIME(), SYSDATETIME()) + 86850) / 900 * 15 - 1440\n"
    "UPDATE dbo.temu_log_mark SET last = @to, written_at = SYSUTCDATETIME() WHERE journal = @journal AND last = @from\n"
    "SET @moved = @@ROWCOUNT\n"
    "IF @moved = 1\n"
    "  INSERT INTO dbo.scheduler_logs (job_id, job_type, level, message, [timestamp], duration_seconds, status, error_text)\n"
    "  SELECT j.i, j.y, j.l, j.m,\n"
    "    DATEADD(minute, CASE WHEN @server = @zone THEN j.z ELSE @server END, CONVERT(datetime2(3), j.t, 126)),\n"
    "    CONVERT(float, j.d) / 1000, j.s, j.e\n"
    "  FROM OPENJSON(@j) WITH (n bigint '$.n', t varchar(30) '$.t', z int '$.z', i nvarchar(255) '$.i', y nvarchar(100) '$.y',\n"
    "    l varchar(20) '$.l', m nvarchar(max) '$.m', d bigint '$.d', s varchar(20) '$.s', e nvarchar(max) '$.e') j\n"
    "  ORDER BY j.n\n"
    "SELECT @moved";

int log_mirror_write(struct db *db, void *arg, struct err *err)
{
	struct log_batch *batch = arg;
	struct db_param params[5] = { [1] = db_param_text("@journal", batch->journal),
		                      [2] = db_param_int64("@from", batch->from),
		                      [3] = db_param_int64("@to", batch->to),
		                      [4] = db_param_int64("@zone", batch->zone_now_min) };
	struct db_statement write = { .label = "log mirror", .sql = sql_write, .params = params, .count = 5 };
	int64_t moved;

	params[4].null = !batch->zoned;
	if (dbjson_end(&batch->rows, "@j", &params[0], err) != 0 || db_query_int64(db, &write, &moved, err) != 0)
		return -1;
	if (moved == 1)
		return 0;
	return err_set(err, ERR_TEMP, "LOG_MARK_MOVED", "journal %s is copied to another number than %" PRId64 ": another process does it",
	               batch->journal, batch->from);
}
