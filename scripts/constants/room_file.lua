--- Files: opening, looking, seeking, locking.

--- As strace does: whatever the call itself takes of them.
local at_flags = "AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_RECURSIVE"

return {
  title = "Constants of files.",

  { "flags", "open_flags", "O_", "linux/fcntl.h", [[
    O_RDONLY O_WRONLY O_RDWR O_ACCMODE O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC
    O_DIRECT O_LARGEFILE O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH O_TMPFILE O_DIRECTORY __O_TMPFILE FASYNC O_ASYNC=0x2000
    O_RSYNC=0x101000 O_NDELAY ]] },
  { "enum", "open_access", "O_", "linux/fcntl.h", "O_RDONLY O_WRONLY O_RDWR O_ACCMODE" },
  { "flags", "openat2_resolve", "RESOLVE_", "linux/openat2.h", "RESOLVE_*" },
  { "enum", "at_fdcwd", "AT_", "linux/fcntl.h", "AT_FDCWD" },
  { "flags", "at_flags", "AT_", "linux/fcntl.h", [[
    AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_STATX_FORCE_SYNC
    AT_STATX_DONT_SYNC AT_RECURSIVE ]] },
  { "flags", "faccessat_flags", "AT_", "linux/fcntl.h", "AT_SYMLINK_NOFOLLOW AT_EACCESS AT_EMPTY_PATH" },
  { "flags", "unlinkat_flags", "AT_", "linux/fcntl.h", at_flags },
  { "flags", "linkat_flags", "AT_", "linux/fcntl.h", at_flags },
  { "flags", "fstatat_flags", "AT_", "linux/fcntl.h", at_flags },
  { "flags", "statx_flags", "AT_", "linux/fcntl.h",
    at_flags .. " AT_STATX_FORCE_SYNC AT_STATX_DONT_SYNC" },
  { "enum", "statx_sync", "AT_STATX_", "linux/fcntl.h", [[
    AT_STATX_SYNC_AS_STAT AT_STATX_FORCE_SYNC AT_STATX_DONT_SYNC ]] },
  { "flags", "fchownat_flags", "AT_", "linux/fcntl.h", at_flags },
  { "flags", "fchmodat_flags", "AT_", "linux/fcntl.h", "AT_SYMLINK_NOFOLLOW AT_EMPTY_PATH" },
  { "flags", "execveat_flags", "AT_", "linux/fcntl.h",
    at_flags .. " AT_EXECVE_CHECK=0x10000" },
  { "flags", "utimensat_flags", "AT_", "linux/fcntl.h", at_flags },
  { "flags", "name_to_handle_at_flags", "AT_", "linux/fcntl.h",
    "AT_SYMLINK_FOLLOW AT_EMPTY_PATH AT_HANDLE_FID=0x200 AT_HANDLE_MNT_ID_UNIQUE=0x1 AT_HANDLE_CONNECTABLE=0x2" },
  { "enum", "utime_special", "UTIME_", "sys/stat.h", "UTIME_NOW UTIME_OMIT" },
  { "flags", "access_modes", "", "unistd.h", "F_OK R_OK W_OK X_OK" },
  { "enum", "whence", "SEEK_", "unistd.h", "SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE" },

  { "enum", "fcntl_cmd", "F_", "linux/fcntl.h", [[
    F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_SETOWN F_GETOWN F_SETSIG F_GETSIG F_GETLK64=12
    F_SETLK64=13 F_SETLKW64=14 F_SETOWN_EX F_GETOWN_EX F_GETOWNER_UIDS F_OFD_GETLK F_OFD_SETLK F_OFD_SETLKW F_SETLEASE
    F_GETLEASE F_NOTIFY F_DUPFD_QUERY=1027 F_CREATED_QUERY=1028 F_CANCELLK F_DUPFD_CLOEXEC F_SETPIPE_SZ F_GETPIPE_SZ
    F_ADD_SEALS F_GET_SEALS F_GET_RW_HINT F_SET_RW_HINT F_GET_FILE_RW_HINT F_SET_FILE_RW_HINT F_GETDELEG=1039
    F_SETDELEG=1040 ]] },
  { "flags", "fd_flags", "FD_", "linux/fcntl.h", "FD_CLOEXEC" },
  { "enum", "lock_type", "F_", "linux/fcntl.h", "F_RDLCK F_WRLCK F_UNLCK F_EXLCK F_SHLCK" },
  { "flags", "flock_ops", "LOCK_", "linux/fcntl.h",
    "LOCK_SH LOCK_EX LOCK_NB LOCK_UN LOCK_MAND LOCK_RW LOCK_READ LOCK_WRITE" },
  { "enum", "lockf_cmd", "F_", "unistd.h", "F_ULOCK F_LOCK F_TLOCK F_TEST" },
  { "enum", "owner_type", "F_OWNER_", "linux/fcntl.h", "F_OWNER_*" },
  { "flags", "notify_flags", "DN_", "linux/fcntl.h", [[
    DN_ACCESS DN_MODIFY DN_CREATE DN_DELETE DN_RENAME DN_ATTRIB DN_MULTISHOT ]] },
  { "flags", "seals", "F_SEAL_", "linux/fcntl.h", "F_SEAL_* F_SEAL_EXEC=0x20" },
  { "enum", "rw_hint", "RWH_WRITE_LIFE_", "linux/fcntl.h", "RWH_WRITE_LIFE_*" },

  { "enum", "file_type", "S_IF", "sys/stat.h", "S_IFREG S_IFSOCK S_IFIFO S_IFLNK S_IFDIR S_IFBLK S_IFCHR" },
  { "flags", "mode_bits", "S_IS", "sys/stat.h", "S_ISUID S_ISGID S_ISVTX" },
  { "enum", "dirent_type", "DT_", "dirent.h", "DT_*" },
  { "flags", "statx_mask", "STATX_", "linux/stat.h", [[
    STATX_ALL STATX_BASIC_STATS STATX_TYPE STATX_MODE STATX_NLINK STATX_UID STATX_GID STATX_ATIME STATX_MTIME
    STATX_CTIME
    STATX_INO STATX_SIZE STATX_BLOCKS STATX_BTIME STATX_MNT_ID STATX_DIOALIGN STATX_MNT_ID_UNIQUE=0x4000
    STATX_SUBVOL=0x8000 STATX_WRITE_ATOMIC=0x10000 STATX_DIO_READ_ALIGN=0x20000 ]] },
  { "flags", "statx_attributes", "STATX_ATTR_", "linux/stat.h", "STATX_ATTR_* STATX_ATTR_WRITE_ATOMIC=0x400000" },
  { "flags", "fallocate_mode", "FALLOC_FL_", "linux/falloc.h", "FALLOC_FL_* FALLOC_FL_WRITE_ZEROES=0x80" },
  { "enum", "fadvise", "POSIX_FADV_", "fcntl.h", "POSIX_FADV_*" },
  { "flags", "sync_file_range_flags", "SYNC_FILE_RANGE_", "linux/fs.h",
    "SYNC_FILE_RANGE_WAIT_BEFORE SYNC_FILE_RANGE_WRITE SYNC_FILE_RANGE_WAIT_AFTER" },
  { "flags", "splice_flags", "SPLICE_F_", "fcntl.h", "SPLICE_F_*" },
  { "flags", "rwf_flags", "RWF_", "linux/fs.h", [[
    RWF_* RWF_NOAPPEND=0x20 RWF_ATOMIC=0x40 RWF_DONTCACHE=0x80 -RWF_SUPPORTED ]] },
  { "flags", "rename_flags", "RENAME_", "linux/fs.h", "RENAME_*" },
  { "flags", "xattr_flags", "XATTR_", "linux/xattr.h", "XATTR_CREATE XATTR_REPLACE" },
  { "flags", "close_range_flags", "CLOSE_RANGE_", "linux/close_range.h", "CLOSE_RANGE_*" },
  { "flags", "pipe_flags", "O_", "fcntl.h", "O_NOTIFICATION_PIPE=0x80 O_NONBLOCK O_DIRECT O_CLOEXEC" },
  { "flags", "dup3_flags", "O_", "fcntl.h", "O_CLOEXEC" },
  { "flags", "mq_flags", "O_", "fcntl.h", "O_NONBLOCK" },

  { "flags", "poll_events", "POLL", "asm/poll.h", [[
    POLLIN POLLPRI POLLOUT POLLERR POLLHUP POLLNVAL POLLRDNORM POLLRDBAND POLLWRNORM POLLWRBAND POLLMSG POLLREMOVE
    POLLRDHUP POLL_BUSY_LOOP=0x8000 ]] },
  { "flags", "epoll_events", "EPOLL", "linux/eventpoll.h", [[
    EPOLLIN EPOLLPRI EPOLLOUT EPOLLERR EPOLLHUP EPOLLNVAL EPOLLRDNORM EPOLLRDBAND EPOLLWRNORM EPOLLWRBAND EPOLLMSG
    EPOLLRDHUP EPOLLEXCLUSIVE EPOLLWAKEUP EPOLLONESHOT EPOLLET ]] },
  { "enum", "epoll_ctl_op", "EPOLL_CTL_", "linux/eventpoll.h", "EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLL_CTL_MOD" },
  { "flags", "epoll_create_flags", "EPOLL_", "linux/eventpoll.h", "EPOLL_CLOEXEC" },
  { "flags", "eventfd_flags", "EFD_", "sys/eventfd.h", "EFD_SEMAPHORE EFD_CLOEXEC EFD_NONBLOCK" },
  { "flags", "signalfd_flags", "SFD_", "sys/signalfd.h", "SFD_CLOEXEC SFD_NONBLOCK" },
  { "flags", "inotify_flags", "IN_", "sys/inotify.h", [[
    IN_ACCESS IN_MODIFY IN_ATTRIB IN_CLOSE_WRITE IN_CLOSE_NOWRITE IN_OPEN IN_MOVED_FROM IN_MOVED_TO
    IN_CREATE IN_DELETE IN_DELETE_SELF IN_MOVE_SELF IN_UNMOUNT IN_Q_OVERFLOW IN_IGNORED IN_ONLYDIR IN_DONT_FOLLOW
    IN_EXCL_UNLINK IN_MASK_CREATE IN_MASK_ADD IN_ISDIR IN_ONESHOT
    IN_CLOSE IN_MOVE ]] },
  { "flags", "inotify_init_flags", "IN_", "sys/inotify.h", "IN_NONBLOCK IN_CLOEXEC" },
  { "enum", "fanotify_class", "FAN_CLASS_", "linux/fanotify.h", [[
    FAN_CLASS_NOTIF FAN_CLASS_CONTENT FAN_CLASS_PRE_CONTENT ]] },
  { "flags", "fanotify_init_flags", "FAN_", "linux/fanotify.h", [[
    FAN_CLOEXEC FAN_NONBLOCK FAN_UNLIMITED_QUEUE FAN_UNLIMITED_MARKS FAN_ENABLE_AUDIT FAN_REPORT_PIDFD FAN_REPORT_TID
    FAN_REPORT_FID FAN_REPORT_DIR_FID FAN_REPORT_NAME FAN_REPORT_TARGET_FID FAN_REPORT_FD_ERROR=0x2000
    FAN_REPORT_MNT=0x4000 ]] },
  { "flags", "fanotify_mark_flags", "FAN_MARK_", "linux/fanotify.h", [[
    FAN_MARK_ADD FAN_MARK_REMOVE FAN_MARK_DONT_FOLLOW FAN_MARK_ONLYDIR FAN_MARK_MOUNT FAN_MARK_IGNORED_MASK
    FAN_MARK_IGNORED_SURV_MODIFY FAN_MARK_FLUSH FAN_MARK_FILESYSTEM FAN_MARK_EVICTABLE FAN_MARK_IGNORE ]] },
  { "flags", "fanotify_events", "FAN_", "linux/fanotify.h", [[
    FAN_ACCESS FAN_MODIFY FAN_ATTRIB FAN_CLOSE_WRITE FAN_CLOSE_NOWRITE FAN_OPEN FAN_MOVED_FROM
    FAN_MOVED_TO FAN_CREATE FAN_DELETE FAN_DELETE_SELF FAN_MOVE_SELF FAN_OPEN_EXEC FAN_Q_OVERFLOW FAN_FS_ERROR
    FAN_OPEN_PERM FAN_ACCESS_PERM FAN_OPEN_EXEC_PERM FAN_DIR_MODIFY=0x80000 FAN_ONDIR FAN_EVENT_ON_CHILD FAN_RENAME
    FAN_PRE_ACCESS=0x100000 FAN_MNT_ATTACH=0x1000000 FAN_MNT_DETACH=0x2000000 FAN_CLOSE FAN_MOVE ]] },
  { "enum", "aio_cmd", "IOCB_CMD_", "linux/aio_abi.h",
    "IOCB_CMD_PREAD IOCB_CMD_PWRITE IOCB_CMD_FSYNC IOCB_CMD_FDSYNC IOCB_CMD_PREADX=4 IOCB_CMD_POLL IOCB_CMD_NOOP "
    .. "IOCB_CMD_PREADV IOCB_CMD_PWRITEV" },
  { "flags", "aio_iocb_flags", "IOCB_FLAG_", "linux/aio_abi.h", "IOCB_FLAG_*" },
  { "flags", "fs_flags", "FS_", "linux/fs.h", [[
    FS_SECRM_FL FS_UNRM_FL FS_COMPR_FL FS_SYNC_FL FS_IMMUTABLE_FL FS_APPEND_FL FS_NODUMP_FL FS_NOATIME_FL FS_DIRTY_FL
    FS_COMPRBLK_FL FS_NOCOMP_FL FS_ENCRYPT_FL FS_INDEX_FL FS_IMAGIC_FL FS_JOURNAL_DATA_FL FS_NOTAIL_FL FS_DIRSYNC_FL
    FS_TOPDIR_FL FS_HUGE_FILE_FL FS_EXTENT_FL FS_VERITY_FL FS_EA_INODE_FL FS_EOFBLOCKS_FL FS_NOCOW_FL FS_DAX_FL
    FS_INLINE_DATA_FL FS_PROJINHERIT_FL FS_CASEFOLD_FL FS_RESERVED_FL ]] },
  { "flags", "fs_xflags", "FS_XFLAG_", "linux/fs.h", "FS_XFLAG_*" },
  { "flags", "fiemap_flags", "FIEMAP_FLAG_", "linux/types.h linux/fiemap.h", "FIEMAP_FLAG_*" },
  { "flags", "fiemap_extent_flags", "FIEMAP_EXTENT_", "linux/types.h linux/fiemap.h", [[
    FIEMAP_EXTENT_LAST FIEMAP_EXTENT_* ]] },
  { "enum", "uffd_requests", "_UFFDIO_", "linux/userfaultfd.h", [[
    _UFFDIO_REGISTER _UFFDIO_UNREGISTER _UFFDIO_WAKE _UFFDIO_COPY _UFFDIO_ZEROPAGE _UFFDIO_API ]] },
  { "enum", "blkpg_op", "BLKPG_", "linux/blkpg.h", "BLKPG_ADD_PARTITION BLKPG_DEL_PARTITION BLKPG_RESIZE_PARTITION" },
  { "enum", "kvm_cap", "KVM_CAP_", "linux/kvm.h", "KVM_CAP_*" },
  { "flags", "kvm_mem_flags", "KVM_MEM_", "linux/kvm.h", "KVM_MEM_LOG_DIRTY_PAGES KVM_MEM_READONLY" },
}
