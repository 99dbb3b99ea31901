/* gw_faults: what shall go wrong, at which call, how often (temu_api.md 10.14). Not locked; the gateway's lock covers it. */
#ifndef GW_FAULTS_H
#define GW_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "ecosystem/sandbox/gateway/gw_json.h"

/* Name, and whether the call is processed before it goes wrong. */
#define GW_FAULT_KINDS(X) \
	X(http502, false) X(http503, false) X(http500, false) X(http429, false) X(html200, false) \
	X(reset_before, false) X(late_apply, false) X(code, false) X(replace_token, false) \
	X(reset_after, true) X(slow, true) X(truncate, true) X(cut, true) X(result_null, true) \
	X(duplicate_page, true) X(total_changes, true) X(ids_as_strings, true) X(empty_page, true) \
	X(refuse_sku, true) X(no_sku_status, true) X(read_lag, true) X(wrong_operate_result, true)

enum gw_fault_kind {
	GW_FAULT_none,
#define X(name, processed) GW_FAULT_##name,
	GW_FAULT_KINDS(X)
#undef X
};

#define GW_FAULTS_MAX 256

struct gw_fault {
	enum gw_fault_kind kind;
	char type[96];         /* method, "" = any */
	int64_t mall_id;       /* 0 = any shop */
	int64_t sku_id;        /* only stock edits that name it; 0 = any call */
	int64_t count, skip;   /* count -1 = until cleared */
	int64_t code, delay_ms, retry_after; /* retry_after in seconds, 0 = no header */
	char text[200];
};

struct gw_faults {
	struct gw_fault list[GW_FAULTS_MAX];
	size_t used;
};

int gw_faults_add(struct gw_faults *faults, const struct gw_value *request, struct err *err) MUSTCHECK;
/* The fault of this call into out (kind none when there is none) and counts it. body is searched for sku ids. */
void gw_faults_take(struct gw_faults *faults, const char *type, int64_t mall_id, const struct gw_value *body,
                    struct gw_fault *out);
const char *gw_fault_name(enum gw_fault_kind kind);
bool gw_fault_processed(enum gw_fault_kind kind);

#endif
