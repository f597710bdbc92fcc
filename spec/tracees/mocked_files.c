/* Looks at DIRECTORY/conf in the ways of this C library, whatever its word size. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static const char *failure(const char *path, int flags) {
  return open(path, flags, 0600) < 0 ? strerrorname_np(errno) : "opened";
}

int main(int argc, char **argv) {
  struct stat by_path, by_fd;
  struct dirent **entries;
  char text[16] = "";
  if (argc < 2 || chdir(argv[1])) return 1;
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
