/* routes: the table of what temu-api answers: one row and one handler an endpoint. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/call.h"

typedef void route_handler(struct call *call);

struct route {
	const char *method;  /* GET also answers HEAD */
	const char *pattern; /* "{name}" stands for one segment, and goes to call->params in this order */
	route_handler *handler;
};

/* The table; its end has no method. */
const struct route *routes_table(void);

/* The handler of httpd_options; arg is the struct api. */
void routes_handle(struct httpd_request *request, struct httpd_response *response, void *arg);

#endif
