/* settings: everything that can be configured, for both daemons, read from one YAML file and the environment (TEMU_...).
 * The table is settings.def; `temu-workers --help-config` prints it. */
#ifndef PROTO_SETTINGS_H
#define PROTO_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/conf.h"
#include "common/err.h"
#include "common/secret.h"

enum setting_encryption { ENCRYPTION_OFF, ENCRYPTION_REQUEST, ENCRYPTION_REQUIRE };
enum setting_formula { FORMULA_REFERENCE, FORMULA_JTL, FORMULA_CAPPED };
/* What happens with articles that are inactive or deleted, fathers, bundles, not stock-managed, over-sellable. */
enum setting_rule { RULE_SKIP, RULE_ZERO, RULE_STOCK, RULE_FIXED };

struct shop_settings {
	int64_t id;         /* 1..1000000, the key everywhere */
	char *name;
	char *region;       /* eu, us, global: the host; url wins */
	char *url;          /* "" = by region */
	const struct secret *app_key, *app_secret, *access_token;
	struct conf_ints warehouses; /* kWarenlager */
	int formula;        /* enum setting_formula */
	int64_t stock_min;  /* wanted stock below this becomes 0 */
	int64_t stock_max;  /* upper cap, <= 1000000 */
	int64_t percent;    /* share of the stock offered here, 0..100 */
	int inactive, father, bundle, unmanaged, oversell; /* enum setting_rule; FIXED uses fixed_quantity */
	int64_t fixed_quantity;
	int64_t zero_share_percent, zero_share_least;   /* mass-change guard: to zero */
	int64_t raise_share_percent, raise_share_least; /* and raised, or with another buffer */
};

enum setting_severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_ERROR };
#define WEBHOOKS_MAX 10
#define MAIL_TO_MAX 20
#define MAIL_ADDRESS_MAX 254
#define WEBHOOK_BODY \
	"{\"id\":\"{id}\",\"state\":\"{state}\",\"code\":\"{code}\",\"severity\":\"{severity}\",\"shop\":{shop},\"job\":\"{job}\"," \
	"\"run\":\"{run}\",\"count\":{count},\"time\":\"{time}\",\"text\":\"{text}\"}"

struct webhook_settings {
	char *name;
	const struct secret *url, *header; /* addresses carry tokens in their path */
	char *body;
	int least; /* enum setting_severity */
};

enum setting_missed { MISSED_SKIP, MISSED_ONCE };
#define SCHEDULES_MAX 100
#define SCHEDULE_NAME_MAX 61

struct schedule_settings {
	char *name;       /* unique: letters, digits, '.', '_', '-' */
	char *job;        /* whether there is such a job, the engine knows */
	int64_t shop;     /* 0: every shop, each with a run of its own */
	char *when;       /* cron.h */
	int64_t jitter_s; /* each run is put off by up to this */
	int missed;       /* enum setting_missed: what happens when the process was down */
	bool paused;
	char *params;     /* JSON object text */
};

struct settings {
	char *zone;         /* time zone of schedules and of days that people read: zone.h */
	/* paths */
	char *run_folder;   /* sockets: workers.sock, events.sock */
	char *state_folder; /* journal.db */
	/* log */
	int log_level;      /* DEBUG|INFO|WARNING|ERROR */
	int log_format;     /* text|json */
	/* api */
	char *api_host;     /* 127.0.0.1 */
	int64_t api_port, api_threads, api_live_clients, api_live_queue; /* lines kept per client */
	/* database */
	char *db_server;    /* host,port  host:port  host\instance */
	char *db_user;
	const struct secret *db_password;
	char *db_name;      /* the own database */
	char *jtl_database; /* eazybusiness */
	int db_encryption;  /* enum setting_encryption */
	char *db_ca_file;
	int64_t db_login_timeout_s, db_statement_timeout_s, db_lock_timeout_ms;
	int64_t pool_base, pool_overflow, pool_recycle_s, pool_wait_ms;
	bool pool_pre_ping;
	int64_t lookup_chunk; /* 1000 */
	int64_t write_batch;  /* 100 */
	int64_t lease_ttl_s;  /* one writer a shop */
	int64_t old_quiet_s;  /* of the old system's log */
	bool mirror_enabled;  /* our own lines there */
	/* temu */
	int64_t temu_rate, temu_in_flight, temu_timeout_ms, temu_page_size, temu_push_batch, temu_attempts;
	char *temu_ca_file;
	/* workers */
	int64_t workers_threads, workers_attempts, workers_backoff_ms, workers_backoff_max_ms, workers_hold_ms, workers_queue, workers_drain_ms;
	int64_t run_deadline_s;
	int64_t retention_days, retention_runs_days, retention_max_mb; /* of the journal */
	/* alarms */
	int64_t alarms_stale_minutes, alarms_token_days, alarms_attempts, alarms_backoff_ms, alarms_timeout_ms;
	char *alarms_ca_file;
	char *mail_url, *mail_user, *mail_from, *mail_to;
	const struct secret *mail_password;
	int mail_least; /* enum setting_severity */
	const struct secret *heartbeat_url;
	char *heartbeat_job;
	struct webhook_settings *webhooks;
	size_t webhook_count;
	struct shop_settings *shops;
	size_t shop_count;
	struct schedule_settings *schedules;
	size_t schedule_count;
};

/* file NULL: environment and defaults only. Besides the table it checks what spans keys: shop ids unique, at least one shop and
 * one warehouse each, https for urls that are not loopback, names of schedules unique and their shops known. */
int settings_load(const char *file, struct settings *settings, struct err *err) MUSTCHECK;
void settings_release(struct settings *settings);
/* The commented sample. */
void settings_print_help(struct buf *out);
/* Whether the schedule may be due then: also when it is changed later. 0, or -1 PERM BAD_REQUEST. */
int settings_when_check(const struct schedule_settings *schedule, const char *when, struct err *err) MUSTCHECK;
const struct shop_settings *settings_shop(const struct settings *settings, int64_t id); /* NULL when unknown */

#endif
