/* handlers: one function a route, in one file a resource. */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/routes.h"

/* job_handlers.c */
route_handler job_status_get, job_execute_post, job_kpi_get;
/* run_handlers.c */
route_handler run_list_get, run_get, run_items_get, run_cancel_post, run_confirm_post;
/* shop_handlers.c */
route_handler shop_list_get, shop_writes_put, shop_quarantine_get, shop_quarantine_delete, shop_lease_post;
/* alarm_handlers.c */
route_handler alarm_list_get, alarm_ack_post, alarm_snooze_post;
/* schedule_handlers.c */
route_handler schedule_list_get, schedule_put;
/* log_handlers.c */
route_handler log_list_get;
/* live_handlers.c */
route_handler live_logs_get;
/* system_handlers.c */
route_handler livez_get, readyz_get, system_get;

#endif
