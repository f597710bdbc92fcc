--- Calls that change what their paths name: make it, remove it, rename it, or change what is known of it. As a set for
-- luatrace.filter; architectures lack some. Calls that open are not in it: whether they change anything is in their
-- flags.

return "?mkdir,?mkdirat,?rmdir,?mknod,?mknodat,?rename,?renameat,?renameat2,?link,?linkat,?symlink,?symlinkat," ..
  "?unlink,?unlinkat,?truncate,?truncate64,?chmod,?fchmodat,?fchmodat2,?chown,?chown32,?lchown,?lchown32,?fchownat," ..
  "?utime,?utimes,?utimensat,?futimesat,?setxattr,?lsetxattr,?removexattr,?lremovexattr"
