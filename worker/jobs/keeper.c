/* The thread that takes and renews the shops' leases, and what it knows of each. Who may have a lease is said by worker/db/lease.c; who
 * this process is, by installation.c. */
#include "worker/jobs/keeper.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "worker/jobs/installation.h"

#define TAKE_OVER_TRIES 3 /* each may wait as long as a lock is waited for */
#define WHO_MAX 101
#define REASON_MAX 201

enum keeping { KEEP_UNKNOWN, KEEP_HELD, KEEP_FOREIGN, KEEP_ELSEWHERE, KEEP_LOST };

static const char *const keeping_names[] = {
	[KEEP_UNKNOWN] = "unknown", [KEEP_HELD] = "held", [KEEP_FOREIGN] = "foreign", [KEEP_ELSEWHERE] = "elsewhere", [KEEP_LOST] = "lost",
};

struct request {
	bool pending;
	char from[LEASE_INSTALLATION_MAX], who[WHO_MAX], reason[REASON_MAX];
};

struct kept {
	int64_t shop;
	pthread_mutex_t taking; /* held around a statement about this lease, so that two threads do not take it from each other */
	/* under keeper->lock */
	enum keeping state;
	bool doubt; /* held, but a write was refused: to be looked at before anybody relies on it */
	struct lease_grip grip;
	struct lease_row row;        /* as last seen */
	struct request request;
	char told[LEASE_PLACE_MAX];  /* of whom people were told: an installation, or a place of our own */
	char trouble[ERR_CODE_MAX];  /* why it could not be looked at, "" = it could */
};

struct keeper {
	const struct settings *settings;
	struct connpool *pool;
	struct journal *journal;
	struct lease_self self;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	bool woken, stopping, ended;
	int telling;     /* inside the journal */
	int64_t stop_ms; /* clock_mono_ms */
	size_t count;
	struct kept kept[];
};

static struct kept *find(struct keeper *keeper, int64_t shop)
{
	for (size_t i = 0; i < keeper->count; i++)
		if (keeper->kept[i].shop == shop)
			return &keeper->kept[i];
	return NULL;
}

static bool is(const struct err *err, const char *code)
{
	return strcmp(err->code, code) == 0;
}

/* --- telling --- */

static bool stopping(void *arg)
{
	struct keeper *keeper = arg;
	bool answer;

	pthread_mutex_lock(&keeper->lock);
	answer = keeper->stopping;
	pthread_mutex_unlock(&keeper->lock);
	return answer;
}

/* Not any more at the end, when the journal may be closed already: from then on nobody gets in, and who is inside is waited for. */
static bool may_tell(struct keeper *keeper)
{
	bool answer;

	pthread_mutex_lock(&keeper->lock);
	answer = !keeper->stopping;
	keeper->telling += answer;
	pthread_mutex_unlock(&keeper->lock);
	return answer;
}

static void told(struct keeper *keeper)
{
	pthread_mutex_lock(&keeper->lock);
	keeper->telling--;
	pthread_cond_broadcast(&keeper->done);
	pthread_mutex_unlock(&keeper->lock);
}

static void tell(struct keeper *keeper, const struct kept *kept, const char *code, const char *text)
{
	struct alarm_record alarm = { .shop = kept->shop, .step = "lease", .code = code, .text = text };
	struct err err = ERR_INIT;

	log_error("%s: %s", code, text);
	if (!may_tell(keeper))
		return;
	if (journal_alarm(keeper->journal, &alarm, &err) < 0)
		log_error("the alarm %s could not be stored: %s (%s)", code, err.text, err.code);
	told(keeper);
}

/* Once for each holder; under the lock. */
static bool untold(struct kept *kept, const char *whom)
{
	if (strcmp(kept->told, whom) == 0)
		return false;
	snprintf(kept->told, sizeof(kept->told), "%s", whom);
	return true;
}

