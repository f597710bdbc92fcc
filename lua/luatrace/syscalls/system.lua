--- The machine: modules, keys, clocks' adjustment, logs, names, reboots, ports, and calls that Linux no longer has.

local constants = require "luatrace.constants"
local t = require "luatrace.types"
local structs = require "luatrace.structs"
local f = require "luatrace.structs.fields"

local zero = t.i32
local string = t.ptr_in(t.cstring)

-- --- keys (keyrings(7)) ---------------------------------------------------------------------------------------------

local key = f.described(t.i32, function(value)
  local name = constants.enums.key_spec.by_value[value]
  return name or t.decimal(value)
end)
local keyctl_op = t.enum("keyctl_op", { comment = "KEYCTL_???" })
local perms = t.flags("key_perms", { comment = "KEY_???" })
local reqkey = f.described(t.i32, function(value)
  return constants.enums.key_reqkey.by_value[value] or
    ("%d /* KEY_REQKEY_DEFL_??? */"):format(value)
end)
local error_number = f.described(t.u32, function(value)
  return constants.errno.by_value[value] or t.decimal(value)
end)
local bytes_of_3, text_of_3 = t.ptr_out(structs.key_text "arg4"), t.ptr_out(structs.xattr_value("arg4", "ret"))

--- Types of the arguments after the operation; what is not there is not printed.
local keyctl = {
  [0] = { key, t.i32 }, { string }, { key, t.ptr_in(t.bytes "arg4"), t.size }, { key }, { key, t.uid, t.uid },
  { key, perms }, { key, text_of_3, t.size }, { key }, { key, key }, { key, key },
  { key, string, string, key }, { key, bytes_of_3, t.size }, { key, t.ptr_in(t.bytes "arg4"), t.size, key },
  { key, t.u32, key }, { reqkey }, { key, t.u32 }, { key }, { key, text_of_3, t.size }, {},
  { key, t.u32, error_number, key }, { key, t.ptr_in(t.iovec "arg4"), t.size, key }, { key }, { t.uid, key },
  { t.address, t.address, t.size, t.address },
}
keyctl[29], keyctl[30] = { key, string, string }, { key, key, key, f.described(t.u32, function(value)
  return value == 1 and "KEYCTL_MOVE_EXCL" or value == 0 and "0" or t.hex(value) .. " /* KEYCTL_MOVE_??? */"
end) }
keyctl[31] = { t.ptr_out(structs.key_capabilities), t.size }
local function keyctl_types(call) return keyctl[t.load.i32(nil, call.raw[1])] end
local function keyctl_argument(i)
  return { "arg" .. i + 1, t.by(function(call)
    local types = keyctl_types(call)
    return types and types[i] or t.xlong
  end, true), when = function(call)
    local types = keyctl_types(call)
    return not types or types[i] ~= nil
  end }
end

-- --- reboot(2) ------------------------------------------------------------------------------------------------------

local RESTART2 = 0xa1b2c3d4

--- No name is longer than 64 bytes; the kernel does not look at more.
local name_bytes, NAME_MAX = t.ptr_in(t.bytes "len"), 64
local host_name = t.by(function(call) return t.load.u32(nil, call.raw[2]) <= NAME_MAX and name_bytes or t.address end)

--- Numbers, with their names as a comment.
local function commented(set, unknown)
  return f.described(t.i32, function(value)
    local names = type(set) == "table" and set or constants.enums[set].by_value
    return ("%d /* %s */"):format(value, names[value] or unknown)
  end)
end
local syslog_action = commented("syslog_action", "SYSLOG_ACTION_???")
local log_level = commented({ [0] = "LOGLEVEL_EMERG", "LOGLEVEL_ALERT", "LOGLEVEL_CRIT", "LOGLEVEL_ERR",
  "LOGLEVEL_WARNING", "LOGLEVEL_NOTICE", "LOGLEVEL_INFO", "LOGLEVEL_DEBUG" }, "LOGLEVEL_???")
