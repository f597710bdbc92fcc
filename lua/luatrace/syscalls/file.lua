--- Calls on names in the file system.

local bit = require "bit"
local t = require "luatrace.types"
local structs = require "luatrace.structs"

local path, path_at, dirfd = t.path, t.path_at, t.dirfd
local zero = t.i32

local O_CREAT, O_TMPFILE = 0x40, 0x410000

local function creates_by(index)
  return function(call)
    local flags = t.load.u32(nil, call.raw[index])
    return bit.band(flags, O_CREAT) ~= 0 or bit.band(flags, O_TMPFILE) == O_TMPFILE
  end
end

--- Only devices have a number.
local function is_device(index)
  return function(call)
    local kind = bit.band(t.load.u32(nil, call.raw[index]), 0xf000)
    return kind == 0x2000 or kind == 0x6000
  end
end

local open_flags = t.flags("open_flags", { enum = "open_access", mask = 3, comment = "O_???" })
local access = t.flags("access_modes", { comment = "?_OK" })
local stat = t.ptr_out(structs.stat)
local times = t.ptr_in(t.array(structs.timespec_utime, 2))

local function at(name) return t.flags(name, { comment = "AT_???" }) end

return {
  open = { returns = t.fd, { "pathname", path }, { "flags", open_flags },
    { "mode", t.mode, when = creates_by(2), decided_by = "flags" } },
  openat = { returns = t.fd, { "dirfd", dirfd }, { "pathname", path_at "dirfd" }, { "flags", open_flags },
    { "mode", t.mode, when = creates_by(3), decided_by = "flags" } },
  openat2 = { returns = t.fd, { "dirfd", dirfd }, { "pathname", path_at "dirfd" },
    { "how", t.ptr_in(structs.open_how) }, { "size", t.size } },
  creat = { returns = t.fd, { "pathname", path }, { "mode", t.mode } },
  stat = { returns = zero, classes = "stat %stat", { "pathname", path }, { "statbuf", stat } },
  lstat = { returns = zero, classes = "lstat %stat", { "pathname", path }, { "statbuf", stat } },
  newfstatat = { returns = zero, classes = "fstat %stat", { "dirfd", dirfd }, { "pathname", path_at "dirfd" },
    { "statbuf", stat }, { "flags", at "fstatat_flags" } },
  statx = { returns = zero, classes = "fstat %stat", { "dirfd", dirfd }, { "pathname", path_at "dirfd" },
    { "flags", t.flags("statx_flags", { enum = "statx_sync", mask = 0x6000, split = true, comment = "AT_???" }) },
    { "mask", t.flags("statx_mask", { comment = "STATX_???" }) }, { "statxbuf", t.ptr_out(structs.statx) } },
  access = { returns = zero, { "pathname", path }, { "mode", access } },
  faccessat = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" }, { "mode", access } },
  faccessat2 = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" }, { "mode", access },
    { "flags", at "faccessat_flags" } },
  rename = { returns = zero, { "oldpath", path }, { "newpath", path } },
  renameat = { returns = zero, { "olddirfd", dirfd }, { "oldpath", path_at "olddirfd" }, { "newdirfd", dirfd },
    { "newpath", path_at "newdirfd" } },
  renameat2 = { returns = zero, { "olddirfd", dirfd }, { "oldpath", path_at "olddirfd" }, { "newdirfd", dirfd },
    { "newpath", path_at "newdirfd" }, { "flags", t.flags("rename_flags", { comment = "RENAME_??" }) } },
  unlink = { returns = zero, { "pathname", path } },
  unlinkat = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" }, { "flags", at "unlinkat_flags" } },
  link = { returns = zero, { "oldpath", path }, { "newpath", path } },
  linkat = { returns = zero, { "olddirfd", dirfd }, { "oldpath", path_at "olddirfd" }, { "newdirfd", dirfd },
    { "newpath", path_at "newdirfd" }, { "flags", at "linkat_flags" } },
  symlink = { returns = zero, { "target", path }, { "linkpath", path } },
  symlinkat = { returns = zero, { "target", path }, { "newdirfd", dirfd }, { "linkpath", path_at "newdirfd" } },
  readlink = { returns = t.count, { "pathname", path }, { "buf", t.ptr_out(t.bytes("bufsiz", "ret")) },
    { "bufsiz", t.size } },
  readlinkat = { returns = t.count, { "dirfd", dirfd }, { "pathname", path_at "dirfd" },
    { "buf", t.ptr_out(t.bytes("bufsiz", "ret")) }, { "bufsiz", t.size } },
  mkdir = { returns = zero, { "pathname", path }, { "mode", t.mode } },
  mkdirat = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" }, { "mode", t.mode } },
  mknod = { returns = zero, { "pathname", path }, { "mode", t.file_mode }, { "dev", t.dev, when = is_device(2) } },
  mknodat = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" }, { "mode", t.file_mode },
    { "dev", t.dev, when = is_device(3) } },
  rmdir = { returns = zero, { "pathname", path } },
  chdir = { returns = zero, { "path", path } },
  chroot = { returns = zero, { "path", path } },
  getcwd = { returns = t.count, classes = "file", { "buf", t.ptr_out(t.string_out "size") }, { "size", t.size } },
  chmod = { returns = zero, { "pathname", path }, { "mode", t.mode } },
  fchmodat = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" }, { "mode", t.mode } },
  fchmodat2 = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" }, { "mode", t.mode },
    { "flags", at "fchmodat_flags" } },
  chown = { returns = zero, { "pathname", path }, { "owner", t.uid }, { "group", t.uid } },
  lchown = { returns = zero, { "pathname", path }, { "owner", t.uid }, { "group", t.uid } },
  fchownat = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" }, { "owner", t.uid },
    { "group", t.uid }, { "flags", at "fchownat_flags" } },
  truncate = { returns = zero, { "path", path }, { "length", t.long_unsigned } },
  utimensat = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" }, { "times", times },
    { "flags", at "utimensat_flags" } },
  utimes = { returns = zero, { "filename", path }, { "times", t.ptr_in(t.array(structs.timeval_utime, 2)) } },
  futimesat = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" },
    { "times", t.ptr_in(t.array(structs.timeval_utime, 2)) } },
  utime = { returns = zero, { "filename", path }, { "times", t.ptr_in(structs.utimbuf) } },
  statfs = { returns = zero, classes = "statfs %statfs", { "path", path }, { "buf", t.ptr_out(structs.statfs) } },
  execve = { returns = zero, classes = "process", { "pathname", path },
    { "argv", t.ptr_in(t.strings()) }, { "envp", t.ptr_in(t.strings "count") } },
  execveat = { returns = zero, classes = "process", { "dirfd", dirfd }, { "pathname", path_at "dirfd" },
    { "argv", t.ptr_in(t.strings()) }, { "envp", t.ptr_in(t.strings "count") }, { "flags", at "execveat_flags" } },
}