/* --- what a look at the lease means --- */

static void note_held(struct keeper *keeper, struct kept *kept, const struct lease_row *row, bool taken)
{
	pthread_mutex_lock(&keeper->lock);
	kept->state = KEEP_HELD;
	kept->doubt = false;
	kept->row = *row;
	kept->grip = (struct lease_grip){ .shop = kept->shop, .epoch = row->epoch };
	snprintf(kept->grip.installation, sizeof(kept->grip.installation), "%s", keeper->self.installation);
	kept->told[0] = '\0';
	kept->trouble[0] = '\0';
	pthread_mutex_unlock(&keeper->lock);
	if (taken)
		log_info("shop %" PRId64 ": this installation %s writes, epoch %" PRId64, kept->shop, keeper->self.installation, row->epoch);
}

static void note_lost(struct keeper *keeper, struct kept *kept, const struct lease_row *row)
{
	pthread_mutex_lock(&keeper->lock);
	kept->state = KEEP_LOST;
	kept->doubt = false;
	kept->row = *row;
	snprintf(kept->told, sizeof(kept->told), "%s", row->holder.installation); /* one alarm is enough */
	pthread_mutex_unlock(&keeper->lock);
}

/* Whether people must be told. Of the same installation elsewhere once it renewed under our eyes: until then it may be this machine before
 * its restart. */
static bool note_refused(struct keeper *keeper, struct kept *kept, const struct lease_row *row, bool foreign)
{
	bool alive, tell_it;

	pthread_mutex_lock(&keeper->lock);
	alive = strcmp(kept->row.holder.place, row->holder.place) == 0 && kept->row.renewed_ms != row->renewed_ms;
	if (kept->state != KEEP_LOST)
		kept->state = foreign ? KEEP_FOREIGN : KEEP_ELSEWHERE;
	kept->row = *row;
	kept->trouble[0] = '\0';
	tell_it = foreign ? untold(kept, row->holder.installation) : alive && untold(kept, row->holder.place);
	pthread_mutex_unlock(&keeper->lock);
	return tell_it;
}

/* --- looking; kept->taking is held --- */

static int take(struct keeper *keeper, struct kept *kept, struct db *db, struct err *err)
{
	struct lease_row row;
	int64_t epoch;

	if (lease_take(db, kept->shop, &keeper->self, keeper->settings->lease_ttl_s, &epoch, &row, err) == 0) {
		note_held(keeper, kept, &row, true);
		return 0;
	}
	if ((is(err, "LEASE_FOREIGN") || is(err, "LEASE_ELSEWHERE")) &&
	    note_refused(keeper, kept, &row, is(err, "LEASE_FOREIGN")))
		tell(keeper, kept, err->code, err->text);
	return -1;
}

static int renew(struct keeper *keeper, struct kept *kept, const struct lease_grip *grip, struct db *db, struct err *err)
{
	struct lease_row row;

	if (lease_renew(db, grip, keeper->settings->lease_ttl_s, &row, err) == 0) {
		note_held(keeper, kept, &row, false);
		return 0;
	}
	if (is(err, "LEASE_LOST")) {
		note_lost(keeper, kept, &row);
		tell(keeper, kept, err->code, err->text);
	}
	return -1;
}

static bool held(struct keeper *keeper, struct kept *kept, bool surely, struct lease_grip *grip)
{
	bool answer;

	pthread_mutex_lock(&keeper->lock);
	answer = kept->state == KEEP_HELD && !(surely && kept->doubt);
	if (answer)
		*grip = kept->grip;
	pthread_mutex_unlock(&keeper->lock);
	return answer;
}

