/* The few read-only connections, opened at their first use and lent to one caller at a time. */
#include <assert.h>

#include "worker/store/journal_inner.h"

struct lite *
reader_take(struct journal *journal, struct err *err)
{
	struct lite *reader = NULL;

	pthread_mutex_lock(&journal->reader_lock);
	while (!reader) {
		for (int i = 0; i < JOURNAL_READERS && !reader; i++) {
			if (journal->reader_taken[i])
				continue;
			journal->reader_taken[i] = true;
			reader = &journal->readers[i];
		}
		if (!reader)
			pthread_cond_wait(&journal->reader_free, &journal->reader_lock);
	}
	pthread_mutex_unlock(&journal->reader_lock);
	if (reader->db)
		return reader;
	if (lite_open(reader, journal->path, false, err) == 0) {
		if (lite_exec(reader, "PRAGMA cache_size=-512", err) == 0)
			return reader;
		lite_close(reader);
	}
	reader_put(journal, reader);
	return NULL;
}

void
reader_put(struct journal *journal, struct lite *reader)
{
	assert(!reader->db || sqlite3_get_autocommit(reader->db)); /* no snapshot outlives its call */
	pthread_mutex_lock(&journal->reader_lock);
	journal->reader_taken[reader - journal->readers] = false;
	pthread_cond_signal(&journal->reader_free);
	pthread_mutex_unlock(&journal->reader_lock);
}
