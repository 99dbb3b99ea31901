/* temu_config: checking and completing struct temu_config (temu.h). */
#ifndef WORKER_TEMU_TEMU_CONFIG_H
#define WORKER_TEMU_TEMU_CONFIG_H

#include "worker/temu/temu.h"

/* *url: the router's address, borrowed from config or static. TEMU_CONFIG (PERM). */
int temu_config_check(const struct temu_config *config, const char **url, struct err *err) MUSTCHECK;
/* Zeros become the usual values. */
void temu_config_usual(struct temu_config *config);

#endif
