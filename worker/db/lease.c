/* The statements of dbo.temu_lease, and what their row means for somebody who wants to write. When they are sent, and who is told, is the
 * keeper's business (worker/jobs/keeper.c). No statement here leaves a transaction open, and a fenced transaction only reads the row. */
#include "worker/db/lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "common/clock.h"
#include "common/utf8.h"
#include "worker/db/rows.h"

#define HOST_SHOWN 80 /* bytes of a host name in an error text */
#define WHO_MAX 200

/* All rounded alike, so that a time just written is never ahead of now. */
#define COLUMNS                                                                                                        \
	"SELECT installation, place, host, epoch, CONVERT(varchar(33), taken_at, 126), CONVERT(varchar(33), renewed_at, 126),\n" \
	"  CONVERT(varchar(33), expires_at, 126), CONVERT(varchar(33), CAST(SYSUTCDATETIME() AS datetime2(3)), 126)\n"         \
	"FROM dbo.temu_lease"
#define HOST "(SELECT j.h FROM OPENJSON(@j) WITH (h nvarchar(128) '$.h') j)"
#define TAKE                                                                                                           \
	"UPDATE dbo.temu_lease WITH (UPDLOCK, HOLDLOCK) SET installation = @installation, place = @place, host = " HOST ",\n" \
	"  epoch = epoch + 1, taken_at = SYSUTCDATETIME(), renewed_at = SYSUTCDATETIME(),\n"                            \
	"  expires_at = DATEADD(second, @ttl, SYSUTCDATETIME())\n"

static const char sql_take[] =
    TAKE "WHERE shop = @shop AND installation = @installation AND (place = @place OR expires_at <= SYSUTCDATETIME())\n"
         "INSERT INTO dbo.temu_lease (shop, installation, place, host, epoch, taken_at, renewed_at, expires_at)\n"
         "SELECT @shop, @installation, @place, " HOST ", 1, SYSUTCDATETIME(), SYSUTCDATETIME(),\n"
         "  DATEADD(second, @ttl, SYSUTCDATETIME())\n"
         "WHERE NOT EXISTS (SELECT 1 FROM dbo.temu_lease l WITH (UPDLOCK, HOLDLOCK) WHERE l.shop = @shop)\n" COLUMNS
         " WHERE shop = @shop";

static const char sql_take_over[] =
    TAKE "WHERE shop = @shop AND installation = @from\n" COLUMNS " WHERE shop = @shop";

static const char sql_renew[] =
    "UPDATE dbo.temu_lease WITH (UPDLOCK, HOLDLOCK) SET renewed_at = SYSUTCDATETIME(),\n"
    "  expires_at = DATEADD(second, @ttl, SYSUTCDATETIME())\n"
    "WHERE shop = @shop AND installation = @installation AND epoch = @epoch\n" COLUMNS " WHERE shop = @shop";

static const char sql_release[] = "UPDATE dbo.temu_lease WITH (UPDLOCK, HOLDLOCK) SET expires_at = DATEADD(millisecond, -1, SYSUTCDATETIME())\n"
				  "WHERE shop = @shop AND installation = @installation AND epoch = @epoch AND expires_at > SYSUTCDATETIME()";

/* --- the row --- */

static int read_row(const struct db_row *row, struct lease_row *out, struct err *err)
{
	*out = (struct lease_row){ .found = true };
	if (db_row_copy(row, 0, out->holder.installation, sizeof(out->holder.installation), err) != 0 ||
	    db_row_copy(row, 1, out->holder.place, sizeof(out->holder.place), err) != 0 ||
	    db_row_copy(row, 2, out->holder.host, sizeof(out->holder.host), err) != 0 || db_row_int64(row, 3, &out->epoch, err) != 0)
		return -1;
	if (rows_time_read(db_row_text(row, 4, NULL), &out->taken_ms, err) != 0 ||
	    rows_time_read(db_row_text(row, 5, NULL), &out->renewed_ms, err) != 0 ||
	    rows_time_read(db_row_text(row, 6, NULL), &out->expires_ms, err) != 0)
		return -1;
	return rows_time_read(db_row_text(row, 7, NULL), &out->now_ms, err);
}

