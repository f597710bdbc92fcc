/*
 * proc_status.h - /proc/PID/status, line by line.
 */
#ifndef LUATRACE_PROC_STATUS_H
#define LUATRACE_PROC_STATUS_H

#include <stdbool.h>
#include <sys/types.h> /* pid_t */

enum { PROC_STATUS_SIZE = 4096 };

/* The whole text; false when there is no such thread. */
bool proc_status_read(pid_t tid, char text[PROC_STATUS_SIZE]);
/* The value of one line, `name` with its colon, as sscanf takes it; false when there is no such line. */
bool proc_status_field(const char *text, const char *name, const char *format, void *value);

#endif
