/*
 * positions - writes and reads one file in every way that takes an offset, and says what each call has returned: the
 * same in a 32-bit program, whose offsets are in two registers.
 */
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *name, long result) {
  printf("%s %ld %s\n", name, result, result < 0 ? strerrorname_np(errno) : "");
}

int main(void) {
  static char bytes[8192];
  const off_t far = 5000000000LL;
  int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);
  int in = open("in", O_RDONLY);
  struct iovec iov[2] = {{bytes, 4096}, {bytes, 4096}};
  off_t offset = 0, target = 6000000000LL;
  say("pwrite", pwrite(fd, bytes, 4096, 0));
  say("pwrite far", pwrite(fd, bytes, 8192, far));
  say("pwritev", pwritev(fd, iov, 2, 100000));
  say("pwritev2", pwritev2(fd, iov, 2, 0, 0));
  say("pwritev2 here", pwritev2(fd, iov, 2, -1, 0));
  say("fallocate", fallocate(fd, 0, 0, 1 << 20));
  say("sendfile", sendfile(fd, in, &offset, 4096));
  say("copy_file_range", copy_file_range(in, NULL, fd, &target, 4096, 0));
  say("ftruncate", ftruncate(fd, far));
  say("pwrite at the end", pwrite(fd, bytes, 8192, far - 1));
  say("pread", pread(fd, bytes, 4096, 0));
  say("pread far", pread(fd, bytes, 100, far));
  pid_t child = vfork();
  if (child == 0) _exit(write(fd, bytes, 1) != 1);
  int status;
  waitpid(child, &status, 0);
  say("vfork", WEXITSTATUS(status));
  say("write", write(fd, bytes, 8192));
  return 0;
}
