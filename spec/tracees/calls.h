// What the programs of this family share: raw calls, a pointer to nowhere, and a mark in the trace to begin at.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/stat.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/ioctl.h>
#define S(n,...) syscall(__NR_##n, ##__VA_ARGS__)
#define BAD ((void*)0xdead0000UL)
static void begin(void){ S(getpid, 0); write(-1, "begin", 5); }
