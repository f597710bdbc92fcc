--- What the headers of the machine that generates (Linux 6.1) are too old to know, or have no place for.
-- As of Linux 6.18, November 2026.

return {
  linux = "6.18",

  -- The rooms: scripts/constants/room_NAME.lua each.
  rooms = {
    "file", "mount", "memory", "process", "signal", "time", "system", "network", "netlink", "trace", "terminal",
  },

  -- One number on every architecture (include/uapi/asm-generic/unistd.h and arch/x86/entry/syscalls/*.tbl).
  numbers = {
    cachestat = 451, -- 6.5
    fchmodat2 = 452, -- 6.6
    map_shadow_stack = 453, -- 6.6
    futex_wake = 454, -- 6.7
    futex_wait = 455, -- 6.7
    futex_requeue = 456, -- 6.7
    statmount = 457, -- 6.8
    listmount = 458, -- 6.8
    lsm_get_self_attr = 459, -- 6.8
    lsm_set_self_attr = 460, -- 6.8
    lsm_list_modules = 461, -- 6.8
    mseal = 462, -- 6.10
    setxattrat = 463, -- 6.13
    getxattrat = 464, -- 6.13
    listxattrat = 465, -- 6.13
    removexattrat = 466, -- 6.13
    open_tree_attr = 467, -- 6.15
    file_getattr = 468, -- 6.17
    file_setattr = 469, -- 6.17
  },
  only = {
    x86_64 = { uretprobe = 335, uprobe = 336 }, -- 6.11, 6.18
    x32 = { uretprobe = 0x4000014f, uprobe = 0x40000150 },
  },

  -- Kernel-internal: a tracer sees them at syscall-exit-stops; the texts are those that strace's users know.
  errno = {
    ERESTARTSYS = { 512, "To be restarted if SA_RESTART is set" },
    ERESTARTNOINTR = { 513, "To be restarted" },
    ERESTARTNOHAND = { 514, "To be restarted if no handler" },
    ENOIOCTLCMD = { 515, "No ioctl command" },
    ERESTART_RESTARTBLOCK = { 516, "Interrupted by signal" },
    EPROBE_DEFER = { 517, "Driver requests probe retry" },
    EOPENSTALE = { 518, "Open found a stale dentry" },
    ENOPARAM = { 519, "Parameter not supported" },
    EBADHANDLE = { 521, "Illegal NFS file handle" },
    ENOTSYNC = { 522, "Update synchronization mismatch" },
    EBADCOOKIE = { 523, "Cookie is stale" },
    ENOTSUPP = { 524, "Operation is not supported" },
    ETOOSMALL = { 525, "Buffer or request is too small" },
    ESERVERFAULT = { 526, "An untranslatable error occurred" },
    EBADTYPE = { 527, "Type not supported by server" },
    EJUKEBOX = { 528, "Request initiated, but will not complete before timeout" },
    EIOCBQUEUED = { 529, "iocb queued, will get completion event" },
    ERECALLCONFLICT = { 530, "Conflict with recalled state" },
    ENOGRACE = { 531, "NFS file lock reclaim refused" },
  },
  errno_aliases = { EWOULDBLOCK = true, EDEADLOCK = true, ENOTSUP = true },
  signal_aliases = { SIGIOT = true, SIGPOLL = true, SIGCLD = true, SIGUNUSED = true },
  not_signals = { SIGRTMIN = true, SIGRTMAX = true, SIGSTKSZ = true, SIGLOST = true },
}
