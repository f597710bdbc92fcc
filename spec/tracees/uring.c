/* Asks for an io_uring; prints what the kernel said. */
#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
  struct io_uring_params params = {0};
  long ring = syscall(SYS_io_uring_setup, 4, &params);
  puts(ring < 0 ? strerror(errno) : "ring");
  return 0;
}
