/* The journal as a whole: opening, closing, its health. Queue and groups are in journal_writer.c, the file in journal_file.c. */
#include "worker/store/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "worker/store/journal_inner.h"

#define QUEUE_DEFAULT 10000
#define EVENTS_MAX ((size_t)64 * 1024 * 1024)

static struct journal *
new_journal(const struct journal_config *config)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	pthread_condattr_t monotonic;

	if (!journal)
		return NULL;
	journal->config = *config;
	if (journal->config.queue_max <= 0)
		journal->config.queue_max = QUEUE_DEFAULT;
	journal->path = strdup(config->path);
	journal->lock_fd = -1;
	journal->tail = &journal->head;
	journal->failure = (struct err)ERR_INIT;
	buf_init(&journal->events, EVENTS_MAX);
	pthread_mutex_init(&journal->lock, NULL);
	pthread_mutex_init(&journal->gate_lock, NULL);
	pthread_mutex_init(&journal->watch_lock, NULL);
	pthread_mutex_init(&journal->listen_lock, NULL);
	pthread_mutex_init(&journal->reader_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&journal->work, &monotonic);
	pthread_cond_init(&journal->room, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&journal->done, NULL);
	pthread_cond_init(&journal->reader_free, NULL);
	return journal;
}

struct journal *
journal_open(const struct journal_config *config, struct err *err)
{
	struct journal *journal = new_journal(config);

	if (!journal || !journal->path) {
		err_set(err, ERR_TEMP, "JOURNAL_DISK", "no memory for the journal");
		goto refuse;
	}
	if (file_open(journal, err) != 0 || gates_load(journal, err) != 0 || quarantine_load(journal, err) != 0 ||
	    writer_start(journal, err) != 0)
		goto refuse;
	log_info("journal %s: identity %s, last number %lld, boot %s%s", journal->path, journal->identity,
	         (long long)journal_last(journal), config->boot ? config->boot : "",
	         journal->unclean ? "; it was not closed the last time, checked and whole" : "");
	return journal;
refuse:
	journal_close(journal);
	return NULL;
}

void
journal_close(struct journal *journal)
{
	if (!journal)
		return;
	journal_retention_stop(journal);
	writer_stop(journal);
	file_close(journal);
	pthread_cond_destroy(&journal->reader_free);
	pthread_cond_destroy(&journal->room);
	pthread_cond_destroy(&journal->done);
	pthread_cond_destroy(&journal->work);
	pthread_mutex_destroy(&journal->reader_lock);
	pthread_mutex_destroy(&journal->listen_lock);
	pthread_mutex_destroy(&journal->watch_lock);
	pthread_mutex_destroy(&journal->gate_lock);
	pthread_mutex_destroy(&journal->lock);
	free(journal->gates);
	free(journal->quarantines);
	free(journal->path);
	free(journal);
}

const char *
journal_identity(const struct journal *journal)
{
	return journal->identity;
}

int64_t
journal_last(const struct journal *journal)
{
	return atomic_load(&journal->last);
}

int
journal_healthy(struct journal *journal, struct err *err)
{
	struct statvfs info;
	int status = 0;

	pthread_mutex_lock(&journal->lock);
	if (journal->failed)
		status = err_set(err, ERR_TEMP, "JOURNAL_DISK", "%s", journal->failure.text);
	pthread_mutex_unlock(&journal->lock);
	if (status != 0 || journal->config.free_floor_bytes <= 0)
		return status;
	if (statvfs(journal->path, &info) != 0)
		return err_set(err, ERR_TEMP, "JOURNAL_DISK", "%s: %s", journal->path, strerror(errno));
	int64_t free_bytes = (int64_t)info.f_bavail * (int64_t)info.f_frsize;
	if (free_bytes >= journal->config.free_floor_bytes)
		return 0;
	return err_set(err, ERR_TEMP, "JOURNAL_DISK", "%s: only %lld MB free on its disk, %lld MB are the floor", journal->path,
	               (long long)(free_bytes >> 20), (long long)(journal->config.free_floor_bytes >> 20));
}
