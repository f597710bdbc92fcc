--- Structs of the calls on clocks, queues, identities, mounts and modules; added to those of structs.lua.

local bit = require "bit"
local constants = require "luatrace.constants"
local quote = require "luatrace.text.quote"
local t = require "luatrace.types"
local f = require "luatrace.structs.fields"

local hidden = t.hidden

local function nonzero(name) return function(value) return value[name] ~= 0 end end

---@param M table structs so far, by name
return function(M)
  M.tms = t.struct { { "tms_utime", t.long }, { "tms_stime", t.long }, { "tms_cutime", t.long },
    { "tms_cstime", t.long } }

  local timex_tail = { { "tick", t.long }, { "ppsfreq", t.long }, { "jitter", t.long }, { "shift", t.i32 },
    { "stabil", t.long }, { "jitcnt", t.long }, { "calcnt", t.long }, { "errcnt", t.long }, { "stbcnt", t.long },
    { "tai", t.i32 }, { "pad", hidden(t.inline_array(t.i32, 11)) } }
  local timex = { { "modes", t.flags("adjtimex_modes", { comment = "ADJ_???" }) }, { "offset", t.long },
    { "freq", t.long }, { "maxerror", t.long }, { "esterror", t.long },
    { "status", t.flags("adjtimex_status", { comment = "STA_???" }) }, { "constant", t.long },
    { "precision", t.long }, { "tolerance", t.long }, { "time", M.timeval } }
  for _, field in ipairs(timex_tail) do timex[#timex + 1] = field end
  M.timex = t.struct(timex)

  --- struct __kernel_timex: the same with 64-bit numbers, on every architecture.
  local timeval64 = t.struct { { "tv_sec", t.i64 }, { "tv_usec", t.i64 } }
  local wide = {}
  local pad = 0
  local function add_pad()
    pad = pad + 1
    wide[#wide + 1] = { "pad" .. pad, hidden(t.i32) }
  end
  for _, field in ipairs(timex) do
    local name, of = field[1], field[2]
    if of == t.long then of = t.i64 end
    if of == M.timeval then of = timeval64 end
    wide[#wide + 1] = { name, of }
    if name == "modes" or name == "status" or name == "shift" then add_pad() end
  end
  M.timex64 = t.struct(wide)
  M.itimerspec64 = t.struct { { "it_interval", M.timespec64 }, { "it_value", M.timespec64 } }

  -- --- scheduling ---------------------------------------------------------------------------------------------------

  --- Strace's name for what the kernel calls SCHED_NORMAL.
  function M.sched_policy(of)
    local names = t.enum("sched_policy", { of = of, comment = "SCHED_???" })
    return setmetatable({ text = function(out, call, value)
      if value == 0 then return out:put "SCHED_OTHER" end
      return names.text(out, call, value)
    end }, { __index = names })
  end
  M.memfd_secret_flags = f.described(t.u32, function(value)
    return (t.flags("dup3_flags").string(value):gsub(" /%*.*", ""))
  end)

  local KEEP_POLICY, KEEP_PARAMS, SCHED_FLAGS_CLAMP = 8, 16, 0x60
  local function flagged(mask)
    return function(a) return bit.band(tonumber(a.sched_flags) % 4294967296, mask) ~= 0 end
  end
  local function sets(mask)
    return function(a, call) return call.row.name ~= "sched_setattr" or not flagged(mask)(a) end
  end
  local function clamps(a, call) return call.row.name ~= "sched_setattr" or flagged(SCHED_FLAGS_CLAMP)(a) end
  local parameters = sets(KEEP_PARAMS)
  M.sched_attr = t.struct {
    { "size", t.u32 }, { "sched_policy", M.sched_policy(t.u32), when = sets(KEEP_POLICY) },
    { "sched_flags", t.flags("sched_attr_flags", { of = t.u64, comment = "SCHED_FLAG_???" }) },
    { "sched_nice", t.i32, when = parameters }, { "sched_priority", t.u32, when = parameters },
    { "sched_runtime", t.u64, when = parameters }, { "sched_deadline", t.u64, when = parameters },
    { "sched_period", t.u64, when = parameters },
    { "sched_util_min", t.u32, when = clamps }, { "sched_util_max", t.u32, when = clamps },
  }

  -- --- signals as notifications --------------------------------------------------------------------------------------

  local SIGEV_THREAD, SIGEV_THREAD_ID = 2, 4
  M.sigevent = t.struct {
    { "sigev_value", t.xlong }, { "sigev_signo", t.signal },
    { "sigev_notify", t.enum("sigev_notify", { comment = "SIGEV_???" }) },
    { "sigev_notify_function", t.address }, { "sigev_notify_attributes", t.address },
    { "pad", hidden(t.inline_array(t.long, 4)) },
    text = function(out, call, value)
      local low = t.load.i32(nil, value.sigev_value)
      -- strace leaves out a value that is 0.
      if value.sigev_value == 0 then
        out:put("{sigev_signo=")
      else
        out:put("{sigev_value={sival_int=", tostring(low), ", sival_ptr=")
        t.address.text(out, call, value.sigev_value)
        out:put("}, sigev_signo=")
      end
      if value.sigev_notify == 0 or value.sigev_notify == SIGEV_THREAD_ID or value.sigev_notify == SIGEV_THREAD then
        t.signal.text(out, call, value.sigev_signo)
      else
        out:put(tostring(t.load.u32(nil, value.sigev_signo)))
      end
      out:put(", sigev_notify=")
      M.sigevent.definition[3][2].text(out, call, value.sigev_notify)
      if value.sigev_notify == SIGEV_THREAD_ID then
        out:put(", sigev_notify_thread_id=", tostring(t.load.i32(nil, value.sigev_notify_function)))
      elseif value.sigev_notify == SIGEV_THREAD then
        out:put(", sigev_notify_function=")
        t.address.text(out, call, value.sigev_notify_function)
        out:put(", sigev_notify_attributes=")
        t.address.text(out, call, value.sigev_notify_attributes)
      end
      out:put("}")
    end,
  }

  M.mq_attr = t.struct { { "mq_flags", t.flags("mq_flags", { of = t.ulong, comment = "O_???" }) },
    { "mq_maxmsg", t.long }, { "mq_msgsize", t.long }, { "mq_curmsgs", t.long },
    { "reserved", hidden(t.inline_array(t.long, 4)) } }

  -- --- files ---------------------------------------------------------------------------------------------------------

  M.ustat = t.struct { { "f_tfree", t.i32 }, { "f_tinode", t.ulong }, { "f_fname", t.fixed_string(6) },
    { "f_fpack", t.fixed_string(6) } }

  M.statfs64 = t.struct { packed = true,
    { "f_type", t.enum("fs_magic", { of = t.u32 }) }, { "f_bsize", t.u32 }, { "f_blocks", t.u64 },
    { "f_bfree", t.u64 }, { "f_bavail", t.u64 }, { "f_files", t.u64 }, { "f_ffree", t.u64 },
    { "f_fsid", t.inline_array(t.x32, 2, "{val=", "}") }, { "f_namelen", t.u32 }, { "f_frsize", t.u32 },
    { "f_flags", t.flags("statfs_flags") }, { "f_spare", hidden(t.inline_array(t.u32, 4)) },
  }

  M.mount_attr = t.struct {
    { "attr_set", t.flags("mount_attr", { of = t.u64, comment = "MOUNT_ATTR_???" }) },
    { "attr_clr", t.flags("mount_attr", { of = t.u64, comment = "MOUNT_ATTR_???" }) },
    { "propagation", t.enum("mount_propagation", { of = t.u64, comment = "MS_???" }) }, { "userns_fd", t.u64 },
    sized_by = "size", smallest = 32,
  }

  --- struct file_attr (file_getattr(2), Linux 6.17).
  M.file_attr = t.struct { { "fa_xflags", t.flags("fs_xflags", { of = t.u64, comment = "FS_XFLAG_???" }) },
    { "fa_extsize", t.u32 }, { "fa_nextents", t.u32 }, { "fa_projid", t.u32 }, { "fa_cowextsize", t.u32 },
    sized_by = "usize" }

  --- struct xattr_args (setxattrat(2), Linux 6.13): what setxattrat gives, and where getxattrat puts it.
  local function xattr_args(value)
    return t.struct { { "value", value }, { "size", t.u32 },
      { "flags", t.flags("xattr_flags", { comment = "XATTR_???" }) }, sized_by = "usize" }
  end
  local value_in = setmetatable({ size = 8, ctype = "const uint64_t *" }, { __index = t.ptr_in(t.bytes "size") })
  M.xattr_args, M.xattr_args_in = xattr_args(t.xaddress64), xattr_args(value_in)

  M.cachestat_range = t.struct { { "off", t.u64 }, { "len", t.u64 } }
  M.cachestat = t.struct { { "nr_cache", t.u64 }, { "nr_dirty", t.u64 }, { "nr_writeback", t.u64 },
    { "nr_evicted", t.u64 }, { "nr_recently_evicted", t.u64 } }

  M.mnt_id_req = t.struct { { "size", t.u32 }, { "spare", t.u32, when = nonzero "spare" }, { "mnt_id", t.x64 },
    { "param", t.x64 } }
  M.statmount = t.struct { { "size", t.u32 }, { "mnt_opts", t.u32 },
    { "mask", t.flags("statmount_mask", { of = t.u64, comment = "STATMOUNT_???" }) }, { "sb_dev_major", t.u32 },
    { "sb_dev_minor", t.u32 }, { "sb_magic", t.enum("fs_magic", { of = t.u64 }) }, { "sb_flags", t.x32 },
    { "fs_type", t.u32 }, { "mnt_id", t.x64 }, { "mnt_parent_id", t.x64 }, { "mnt_id_old", t.u32 },
    { "mnt_parent_id_old", t.u32 }, { "mnt_attr", t.flags("mount_attr", { of = t.u64 }) },
    { "mnt_propagation", t.flags("mount_propagation", { of = t.u64 }) }, { "mnt_peer_group", t.u64 },
    { "mnt_master", t.u64 }, { "propagate_from", t.u64 }, { "mnt_root", t.u32 }, { "mnt_point", t.u32 },
    { "mnt_ns_id", t.u64 }, sized_by = "bufsize" }

  M.lsm_ctx = t.struct { { "id", t.enum("lsm_id", { of = t.u64, comment = "LSM_ID_???" }) }, { "flags", t.x64 },
    { "len", t.u64 }, { "ctx_len", t.u64 } }

  -- --- capabilities --------------------------------------------------------------------------------------------------

  local function capabilities(low, high)
    local names = {}
    local function add(word, first)
      for i = 0, 31 do
        if bit.band(word, bit.lshift(1, i)) ~= 0 then
          local name = constants.enums.capability.by_value[first + i]
          names[#names + 1] = name and "1<<" .. name or ("1<<%d"):format(first + i)
        end
      end
    end
    add(low, 0)
    add(high, 32)
    return names
  end

  --- One or two sets of three words, as the header's version says; strace joins the halves.
  M.cap_data = t.custom {
    fetch = function(call)
      local header = M.cap_header.fetch(call, call.raw[1])
      local words = header and header.version == 0x19980330 and 3 or 6
      local bytes = call.memory:read(call.raw[2], words * 4)
      if not bytes or #bytes < words * 4 then return nil end
      local list = require("ffi").cast("const uint32_t *", bytes)
      local value = {}
      for i, name in ipairs { "effective", "permitted", "inheritable" } do
        value[name] = { tonumber(list[i - 1]), words == 6 and tonumber(list[i + 2]) or 0 }
      end
      return value
    end,
    text = function(out, _, value)
      out:put("{")
      for i, name in ipairs { "effective", "permitted", "inheritable" } do
        if i > 1 then out:put(", ") end
        local names = capabilities(value[name][1], value[name][2])
        out:put(name, "=", #names == 0 and "0" or table.concat(names, "|"))
      end
      out:put("}")
    end,
    value = function(_, value)
      local result = {}
      for name, words in pairs(value) do
        result[name] = {}
        for i, text in ipairs(capabilities(words[1], words[2])) do result[name][i] = text:sub(4) end
      end
      return result
    end,
    extents = function(_, address, _, add) add(address, 24) end,
  }
  M.cap_data.plain = M.cap_data.value

  -- --- aio -----------------------------------------------------------------------------------------------------------

  local IOCB_RW = { [0] = true, [1] = true }
  local IOCB_FSYNC, IOCB_FDSYNC, IOCB_POLL, IOCB_PREADV, IOCB_PWRITEV = 2, 3, 5, 7, 8
  local poll_events = t.flags("poll_events", { comment = "POLL???" })
  local iocb_written = t.ptr_in(t.iovec "aio_nbytes")
  local iocb_places = t.ptr_in(t.array(t.struct { { "iov_base", t.address }, { "iov_len", t.size } }, "aio_nbytes"))
  local opcode = t.enum("aio_cmd", { of = t.u16, comment = "IOCB_CMD_???" })
  M.iocb = t.struct {
    { "aio_data", t.x64 }, { "aio_key", t.u32, when = nonzero "aio_key" },
    { "aio_rw_flags", t.flags("rwf_flags", { comment = "RWF_???" }), when = nonzero "aio_rw_flags" },
    { "aio_lio_opcode", opcode }, { "aio_reqprio", t.i16, when = nonzero "aio_reqprio" },
    { "aio_fildes", setmetatable({ size = 4, ctype = "const int32_t *" }, { __index = t.fd }) },
    { "aio_buf", t.xaddress64 }, { "aio_nbytes", t.u64 }, { "aio_offset", t.i64 }, { "aio_reserved2", hidden(t.u64) },
    { "aio_flags", t.flags("aio_iocb_flags", { comment = "IOCB_FLAG_???" }), when = nonzero "aio_flags" },
    { "aio_resfd", t.i32, when = nonzero "aio_flags" },
    text = function(out, call, value)
      local definition = M.iocb.definition
      local first = true
      local function put(i)
        local field = definition[i]
        if field.when and not field.when(value) then return end
        if not first then out:put(", ") end
        first = false
        out:put(field[1], "=")
        field[2].text(out, call, value[field[1]], value)
      end
      out:put("{")
      if call.row.name == "io_cancel" then
        put(1)
        put(4)
        put(6)
        return out:put("}")
      end
      for i = 1, 6 do put(i) end
      local code = value.aio_lio_opcode
      if code == IOCB_FSYNC or code == IOCB_FDSYNC then
        put(11)
        put(12)
        return out:put("}")
      end
      if code == IOCB_POLL then
        out:put(", aio_buf=", poll_events.string(t.load.u32(nil, value.aio_buf)))
        put(11)
        put(12)
        return out:put("}")
      end
      if code == IOCB_PREADV or code == IOCB_PWRITEV then
        out:put(", aio_buf=")
        local vector = code == IOCB_PWRITEV and iocb_written or iocb_places
        vector.text(out, call, value.aio_buf, value)
        put(9)
        put(11)
        put(12)
        return out:put("}")
      end
      if value.aio_lio_opcode == 1 and value.aio_buf ~= 0 then
        out:put(", aio_buf=")
        local n = tonumber(value.aio_nbytes)
        local limit = call.text_options and call.text_options.string_limit or 32
        local wanted = math.min(n < 0 and 0 or n, limit + 1)
        local bytes = wanted == 0 and "" or call.memory:read(value.aio_buf, wanted)
        if bytes and #bytes == wanted then
          quote.put(out, bytes, limit)
        else
          out:put(t.hex(value.aio_buf))
        end
      else
        put(7)
      end
      put(8)
      if IOCB_RW[code] then put(9) end
      put(11)
      put(12)
      out:put("}")
    end,
  }
  M.io_event = t.struct { { "data", t.x64 }, { "obj", t.x64 }, { "res", t.i64 }, { "res2", t.i64 } }
  M.aio_sigset = t.struct { { "sigmask", t.ptr_in(t.sigset "sigsetsize") }, { "sigsetsize", t.size } }

  --- struct user_desc: limits of a segment (modify_ldt(2), set_thread_area(2)).
  M.user_desc = f.record(16, function(out, call, bytes)
    local words = require("ffi").cast("const uint32_t *", bytes)
    local flags = words[3]
    local function part(shift, mask) return bit.band(bit.rshift(flags, shift), mask) end
    local entry = words[0]
    out:put("{entry_number=", entry == 4294967295 and "-1" or t.decimal(tonumber(entry)), ", base_addr=")
    local base = tonumber(words[1])
    out:put(("%#08x"):format(base))
    out:put((", limit=%#08x, seg_32bit=%d, contents=%d, read_exec_only=%d, limit_in_pages=%d, seg_not_present=%d, "
      .. "useable=%d"):format(tonumber(words[2]), part(0, 1), part(1, 3), part(3, 1), part(4, 1), part(5, 1),
        part(6, 1)))
    if call.arch.bits == 64 then out:put((", lm=%d"):format(part(7, 1))) end
    out:put("}")
  end)

  M.kexec_segment = t.struct { { "buf", t.address }, { "bufsz", t.size }, { "mem", t.address }, { "memsz", t.size } }

  M.landlock_ruleset_attr = t.struct {
    { "handled_access_fs", t.flags("landlock_access_fs", { of = t.u64, comment = "LANDLOCK_ACCESS_FS_???" }) },
    { "handled_access_net", t.flags("landlock_access_net", { of = t.u64, comment = "LANDLOCK_ACCESS_NET_???" }) },
    { "scoped", t.flags("landlock_scope", { of = t.u64, comment = "LANDLOCK_SCOPE_???" }) },
    sized_by = "size", smallest = 8,
  }
  M.landlock_path_beneath_attr = t.struct { packed = true,
    { "allowed_access", t.flags("landlock_access_fs", { of = t.u64, comment = "LANDLOCK_ACCESS_FS_???" }) },
    { "parent_fd", t.fd } }
  M.landlock_net_port_attr = t.struct {
    { "allowed_access", t.flags("landlock_access_net", { of = t.u64, comment = "LANDLOCK_ACCESS_NET_???" }) },
    { "port", t.u64 } }

  --- A file handle: as many bytes as its first word says (name_to_handle_at(2)).
  M.file_handle = t.custom {
    fetch = function(call, address)
      local head = call.memory:read(address, 8)
      if not head or #head < 8 then return nil end
      local words = require("ffi").cast("const int32_t *", head)
      local value = { handle_bytes = t.load.u32(nil, words[0]), handle_type = words[1], address = address }
      local n = value.handle_bytes
      if n > 0 and n <= 128 then
        local bytes = call.memory:read(address + 8, n)
        value.f_handle = bytes and #bytes == n and bytes or nil
      elseif n == 0 then
        value.f_handle = ""
      end
      return value
    end,
    text = function(out, call, value)
      local before = call.handle_bytes_before
      local returned = call.row.name == "name_to_handle_at"
      out:put("{handle_bytes=")
      if returned and before and before ~= value.handle_bytes and call.phase ~= "entry" then
        out:put(tostring(before), " => ")
      end
      out:put(tostring(value.handle_bytes))
      if not (returned and call.failed) then
        out:put(", handle_type=", tostring(value.handle_type), ", f_handle=")
        if value.f_handle and value.f_handle ~= "" then
          quote.put_hex(out, value.f_handle, 256)
        else
          out:put(value.f_handle and '""' or "???")
        end
      end
      out:put("}")
    end,
    extents = function(call, address, _, add)
      local value = M.file_handle.fetch(call, address)
      add(address, 8 + (value and math.min(value.handle_bytes, 128) or 0))
    end,
  }

  -- --- quotas --------------------------------------------------------------------------------------------------------

  M.dqblk = t.struct {
    { "dqb_bhardlimit", t.u64 }, { "dqb_bsoftlimit", t.u64 }, { "dqb_curspace", t.u64 }, { "dqb_ihardlimit", t.u64 },
    { "dqb_isoftlimit", t.u64 }, { "dqb_curinodes", t.u64 }, { "dqb_btime", t.u64 }, { "dqb_itime", t.u64 },
    { "dqb_valid", t.flags("quota_valid", { comment = "QIF_???" }) },
    brief = { dqb_bhardlimit = true, dqb_bsoftlimit = true, dqb_curspace = true, dqb_ihardlimit = true,
      dqb_isoftlimit = true, dqb_curinodes = true },
  }
  M.dqinfo = t.struct { { "dqi_bgrace", t.u64 }, { "dqi_igrace", t.u64 },
    { "dqi_flags", t.flags("quota_info_flags", { comment = "DQF_???" }) },
    { "dqi_valid", t.flags("quota_valid", { comment = "IIF_???" }) } }

  -- --- io_uring ------------------------------------------------------------------------------------------------------

  local sq_offsets = t.struct { { "head", t.u32 }, { "tail", t.u32 }, { "ring_mask", t.u32 }, { "ring_entries", t.u32 },
    { "flags", t.u32 }, { "dropped", t.u32 }, { "array", t.u32 }, { "resv1", hidden(t.u32) },
    { "user_addr", t.xaddress64, when = nonzero "user_addr" } }
  local cq_offsets = t.struct { { "head", t.u32 }, { "tail", t.u32 }, { "ring_mask", t.u32 }, { "ring_entries", t.u32 },
    { "overflow", t.u32 }, { "cqes", t.u32 }, { "flags", t.u32 }, { "resv1", hidden(t.u32) },
    { "user_addr", t.xaddress64, when = nonzero "user_addr" } }
  local function returned(_, call) return call.phase ~= "entry" and not call.failed end
  local IORING_SETUP_ATTACH_WQ = 32
  local function with(mask) return function(p) return bit.band(p.flags, mask) ~= 0 end end
  M.io_uring_params = t.struct {
    { "sq_entries", t.u32, when = returned }, { "cq_entries", t.u32, when = returned },
    { "flags", t.flags("uring_setup_flags", { comment = "IORING_SETUP_???" }) },
    { "sq_thread_cpu", t.u32 }, { "sq_thread_idle", t.u32 },
    { "features", t.flags("uring_features", { comment = "IORING_FEAT_???" }), when = returned },
    { "wq_fd", t.fd, when = with(IORING_SETUP_ATTACH_WQ) }, { "resv", hidden(t.inline_array(t.u32, 3)) },
    { "sq_off", sq_offsets, when = returned }, { "cq_off", cq_offsets, when = returned },
    shown = { "flags", "sq_thread_cpu", "sq_thread_idle", "wq_fd", "sq_entries", "cq_entries", "features", "sq_off",
      "cq_off" },
  }

  -- --- 32-bit programs' oldest calls ---------------------------------------------------------------------------------

  M.old_sigaction = t.struct {
    { "sa_handler", t.enum_address "sig_handler" }, { "sa_mask", f.old_sigset },
    { "sa_flags", t.flags("sa_flags", { of = t.ulong, comment = "SA_???" }) }, { "sa_restorer", t.address },
    text = function(out, call, value)
      out:put("{sa_handler=")
      t.enum_address("sig_handler").text(out, call, value.sa_handler)
      out:put(", sa_mask=")
      f.old_sigset.text(out, call, value.sa_mask)
      out:put(", sa_flags=")
      M.old_sigaction.definition[3][2].text(out, call, value.sa_flags)
      if bit.band(t.load.u32(nil, value.sa_flags), 0x04000000) ~= 0 then
        out:put(", sa_restorer=", t.hex(value.sa_restorer))
      end
      out:put("}")
    end,
  }
end
