/* tds_control: the control port: a line protocol on loopback by which tests order faults. */
#ifndef SANDBOX_SQL_TDS_CONTROL_H
#define SANDBOX_SQL_TDS_CONTROL_H

#include "ecosystem/sandbox/sql/tds_fault.h"
#include "ecosystem/sandbox/sql/tds_server.h"

struct tds_control;

/* Listens on 127.0.0.1:port (0: any free one) with a thread of its own. server and faults are borrowed. */
struct tds_control *tds_control_start(int port, struct tds_server *server, struct tds_faults *faults,
                                      struct err *err) MUSTCHECK;
int tds_control_port(const struct tds_control *control);
void tds_control_stop(struct tds_control *control);

/* Answers one line (without its end); the answer has its line end. server may be NULL (close-all is refused then). */
void tds_control_line(struct tds_server *server, struct tds_faults *faults, const char *line, struct buf *answer);

/* The commands for --help, one a line. */
void tds_control_help(struct buf *out);

#endif