static int take_over(struct keeper *keeper, struct kept *kept, const struct request *request, struct db *db, struct err *err)
{
	struct lease_row row;
	int64_t epoch;
	struct err done = ERR_INIT;

	if (lease_take_over(db, kept->shop, &keeper->self, request->from, keeper->settings->lease_ttl_s, &epoch, &row, err) != 0)
		return -1;
	note_held(keeper, kept, &row, true);
	err_set(&done, ERR_NONE, "LEASE_TAKEN", "shop %" PRId64 " was taken over from installation %s by %s: %s (epoch %" PRId64 ")", kept->shop,
	        request->from, request->who, request->reason, epoch);
	tell(keeper, kept, done.code, done.text);
	return 0;
}

struct looking {
	struct keeper *keeper;
	struct kept *kept;
	const struct request *request; /* NULL = none */
};

static int look(struct db *db, void *arg, struct err *err)
{
	struct looking *l = arg;
	struct lease_grip grip;
	int rc;

	pthread_mutex_lock(&l->kept->taking);
	if (l->request)
		rc = take_over(l->keeper, l->kept, l->request, db, err);
	else if (held(l->keeper, l->kept, false, &grip))
		rc = renew(l->keeper, l->kept, &grip, db, err);
	else
		rc = take(l->keeper, l->kept, db, err);
	pthread_mutex_unlock(&l->kept->taking);
	return rc;
}

/* --- the thread --- */

/* A server that is away is no news every few seconds. */
static void note_trouble(struct keeper *keeper, struct kept *kept, const struct err *err)
{
	bool news;

	if (err->class == ERR_CANCELLED || strncmp(err->code, "LEASE_", 6) == 0) /* those are told by themselves */
		return;
	pthread_mutex_lock(&keeper->lock);
	news = strcmp(kept->trouble, err->code) != 0;
	snprintf(kept->trouble, sizeof(kept->trouble), "%s", err->code);
	pthread_mutex_unlock(&keeper->lock);
	if (news)
		log_warning("the lease of shop %" PRId64 " cannot be looked at: %s (%s)", kept->shop, err->text, err->code);
}

static int ask(struct keeper *keeper, struct kept *kept, const struct request *request, struct err *err)
{
	struct looking looking = { keeper, kept, request };
	struct db_limit limit = { .cancelled = stopping, .arg = keeper };

	err_clear(err);
	return connpool_run(keeper->pool, &limit, look, &looking, err);
}

static void carry_out(struct keeper *keeper, struct kept *kept, const struct request *request)
{
	struct err err = ERR_INIT, told = ERR_INIT;
	int rc = -1;

	for (int i = 0; i < TAKE_OVER_TRIES && rc != 0 && (i == 0 || err.class == ERR_TEMP); i++)
		rc = ask(keeper, kept, request, &err);
	if (rc == 0)
		return;
	err_set(&told, ERR_NONE, "LEASE_NOT_TAKEN", "%s asked for shop %" PRId64 " to be taken over from %s: %s (%s)", request->who, kept->shop,
	        request->from, err.text, err.code);
	tell(keeper, kept, told.code, told.text);
}

static void look_at(struct keeper *keeper, struct kept *kept)
{
	struct request request;
	struct err err = ERR_INIT;

	pthread_mutex_lock(&keeper->lock);
	request = kept->request;
	kept->request.pending = false;
	pthread_mutex_unlock(&keeper->lock);
	if (request.pending)
		carry_out(keeper, kept, &request);
	else if (ask(keeper, kept, NULL, &err) != 0)
		note_trouble(keeper, kept, &err);
}

static int give_back(struct db *db, void *arg, struct err *err)
{
	return lease_release(db, arg, err);
}

/* Not on a server that was away a moment ago: a login would take longer than there is time. */
static void release_all(struct keeper *keeper)
{
	struct db_limit limit = { .deadline_ms = keeper->stop_ms };
	struct err err = ERR_INIT;
	struct lease_grip grip;

	for (size_t i = 0; i < keeper->count && clock_mono_ms() < keeper->stop_ms; i++) {
		struct kept *kept = &keeper->kept[i];

		if (kept->trouble[0] == '\0' && held(keeper, kept, false, &grip) &&
		    connpool_run(keeper->pool, &limit, give_back, &grip, &err) != 0)
			log_warning("the lease of shop %" PRId64 " was not given back, it runs out by itself: %s (%s)", kept->shop, err.text,
			            err.code);
	}
}

