/* The ioctl requests of devices and file systems, most of them of no descriptor: what they ask is what is seen. */
#include <fcntl.h>
#include <linux/blktrace_api.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/loop.h>
#include <linux/random.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };

static void faults(void) {
  int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
  struct uffdio_api unknown = {.api = 1, .features = UFFD_FEATURE_EVENT_FORK};
  ioctl(fd, UFFDIO_API, &unknown);
  struct uffdio_register watched = {{PAGE, PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
  ioctl(fd, UFFDIO_REGISTER, &watched);
  struct uffdio_copy copy = {PAGE, PAGE, PAGE, UFFDIO_COPY_MODE_DONTWAKE, 0};
  ioctl(fd, UFFDIO_COPY, &copy);
  struct uffdio_zeropage zero = {{PAGE, PAGE}, UFFDIO_ZEROPAGE_MODE_DONTWAKE | 2, 0};
  ioctl(fd, UFFDIO_ZEROPAGE, &zero);
  struct uffdio_range range = {PAGE, PAGE};
  ioctl(fd, UFFDIO_WAKE, &range);
  ioctl(fd, UFFDIO_UNREGISTER, &range);
}

static void files(void) {
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  union {
    struct fiemap map;
    char room[PAGE];
  } map;
  memset(&map, 0, sizeof map);
  map.map.fm_length = ~0ULL;
  map.map.fm_flags = FIEMAP_FLAG_SYNC;
  map.map.fm_extent_count = 4;
  ioctl(fd, FS_IOC_FIEMAP, &map);
  ioctl(-1, FS_IOC_FIEMAP, &map);
  struct fsxattr extra = {
      .fsx_xflags = FS_XFLAG_NOATIME, .fsx_extsize = 1, .fsx_nextents = 2, .fsx_projid = 3, .fsx_cowextsize = 4};
  ioctl(-1, FS_IOC_FSSETXATTR, &extra);
  ioctl(fd, FS_IOC_FSGETXATTR, &extra);
  ioctl(-1, FS_IOC_SETFSLABEL, "label");
  struct fstrim_range trimmed = {1, 2, 3};
  ioctl(-1, FITRIM, &trimmed);
  struct {
    struct file_dedupe_range range;
    struct file_dedupe_range_info info[2];
  } same = {.range = {1, 2, 2, 0, 0}};
  same.info[0].dest_fd = fd;
  same.info[0].dest_offset = 5;
  ioctl(-1, FIDEDUPERANGE, &same);
}

static void devices(void) {
  struct {
    int count, size;
    char bytes[8];
  } entropy = {3, 5, "abcd\1"};
  ioctl(-1, RNDADDENTROPY, &entropy);
  struct kvm_userspace_memory_region region = {1, KVM_MEM_READONLY, 0x1000, 0x2000, 0x3000};
  ioctl(-1, KVM_SET_USER_MEMORY_REGION, &region);
  ioctl(-1, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS);
  struct loop_config configured = {
      .fd = 3,
      .block_size = 512,
      .info = {.lo_flags = LO_FLAGS_AUTOCLEAR, .lo_offset = 5, .lo_file_name = "file"},
  };
  ioctl(-1, LOOP_CONFIGURE, &configured);
  struct loop_info status = {.lo_number = 1, .lo_offset = 2, .lo_flags = LO_FLAGS_AUTOCLEAR, .lo_name = "name"};
  ioctl(-1, LOOP_SET_STATUS, &status);
  struct blk_user_trace_setup trace = {"name", 1, 2, 3, 4, 5, 6};
  ioctl(-1, BLKTRACESETUP, &trace);
  unsigned long sectors[2] = {PAGE, 2UL * PAGE};
  ioctl(-1, BLKZEROOUT, sectors);
  ioctl(-1, BLKDISCARD, sectors);
}

static void interfaces(void) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  ioctl(-1, TUNSETIFF, &request);
  request.ifr_hwaddr.sa_family = 1;
  memcpy(request.ifr_hwaddr.sa_data, "abcdef", 6);
  ioctl(-1, SIOCSIFHWADDR, &request);
  ioctl(-1, SIOCADDMULTI, &request);
  strcpy(request.ifr_newname, "renamed");
  ioctl(-1, SIOCSIFNAME, &request);
  struct ifmap map = {1, 2, 3, 4, 5, 6};
  request.ifr_map = map;
  ioctl(-1, SIOCSIFMAP, &request);
  request.ifr_ifindex = 1;
  ioctl(-1, SIOCBRADDIF, &request);
  ioctl(-1, SIOCBRADDBR, "br0");
}

int main(void) {
  faults();
  files();
  devices();
  interfaces();
  return 0;
}
