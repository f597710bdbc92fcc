/* Writes a text that lies in read-only memory. */
#include <unistd.h>

int main(void) {
  static const char text[] = "written from read-only memory\n";
  return write(1, text, sizeof text - 1) != sizeof text - 1;
}
