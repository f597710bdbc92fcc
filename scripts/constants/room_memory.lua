--- Memory: mapping, advice, policies, shared memory between processes.

return {
  title = "Constants of memory and System V IPC.",

  { "flags", "mmap_prot", "PROT_", "linux/mman.h asm/mman.h",
    "PROT_NONE PROT_READ PROT_WRITE PROT_EXEC PROT_SEM PROT_GROWSDOWN PROT_GROWSUP" },
  { "flags", "mmap_flags", "MAP_", "linux/mman.h asm/mman.h", [[
    MAP_SHARED_VALIDATE MAP_SHARED MAP_PRIVATE MAP_DROPPABLE=0x8 MAP_FIXED MAP_ANONYMOUS MAP_32BIT MAP_ABOVE4G=0x80
    MAP_NORESERVE MAP_POPULATE MAP_NONBLOCK MAP_GROWSDOWN MAP_DENYWRITE MAP_EXECUTABLE MAP_LOCKED MAP_STACK MAP_HUGETLB
    MAP_SYNC MAP_FIXED_NOREPLACE MAP_UNINITIALIZED ]] },
  { "enum", "mmap_type", "MAP_", "linux/mman.h asm/mman.h", [[
    MAP_FILE MAP_SHARED MAP_PRIVATE MAP_SHARED_VALIDATE MAP_DROPPABLE=0x8 ]] },
  { "enum", "mmap_hugetlb_size", "MAP_HUGE_", "linux/mman.h asm/mman.h", "MAP_HUGE_* -MAP_HUGE_SHIFT" },
  { "flags", "mremap_flags", "MREMAP_", "linux/mman.h", "MREMAP_MAYMOVE MREMAP_FIXED MREMAP_DONTUNMAP" },
  { "enum", "madvise", "MADV_", "linux/mman.h asm/mman.h", "MADV_* MADV_GUARD_INSTALL=102 MADV_GUARD_REMOVE=103" },
  { "flags", "msync_flags", "MS_", "asm/mman.h", "MS_SYNC MS_ASYNC MS_INVALIDATE" },
  { "flags", "mlock2_flags", "MLOCK_", "asm/mman.h", "MLOCK_ONFAULT" },
  { "flags", "mlockall_flags", "MCL_", "asm/mman.h", "MCL_*" },
  { "flags", "memfd_flags", "MFD_", "linux/memfd.h",
    "MFD_CLOEXEC MFD_ALLOW_SEALING MFD_HUGETLB MFD_NOEXEC_SEAL=0x8 MFD_EXEC=0x10" },
  { "enum", "memfd_hugetlb_size", "MFD_HUGE_", "linux/memfd.h", "MFD_HUGE_*" },
  { "flags", "pkey_access", "PKEY_", "asm/mman.h", "PKEY_DISABLE_ACCESS PKEY_DISABLE_WRITE PKEY_DISABLE_EXECUTE=4" },
  { "flags", "map_shadow_stack_flags", "SHADOW_STACK_", "asm/mman.h", [[
    SHADOW_STACK_SET_TOKEN=1 SHADOW_STACK_SET_MARKER=2 ]] },
  { "flags", "remap_file_pages_flags", "MAP_", "linux/mman.h asm/mman.h", "MAP_NONBLOCK" },

  { "enum", "mempolicy_mode", "MPOL_", "linux/mempolicy.h",
    "MPOL_DEFAULT MPOL_PREFERRED MPOL_BIND MPOL_INTERLEAVE MPOL_LOCAL MPOL_PREFERRED_MANY MPOL_WEIGHTED_INTERLEAVE=6" },
  { "flags", "mempolicy_mode_flags", "MPOL_F_", "linux/mempolicy.h",
    "MPOL_F_STATIC_NODES MPOL_F_RELATIVE_NODES MPOL_F_NUMA_BALANCING" },
  { "flags", "get_mempolicy_flags", "MPOL_F_", "linux/mempolicy.h", "MPOL_F_NODE MPOL_F_ADDR MPOL_F_MEMS_ALLOWED" },
  { "flags", "mbind_flags", "MPOL_MF_", "linux/mempolicy.h", [[
    MPOL_MF_STRICT MPOL_MF_MOVE MPOL_MF_MOVE_ALL MPOL_MF_LAZY ]] },

  { "enum", "ipc_cmd", "IPC_", "linux/ipc.h", "IPC_RMID IPC_SET IPC_STAT IPC_INFO" },
  { "flags", "ipc_flags", "IPC_", "linux/ipc.h", "IPC_CREAT IPC_EXCL IPC_NOWAIT" },
  { "flags", "ipc_64", "IPC_", "linux/ipc.h", "IPC_64=0x100" },
  { "enum", "ipc_private", "IPC_", "linux/ipc.h", "IPC_PRIVATE" },
  { "enum", "ipc_call", "", "linux/ipc.h", [[
    SEMOP SEMGET SEMCTL SEMTIMEDOP MSGSND MSGRCV MSGGET MSGCTL SHMAT SHMDT SHMGET SHMCTL ]] },
  { "enum", "semctl_cmd", "", "linux/sem.h linux/ipc.h", [[
    IPC_RMID IPC_SET IPC_STAT IPC_INFO GETPID GETVAL GETALL GETNCNT GETZCNT SETVAL SETALL SEM_STAT SEM_INFO
    SEM_STAT_ANY ]] },
  { "flags", "sem_flags", "", "linux/sem.h", "SEM_UNDO IPC_NOWAIT" },
  { "flags", "semget_flags", "IPC_", "linux/ipc.h", "IPC_CREAT IPC_EXCL" },
  { "enum", "msgctl_cmd", "", "linux/msg.h linux/ipc.h", [[
    IPC_RMID IPC_SET IPC_STAT IPC_INFO MSG_STAT MSG_INFO MSG_STAT_ANY ]] },
  { "flags", "msgrcv_flags", "", "linux/msg.h linux/ipc.h", "MSG_NOERROR MSG_EXCEPT MSG_COPY IPC_NOWAIT" },
  { "flags", "msgget_flags", "IPC_", "linux/ipc.h", "IPC_CREAT IPC_EXCL" },
  { "enum", "shmctl_cmd", "", "linux/shm.h linux/ipc.h", [[
    IPC_RMID IPC_SET IPC_STAT IPC_INFO SHM_LOCK SHM_UNLOCK SHM_STAT SHM_INFO SHM_STAT_ANY ]] },
  { "flags", "shmget_flags", "", "linux/shm.h linux/ipc.h", "IPC_CREAT IPC_EXCL SHM_HUGETLB SHM_NORESERVE" },
  { "flags", "shmat_flags", "SHM_", "linux/shm.h", "SHM_RDONLY SHM_RND SHM_REMAP SHM_EXEC" },
  { "flags", "shm_mode_flags", "SHM_", "linux/shm.h", "SHM_DEST=0x200 SHM_LOCKED=0x400" },

  { "flags", "userfaultfd_flags", "", "linux/fcntl.h linux/userfaultfd.h", "UFFD_USER_MODE_ONLY O_NONBLOCK O_CLOEXEC" },
  { "flags", "uffd_features", "UFFD_FEATURE_", "linux/userfaultfd.h", [[ UFFD_FEATURE_* UFFD_FEATURE_WP_HUGETLBFS_SHMEM
    UFFD_FEATURE_WP_UNPOPULATED=0x2000 UFFD_FEATURE_POISON=0x4000 UFFD_FEATURE_WP_ASYNC=0x8000
    UFFD_FEATURE_MOVE=0x10000 ]] },
  { "flags", "uffd_register_mode", "UFFDIO_REGISTER_MODE_", "linux/userfaultfd.h", "UFFDIO_REGISTER_MODE_*" },
  { "flags", "uffd_copy_mode", "UFFDIO_COPY_MODE_", "linux/userfaultfd.h", "UFFDIO_COPY_MODE_*" },
  { "flags", "uffd_zeropage_mode", "UFFDIO_ZEROPAGE_MODE_", "linux/userfaultfd.h", "UFFDIO_ZEROPAGE_MODE_*" },
  { "enum", "uffd_event", "UFFD_EVENT_", "linux/userfaultfd.h", "UFFD_EVENT_*" },
}
