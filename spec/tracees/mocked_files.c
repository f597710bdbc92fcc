/* Looks at DIRECTORY/conf in the ways of this C library, whatever its word size. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static const char *failure(const char *path, int flags) {
  return open(path, flags, 0600) < 0 ? strerrorname_np(errno) : "opened";
}

/* From now on only what opening and reading a file take. */
static void enter_sandbox(void) {
  struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 4, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 3, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int in_sandbox(const char *directory) {
  char path[256], text[16];
  snprintf(path, sizeof path, "%s/conf", directory);
  enter_sandbox();
  long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
  ssize_t size = read((int)fd, text, sizeof text);
  return write(1, text, size > 0 ? (size_t)size : 0) == size ? 0 : 3;
}

int main(int argc, char **argv) {
  struct stat by_path, by_fd;
  struct dirent **entries;
  char text[16] = "";
  if (argc < 2) return 1;
  if (argc > 2) _exit(in_sandbox(argv[1]));
  if (chdir(argv[1])) return 1;
  int fd = open("conf", O_RDONLY);
  if (stat("conf", &by_path) || fstat(fd, &by_fd) || read(fd, text, 15) < 0) return 2;
  int same = by_path.st_ino == by_fd.st_ino && by_path.st_size == by_fd.st_size && by_path.st_mode == by_fd.st_mode &&
             by_path.st_nlink == by_fd.st_nlink && by_path.st_mtime == by_fd.st_mtime;
  printf("stat %d %o %d, fstat %s, read %s\n", (int)by_path.st_size, by_path.st_mode, (int)by_path.st_nlink,
         same ? "the same" : "another", text);
  int count = scandir(".", &entries, NULL, by_name);
  for (int i = 0; i < count; i++)
    puts(entries[i]->d_name);
  printf("%s ", failure("none", O_RDONLY));
  printf("%s ", failure("conf/x", O_RDONLY));
  printf("%s\n", failure("conf", O_CREAT | O_EXCL | O_WRONLY));
  return 0;
}