static void await_turn(struct keeper *keeper)
{
	struct timespec until = clock_kernel_after(keeper->settings->lease_ttl_s * 1000 / 3);

	pthread_mutex_lock(&keeper->lock);
	while (!keeper->stopping && !keeper->woken && pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until) == 0)
		;
	keeper->woken = false;
	pthread_mutex_unlock(&keeper->lock);
}

static void *keep(void *arg)
{
	struct keeper *keeper = arg;

	while (!stopping(keeper)) {
		for (size_t i = 0; i < keeper->count && !stopping(keeper); i++)
			look_at(keeper, &keeper->kept[i]);
		await_turn(keeper);
	}
	release_all(keeper);
	pthread_mutex_lock(&keeper->lock);
	keeper->ended = true;
	pthread_cond_broadcast(&keeper->done);
	pthread_mutex_unlock(&keeper->lock);
	return NULL;
}

/* --- start and stop --- */

static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static void keeper_free(struct keeper *keeper)
{
	for (size_t i = 0; i < keeper->count; i++)
		pthread_mutex_destroy(&keeper->kept[i].taking);
	pthread_cond_destroy(&keeper->wake);
	pthread_cond_destroy(&keeper->done);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}

struct keeper *keeper_start(const struct settings *settings, struct connpool *pool, struct journal *journal, struct err *err)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper) + settings->shop_count * sizeof(keeper->kept[0]));

	if (!keeper) {
		err_set(err, ERR_TEMP, "KEEPER_MEMORY", "no memory");
		return NULL;
	}
	keeper->settings = settings;
	keeper->pool = pool;
	keeper->journal = journal;
	pthread_mutex_init(&keeper->lock, NULL);
	cond_init(&keeper->wake);
	cond_init(&keeper->done);
	for (; keeper->count < settings->shop_count; keeper->count++) {
		keeper->kept[keeper->count].shop = settings->shops[keeper->count].id;
		pthread_mutex_init(&keeper->kept[keeper->count].taking, NULL);
	}
	if (installation_read(settings->state_folder, &keeper->self, err) == 0) {
		if (pthread_create(&keeper->thread, NULL, keep, keeper) == 0)
			return keeper;
		err_set(err, ERR_TEMP, "KEEPER_THREAD", "no thread for the leases");
	}
	keeper_free(keeper);
	return NULL;
}

bool keeper_stop(struct keeper *keeper, int64_t deadline_ms)
{
	struct timespec until;
	bool ended;

	if (!keeper)
		return true;
	until = clock_kernel_after(deadline_ms - clock_mono_ms());
	pthread_mutex_lock(&keeper->lock);
	keeper->stop_ms = deadline_ms;
	keeper->stopping = true;
	pthread_cond_broadcast(&keeper->wake);
	while (!keeper->ended && pthread_cond_timedwait(&keeper->done, &keeper->lock, &until) == 0)
		;
	while (keeper->telling > 0)
		pthread_cond_wait(&keeper->done, &keeper->lock);
	ended = keeper->ended;
	pthread_mutex_unlock(&keeper->lock);
	if (!ended) {
		pthread_detach(keeper->thread); /* in a login: it ends with the process, and what it uses with it */
		return false;
	}
	pthread_join(keeper->thread, NULL);
	keeper_free(keeper);
	return true;
}

/* --- for runs and commands --- */

