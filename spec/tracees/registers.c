/* What a program may see of its registers and of the ways into the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef __x86_64__
/* The six argument registers after the call, or'ed into `same` when they are what they were. */
static long call_keeping(long number, uint64_t args[6], int *same) {
  register uint64_t a __asm__("rdi") = args[0], b __asm__("rsi") = args[1], c __asm__("rdx") = args[2];
  register uint64_t d __asm__("r10") = args[3], e __asm__("r8") = args[4], f __asm__("r9") = args[5];
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result), "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f)
                   : "a"(number)
                   : "rcx", "r11", "memory");
  *same = a == args[0] && b == args[1] && c == args[2] && d == args[3] && e == args[4] && f == args[5];
  return result;
}

static long int80(long number) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory");
  return result;
}
#endif

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
#ifdef __x86_64__
  if (!strcmp(mode, "restored")) {
    int same = 0;
    uint64_t args[6] = {(uint64_t)AT_FDCWD, (uint64_t)(uintptr_t) "/nonexistent", 0, 4, 5, 6};
    long result = call_keeping(SYS_openat, args, &same);
    printf("%s %d\n", result >= 0 ? "opened" : "failed", same);
  } else if (!strcmp(mode, "int80")) {
    printf("%d\n", int80(20) == getpid()); /* 20: getpid of i386 */
  } else if (!strcmp(mode, "vsyscall")) {
    time_t (*vsyscall_time)(time_t *) = (time_t(*)(time_t *))0xffffffffff600400;
    printf("%d\n", vsyscall_time(NULL) > 1000000000);
  } else
#endif
      if (!strcmp(mode, "open")) {
    int fd = open("/nonexistent", O_RDONLY);
    printf("%s\n", fd >= 0 ? "opened" : strerror(errno));
  } else if (!strcmp(mode, "close")) {
    int fd = open("/dev/null", O_RDONLY);
    int result = close(fd);
    /* Is it open still? */
    printf("%d %d\n", result, fcntl(fd, F_GETFD) >= 0);
  } else if (!strcmp(mode, "hole")) {
    /* A buffer that ends at a hole; a string that ends with its page; a read-only page. */
    char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages + 4096, 4096);
    memset(pages, 'a', 4096);
    int null = open("/dev/null", O_WRONLY);
    ssize_t put = write(null, pages + 4000, 200);
    printf("%zd\n", put);
    memcpy(pages + 4096 - 6, "/nope", 6);
    printf("%d\n", access(pages + 4096 - 6, F_OK));
    printf("%d\n", access(pages + 4090 + 5, F_OK)); /* no: an empty string */
    mprotect(pages, 4096, PROT_READ);
    printf("%d\n", access(pages + 4096 - 6, F_OK));
  } else if (!strcmp(mode, "pointers")) {
    /* Whatever is handed to the kernel, the tracer lives. */
    static const uintptr_t bad[] = {
        0, 1, 0xfff, (uintptr_t)-1, (uintptr_t)-4096, (uintptr_t)0x800000000000ull, 0xffffffffff600000u & UINTPTR_MAX};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
      syscall(SYS_openat, AT_FDCWD, bad[i], 0, 0);
      syscall(SYS_write, 2, bad[i], (size_t)-1);
      syscall(SYS_writev, 2, bad[i], 1000000);
      syscall(SYS_readlink, bad[i], bad[i], (size_t)-1);
      syscall(SYS_execve, bad[i], bad[i], bad[i]);
      syscall(SYS_poll, bad[i], 0x7fffffffu, 0);
      syscall(SYS_rt_sigaction, 10, bad[i], bad[i], 8);
      syscall(SYS_sendmsg, -1, bad[i], 0);
      syscall(SYS_connect, -1, bad[i], 0x7fffffff);
      syscall(SYS_ioctl, -1, 0x5413, bad[i]);
    }
    puts("alive");
  }
  return 0;
}
