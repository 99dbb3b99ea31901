/* installation: who this process is towards others that share its database: which installation (made once, kept in the state folder), in
 * which place (so that a copy of the folder is not taken for it), on which host. */
#ifndef WORKER_JOBS_INSTALLATION_H
#define WORKER_JOBS_INSTALLATION_H

#include "common/err.h"
#include "worker/db/lease.h"

/* Reads the file "installation" in the folder (32 hexadecimal digits), or makes it (0600, whole or not at all, on disk on return). place:
 * a hash of the machine, its boot, its name and that very file. KEEPER_IDENTITY (PERM): the file cannot be used; the text says what to
 * do. Only one process at a time may use the folder (the journal's lock sees to that). */
int installation_read(const char *folder, struct lease_self *self, struct err *err) MUSTCHECK;

#endif