local syslog_bare = { [0] = true, [1] = true, [5] = true, [6] = true, [7] = true, [9] = true, [10] = true }
local syslog_reads = { [2] = true, [3] = true, [4] = true }
local function syslog_type(call) return t.load.i32(nil, call.raw[1]) end

local timex_comment = function(_, value) return constants.enums.adjtimex_state.by_value[value] end

--- The kernel's result is 32 bits wide: its errors look like large numbers.
local ldt_result = f.described(t.u32, function(value)
  local name = value > 4294963200 and constants.errno.by_value[4294967296 - value]
  if not name then return t.decimal(value) end
  return ("%d %s (%s)"):format(value, name, constants.errno.text[name])
end)

local function bare(n, classes)
  local row = { returns = t.long, classes = classes }
  for i = 1, n do row[i] = { "arg" .. i, t.xlong } end
  return row
end

return {
  add_key = { returns = key, { "type", string }, { "description", string }, { "payload", t.ptr_in(t.bytes "plen") },
    { "plen", t.size }, { "keyring", key } },
  request_key = { returns = key, { "type", string }, { "description", string }, { "callout_info", string },
    { "dest_keyring", key } },
  keyctl = { returns = t.long, { "operation", keyctl_op }, keyctl_argument(1), keyctl_argument(2),
    keyctl_argument(3), keyctl_argument(4) },

  init_module = { returns = zero, { "module_image", t.address }, { "len", t.size }, { "param_values", string } },
  finit_module = { returns = zero, classes = "desc", { "fd", t.fd }, { "param_values", string },
    { "flags", t.flags("module_init_flags", { comment = "MODULE_INIT_???" }) } },
  delete_module = { returns = zero, { "name", string },
    { "flags", t.flags("delete_module_flags", { comment = "O_???" }) } },
  kexec_load = { returns = zero, { "entry", t.address }, { "nr_segments", t.size },
    { "segments", t.ptr_in(t.array(structs.kexec_segment, "nr_segments")) },
    { "flags", t.flags("kexec_load_flags", { enum = "kexec_arch", mask = 0xffff0000, of = t.ulong,
      comment = "KEXEC_???" }) } },
  kexec_file_load = { returns = zero, classes = "desc", { "kernel_fd", t.fd }, { "initrd_fd", t.fd },
    { "cmdline_len", t.size }, { "cmdline", t.ptr_in(t.bytes "cmdline_len") },
    { "flags", t.flags("kexec_file_load_flags", { of = t.ulong, comment = "KEXEC_FILE_???" }) } },

  adjtimex = { returns = t.i32, classes = "clock", comment = timex_comment, { "buf", t.ptr_out(structs.timex) } },
  clock_adjtime = { returns = t.i32, classes = "clock", comment = timex_comment,
    { "clk_id", t.enum("clock_id", { comment = "CLOCK_???" }) }, { "buf", t.ptr_out(structs.timex) } },

  sethostname = { returns = zero, { "name", host_name }, { "len", t.u32 } },
  setdomainname = { returns = zero, { "name", host_name }, { "len", t.u32 } },
  reboot = { returns = zero, { "magic", t.enum("reboot_magic1", { of = t.u32, comment = "LINUX_REBOOT_MAGIC_???" }) },
    { "magic2", t.enum("reboot_magic2", { of = t.u32, comment = "LINUX_REBOOT_MAGIC_???" }) },
    { "op", t.enum("reboot_cmd", { of = t.u32, comment = "LINUX_REBOOT_CMD_???" }) },
    { "arg", string, when = function(call) return t.load.u32(nil, call.raw[3]) == RESTART2 end } },
  syslog = { returns = t.i32, { "type", syslog_action },
    { "bufp", t.by(function(call)
      return syslog_reads[syslog_type(call)] and t.ptr_out(t.bytes("len", "ret")) or t.address
    end, true), when = function(call) return not syslog_bare[syslog_type(call)] end },
    { "len", t.by(function(call) return syslog_type(call) == 8 and log_level or t.i32 end),
      when = function(call) return not syslog_bare[syslog_type(call)] end } },
  ioperm = { returns = zero, { "from", t.xlong }, { "num", t.xlong }, { "turn_on", t.i32 } },
  iopl = { returns = zero, { "level", t.i32 } },
  modify_ldt = { returns = ldt_result, { "func", t.i32 }, { "ptr", t.by(function(call)
    local func = t.load.i32(nil, call.raw[1])
    if (func == 1 or func == 0x11) and t.load.i32(nil, call.raw[3]) == 16 then return t.ptr_in(structs.user_desc) end
    if func == 0 and t.load.i32(nil, call.raw[3]) == 16 then return t.ptr_out(structs.user_desc) end
    return t.address
  end, true) }, { "bytecount", t.ulong } },
  --- The kernel has put the number of the entry that it chose where -1 was.
  set_thread_area = { returns = zero, comment = function(call)
    local entry = t.cell(t.i32).fetch(call, call.raw[1])
    return entry and ("entry_number=%d"):format(entry)
  end, { "u_info", t.ptr_in(structs.user_desc) } },
  get_thread_area = { returns = zero, { "u_info", t.ptr_out(structs.user_desc) } },
  times = { returns = t.long, { "buf", t.ptr_out(structs.tms) } },
  capget = { returns = zero, classes = "creds", { "hdrp", t.ptr_in(structs.cap_header) },
    { "datap", t.ptr_out(structs.cap_data) } },
  capset = { returns = zero, classes = "creds", { "hdrp", t.ptr_in(structs.cap_header) },
    { "datap", t.ptr_in(structs.cap_data) } },
  lsm_get_self_attr = { returns = t.i32, { "attr", t.enum("lsm_attr", { of = t.u32, comment = "LSM_ATTR_???" }) },
    { "ctx", t.ptr_out(structs.lsm_ctx) }, { "size", t.ptr_out(t.cell(t.u32)) },
    { "flags", t.flags("lsm_flags", { comment = "LSM_FLAG_???" }) } },
  lsm_set_self_attr = { returns = zero, { "attr", t.enum("lsm_attr", { of = t.u32, comment = "LSM_ATTR_???" }) },
    { "ctx", t.ptr_in(structs.lsm_ctx) }, { "size", t.u32 }, { "flags", t.x32 } },
  lsm_list_modules = { returns = t.i32, { "ids", t.ptr_out(t.array(t.enum("lsm_id", { of = t.u64,
    comment = "LSM_ID_???" }), "ret")) }, { "size", t.ptr_out(t.cell(t.u32)) }, { "flags", t.x32 } },
  landlock_create_ruleset = { returns = t.by(function(call)
    return t.load.u32(nil, call.raw[3]) == 0 and t.fd or t.i32
  end), classes = "desc", { "attr", t.ptr_in(structs.landlock_ruleset_attr) }, { "size", t.size },
    { "flags", t.flags("landlock_ruleset_flags", { comment = "LANDLOCK_CREATE_RULESET_???" }) } },
  landlock_add_rule = { returns = zero, { "ruleset_fd", t.fd },
    { "rule_type", t.enum("landlock_rule_type", { comment = "LANDLOCK_RULE_???" }) },
    { "rule_attr", t.by(function(call)
      local kind = t.load.i32(nil, call.raw[2])
      if kind == 1 then return t.ptr_in(structs.landlock_path_beneath_attr) end
      return kind == 2 and t.ptr_in(structs.landlock_net_port_attr) or t.address
    end) }, { "flags", t.x32 } },
  landlock_restrict_self = { returns = zero, { "ruleset_fd", t.fd },
    { "flags", t.flags("landlock_restrict_self_flags", { comment = "LANDLOCK_RESTRICT_SELF_???" }) } },

  -- Calls that the kernel no longer has or never had: their registers.
  _sysctl = bare(1), afs_syscall = bare(5), create_module = bare(2), get_kernel_syms = bare(1),
  getpmsg = bare(5, "network"),
  nfsservctl = bare(3), putpmsg = bare(5, "network"), query_module = bare(5), security = bare(3), tuxcall = bare(3),
  vserver = bare(5), uretprobe = bare(0), uprobe = bare(0),
  uselib = { returns = zero, { "library", t.path } },
}
