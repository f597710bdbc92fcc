--- Mounts, file system contexts, swap, quotas, watching of file systems, namespaces, handles.

local bit = require "bit"
local t = require "luatrace.types"
local structs = require "luatrace.structs.later"

local zero, path, path_at, dirfd, fd = t.i32, t.path, t.path_at, t.dirfd, t.fd
local string = t.ptr_in(t.cstring)

-- --- mount(2) -------------------------------------------------------------------------------------------------------

local MS_MGC_VAL, MS_MGC_MASK, MS_REMOUNT = 0xc0ed0000, 0xffff0000, 32
local MS_NOTHING_TO_READ = 0x1000 + 0x2000 + 0x100000 + 0x80000 + 0x40000 + 0x20000 -- bind, move, propagation
local mount_names = t.flags("mount_flags", { of = t.ulong, comment = "MS_???" })
local mount_flags = setmetatable({ text = function(out, call, value)
  local low = t.load.u32(nil, value)
  local magic = bit.band(low, MS_MGC_MASK) == bit.tobit(MS_MGC_VAL)
  local rest = magic and value - MS_MGC_VAL or value
  if magic then out:put("MS_MGC_VAL") end
  if magic and rest ~= 0 then out:put("|") end
  if rest ~= 0 or not magic then mount_names.text(out, call, rest) end
end }, { __index = mount_names })

local function mount_bits(call)
  local low = t.load.i32(nil, call.raw[4])
  return bit.band(low, MS_MGC_MASK) == bit.tobit(MS_MGC_VAL) and bit.band(low, 0xffff) or low
end
--- The type and the data of a bind mount, a move or a change of propagation are not looked at.
local mount_type = t.by(function(call)
  return bit.band(mount_bits(call), MS_NOTHING_TO_READ + MS_REMOUNT) ~= 0 and t.address or string
end)
--- A bind mount that is made read-only (MS_REMOUNT|MS_BIND) may have data.
local mount_data = t.by(function(call)
  local bits = mount_bits(call)
  return bit.band(bits, MS_REMOUNT) == 0 and bit.band(bits, MS_NOTHING_TO_READ) ~= 0 and t.address or string
end)

-- --- fsconfig(2) ----------------------------------------------------------------------------------------------------

local FSCONFIG_SET_STRING, FSCONFIG_SET_BINARY, FSCONFIG_SET_PATH = 1, 2, 3
local FSCONFIG_SET_PATH_EMPTY, FSCONFIG_SET_FD, FSCONFIG_CMD_CREATE, FSCONFIG_CMD_RECONFIGURE = 4, 5, 6, 7
local function fsconfig(call) return t.load.i32(nil, call.raw[2]) end
local no_key = { [FSCONFIG_CMD_CREATE] = true, [FSCONFIG_CMD_RECONFIGURE] = true }
local fsconfig_values = {
  [FSCONFIG_SET_STRING] = string, [FSCONFIG_SET_BINARY] = t.ptr_in(t.bytes("aux", nil, "hex")),
  [FSCONFIG_SET_PATH] = t.path_at "aux", [FSCONFIG_SET_PATH_EMPTY] = t.path_at "aux",
}
local fsconfig_aux = { [FSCONFIG_SET_PATH] = t.dirfd, [FSCONFIG_SET_PATH_EMPTY] = t.dirfd, [FSCONFIG_SET_FD] = t.fd }

-- --- quotactl(2) ----------------------------------------------------------------------------------------------------

local quota_names, quota_types = t.enum("quota_cmd", { comment = "Q_???" }), t.enum("quota_type",
  { comment = "???QUOTA" })
