/* Exponential back-off with full jitter, as one pure function. Who sleeps, and who counts the attempts, is the queue's affair. */
#include "worker/core/retry.h"

#include <assert.h>

/* backoff * 2^(attempt-1), capped, without overflow. */
static int64_t
ceiling_ms(const struct retry_policy *policy, int attempt)
{
	int64_t ceiling = policy->backoff_ms;
	for (int i = 1; i < attempt && ceiling < policy->backoff_max_ms; i++)
		ceiling = ceiling > policy->backoff_max_ms / 2 ? policy->backoff_max_ms : ceiling * 2;
	return ceiling < policy->backoff_max_ms ? ceiling : policy->backoff_max_ms;
}

static int64_t
wait_ms(const struct retry_policy *policy, int attempt, const struct err *err, uint64_t random)
{
	int64_t jitter = (int64_t)(random % ((uint64_t)ceiling_ms(policy, attempt) + 1));
	if (err->wait_ms <= 0)
		return jitter;
	return err->wait_ms > INT64_MAX - jitter ? INT64_MAX : err->wait_ms + jitter;
}

struct retry_decision
retry_decide(const struct retry_policy *policy, int attempt, const struct err *err, uint64_t random)
{
	assert(attempt >= 1 && policy->backoff_ms >= 0 && policy->backoff_max_ms >= 0);
	switch (err->class) {
	case ERR_TEMP:
		if (attempt >= policy->attempts)
			break;
		return (struct retry_decision){ RETRY_AGAIN, wait_ms(policy, attempt, err, random) };
	case ERR_HOLD:
		/* A held run spends no attempt, so its ceiling does not grow either: ask again at the base pace. */
		return (struct retry_decision){ RETRY_HOLD, wait_ms(policy, 1, err, random) };
	case ERR_CANCELLED:
		return (struct retry_decision){ RETRY_STOPPED, 0 };
	case ERR_PERM:
		break;
	case ERR_NONE:
		assert(0 && "no error, nothing to decide");
	}
	return (struct retry_decision){ RETRY_GIVE_UP, 0 };
}
