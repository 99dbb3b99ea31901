/* The table and the way from a request to its row. What a row does is in its handler. */
#include "api/routes.h"

#include <arpa/inet.h>
#include <string.h>
#include "api/handlers.h"

static const struct route table[] = {
	{ "GET", "/api/jobs/status", job_status_get },
	{ "POST", "/api/jobs/execute", job_execute_post },
	{ "GET", "/api/jobs/{job}/kpi", job_kpi_get },
	{ "GET", "/api/runs", run_list_get },
	{ "GET", "/api/runs/{run}", run_get },
	{ "GET", "/api/runs/{run}/items", run_items_get },
	{ "POST", "/api/runs/{run}/cancel", run_cancel_post },
	{ "POST", "/api/runs/{run}/confirm", run_confirm_post },
	{ "GET", "/api/shops", shop_list_get },
	{ "PUT", "/api/shops/{shop}/writes", shop_writes_put },
	{ "GET", "/api/shops/{shop}/quarantine", shop_quarantine_get },
	{ "DELETE", "/api/shops/{shop}/quarantine/{sku_id}", shop_quarantine_delete },
	{ "POST", "/api/shops/{shop}/lease", shop_lease_post },
	{ "GET", "/api/alarms", alarm_list_get },
	{ "POST", "/api/alarms/{alarm}/ack", alarm_ack_post },
	{ "POST", "/api/alarms/{alarm}/snooze", alarm_snooze_post },
	{ "GET", "/api/schedules", schedule_list_get },
	{ "PUT", "/api/schedules/{name}", schedule_put },
	{ "GET", "/api/logs", log_list_get },
	{ "GET", "/api/system", system_get },
	{ "GET", "/livez", livez_get },
	{ "GET", "/readyz", readyz_get },
	{ "GET", "/ws/logs", live_logs_get },
	{ NULL, NULL, NULL },
};

const struct route *
routes_table(void)
{
	return table;
}

/* Segment by segment; parameters go to the call. */
static bool
matches(struct call *call, const char *pattern, const char *path)
{
	int param = 0;
	while (*pattern != '\0' && *path != '\0') {
		if (*pattern == '{') {
			size_t len = strcspn(path, "/");
			if (len == 0 || call_decode(path, len, false, call->params[param++], CALL_PARAM_MAX) != 0)
				return false;
			path += len;
			pattern += strcspn(pattern, "/");
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *pattern == *path;
}

static bool
answers(const struct route *route, const char *method)
{
	return strcmp(route->method, method) == 0 || (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void
refuse_method(struct call *call, const char *path)
{
	struct buf allow;
	buf_init(&allow, 200);
	for (const struct route *route = table; route->method != NULL; route++)
		if (matches(call, route->pattern, path))
			buf_addf(&allow, "%s%s%s", allow.len > 0 ? ", " : "", route->method, strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
	call_header(call, "Allow", buf_text(&allow));
	call_problem(call, PROTO_METHOD, NULL, "this path answers %s", buf_text(&allow));
	buf_release(&allow);
}

/* An address or localhost, with or without a port: a name could be pointed at this machine by whoever owns it. */
static bool
is_address(const char *host)
{
	char name[64];
	struct in_addr address;
	size_t len = strcspn(host, ":");
	if (host[0] == '[')
		return true;
	if (len >= sizeof(name))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	return strcmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &address) == 1;
}

/* A page of somebody else must not make a browser on this machine change anything, or read along. */
static bool
foreign_origin(const struct call *call)
{
	const char *origin = httpd_header(call->request, "Origin"), *host = httpd_header(call->request, "Host");
	const char *scheme_end = origin != NULL ? strstr(origin, "://") : NULL;
	if (origin == NULL)
		return false;
	return scheme_end == NULL || host == NULL || strcmp(scheme_end + 3, host) != 0 || !is_address(host);
}

static bool
harmless(const struct call *call)
{
	return (strcmp(call->request->method, "GET") == 0 || strcmp(call->request->method, "HEAD") == 0) &&
	       httpd_header(call->request, "Upgrade") == NULL;
}

void
routes_handle(struct httpd_request *request, struct httpd_response *response, void *arg)
{
	struct call call = { .api = arg, .request = request, .response = response };
	bool path_known = false;
	if (foreign_origin(&call) && !harmless(&call)) {
		call_problem(&call, PROTO_FORBIDDEN, NULL, "requests of a page of another origin are not taken");
		return;
	}
	for (const struct route *route = table; route->method != NULL; route++) {
		if (!matches(&call, route->pattern, request->path))
			continue;
		if (answers(route, request->method)) {
			route->handler(&call);
			call_release(&call);
			return;
		}
		path_known = true;
	}
	if (path_known)
		refuse_method(&call, request->path);
	else
		call_problem(&call, PROTO_NOT_FOUND, NULL, "there is no such path");
}
