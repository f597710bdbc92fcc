--- Structs of the calls that watch and filter (perf_event_open, seccomp, bpf, ptrace), and small ones.

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local quote = require "luatrace.text.quote"
local t = require "luatrace.types"
local f = require "luatrace.structs.fields"

local function limit_of(call) return call.text_options and call.text_options.string_limit or 32 end

---@param M table structs so far, by name
return function(M)
  -- --- extended attributes -------------------------------------------------------------------------------------------

  --- An attribute's value; strace leaves out a NUL at its end.
  function M.xattr_value(size, valid)
    local bytes = t.bytes(size, valid)
    return setmetatable({
      text = function(out, call, value)
        if value:sub(-1) == "\0" and #value <= limit_of(call) then value = value:sub(1, -2) end
        quote.put(out, value, limit_of(call))
      end,
    }, { __index = bytes })
  end

  function M.xattr_names(size)
    local bytes = t.bytes(size, "ret")
    return setmetatable({
      value = function(_, value)
        local names = {}
        for name in value:gmatch "[^%z]+" do names[#names + 1] = name end
        return names
      end,
      plain = function(_, value)
        local names = {}
        for name in value:gmatch "[^%z]+" do names[#names + 1] = name end
        return #names > 0 and names or t.empty_list
      end,
    }, { __index = bytes })
  end

  --- What keyctl writes: as much as there is room for, its result says how much there would be.
  function M.key_text(size) return t.bytes(size, "ret") end

  --- KEYCTL_CAPABILITIES: bits of the first two bytes.
  local capabilities = { { "CAPABILITIES", "PERSISTENT_KEYRINGS", "DIFFIE_HELLMAN", "PUBLIC_KEY", "BIG_KEY",
    "INVALIDATE", "RESTRICT_KEYRING", "MOVE" }, { "NS_KEYRING_NAME", "NS_KEY_TAG", "NOTIFICATIONS" } }
  local capability_bytes = t.bytes("arg3", "ret")
  M.key_capabilities = setmetatable({ text = function(out, _, bytes)
    local words = {}
    for i = 1, #bytes do
      local names, left = {}, bytes:byte(i)
      for k, name in ipairs(capabilities[i] or {}) do
        local mask = bit.lshift(1, k - 1)
        if bit.band(left, mask) ~= 0 then
          names[#names + 1] = ("KEYCTL_CAPS%d_%s"):format(i - 1, name)
          left = left - mask
        end
      end
      if left ~= 0 or #names == 0 then names[#names + 1] = t.hex(left) end
      words[i] = table.concat(names, "|")
    end
    out:put("[", table.concat(words, ", "), "]")
  end }, { __index = capability_bytes })

  -- --- files ---------------------------------------------------------------------------------------------------------

  local FAN_NOFD = -1
  M.fan_dirfd = setmetatable({ text = function(out, call, value)
    if value == FAN_NOFD then return out:put("FAN_NOFD") end
    t.dirfd.text(out, call, value)
  end }, { __index = t.dirfd })

  --- struct linux_dirent: the length is behind two longs.
  M.old_dirents = t.custom {
    fetch = function(call, address)
      local n = tonumber(t.sibling(call, nil, "ret"))
      if n <= 0 then return "" end
      local bytes = call.memory:read(address, math.min(n, 1048576))
      return bytes
    end,
    text = function(out, call, bytes)
      local n, at = 0, 0
      local head = call.arch.pointer_size * 2
      while at + head + 2 <= #bytes do
        local length = bytes:byte(at + head + 1) + bytes:byte(at + head + 2) * 256
        if length < head + 2 then break end
        n, at = n + 1, at + length
      end
      out:put(t.hex(call.raw[2]), (" /* %d entries */"):format(n))
    end,
    value = function(call, bytes)
      local list, at = {}, 0
      local head = call.arch.pointer_size * 2
      while at + head + 2 <= #bytes do
        local length = bytes:byte(at + head + 1) + bytes:byte(at + head + 2) * 256
        if length < head + 2 then break end
        list[#list + 1] = { name = bytes:sub(at + head + 3, at + length - 1):match "^[^%z]*" }
        at = at + length
      end
      return list
    end,
    extents = function(call, address, _, add)
      local n = tonumber(t.sibling(call, nil, "ret"))
      if n > 0 then add(address, math.min(n, 1048576)) end
    end,
  }
  M.old_dirents.plain = M.old_dirents.value

  --- One byte for each page.
  function M.mincore(length)
    local function pages(call)
      local n = math.ceil(tonumber(t.sibling(call, nil, length)) / 4096)
      return n < 0 and 0 or math.min(n, 65536)
    end
    return t.custom {
      fetch = function(call, address)
        local n = pages(call)
        if n == 0 then return "" end
        local bytes = call.memory:read(address, n)
        return bytes and #bytes == n and bytes or nil
      end,
      text = function(out, call, bytes)
        out:put("[")
        t.put_up_to(out, #bytes, limit_of(call), function(_, i)
          out:put(bit.band(bytes:byte(i), 1) == 1 and "1" or "0")
        end)
        out:put("]")
      end,
      plain = function(_, bytes)
        local list = {}
        for i = 1, #bytes do list[i] = bit.band(bytes:byte(i), 1) end
        return #list > 0 and list or t.empty_list
      end,
      extents = function(call, address, _, add)
        if pages(call) > 0 then add(address, pages(call)) end
      end,
    }
  end

  -- --- scheduling ----------------------------------------------------------------------------------------------------

  --- sched_attr says its own size in its first word, or an argument does.
  local function sched_attr(given)
    local function known(call, address)
      local size = given and tonumber(t.sibling(call, nil, given))
      if not size then
        local head = call.memory:read(address, 4)
        if not head or #head < 4 then return nil end
        size = tonumber(ffi.cast("const uint32_t *", head)[0])
      end
      return size == 0 and 48 or size
    end
    return setmetatable({
      fetch = function(call, address, scope)
        local size = known(call, address)
        if not size or given and size < 48 then return nil end
        if size < 48 then return { size = size } end
        local bytes = call.memory:read(address, math.min(size, 56))
        if not bytes or #bytes < math.min(size, 56) then return nil end
        local value = M.sched_attr.load_from(call, ffi.cast("const uint8_t *", bytes), scope, #bytes)
        value.address = address
        return value
      end,
      extents = function(call, address, _, add) add(address, math.min(known(call, address) or 0, 4096)) end,
    }, { __index = M.sched_attr })
  end
  M.sched_attr_in, M.sched_attr_out = sched_attr(nil), sched_attr "size"

  -- --- seccomp -------------------------------------------------------------------------------------------------------

  local BPF_MAX = 4096
  --- The actions of a filter's returns are named.
  local function return_text(k)
    local action = bit.band(k, 0xffff0000)
    if action < 0 then action = action + 4294967296 end
    local name = constants.enums.seccomp_action.by_value[action]
    local data = bit.band(k, 0xffff)
    if not name then return t.hex(k) .. " /* SECCOMP_RET_??? */" end
    return data ~= 0 and name .. "|" .. t.hex(data) or name
  end

  local function names_of(code)
    local class = bit.band(code, 7)
    local function name(set, value) return constants.enums[set].by_value[value] end
    local parts = { name("bpf_class", class) }
    if class <= 1 then
      parts[2], parts[3] = name("bpf_size", bit.band(code, 0x18)), name("bpf_mode", bit.band(code, 0xe0))
    elseif class <= 3 then
      if bit.band(code, 0xf8) ~= 0 then parts[2] = t.hex(bit.band(code, 0xf8)) end
    elseif class == 4 then
      parts[2], parts[3] = name("bpf_src", bit.band(code, 8)), name("bpf_op_alu", bit.band(code, 0xf0))
    elseif class == 5 then
      parts[2], parts[3] = name("bpf_src", bit.band(code, 8)), name("bpf_op_jmp", bit.band(code, 0xf0))
    elseif class == 6 then
      parts[2] = name("bpf_rval", bit.band(code, 0x18))
    else
      parts[2] = bit.band(code, 0xf8) == 0x80 and "BPF_TXA" or "BPF_TAX"
    end
    return table.concat(parts, "|")
  end

  local filter = t.array(t.struct { { "code", t.u16 }, { "jt", t.u8 }, { "jf", t.u8 }, { "k", t.u32 },
    text = function(out, _, value)
      local jump = bit.band(value.code, 7) == 5
      out:put(jump and "BPF_JUMP(" or "BPF_STMT(", names_of(value.code), ", ")
      if bit.band(value.code, 7) == 6 and bit.band(value.code, 0x18) == 0 then
        out:put(return_text(value.k))
      else
        out:put(t.hex(value.k))
      end
      if jump then
        out:put(", ", t.hex(value.jt), ", ", t.hex(value.jf), ")")
      else
        out:put(")")
      end
    end }, "len")
  local program = t.ptr_in(filter)
  M.sock_fprog = t.struct { { "len", t.u16 }, { "filter", t.by(function(call, scope)
    local verbose = call.text_options and call.text_options.verbose
    return verbose and (not scope or scope.len <= BPF_MAX) and program or t.address
  end) } }
  M.sock_filter = filter
  M.seccomp_notif_sizes = t.struct { { "seccomp_notif", t.u16 }, { "seccomp_notif_resp", t.u16 },
    { "seccomp_data", t.u16 } }

  -- --- perf_event_open -----------------------------------------------------------------------------------------------

  local perf_type = t.enum("perf_type", { of = t.u32, comment = "PERF_TYPE_???" })
  local config_sets = { [0] = "perf_hw_id", [1] = "perf_sw_id" }
  local PERF_TYPE_HW_CACHE = 3
  --- Which cache, what is done to it, and how it ends: a byte each.
  local cache_config = f.described(t.u64, function(value)
    if type(value) ~= "number" or value >= 0x1000000 then return t.hex(value) end
    local function part(set, shift, unknown)
      local number = bit.band(bit.rshift(value, shift), 0xff)
      return constants.enums[set].by_value[number] or ("%s /* %s */"):format(t.hex(number), unknown)
    end
    return ("%s<<16|%s<<8|%s"):format(part("perf_hw_cache_result", 16, "PERF_COUNT_HW_CACHE_RESULT_???"),
      part("perf_hw_cache_op", 8, "PERF_COUNT_HW_CACHE_OP_???"),
      part("perf_hw_cache_id", 0, "PERF_COUNT_HW_CACHE_???"))
  end)
  local perf_config = t.by(function(_, scope)
    if scope and scope.type == PERF_TYPE_HW_CACHE then return cache_config end
    local set = scope and config_sets[scope.type]
    return set and t.enum(set, { of = t.u64, comment = set == "perf_hw_id" and "PERF_COUNT_HW_???" or
      "PERF_COUNT_SW_???" }) or t.x64
  end)
  perf_config = setmetatable({ size = 8, ctype = "const uint64_t *" }, { __index = perf_config })
  local perf_bits = { "disabled", "inherit", "pinned", "exclusive", "exclude_user", "exclude_kernel", "exclude_hv",
    "exclude_idle", "mmap", "comm", "freq", "inherit_stat", "enable_on_exec", "task", "watermark", "precise_ip",
    "precise_ip_high", "mmap_data", "sample_id_all", "exclude_host", "exclude_guest", "exclude_callchain_kernel",
    "exclude_callchain_user", "mmap2", "comm_exec", "use_clockid", "context_switch", "write_backward", "namespaces",
    "ksymbol", "bpf_event", "aux_output", "cgroup", "text_poke", "build_id", "inherit_thread", "remove_on_exec",
    "sigtrap" }
  local perf_versions = { [64] = 0, [72] = 1, [80] = 2, [96] = 3, [104] = 4, [112] = 5, [120] = 6, [128] = 7,
    [136] = 8 }
  local precise = { [0] = "arbitrary skid", "constant skid", "requested to have 0 skid", "must have 0 skid" }
  local perf_fields = {
    { "type", perf_type }, { "size", t.u32 }, { "config", perf_config }, { "sample_period", t.u64 },
    { "sample_type", t.flags("perf_sample_format", { of = t.u64, comment = "PERF_SAMPLE_???" }) },
    { "read_format", t.flags("perf_read_format", { of = t.u64, comment = "PERF_FORMAT_???" }) }, { "flags", t.u64 },
    { "wakeup_events", t.u32 }, { "bp_type", t.u32 }, { "config1", t.x64 }, { "config2", t.x64 },
    { "branch_sample_type", t.flags("perf_branch_sample_type", { of = t.u64, comment = "PERF_SAMPLE_BRANCH_???" }) },
    { "sample_regs_user", t.x64 }, { "sample_stack_user", t.x32 },
    { "clockid", t.enum("clock_id", { comment = "CLOCK_???" }) }, { "sample_regs_intr", t.x64 },
    { "aux_watermark", t.u32 }, { "sample_max_stack", t.u16 }, { "reserved_2", t.u16 }, { "aux_sample_size", t.u32 },
    { "reserved_3", t.u32 }, { "sig_data", t.x64 }, { "config3", t.x64 },
  }
  M.perf_event_attr = t.struct(perf_fields)
  local PERF_SMALLEST, PERF_KNOWN = 64, 136
  local function flag(value, i)
    local word = ffi.cast("uint64_t", value)
    return bit.band(word, bit.lshift(1ULL, i)) ~= 0
  end
  local load_perf = M.perf_event_attr.load_from
  --- Its second field is its size.
  function M.perf_event_attr.fetch(call, address, scope)
    local head = call.memory:read(address, 8)
    if not head or #head < 8 then return nil end
    local size = tonumber(ffi.cast("const uint32_t *", head)[1])
    if size == 0 then size = PERF_SMALLEST end
    if size < PERF_SMALLEST then return nil end
    local known = math.min(size, PERF_KNOWN)
    local bytes = call.memory:read(address, known)
    if not bytes or #bytes < known then return nil end
    local value = load_perf(call, ffi.cast("const uint8_t *", bytes), scope, known)
    value.address, value.known, value.given = address, known, size
    return value
  end
  function M.perf_event_attr.text(out, call, value)
    local function put(i, name)
      out:put(i == 1 and "" or ", ", name or perf_fields[i][1], "=")
      perf_fields[i][2].text(out, call, value[perf_fields[i][1]], value)
    end
    local verbose = call.text_options and call.text_options.verbose
    local flags = value.flags
    out:put("{")
    put(1)
    out:put(", size=")
    local version = perf_versions[value.size]
    if version then
      out:put("PERF_ATTR_SIZE_VER", tostring(version))
    else
      out:put(t.hex(value.size), " /* PERF_ATTR_SIZE_??? */")
    end
    put(3)
    put(4, flag(flags, 10) and "sample_freq" or nil)
    put(5)
    put(6)
    if not verbose then
      for i = 0, 14 do
        if flag(flags, i) then out:put(", ", perf_bits[i + 1], "=1") end
      end
      local level = (flag(flags, 15) and 1 or 0) + (flag(flags, 16) and 2 or 0)
      out:put((", precise_ip=%d /* %s */"):format(level, precise[level]))
      return out:put(", ...}")
    end
    for i = 0, 37 do
      if i == 15 then
        local level = (flag(flags, 15) and 1 or 0) + (flag(flags, 16) and 2 or 0)
        out:put((", precise_ip=%d /* %s */"):format(level, precise[level]))
      elseif i ~= 16 then
        out:put(", ", perf_bits[i + 1], "=", flag(flags, i) and "1" or "0")
      end
    end
    for i = 8, #perf_fields do
      if value[perf_fields[i][1]] == nil then break end
      if not perf_fields[i][1]:find "^reserved" then put(i) end
    end
    out:put("}")
  end

  -- --- ptrace --------------------------------------------------------------------------------------------------------

  M.ptrace_peeksiginfo_args = t.struct { { "off", t.u64 },
    { "flags", t.flags("ptrace_peeksiginfo_flags", { comment = "PTRACE_PEEKSIGINFO_???" }) }, { "nr", t.i32 } }

  -- --- bpf -----------------------------------------------------------------------------------------------------------

  local map_type = t.enum("bpf_map_type", { of = t.u32, comment = "BPF_MAP_TYPE_???" })
  local prog_type = t.enum("bpf_prog_type", { of = t.u32, comment = "BPF_PROG_TYPE_???" })
  local attach_type = t.enum("bpf_attach_type", { of = t.u32, comment = "BPF_???" })
  local function flags(set, comment, of) return t.flags(set, { of = of or t.u32, comment = comment }) end
  local string64 = setmetatable({ size = 8, ctype = "const uint64_t *" }, { __index = t.ptr_in(t.cstring) })
  local map_flags, update = flags("bpf_map_flags", "BPF_F_???"), flags("bpf_update_flags", "BPF_???", t.u64)
  local function nonzero(name) return function(value) return value[name] ~= nil and value[name] ~= 0 end end
  local function sized(fields)
    fields.sized_by = "size"
    return t.struct(fields)
  end
  local element = { { "map_fd", t.fd }, { "pad", t.hidden(t.u32) }, { "key", t.xaddress64 }, { "value", t.xaddress64 },
    { "flags", update } }
  local id = sized { { "id", t.u32 }, { "next_id", t.u32 },
    { "open_flags", map_flags } }
  local attach = sized { { "target_fd", t.fd }, { "attach_bpf_fd", t.fd }, { "attach_type", attach_type },
    { "attach_flags", flags("bpf_attach_flags", "BPF_F_???") },
    { "replace_bpf_fd", t.fd, when = nonzero "replace_bpf_fd" } }
  --- union bpf_attr, by the command.
  M.bpf_attr = {
    [0] = sized { { "map_type", map_type }, { "key_size", t.u32 }, { "value_size", t.u32 }, { "max_entries", t.u32 },
      { "map_flags", map_flags }, { "inner_map_fd", t.fd, when = function(a) return a.inner_map_fd ~= nil end },
      { "numa_node", t.u32, when = function(a) return a.map_flags ~= nil and bit.band(a.map_flags, 4) ~= 0 end },
      { "map_name", t.fixed_string(16) }, { "map_ifindex", t.u32 }, { "btf_fd", t.fd }, { "btf_key_type_id", t.u32 },
      { "btf_value_type_id", t.u32 }, { "btf_vmlinux_value_type_id", t.u32 }, { "map_extra", t.u64 } },
    [1] = sized { element[1], element[2], element[3], element[4], element[5] },
    [2] = sized(element),
    [3] = sized { element[1], element[2], element[3] },
    [4] = sized { element[1], element[2], element[3], { "next_key", t.xaddress64 } },
    [5] = sized { { "prog_type", prog_type }, { "insn_cnt", t.u32 }, { "insns", t.xaddress64 },
      { "license", string64 }, { "log_level", t.u32 }, { "log_size", t.u32 }, { "log_buf", t.xaddress64 },
      { "kern_version", f.described(t.u32, function(v)
        return ("KERNEL_VERSION(%d, %d, %d)"):format(math.floor(v / 65536), math.floor(v / 256) % 256, v % 256)
      end) }, { "prog_flags", flags("bpf_prog_flags", "BPF_F_???") }, { "prog_name", t.fixed_string(16) },
      { "prog_ifindex", t.u32 }, { "expected_attach_type", attach_type }, { "prog_btf_fd", t.fd },
      { "func_info_rec_size", t.u32 }, { "func_info", t.xaddress64 }, { "func_info_cnt", t.u32 },
      { "line_info_rec_size", t.u32 }, { "line_info", t.xaddress64 }, { "line_info_cnt", t.u32 },
      { "attach_btf_id", t.u32 }, { "attach_prog_fd", t.fd },
      { "core_relo_cnt", t.u32, when = nonzero "core_relo_cnt" },
      { "fd_array", t.xaddress64, when = nonzero "fd_array" } },
    [6] = sized { { "pathname", string64 }, { "bpf_fd", t.fd }, { "file_flags", map_flags } },
    [7] = sized { { "pathname", string64 }, { "bpf_fd", t.fd }, { "file_flags", map_flags } },
    [8] = attach,
    [9] = sized { attach.definition[1], { "attach_bpf_fd", t.hidden(t.fd) }, attach.definition[3] },
    [10] = sized { { "test", t.struct { { "prog_fd", t.fd }, { "retval", t.u32 }, { "data_size_in", t.u32 },
      { "data_size_out", t.u32 }, { "data_in", t.xaddress64 }, { "data_out", t.xaddress64 }, { "repeat", t.u32 },
      { "duration", t.u32 } } } },
    [11] = sized { { "start_id", t.u32 }, id.definition[2], id.definition[3] },
    [12] = sized { { "start_id", t.u32 }, id.definition[2], id.definition[3] },
    [13] = sized { { "prog_id", t.u32 }, id.definition[2], id.definition[3] },
    [14] = sized { { "map_id", t.u32 }, id.definition[2], id.definition[3] },
    [15] = sized { { "info", t.struct { { "bpf_fd", t.fd }, { "info_len", t.u32 }, { "info", t.xaddress64 } } } },
    [16] = sized { { "query", t.struct { { "target_fd", t.fd }, { "attach_type", attach_type },
      { "query_flags", flags("bpf_query_flags", "BPF_F_QUERY_???") },
      { "attach_flags", flags("bpf_attach_flags", "BPF_F_???") }, { "prog_ids", t.xaddress64 },
      { "prog_cnt", t.u32 } } } },
    [17] = sized { { "raw_tracepoint", t.struct { { "name", string64 }, { "prog_fd", t.fd } } } },
    [18] = sized { { "btf", t.xaddress64 }, { "btf_log_buf", t.xaddress64 }, { "btf_size", t.u32 },
      { "btf_log_size", t.u32 }, { "btf_log_level", t.u32 } },
    [19] = sized { { "btf_id", t.u32 } },
    [21] = sized { element[1], element[2], element[3], element[4], element[5] },
    [22] = sized { element[1] },
    [23] = sized { { "start_id", t.u32 }, id.definition[2], id.definition[3] },
    [28] = sized { { "link_create", t.struct { { "prog_fd", t.fd }, { "target_fd", t.fd },
      { "attach_type", attach_type }, { "flags", t.x32 } } } },
    [32] = sized { { "enable_stats", t.struct {
      { "type", t.enum("bpf_stats_type", { of = t.u32, comment = "BPF_STATS_???" }) } } } },
    [35] = sized { { "prog_bind_map", t.struct { { "prog_fd", t.fd }, { "map_fd", t.fd }, { "flags", t.x32 } } } },
  }
end
