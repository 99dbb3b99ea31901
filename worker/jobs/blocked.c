/* One small record a shop, in memory only: after a restart the next held run says it again. */
#include "worker/jobs/blocked.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/json.h"

struct block {
	int64_t shop, since_ms;
	char code[ERR_CODE_MAX], text[ERR_TEXT_MAX]; /* code "" = not blocked */
};

struct blocked {
	pthread_mutex_t lock;
	size_t count;
	struct block blocks[];
};

struct blocked *blocked_new(const struct settings *settings)
{
	struct blocked *blocked = calloc(1, sizeof(*blocked) + settings->shop_count * sizeof(blocked->blocks[0]));

	if (!blocked)
		return NULL;
	pthread_mutex_init(&blocked->lock, NULL);
	blocked->count = settings->shop_count;
	for (size_t i = 0; i < blocked->count; i++)
		blocked->blocks[i].shop = settings->shops[i].id;
	return blocked;
}

void blocked_free(struct blocked *blocked)
{
	if (!blocked)
		return;
	pthread_mutex_destroy(&blocked->lock);
	free(blocked);
}

static struct block *find(struct blocked *blocked, int64_t shop)
{
	for (size_t i = 0; i < blocked->count; i++)
		if (blocked->blocks[i].shop == shop)
			return &blocked->blocks[i];
	return NULL;
}

void blocked_set(struct blocked *blocked, int64_t shop, const struct err *err)
{
	struct block *block = find(blocked, shop);
	bool is = err && err->class != ERR_NONE;

	if (!block)
		return;
	pthread_mutex_lock(&blocked->lock);
	if (is && strcmp(block->code, err->code) != 0)
		block->since_ms = clock_now_ms();
	snprintf(block->code, sizeof(block->code), "%s", is ? err->code : "");
	snprintf(block->text, sizeof(block->text), "%s", is ? err->text : "");
	pthread_mutex_unlock(&blocked->lock);
}

void blocked_add(struct blocked *blocked, int64_t shop, struct buf *out)
{
	struct block *block = find(blocked, shop), now = { .shop = shop };

	if (block) {
		pthread_mutex_lock(&blocked->lock);
		now = *block;
		pthread_mutex_unlock(&blocked->lock);
	}
	if (now.code[0] == '\0') {
		json_add_null(out, "blocked");
		return;
	}
	json_object_open(out, "blocked");
	json_add_string(out, "code", now.code);
	json_add_string(out, "text", now.text);
	json_add_time(out, "since", now.since_ms);
	json_object_close(out);
}
