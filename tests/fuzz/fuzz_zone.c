/* Fuzz target of common/zone: any bytes are refused as a PERM error, or are a zone whose answers agree with each other. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t moments[] = { INT64_MIN, -3000000000000, 0, 1795000000000, 4000000000000, INT64_MAX };
	struct err err = ERR_INIT;
	struct zone *zone = zone_read("Fuzz/Fuzz", data, size, &err);

	if (!zone) {
		if (err.class != ERR_PERM)
			abort();
		return 0;
	}
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		struct zone_time time;
		int64_t first, second, change;
		zone_local(zone, moments[i], &time);
		if (zone_utc(zone, &time, &first, &second) == ZONE_TWICE && second <= first)
			abort();
		if (zone_next_change(zone, moments[i], &change) && change <= moments[i] && moments[i] < 4000000000001)
			if (moments[i] > -9000000000000)
				abort();
	}
	zone_free(zone);
	return 0;
}
