--- File systems: mounting, statfs, quotas, xattrs of the kernel's own.

return {
  title = "Constants of mounts and file systems.",

  { "flags", "mount_flags", "MS_", "linux/mount.h", [[
    MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_SYNCHRONOUS MS_REMOUNT MS_MANDLOCK MS_DIRSYNC MS_NOSYMFOLLOW MS_NOATIME
    MS_NODIRATIME MS_BIND MS_MOVE MS_REC MS_SILENT MS_POSIXACL MS_UNBINDABLE MS_PRIVATE MS_SLAVE MS_SHARED MS_RELATIME
    MS_KERNMOUNT MS_I_VERSION MS_STRICTATIME MS_LAZYTIME MS_SUBMOUNT MS_NOREMOTELOCK MS_NOSEC MS_BORN MS_ACTIVE
    MS_NOUSER ]] },
  { "enum", "mount_magic", "MS_MGC_", "linux/mount.h", "MS_MGC_VAL" },
  { "flags", "umount_flags", "", "sys/mount.h", "MNT_FORCE MNT_DETACH MNT_EXPIRE UMOUNT_NOFOLLOW" },
  { "flags", "fsopen_flags", "FSOPEN_", "linux/mount.h", "FSOPEN_*" },
  { "flags", "fspick_flags", "FSPICK_", "linux/mount.h", "FSPICK_*" },
  { "enum", "fsconfig_cmd", "FSCONFIG_", "linux/mount.h", "FSCONFIG_* FSCONFIG_CMD_CREATE_EXCL=8" },
  { "flags", "fsmount_flags", "FSMOUNT_", "linux/mount.h", "FSMOUNT_*" },
  { "flags", "move_mount_flags", "MOVE_MOUNT_", "linux/mount.h", "MOVE_MOUNT_* MOVE_MOUNT_BENEATH=0x200 -MOVE_MOUNT__*" },
  { "flags", "open_tree_flags", "", "linux/fcntl.h linux/mount.h", [[
    OPEN_TREE_CLONE OPEN_TREE_CLOEXEC AT_SYMLINK_NOFOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_RECURSIVE ]] },
  { "flags", "mount_attr", "MOUNT_ATTR_", "linux/mount.h", [[
    MOUNT_ATTR_RDONLY MOUNT_ATTR_NOSUID MOUNT_ATTR_NODEV MOUNT_ATTR_NOEXEC MOUNT_ATTR_NOATIME MOUNT_ATTR_STRICTATIME
    MOUNT_ATTR_NODIRATIME MOUNT_ATTR_IDMAP MOUNT_ATTR_NOSYMFOLLOW ]] },
  { "enum", "mount_attr_atime", "MOUNT_ATTR_", "linux/mount.h",
    "MOUNT_ATTR_RELATIME MOUNT_ATTR_NOATIME MOUNT_ATTR_STRICTATIME" },
  { "flags", "mount_setattr_flags", "AT_", "linux/fcntl.h",
    "AT_SYMLINK_NOFOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_RECURSIVE" },
  { "enum", "mount_propagation", "MS_", "linux/mount.h", "MS_UNBINDABLE MS_PRIVATE MS_SLAVE MS_SHARED" },
  { "flags", "statmount_mask", "STATMOUNT_", "linux/mount.h", [[
    STATMOUNT_SB_BASIC=0x1 STATMOUNT_MNT_BASIC=0x2 STATMOUNT_PROPAGATE_FROM=0x4 STATMOUNT_MNT_ROOT=0x8
    STATMOUNT_MNT_POINT=0x10 STATMOUNT_FS_TYPE=0x20 STATMOUNT_MNT_NS_ID=0x40 STATMOUNT_MNT_OPTS=0x80
    STATMOUNT_FS_SUBTYPE=0x100 STATMOUNT_SB_SOURCE=0x200 STATMOUNT_OPT_ARRAY=0x400 STATMOUNT_OPT_SEC_ARRAY=0x800
    STATMOUNT_SUPPORTED_MASK=0x1000 STATMOUNT_MNT_UIDMAP=0x2000 STATMOUNT_MNT_GIDMAP=0x4000 ]] },
  { "flags", "listmount_flags", "LISTMOUNT_", "linux/mount.h", "LISTMOUNT_REVERSE=1" },
  { "flags", "statfs_flags", "ST_", "sys/statvfs.h", [[
    ST_VALID=0x20 ST_RDONLY ST_NOSUID ST_NODEV ST_NOEXEC ST_SYNCHRONOUS ST_MANDLOCK ST_NOATIME ST_NODIRATIME ST_RELATIME
    ST_NOSYMFOLLOW=0x2000 ]] },
  { "enum", "fs_magic", "", "linux/magic.h", [[
    *_MAGIC *_SUPER_MAGIC *_MAGIC_NUMBER *_SB SMB2_MAGIC_NUMBER=0xfe534d42 CIFS_SUPER_MAGIC XFS_SUPER_MAGIC=0x58465342
    NTFS_SB_MAGIC=0x5346544e JFS_SUPER_MAGIC=0x3153464a UFS_MAGIC=0x00011954 HFS_SUPER_MAGIC=0x4244
    HFSPLUS_SUPER_MAGIC=0x482b UBIFS_SUPER_MAGIC=0x24051905 VXFS_SUPER_MAGIC=0xa501fcf5 BEFS_SUPER_MAGIC=0x42465331
    BFS_MAGIC=0x1badface CRAMFS_MAGIC FUSE_SUPER_MAGIC CONFIGFS_MAGIC=0x62656570 MQUEUE_MAGIC=0x19800202
    RPC_PIPEFS_SUPER_MAGIC=0x67596969 NFSD_SUPER_MAGIC=0x6e667364 GFS2_MAGIC=0x01161970 BCACHEFS_SUPER_MAGIC=0xca451a4e
    PID_FS_MAGIC=0x50494446 GUEST_MEMFD_MAGIC=0x474d454d NULL_FS_MAGIC=0x4e554c4c
    -*_OLD_MAGIC* -REISERFS_SUPER_MAGIC_STRING ]] },
  { "enum", "quota_cmd", "Q_", "sys/types.h linux/quota.h linux/dqblk_xfs.h",
    [[ Q_SYNC Q_QUOTAON Q_QUOTAOFF Q_GETFMT Q_GETINFO Q_SETINFO Q_GETQUOTA Q_SETQUOTA Q_GETNEXTQUOTA Q_XQUOTAON
    Q_XQUOTAOFF Q_XGETQUOTA Q_XSETQLIM Q_XGETQSTAT Q_XQUOTARM Q_XQUOTASYNC Q_XGETQSTATV Q_XGETNEXTQUOTA ]] },
  { "enum", "quota_type", "", "sys/types.h linux/quota.h", "USRQUOTA GRPQUOTA PRJQUOTA" },
  { "enum", "quota_format", "QFMT_", "sys/types.h linux/quota.h", "QFMT_*" },
  { "flags", "quota_valid", "QIF_", "sys/types.h linux/quota.h", "QIF_BLIMITS QIF_SPACE QIF_ILIMITS QIF_INODES QIF_BTIME QIF_ITIME" },
  { "flags", "quota_info_flags", "DQF_", "sys/types.h linux/quota.h", "DQF_ROOT_SQUASH DQF_SYS_FILE" },
  { "flags", "swap_flags", "SWAP_FLAG_", "sys/swap.h", "SWAP_FLAG_PREFER SWAP_FLAG_DISCARD" },
}
