/* Ways to save a file, right and wrong, for the specs of power loss. The working directory holds "f" with "old\n". */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(2);
}

static void put(int fd, const char *text) { must(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "write"); }

static void sync_directory(void) {
  int fd = open(".", O_RDONLY | O_DIRECTORY);
  must(fd >= 0 && fsync(fd) == 0 && close(fd) == 0, "directory");
}

/* A new file beside the old one, then renamed over it. */
static void replace(const char *name, int sync_file, int sync_name) {
  int fd = open("f.new", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  must(fd >= 0, "open");
  put(fd, "new\n");
  if (sync_file) must(fsync(fd) == 0, "fsync");
  must(close(fd) == 0 && rename("f.new", name) == 0, "rename");
  if (sync_name) sync_directory();
}

static void in_place(void) {
  int fd = open("f", O_WRONLY | O_TRUNC);
  must(fd >= 0, "open");
  put(fd, "new\n");
  must(close(fd) == 0, "close");
}

/* Three records, each announced when it is written. */
static void append(int sync) {
  int fd = open("f", O_WRONLY | O_APPEND);
  must(fd >= 0, "open");
  for (int i = 1; i <= 3; i++) {
    char line[16];
    snprintf(line, sizeof line, "record %d\n", i);
    put(fd, line);
    if (sync) must(fdatasync(fd) == 0, "fdatasync");
    put(1, line);
  }
}

/* Two pages over two pages that are there, with one write. */
static void overwrite(void) {
  static char bytes[8192];
  memset(bytes, 'b', sizeof bytes);
  int fd = open("f", O_WRONLY);
  must(fd >= 0 && pwrite(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes, "pwrite");
  must(fdatasync(fd) == 0, "fdatasync");
}

/* A name in a new directory, made durable by syncing the file alone. */
static void new_directory(void) {
  must(mkdir("other", 0755) == 0 && mkdir("d", 0755) == 0, "mkdir");
  int fd = open("d/g", O_WRONLY | O_CREAT, 0644);
  must(fd >= 0, "open");
  put(fd, "new\n");
  must(fsync(fd) == 0, "fsync");
}

static void mapped(void) {
  int fd = open("f", O_RDWR);
  must(fd >= 0, "open");
  char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  must(at != MAP_FAILED, "mmap");
  memcpy(at, "NEW\n", 4);
  must(msync(at, 4096, MS_SYNC) == 0, "msync");
  memcpy(at, "hid\n", 4);
  must(munmap(at, 4096) == 0, "munmap");
}

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  if (strcmp(how, "replace") == 0)
    replace("f", 0, 0);
  else if (strcmp(how, "replace-synced") == 0)
    replace("f", 1, 0);
  else if (strcmp(how, "replace-durable") == 0)
    replace("f", 1, 1);
  else if (strcmp(how, "rename-to-new") == 0)
    replace("g", 0, 0);
  else if (strcmp(how, "in-place") == 0)
    in_place();
  else if (strcmp(how, "in-place-then") == 0) {
    in_place();
    must(mkdir("later", 0755) == 0, "mkdir");
  } else if (strcmp(how, "append") == 0)
    append(0);
  else if (strcmp(how, "append-synced") == 0)
    append(1);
  else if (strcmp(how, "overwrite") == 0)
    overwrite();
  else if (strcmp(how, "new-directory") == 0)
    new_directory();
  else if (strcmp(how, "mapped") == 0)
    mapped();
  else
    return 2;
  return 0;
}
