/* jtl_objects: the columns of JTL's database that are read, as one table: what the probe selects, and what the text of
 * jtl_probe.objects consists of. For worker/db only. */
#ifndef WORKER_DB_JTL_OBJECTS_H
#define WORKER_DB_JTL_OBJECTS_H

#include "worker/db/jtl_stock.h"

/* Appends to sql one SELECT of no row for each object that the source needs. quoted: the database's name in brackets. */
void jtl_objects_probe(struct buf *sql, const char *quoted, enum jtl_source source);

/* Fills probe->objects from INFORMATION_SCHEMA.COLUMNS and collation[JTL_COLLATION_MAX] with the one of tArtikel.cArtNr ("" = not
 * told). An engine without that view in another database, or one that denies it, leaves both "" and is no error. */
int jtl_objects_read(struct db *db, const char *quoted, struct jtl_probe *probe, char *collation, struct err *err) MUSTCHECK;

#endif