local quota_command = setmetatable({ text = function(out, call, value)
  out:put("QCMD(")
  quota_names.text(out, call, bit.rshift(value, 8))
  out:put(", ")
  quota_types.text(out, call, bit.band(value, 0xff))
  out:put(")")
end, read = function(_, value) return value end }, { __index = t.u32 })
local function quota(index) return function(call) return bit.rshift(t.load.i32(nil, call.raw[index]), 8) end end
local Q_SYNC, Q_QUOTAON, Q_QUOTAOFF, Q_GETFMT = 0x800001, 0x800002, 0x800003, 0x800004
local Q_GETINFO, Q_SETINFO, Q_GETQUOTA, Q_SETQUOTA, Q_GETNEXTQUOTA = 0x800005, 0x800006, 0x800007, 0x800008, 0x800009
local quota_addresses = {
  [Q_QUOTAON] = t.whole_name,
  [Q_GETFMT] = t.ptr_out(t.cell(t.enum("quota_format", { of = t.u32, comment = "QFMT_VFS_???" }))),
  [Q_GETINFO] = t.ptr_out(structs.dqinfo), [Q_SETINFO] = t.ptr_in(structs.dqinfo),
  [Q_GETQUOTA] = t.ptr_out(structs.dqblk), [Q_SETQUOTA] = t.ptr_in(structs.dqblk),
  [Q_GETNEXTQUOTA] = t.ptr_out(structs.dqblk),
}
local function quota_rest(index)
  local of = quota(index)
  return { "id", t.by(function(call)
    if of(call) == Q_QUOTAON then return t.enum("quota_format", { of = t.u32, comment = "QFMT_VFS_???" }) end
    return t.uid
  end), when = function(call)
    local command = of(call)
    return command ~= Q_SYNC and command ~= Q_QUOTAOFF and command ~= Q_GETFMT and command ~= Q_GETINFO and
      command ~= Q_SETINFO
  end }, { "addr", t.by(function(call) return quota_addresses[of(call)] or t.address end, true),
    when = function(call) return of(call) ~= Q_SYNC and of(call) ~= Q_QUOTAOFF end }
end
local quota_id_row, quota_addr_row = quota_rest(1)
local quota_fd_id_row, quota_fd_addr_row = quota_rest(2)

-- --- swapon(2) ------------------------------------------------------------------------------------------------------

local swap_names = t.flags("swap_flags", { comment = "SWAP_FLAG_???" })
local swap_flags = setmetatable({ text = function(out, call, value)
  local priority = bit.band(value, 0x7fff)
  local rest = value - priority
  if rest ~= 0 then swap_names.text(out, call, rest) end
  if priority ~= 0 or rest == 0 then
    if rest ~= 0 then out:put("|") end
    out:put(tostring(priority))
  end
end }, { __index = swap_names })

-- --- handles --------------------------------------------------------------------------------------------------------

--- The room that the caller had is gone when the call returns: remembered at entry.
local handle_out = (function()
  local self = setmetatable({ late = true }, { __index = t.ptr_in(structs.file_handle) })
  function self.at_entry(call, address)
    local value = address ~= 0 and structs.file_handle.fetch(call, address)
    call.handle_bytes_before = value and value.handle_bytes or nil
  end
  return self
end)()