static int take_row(void *arg, const struct db_row *row, struct err *err)
{
	return read_row(row, arg, err);
}

/* "installation 3f.. on host wawi (last renewed 2026-11-25T08:00:00.000Z)" */
static const char *who(const struct lease_row *row, char out[WHO_MAX])
{
	char renewed[CLOCK_TEXT_MAX];
	const char *host = row->holder.host;

	clock_format(row->renewed_ms, renewed);
	snprintf(out, WHO_MAX, "installation %s on host %.*s (last renewed %s)", row->holder.installation,
	         (int)utf8_cut(host, strlen(host), HOST_SHOWN), host, renewed);
	return out;
}

static int lost(const struct lease_grip *grip, const struct lease_row *row, struct err *err)
{
	char holder[WHO_MAX];

	if (!row->found)
		return err_set(err, ERR_HOLD, "LEASE_LOST", "shop %" PRId64 ": our lease is gone from dbo.temu_lease", grip->shop);
	return err_set(err, ERR_HOLD, "LEASE_LOST",
	               "shop %" PRId64 " was taken by %s, epoch %" PRId64 " after our %" PRId64 ": nothing more is written from here",
	               grip->shop, who(row, holder), row->epoch, grip->epoch);
}

static bool gripped(const struct lease_grip *grip, const struct lease_row *row)
{
	return row->found && row->epoch == grip->epoch && strcmp(row->holder.installation, grip->installation) == 0;
}

static bool same_place(const struct lease_self *self, const struct lease_row *row)
{
	return row->found && strcmp(row->holder.installation, self->installation) == 0 && strcmp(row->holder.place, self->place) == 0;
}

static int refuse(int64_t shop, const struct lease_self *self, const struct lease_row *row, struct err *err)
{
	char holder[WHO_MAX], until[CLOCK_TEXT_MAX];

	who(row, holder);
	clock_format(row->expires_ms, until);
	if (strcmp(row->holder.installation, self->installation) == 0)
		return err_set(err, ERR_HOLD, "LEASE_ELSEWHERE",
		               "shop %" PRId64 ": this installation is alive in another place, %s. Either this folder is a copy (then stop "
		               "one of the two), or the machine was started anew: then it goes on by itself after %s",
		               shop, holder, until);
	return err_set(err, ERR_HOLD, "LEASE_FOREIGN",
	               "shop %" PRId64 " is written by %s, %s %s. Two writers harm the shop: stop that one, then take over with POST "
	               "/api/shops/%" PRId64 "/lease {\"from\":\"%s\"}",
	               shop, holder, row->expires_ms > row->now_ms ? "good until" : "silent, expired", until, shop,
	               row->holder.installation);
}

/* --- taking --- */

/* The row as it is after the statement decides, so that one whose answer was lost may be sent again. */
static int send_take(struct db *db, const char *label, const char *sql, int64_t shop, const struct lease_self *self, const char *from,
                     int64_t ttl_s, struct lease_row *row, struct err *err)
{
	struct db_param params[6] = { [1] = db_param_int64("@shop", shop),
		                      [2] = db_param_text("@installation", self->installation),
		                      [3] = db_param_text("@place", self->place),
		                      [4] = db_param_int64("@ttl", ttl_s),
		                      [5] = db_param_text("@from", from) };
	struct db_statement statement = {
		.label = label, .sql = sql, .params = params, .count = from ? 6 : 5, .row = take_row, .arg = row
	};
	struct dbjson json;
	int rc = -1;

	*row = (struct lease_row){ .found = false };
	dbjson_init(&json, 8192);
	dbjson_row(&json);
	dbjson_text(&json, "h", self->host);
	if (dbjson_end(&json, "@j", &params[0], err) == 0)
		rc = db_query(db, &statement, NULL, err);
	dbjson_release(&json);
	return rc;
}

