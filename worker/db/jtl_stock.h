/* jtl_stock: what the inventory sync reads in JTL-Wawi's database: whether everything is there, and articles with their stock by
 * SKU. Reads only, names everything in three parts with the configured database (jtl_database.md 1.2 to 1.4, 4.2, 4.6). */
#ifndef WORKER_DB_JTL_STOCK_H
#define WORKER_DB_JTL_STOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "worker/db/db.h"
#include "worker/db/quantity.h"

#define JTL_COLLATION_MAX 129
#define JTL_VERSION_MAX 256
#define JTL_SKU_MAX 401 /* 100 characters of UTF-8 */

/* Where the stock numbers come from. */
enum jtl_source {
	JTL_PHYSICAL,  /* fBestand of vLagerbestandProLager: formula reference */
	JTL_AVAILABLE, /* fVerfuegbar of tlagerbestand: formula jtl */
	JTL_BOTH,      /* fAvaibleQuantity of vLagerbestandAvaibleProLager and fVerfuegbar: formula capped */
};

#define JTL_OBJECTS_MAX 4001

struct jtl_probe {
	char collation[JTL_COLLATION_MAX]; /* for keys compared with tArtikel.cArtNr, tried on the server; "" = none needed */
	char version[JTL_VERSION_MAX];     /* tversion.cVersion, "" when the table is empty */
	/* The columns that any source reads, as they are now: "dbo.tArtikel.cArtNr nvarchar(100)\n...", sorted, in our spelling; one
	 * that is not there (or may not be seen) has no line. The same whatever the source, so that another formula is no change of
	 * JTL. "" = the engine does not tell. */
	char objects[JTL_OBJECTS_MAX];
	bool snapshot; /* READ_COMMITTED_SNAPSHOT */
};

/* Looks at every object the source reads (their columns and the permission, by selecting no row of them) and at the warehouses.
 * Four statements: version; objects; everything else; one comparison of a key. version and objects are filled as soon as they are
 * read, also when the rest fails: what JTL is now helps to say why.
 * JTL_OBJECT (HOLD): an object is missing or may not be read; the server's words say which. JTL_WAREHOUSE (HOLD): a
 * warehouse does not exist, is inactive, FBA or fulfilment (nFulfillment other than 0), or a transit one; all such are named.
 * JTL_UNAVAILABLE (HOLD): see jtl_error. Others as db_query. */
int jtl_stock_probe(struct db *db, const char *database, enum jtl_source source, const int64_t *warehouses, size_t count,
                    struct jtl_probe *probe, struct err *err) MUSTCHECK;

/* What differs between two texts of jtl_probe.objects, for people: "dbo.tlagerbestand.fVerfuegbar: decimal(25,13) -> float;
 * dbo.tArtikel.nPuffer is gone; dbo.tArtikel.cNeu int is new". Returns how many columns differ; 0, and nothing added, also when one
 * of them is "" (not known). */
int jtl_probe_diff(const char *before, const char *after, struct buf *out);

/* Gives an error of a statement on JTL's database its name, and the database's: the probe, the look-up and the components call it.
 * JTL_UNAVAILABLE (HOLD): the database is single-user, restoring, recovering, off line, suspect or gone for the moment
 * (db_unavailable). JTL_OBJECT (HOLD): an object or column is missing or denied, or the login has no user there. Everything else keeps class and
 * code. Returns -1. */
int jtl_error(struct err *err, const char *database);

/* One key of the look-up. */
struct jtl_key {
	int64_t n;       /* the caller's number, unique within the call */
	const char *sku; /* compared as JTL's collation does; "" matches nothing */
};

enum jtl_match {
	JTL_NONE,  /* no article of this SKU */
	JTL_EXACT, /* the same bytes */
	JTL_NEAR,  /* equal for JTL's collation only: case, trailing blanks, ss for sharp s */
};

struct jtl_article {
	int64_t n;
	enum jtl_match match;  /* NONE: nothing below is filled */
	int64_t article;       /* kArtikel */
	char sku[JTL_SKU_MAX]; /* cArtNr as JTL writes it */
	bool active, deleted, father, managed, oversell;
	int64_t bundle; /* kStueckliste, 0 = none */
	int64_t buffer; /* nPuffer */
	struct quantity
	    physical; /* JTL_PHYSICAL: sum of fBestand over the warehouses; JTL_BOTH: of fAvaibleQuantity; no row counts 0 */
	struct quantity available; /* JTL_AVAILABLE, JTL_BOTH: fVerfuegbar of all warehouses, no row counts 0 */
	int64_t doubled;           /* (article, warehouse) pairs that came more than once; the smaller value counts */
	int64_t rows;              /* stock rows of all sources that were read; none is no error, but then every number is 0 */
	int64_t nulls;             /* rows without a quantity (NULL); they are 0 in physical, which then is no figure to trust */
};

struct jtl_lookup {
	const char *database;
	const char *collation; /* "" = none */
	enum jtl_source source;
	const int64_t *warehouses;
	size_t warehouse_count;
};

/* Resolves and reads stock of all keys in one statement, joined from the list of keys, under READ COMMITTED. out[i] belongs to
 * keys[i]. JTL_ROWS (TEMP): not exactly one row per key came back, or an article changed under the statement; then nothing of out
 * may be used. Errors of the server by jtl_error: JTL's update in the middle of a run holds it. */
int jtl_stock_read(struct db *db, const struct jtl_lookup *lookup, const struct jtl_key *keys, size_t count,
                   struct jtl_article *out, struct err *err) MUSTCHECK;

/* Components of bundles: their availability, which the database does not hold for the bundle, and whether JTL's per-warehouse
 * figure of the bundle can be trusted. */
struct jtl_component {
	int64_t bundle;        /* kStueckliste */
	struct quantity count; /* per bundle, above 0 */
	bool managed, oversell;
	int64_t buffer;
	struct quantity available; /* fVerfuegbar, 0 without a row */
	bool missing; /* has no row in any of the warehouses: the views leave it out, so the bundle is overstated there */
};
/* each is called for every direct component of the given lists, in no order. One statement. Not lookup.source, nor collation, are
 * used. */
int jtl_components_read(struct db *db, const struct jtl_lookup *lookup, const int64_t *bundles, size_t count,
                        int (*each)(void *arg, const struct jtl_component *component, struct err *err), void *arg,
                        struct err *err) MUSTCHECK;

#endif