return {
  mount = { returns = zero, classes = "file", { "source", t.whole_name }, { "target", path },
    { "filesystemtype", mount_type }, { "mountflags", mount_flags }, { "data", mount_data } },
  umount2 = { returns = zero, { "target", path }, { "flags", t.flags("umount_flags", { comment = "MNT_???" }) } },
  pivot_root = { returns = zero, { "new_root", path }, { "put_old", path } },
  open_tree = { returns = fd, { "dirfd", dirfd }, { "pathname", path_at "dirfd" },
    { "flags", t.flags("open_tree_flags", { comment = "OPEN_TREE_???" }) } },
  open_tree_attr = { returns = fd, { "dirfd", dirfd }, { "pathname", path_at "dirfd" },
    { "flags", t.flags("open_tree_flags", { comment = "OPEN_TREE_???" }) },
    { "attr", t.ptr_in(structs.mount_attr) }, { "size", t.size } },
  move_mount = { returns = zero, { "from_dirfd", dirfd }, { "from_pathname", path_at "from_dirfd" },
    { "to_dirfd", dirfd }, { "to_pathname", path_at "to_dirfd" },
    { "flags", t.flags("move_mount_flags", { comment = "MOVE_MOUNT_???" }) } },
  fsopen = { returns = fd, classes = "desc", { "fsname", string },
    { "flags", t.flags("fsopen_flags", { comment = "FSOPEN_???" }) } },
  fsconfig = { returns = zero, classes = "file", { "fs_fd", fd }, { "cmd", t.enum("fsconfig_cmd", { of = t.u32,
    comment = "FSCONFIG_???" }) },
    { "key", t.by(function(call) return no_key[fsconfig(call)] and t.address or string end) },
    { "value", t.by(function(call) return fsconfig_values[fsconfig(call)] or t.address end) },
    { "aux", t.by(function(call) return fsconfig_aux[fsconfig(call)] or t.i32 end) } },
  fsmount = { returns = fd, { "fs_fd", fd }, { "flags", t.flags("fsmount_flags", { comment = "FSMOUNT_???" }) },
    { "attr_flags", t.flags("mount_attr", { comment = "MOUNT_ATTR_???" }) } },
  fspick = { returns = fd, { "dirfd", dirfd }, { "pathname", path_at "dirfd" },
    { "flags", t.flags("fspick_flags", { comment = "FSPICK_???" }) } },
  mount_setattr = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" },
    { "flags", t.flags("mount_setattr_flags", { comment = "AT_???" }) }, { "attr", t.ptr_in(structs.mount_attr) },
    { "size", t.size } },
  statmount = { returns = zero, { "req", t.ptr_in(structs.mnt_id_req) }, { "buf", t.ptr_out(structs.statmount) },
    { "bufsize", t.size }, { "flags", t.x32 } },
  listmount = { returns = t.count, { "req", t.ptr_in(structs.mnt_id_req) },
    { "mnt_ids", t.ptr_out(t.array(t.x64, "ret")) }, { "nr_mnt_ids", t.size },
    { "flags", t.flags("listmount_flags", { comment = "LISTMOUNT_???" }) } },
  swapon = { returns = zero, { "path", path }, { "swapflags", swap_flags } },
  swapoff = { returns = zero, { "path", path } },
  quotactl = { returns = zero, classes = "file", { "op", quota_command }, { "special", t.whole_name },
    quota_id_row, quota_addr_row },
  quotactl_fd = { returns = zero, { "fd", fd }, { "op", quota_command }, quota_fd_id_row, quota_fd_addr_row },
  acct = { returns = zero, { "filename", path } },
  ustat = { returns = zero, classes = "%statfs", { "dev", t.dev }, { "ubuf", t.address_late } },
  sysfs = { returns = t.i32, { "option", t.xlong }, { "arg1", t.xlong }, { "arg2", t.xlong } },
  cachestat = { returns = zero, { "fd", fd }, { "cstat_range", t.ptr_in(structs.cachestat_range) },
    { "cstat", t.ptr_out(structs.cachestat) }, { "flags", t.x32 } },
  fanotify_init = { returns = fd, classes = "desc", { "flags", t.flags("fanotify_init_flags",
    { enum = "fanotify_class", mask = 0x0c, comment = "FAN_???" }) },
    { "event_f_flags", t.flags("open_flags", { enum = "open_access", mask = 3, comment = "O_???" }) } },
  fanotify_mark = { returns = zero, { "fanotify_fd", fd },
    { "flags", t.flags("fanotify_mark_flags", { comment = "FAN_MARK_???" }) },
    { "mask", t.flags("fanotify_events", { of = t.u64, comment = "FAN_???" }) }, { "dirfd", structs.fan_dirfd },
    { "pathname", path_at "dirfd" } },
  inotify_init = { returns = fd, classes = "desc" },
  inotify_rm_watch = { returns = zero, { "fd", fd }, { "wd", t.i32 } },
  name_to_handle_at = { returns = zero, { "dirfd", dirfd }, { "pathname", path_at "dirfd" },
    { "handle", handle_out }, { "mount_id", t.ptr_out(t.cell(t.i32)) },
    { "flags", t.flags("name_to_handle_at_flags", { comment = "AT_???" }) } },
  open_by_handle_at = { returns = fd, { "mount_fd", fd }, { "handle", t.ptr_in(structs.file_handle) },
    { "flags", t.flags("open_flags", { enum = "open_access", mask = 3, comment = "O_???" }) } },
  lookup_dcookie = { returns = t.count, { "cookie", t.u64 }, { "buf", t.ptr_out(t.bytes("len", "ret")) },
    { "len", t.size } },
  setns = { returns = zero, classes = "desc", { "fd", fd },
    { "nstype", t.flags("setns_types", { comment = "CLONE_NEW???" }) } },
  getdents = { returns = t.count, { "fd", fd }, { "dirp", t.ptr_out(structs.old_dirents) }, { "count", t.u32 } },
  readahead = { returns = zero, { "fd", fd }, { "offset", t.i64 }, { "count", t.size } },
  tee = { returns = t.count, { "fd_in", fd }, { "fd_out", fd }, { "len", t.size },
    { "flags", t.flags("splice_flags", { comment = "SPLICE_F_???" }) } },
  vmsplice = { returns = t.count, { "fd", fd }, { "iov", t.ptr_in(t.iovec "nr_segs") }, { "nr_segs", t.size },
    { "flags", t.flags("splice_flags", { comment = "SPLICE_F_???" }) } },
  eventfd = { returns = fd, classes = "desc", { "initval", t.u32 } },
  vhangup = { returns = zero },
  epoll_ctl_old = { returns = t.long, { "arg1", t.xlong }, { "arg2", t.xlong }, { "arg3", t.xlong },
    { "arg4", t.xlong } },
  epoll_wait_old = { returns = t.long, { "arg1", t.xlong }, { "arg2", t.xlong }, { "arg3", t.xlong },
    { "arg4", t.xlong } },
}