int lease_take(struct db *db, int64_t shop, const struct lease_self *self, int64_t ttl_s, int64_t *epoch, struct lease_row *row,
               struct err *err)
{
	struct lease_row now;

	if (!row)
		row = &now;
	if (send_take(db, "lease take", sql_take, shop, self, NULL, ttl_s, row, err) != 0)
		return -1;
	if (!row->found)
		return err_set(err, ERR_TEMP, "LEASE_CHANGED", "shop %" PRId64 ": the lease went away while it was being taken", shop);
	if (!same_place(self, row))
		return refuse(shop, self, row, err);
	*epoch = row->epoch;
	return 0;
}

int lease_take_over(struct db *db, int64_t shop, const struct lease_self *self, const char *from, int64_t ttl_s, int64_t *epoch,
                    struct lease_row *row, struct err *err)
{
	char holder[WHO_MAX];
	struct lease_row now;

	if (!row)
		row = &now;
	if (send_take(db, "lease take over", sql_take_over, shop, self, from, ttl_s, row, err) != 0)
		return -1;
	if (!same_place(self, row))
		return err_set(err, ERR_PERM, "LEASE_CHANGED", "shop %" PRId64 " was not taken over: not installation %s has it but %s", shop,
		               from, row->found ? who(row, holder) : "nobody");
	*epoch = row->epoch;
	return 0;
}

/* --- keeping --- */

static void grip_params(const struct lease_grip *grip, struct db_param params[3])
{
	params[0] = db_param_int64("@shop", grip->shop);
	params[1] = db_param_text("@installation", grip->installation);
	params[2] = db_param_int64("@epoch", grip->epoch);
}

int lease_renew(struct db *db, const struct lease_grip *grip, int64_t ttl_s, struct lease_row *row, struct err *err)
{
	struct db_param params[4] = { [3] = db_param_int64("@ttl", ttl_s) };
	struct db_statement statement = {
		.label = "lease renew", .sql = sql_renew, .params = params, .count = 4, .row = take_row, .arg = row
	};

	grip_params(grip, params);
	*row = (struct lease_row){ .found = false };
	if (db_query(db, &statement, NULL, err) != 0)
		return -1;
	return gripped(grip, row) ? 0 : lost(grip, row, err);
}

int lease_release(struct db *db, const struct lease_grip *grip, struct err *err)
{
	struct db_param params[3];
	struct db_statement statement = { .label = "lease release", .sql = sql_release, .params = params, .count = 3 };

	grip_params(grip, params);
	return db_query(db, &statement, NULL, err);
}

/* --- looking --- */

int lease_read(struct db *db, int64_t shop, struct lease_row *row, struct err *err)
{
	struct db_param param = db_param_int64("@shop", shop);
	struct db_statement statement = {
		.label = "lease", .sql = COLUMNS " WHERE shop = @shop", .params = &param, .count = 1, .row = take_row, .arg = row
	};

	*row = (struct lease_row){ .found = false };
	return db_query(db, &statement, NULL, err);
}

int lease_check(struct db *db, const struct lease_grip *grip, struct err *err)
{
	struct lease_row row;

	if (lease_read(db, grip->shop, &row, err) != 0)
		return -1;
	return gripped(grip, &row) ? 0 : lost(grip, &row, err);
}

static void add_fence(const void *arg, struct buf *sql)
{
	const struct lease_grip *grip = arg;

	buf_addf(sql, COLUMNS " WITH (HOLDLOCK) WHERE shop = %" PRId64, grip->shop);
}

static int judge_fence(const void *arg, const struct db_row *row, struct err *err)
{
	const struct lease_grip *grip = arg;
	struct lease_row now = { .found = false };

	if (row && read_row(row, &now, err) != 0)
		return -1;
	return gripped(grip, &now) ? 0 : lost(grip, &now, err);
}

struct db_fence lease_fence(const struct lease_grip *grip)
{
	return (struct db_fence){ .add = add_fence, .judge = judge_fence, .arg = grip };
}
