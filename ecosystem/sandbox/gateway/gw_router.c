/* HTTP request -> checks in the order of temu_api.md 3.5 -> method -> envelope, with the transport faults around it.
 * What a method does is in gw_inventory.c; secrets and sign strings never leave this file in any text. */
#include "ecosystem/sandbox/gateway/gw_router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include "common/clock.h"
#include "common/json.h"
#include "ecosystem/sandbox/gateway/gw_inventory.h"
#include "ecosystem/sandbox/gateway/gw_sign.h"

#define WINDOW_S 300

struct gw_late {
	struct gw_late *next;
	int64_t due_ms, mall_id;
	char *body;
	char via[GW_VIA_MAX];
};

/* One request on its way through. */
struct passage {
	struct gw *gw;
	const struct gw_value *body;
	const char *type;
	const struct gw_method *method;
	struct gw_shop *shop;
	struct gw_fault fault;
	struct gw_answer answer;
	char request_id[64];
};

int gw_answer_error(struct gw_answer *answer, int64_t code, const char *fmt, ...)
{
	va_list args;

	answer->code = code;
	va_start(args, fmt);
	vsnprintf(answer->text, sizeof(answer->text), fmt, args);
	va_end(args);
	buf_clear(&answer->result);
	return -1;
}

static void request_id_make(char *out, size_t size, const char *region)
{
	unsigned char r[16] = { 0 };

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		abort();
	r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
	r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
	snprintf(out, size, "%s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", region, r[0], r[1],
	         r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

/* A root parameter that must be a non-empty string. */
static int need_text(struct passage *p, const char *name, int64_t missing, const char *text, const char **out)
{
	const struct gw_value *value = gw_get(p->body, name);

	*out = gw_string(value);
	if (!value || value->type == GW_NULL || (*out && (*out)[0] == '\0'))
		return gw_answer_error(&p->answer, missing, "%s", text);
	if (!*out)
		return gw_answer_error(&p->answer, GW_BAD_PARAMS, "bad params: `%s` must be STRING", name);
	return 0;
}

static int check_app_and_sign(struct passage *p)
{
	const char *app_key, *sign;
	char right[GW_SIGN_LEN + 1];

	if (need_text(p, "type", 3000002, "there is no type in body.", &p->type) != 0 ||
	    need_text(p, "app_key", 3000025, "there is no app_key in body.", &app_key) != 0)
		return -1;
	p->shop = gw_shops_by_app(&p->gw->shops, app_key);
	if (!p->shop)
		return gw_answer_error(&p->answer, 4000000, "The application information query is abnormal");
	if (need_text(p, "sign", 3000040, "there is no sign in body.", &sign) != 0)
		return -1;
	if (gw_sign(p->body, p->shop->app_secret, right, NULL) != 0 || strcmp(sign, right) != 0)
		return gw_answer_error(&p->answer, 3000001, "sign is invalid, please check your sign calculation");
	return 0;
}

/* Number or digit string, seconds. */
static int check_time(struct passage *p, int64_t now_s)
{
	const struct gw_value *value = gw_get(p->body, "timestamp");
	int64_t stamp = -1;

	if (!value || value->type == GW_NULL)
		return gw_answer_error(&p->answer, 3000010, "there is no timestamp in body.");
	if (value->type == GW_STRING && strlen(value->text) <= 18 && value->text[0] &&
	    strspn(value->text, "0123456789") == strlen(value->text))
		stamp = strtoll(value->text, NULL, 10);
	else if (gw_int64(value, &stamp) != 0)
		return gw_answer_error(&p->answer, GW_BAD_PARAMS, "bad params: `timestamp` must be STRING");
	if (stamp > now_s + WINDOW_S)
		return gw_answer_error(&p->answer, 3000011, "timestamp is later than the current time.");
	if (stamp < now_s - WINDOW_S)
		return gw_answer_error(&p->answer, 3000012, "timestamp is expired.");
	return 0;
}

static int check_token(struct passage *p, int64_t now_s)
{
	struct gw_shop *owner;
	const char *token;

	if (need_text(p, "access_token", 3000030, "there is no access_token in body.", &token) != 0)
		return -1;
	owner = gw_shops_by_token(&p->gw->shops, token);
	if (!owner)
		return gw_answer_error(&p->answer, 3000031, "access_token not exists.");
	if (strcmp(owner->app_key, p->shop->app_key) != 0)
		return gw_answer_error(&p->answer, 3000033, "access_token and app_key do not match.");
	p->shop = owner;
	if (owner->replaced || (owner->expires && owner->expires <= now_s))
		return gw_answer_error(&p->answer, 3000034, "access_token is expired or replaced by a newer one.");
	return 0;
}

static int check(struct passage *p)
{
	int64_t now_s = clock_now_ms() / 1000 + p->gw->clock_offset_s;
	const char *data_type;

	if (check_app_and_sign(p) != 0 || check_time(p, now_s) != 0 ||
	    need_text(p, "data_type", 3000013, "there is no data_type in body.", &data_type) != 0)
		return -1;
	if (strcasecmp(data_type, "JSON") != 0)
		return gw_answer_error(&p->answer, 3000014, "data_type is invalid.");
	if (check_token(p, now_s) != 0)
		return -1;
	p->method = gw_method_find(p->type);
	if (!p->method)
		return gw_answer_error(&p->answer, 3000003, "type not exists");
	if (!p->method->free && !gw_shop_allows(p->shop, p->type))
		return gw_answer_error(&p->answer, 3000032,
		                       "access_token don't have this api access, please ask for seller to authorize in seller center");
	if (!gw_rate_take(&p->gw->rate, p->shop->app_key, p->type, clock_mono_ms()))
		return gw_answer_error(&p->answer, 4000004, "too frequent requests, exceeding rate limit.");
	return 0;
}

static void print_envelope(const struct passage *p, struct buf *out)
{
	json_object_open(out, NULL);
	json_add_bool(out, "success", p->answer.code == GW_OK);
	json_add_string(out, "requestId", p->request_id);
	json_add_int64(out, "errorCode", p->answer.code);
	json_add_string(out, "errorMsg", p->answer.text);
	if (p->fault.kind == GW_FAULT_result_null)
		json_add_null(out, "result");
	else if (p->answer.code == GW_OK && p->answer.result.len > 0)
		json_add_raw(out, "result", buf_text(&p->answer.result));
	json_object_close(out);
}

static void reply_html(struct gw_reply *reply, int status, int64_t retry_after)
{
	reply->status = status;
	reply->type = "text/html";
	buf_addf(&reply->body, "<html><head><title>%d</title></head><body><h1>%d</h1><p>The edge is busy, too many requests. "
	                       "Please try again.</p></body></html>\n", status, status);
	if (retry_after > 0)
		snprintf(reply->header, sizeof(reply->header), "Retry-After: %lld\r\n", (long long)retry_after);
}

/* The edit is done delay_ms from now, from a copy of its body. */
static void late_put(struct gw *gw, const struct passage *p)
{
	struct gw_late *late = calloc(1, sizeof(*late));
	struct buf text;

	buf_init(&text, GW_WIRE_BODY_MAX);
	gw_print(p->body, &text);
	if (!late || text.failed)
		abort();
	late->due_ms = clock_mono_ms() + p->fault.delay_ms;
	late->mall_id = p->shop->mall_id;
	late->body = buf_take(&text, NULL);
	memcpy(late->via, p->answer.via, sizeof(late->via));
	late->next = gw->late;
	gw->late = late;
	pthread_cond_signal(&gw->late_changed);
}

/* The faults of the edge: no envelope at all, the method has not run. */
static void edge_fault(struct passage *p, struct gw_reply *reply)
{
	switch (p->fault.kind) {
	case GW_FAULT_http500:
		reply_html(reply, 500, 0);
		break;
	case GW_FAULT_http502:
		reply_html(reply, 502, 0);
		break;
	case GW_FAULT_http503:
		reply_html(reply, 503, p->fault.retry_after);
		break;
	case GW_FAULT_http429:
		reply_html(reply, 429, p->fault.retry_after);
		break;
	case GW_FAULT_html200:
		reply_html(reply, 200, 0);
		break;
	case GW_FAULT_late_apply:
		late_put(p->gw, p);
		reply->reset = true;
		break;
	case GW_FAULT_replace_token:
		p->shop->replaced = true;
		gw_answer_error(&p->answer, 3000034, "access_token is expired or replaced by a newer one.");
		print_envelope(p, &reply->body);
		break;
	case GW_FAULT_code:
		gw_answer_error(&p->answer, p->fault.code, "%s",
		                p->fault.text[0] ? p->fault.text : "Temu internal system error, please try again later.");
		print_envelope(p, &reply->body);
		break;
	default: /* only reset_before is left of those that are not processed */
		reply->reset = true;
		break;
	}
}

/* The faults between the finished work and the client. */
static void late_fault(const struct passage *p, struct gw_reply *reply)
{
	reply->reset = p->fault.kind == GW_FAULT_reset_after;
	reply->cut = p->fault.kind == GW_FAULT_cut;
	if (p->fault.kind == GW_FAULT_slow || p->fault.kind == GW_FAULT_reset_after)
		reply->delay_ms += p->fault.delay_ms;
	if (p->fault.kind == GW_FAULT_truncate && reply->body.len > 0) {
		reply->body.len /= 2;
		reply->body.data[reply->body.len] = '\0';
	}
}

static void call_log(struct passage *p, const struct gw_reply *reply)
{
	struct gw_call call = { .time_ms = clock_now_ms() };

	call.mall_id = p->shop ? p->shop->mall_id : 0;
	snprintf(call.type, sizeof(call.type), "%s", p->type ? p->type : "");
	snprintf(call.request_id, sizeof(call.request_id), "%s", p->request_id);
	memcpy(call.via, p->answer.via, sizeof(call.via));
	snprintf(call.fault, sizeof(call.fault), "%s", gw_fault_name(p->fault.kind));
	if (reply->reset)
		snprintf(call.outcome, sizeof(call.outcome), "reset");
	else if (reply->status != 200 || p->fault.kind == GW_FAULT_html200)
		snprintf(call.outcome, sizeof(call.outcome), "http %d", reply->status);
	else
		snprintf(call.outcome, sizeof(call.outcome), "%lld", (long long)p->answer.code);
	if (p->answer.detail.len > 0)
		call.detail = buf_take(&p->answer.detail, NULL);
	gw_calls_add_take(&p->gw->calls, &call);
}

static void pass(struct passage *p, struct gw_reply *reply)
{
	struct gw *gw = p->gw;
	bool passed;

	pthread_mutex_lock(&gw->lock);
	reply->delay_ms = gw->latency_ms;
	reply->date_offset_s = gw->clock_offset_s;
	passed = p->body && p->body->type == GW_OBJECT ? check(p) == 0
	                                              : gw_answer_error(&p->answer, GW_BAD_PARAMS, "bad params: no JSON object") == 0;
	request_id_make(p->request_id, sizeof(p->request_id),
	                p->shop ? p->shop->region : gw->shops.count ? gw->shops.shops[0]->region : "eu");
	if (passed)
		gw_faults_take(&gw->faults, p->type, p->shop->mall_id, p->body, &p->fault);
	if (!gw_fault_processed(p->fault.kind)) {
		edge_fault(p, reply);
	} else {
		if (passed)
			p->method->run(gw, p->shop, p->body, &p->fault, &p->answer);
		print_envelope(p, &reply->body);
		late_fault(p, reply);
	}
	call_log(p, reply);
	pthread_mutex_unlock(&gw->lock);
}

void gw_router_handle(void *arg, const struct gw_request *request, struct gw_reply *reply)
{
	struct passage p = { .gw = arg, .answer = { .code = GW_OK } };
	struct gw_doc doc;

	if (strcmp(request->path, "/openapi/router") != 0 || strcmp(request->method, "POST") != 0) {
		reply->status = strcmp(request->path, "/openapi/router") != 0 ? 404 : 405;
		return;
	}
	buf_init(&p.answer.result, GW_WIRE_BODY_MAX);
	buf_init(&p.answer.detail, GW_DETAIL_MAX);
	gw_via(request->query, p.answer.via);
	if (gw_doc_parse(&doc, buf_text(&request->body), request->body.len, NULL) == 0)
		p.body = doc.root;
	pass(&p, reply);
	gw_doc_release(&doc);
	buf_release(&p.answer.result);
	buf_release(&p.answer.detail);
}

/* With the lock held: the effect of one late edit. */
static void late_apply(struct gw *gw, const struct gw_late *late)
{
	const struct gw_method *edit = gw_method_find("bg.local.goods.stock.edit");
	struct gw_shop *shop = gw_shops_by_mall(&gw->shops, late->mall_id);
	struct gw_fault none = { .kind = GW_FAULT_none };
	struct gw_answer answer = { .code = GW_OK };
	struct gw_doc doc;

	buf_init(&answer.result, GW_WIRE_BODY_MAX);
	buf_init(&answer.detail, GW_DETAIL_MAX);
	memcpy(answer.via, late->via, sizeof(answer.via));
	if (gw_doc_parse(&doc, late->body, strlen(late->body), NULL) == 0 && shop)
		edit->run(gw, shop, doc.root, &none, &answer);
	gw_doc_release(&doc);
	buf_release(&answer.result);
	buf_release(&answer.detail);
}

static struct gw_late **late_first(struct gw *gw)
{
	struct gw_late **first = &gw->late;

	for (struct gw_late **at = &gw->late; *at; at = &(*at)->next)
		if ((*at)->due_ms < (*first)->due_ms)
			first = at;
	return first;
}

static void *late_main(void *arg)
{
	struct gw *gw = arg;

	pthread_mutex_lock(&gw->lock);
	while (!gw->stopping) {
		struct gw_late **at = late_first(gw), *late = *at;
		struct timespec until;

		if (!late) {
			pthread_cond_wait(&gw->late_changed, &gw->lock);
			continue;
		}
		if (clock_mono_ms() < late->due_ms) {
			until.tv_sec = late->due_ms / 1000;
			until.tv_nsec = (long)(late->due_ms % 1000) * 1000000;
			pthread_cond_timedwait(&gw->late_changed, &gw->lock, &until);
			continue;
		}
		*at = late->next;
		late_apply(gw, late);
		free(late->body);
		free(late);
	}
	pthread_mutex_unlock(&gw->lock);
	return NULL;
}

struct gw *gw_new(struct err *err)
{
	struct gw *gw = calloc(1, sizeof(*gw));
	pthread_condattr_t attr;

	if (!gw) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory");
		return NULL;
	}
	pthread_mutex_init(&gw->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&gw->late_changed, &attr);
	pthread_condattr_destroy(&attr);
	gw->rate.per_second = 20;
	gw->repeat_key_error = true;
	if (pthread_create(&gw->late_thread, NULL, late_main, gw) != 0) {
		err_set(err, ERR_TEMP, "THREAD", "cannot start a thread");
		pthread_cond_destroy(&gw->late_changed);
		pthread_mutex_destroy(&gw->lock);
		free(gw);
		return NULL;
	}
	return gw;
}

void gw_free(struct gw *gw)
{
	if (!gw)
		return;
	pthread_mutex_lock(&gw->lock);
	gw->stopping = true;
	pthread_cond_signal(&gw->late_changed);
	pthread_mutex_unlock(&gw->lock);
	pthread_join(gw->late_thread, NULL);
	while (gw->late) {
		struct gw_late *next = gw->late->next;

		free(gw->late->body);
		free(gw->late);
		gw->late = next;
	}
	gw_calls_release(&gw->calls);
	gw_writes_release(&gw->writes);
	gw_shops_release(&gw->shops);
	pthread_cond_destroy(&gw->late_changed);
	pthread_mutex_destroy(&gw->lock);
	free(gw);
}
