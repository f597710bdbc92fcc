#include "calls.h"
int main(void) {
  char buf[256];
  int fd = open("calls_tmp_xf", O_RDWR | O_CREAT, 0600);
  begin();
  S(setxattr, "calls_tmp_xf", "user.a", "hello", 5, 0);
  S(setxattr, "calls_tmp_xf", "user.b", "hello\0", 6, 1);
  S(lsetxattr, "calls_tmp_xf", "user.c", "", 0, 2);
  S(fsetxattr, fd, "user.long", "0123456789012345678901234567890123456789", 40, 0);
  S(setxattr, "calls_tmp_xf", "user.d", "a\0b\0", 4, 0xff);
  S(setxattr, NULL, NULL, NULL, 0, 4);
  S(setxattr, BAD, BAD, BAD, 5, 0);
  S(setxattr, "x", "user.d", NULL, 4, 0);
  S(getxattr, "calls_tmp_xf", "user.a", buf, sizeof buf);
  S(lgetxattr, "calls_tmp_xf", "user.b", buf, sizeof buf);
  S(fgetxattr, fd, "user.long", buf, sizeof buf);
  S(getxattr, "calls_tmp_xf", "user.a", buf, 2);
  S(getxattr, "calls_tmp_xf", "user.a", NULL, 0);
  S(getxattr, "calls_tmp_xf", "user.a", buf, 0);
  S(getxattr, "calls_tmp_none", "user.a", buf, 9);
  S(getxattr, BAD, "user.a", BAD, 9);
  S(fgetxattr, -1, NULL, NULL, 1);
  S(listxattr, "calls_tmp_xf", buf, sizeof buf);
  S(llistxattr, "calls_tmp_xf", NULL, 0);
  S(flistxattr, fd, buf, 2);
  S(flistxattr, fd, BAD, 200);
  S(removexattr, "calls_tmp_xf", "user.a");
  S(lremovexattr, "calls_tmp_xf", "user.z");
  S(fremovexattr, fd, "user.b");
  S(fremovexattr, -1, BAD);
  unlink("calls_tmp_xf");
  return 0;
}