/* kept->taking is held. */
static int grip_now(struct keeper *keeper, struct kept *kept, struct db *db, struct lease_grip *grip, struct err *err)
{
	struct lease_grip old;

	if (held(keeper, kept, true, grip)) /* somebody was faster */
		return 0;
	if (held(keeper, kept, false, &old)) {
		if (renew(keeper, kept, &old, db, err) == 0)
			goto out;
		if (!is(err, "LEASE_LOST"))
			return -1;
	}
	if (take(keeper, kept, db, err) != 0)
		return -1;
out:
	if (held(keeper, kept, true, grip))
		return 0;
	return err_set(err, ERR_TEMP, "LEASE_CHANGED", "shop %" PRId64 ": the lease is in doubt again", kept->shop);
}

int keeper_grip(struct keeper *keeper, struct db *db, int64_t shop, struct lease_grip *grip, struct err *err)
{
	struct kept *kept = find(keeper, shop);
	int rc;

	if (!kept)
		return err_set(err, ERR_PERM, "UNKNOWN_SHOP", "no shop %" PRId64 " in the configuration", shop);
	if (held(keeper, kept, true, grip))
		return 0;
	pthread_mutex_lock(&kept->taking);
	rc = grip_now(keeper, kept, db, grip, err);
	pthread_mutex_unlock(&kept->taking);
	return rc;
}

static void wake(struct keeper *keeper)
{
	keeper->woken = true;
	pthread_cond_broadcast(&keeper->wake);
}

void keeper_lost(struct keeper *keeper, int64_t shop, const struct err *err)
{
	struct kept *kept = find(keeper, shop);

	if (!kept || !is(err, "LEASE_LOST"))
		return;
	pthread_mutex_lock(&keeper->lock);
	if (kept->state == KEEP_HELD) {
		kept->doubt = true;
		wake(keeper);
	}
	pthread_mutex_unlock(&keeper->lock);
}

int keeper_take_over(struct keeper *keeper, int64_t shop, const char *from, const char *who, const char *reason, struct err *err)
{
	struct kept *kept = find(keeper, shop);
	int rc = 0;

	if (!kept)
		return err_set(err, ERR_PERM, "UNKNOWN_SHOP", "no shop %" PRId64 " in the configuration", shop);
	pthread_mutex_lock(&keeper->lock);
	if (kept->state == KEEP_HELD || !kept->row.found || strcmp(kept->row.holder.installation, from) != 0) {
		rc = err_set(err, ERR_PERM, "LEASE_NOT_FOREIGN", "shop %" PRId64 ": it is not installation %.40s that has it but %s", shop, from,
		             kept->state == KEEP_HELD ? "this one" : kept->row.found ? kept->row.holder.installation : "nobody known");
	} else {
		kept->request.pending = true;
		snprintf(kept->request.from, sizeof(kept->request.from), "%s", from);
		snprintf(kept->request.who, sizeof(kept->request.who), "%s", who && who[0] ? who : "somebody");
		snprintf(kept->request.reason, sizeof(kept->request.reason), "%s", reason && reason[0] ? reason : "no reason given");
		wake(keeper);
	}
	pthread_mutex_unlock(&keeper->lock);
	return rc;
}

void keeper_add(struct keeper *keeper, int64_t shop, struct buf *out)
{
	struct kept *kept = find(keeper, shop);
	struct lease_row row = { .found = false };
	enum keeping state = KEEP_UNKNOWN;

	if (kept) {
		pthread_mutex_lock(&keeper->lock);
		row = kept->row;
		state = kept->state;
		pthread_mutex_unlock(&keeper->lock);
	}
	json_object_open(out, "lease");
	json_add_string(out, "state", keeping_names[state]);
	json_add_string(out, "installation", row.found ? row.holder.installation : NULL);
	json_add_string(out, "host", row.found ? row.holder.host : NULL);
	json_add_int64(out, "epoch", row.epoch);
	json_add_time(out, "taken", row.taken_ms);
	json_add_time(out, "renewed", row.renewed_ms);
	json_add_time(out, "expires", row.expires_ms);
	json_object_close(out);
}
