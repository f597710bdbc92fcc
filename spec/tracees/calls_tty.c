#include "calls.h"
#include <termios.h>
int main(void) {
  begin();
  int a[20];
  memset(a, 0xff, 80);
  ioctl(-1, TCSETS, a);
  memset(a, 0, 80);
  ioctl(-1, TCSETS, a);
  memset(a, 0x11, 80);
  ioctl(-1, TCSETSW, a);
  ioctl(-1, TCSETSF, BAD);
  ioctl(-1, TIOCMSET, memset(a, 0xff, 4));
  ioctl(-1, TCFLSH, 9);
  ioctl(-1, TCXONC, 7);
  ioctl(-1, TIOCSETD, a);
  return 0;
}
