/* api: what the handlers of temu-api share. Holds nothing that must survive: the workers' journal is the truth. */
#ifndef API_API_H
#define API_API_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define API_VERSION "0.1"

struct workers;
struct hub;
struct feed;

struct api {
	struct workers *workers;
	struct hub *hub;
	struct feed *feed;
	int64_t started_ms;   /* clock_mono_ms() */
	atomic_bool stopping; /* new requests get 503 */
};

#endif
