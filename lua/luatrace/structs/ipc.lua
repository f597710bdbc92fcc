--- System V IPC (shmctl(2), semctl(2), msgctl(2)); added to the structs of structs.lua.

local bit = require "bit"
local quote = require "luatrace.text.quote"
local t = require "luatrace.types"
local f = require "luatrace.structs.fields"

local hidden = t.hidden

---@param M table structs so far, by name
return function(M)
  M.ipc_perm = t.struct {
    { "key", t.x32 }, { "uid", t.uid }, { "gid", t.uid }, { "cuid", t.uid }, { "cgid", t.uid }, { "mode", t.mode },
    { "seq", hidden(t.u16) }, { "pad2", hidden(t.u16) }, { "unused1", hidden(t.ulong) }, { "unused2", hidden(t.ulong) },
    shown = { "uid", "gid", "mode", "key", "cuid", "cgid" },
  }

  --- Times are one long on 64-bit machines, low and high words on others.
  local function times(definition, first, names)
    for i, name in ipairs(names) do
      table.insert(definition, first + i - 1, { name, t.long })
    end
    return t.struct(definition)
  end
  local function times32(definition, first, names)
    local at = first
    for _, name in ipairs(names) do
      table.insert(definition, at, { name, t.ulong })
      table.insert(definition, at + 1, { name .. "_high", hidden(t.ulong) })
      at = at + 2
    end
    return t.struct(definition)
  end

  --- What IPC_SET takes out of them.
  local function setting(layout, ...)
    local names = { ... }
    return setmetatable({ text = function(out, call, value)
      local perm = value[names[1]]
      out:put("{", names[1], "={uid=")
      t.uid.text(out, call, perm.uid)
      out:put(", gid=")
      t.uid.text(out, call, perm.gid)
      out:put(", mode=")
      t.mode.text(out, call, perm.mode)
      out:put("}")
      for i = 2, #names do out:put(", ", names[i], "=", t.decimal(value[names[i]])) end
      out:put("}")
    end }, { __index = layout })
  end

  local function shmid_fields()
    return { { "shm_perm", M.ipc_perm }, { "shm_segsz", t.size }, { "shm_cpid", t.pid }, { "shm_lpid", t.pid },
      { "shm_nattch", t.ulong }, { "unused4", hidden(t.ulong) }, { "unused5", hidden(t.ulong) },
      shown = { "shm_perm", "shm_segsz", "shm_cpid", "shm_lpid", "shm_nattch", "shm_atime", "shm_dtime", "shm_ctime" } }
  end
  local shm_times = { "shm_atime", "shm_dtime", "shm_ctime" }
  M.shmid64_ds_64, M.shmid64_ds_32 = times(shmid_fields(), 3, shm_times), times32(shmid_fields(), 3, shm_times)
  M.shmid64_ds = f.by_bits(M.shmid64_ds_64, M.shmid64_ds_32)
  M.shmid64_ds_set = setting(M.shmid64_ds, "shm_perm")

  local function msqid_fields()
    return { { "msg_perm", M.ipc_perm }, { "msg_cbytes", t.ulong }, { "msg_qnum", t.ulong }, { "msg_qbytes", t.ulong },
      { "msg_lspid", t.pid }, { "msg_lrpid", t.pid }, { "unused4", hidden(t.ulong) }, { "unused5", hidden(t.ulong) },
      shown = { "msg_perm", "msg_stime", "msg_rtime", "msg_ctime", "msg_qnum", "msg_qbytes", "msg_lspid",
        "msg_lrpid" } }
  end
  local msg_times = { "msg_stime", "msg_rtime", "msg_ctime" }
  M.msqid64_ds_64, M.msqid64_ds_32 = times(msqid_fields(), 2, msg_times), times32(msqid_fields(), 2, msg_times)
  M.msqid64_ds = f.by_bits(M.msqid64_ds_64, M.msqid64_ds_32)
  M.msqid64_ds_set = setting(M.msqid64_ds, "msg_perm", "msg_qbytes")

  M.semid64_ds = t.struct { { "sem_perm", M.ipc_perm }, { "sem_otime", t.long }, { "unused1", hidden(t.ulong) },
    { "sem_ctime", t.long }, { "unused2", hidden(t.ulong) }, { "sem_nsems", t.ulong }, { "unused3", hidden(t.ulong) },
    { "unused4", hidden(t.ulong) } }

  M.semid64_ds_set = setting(M.semid64_ds, "sem_perm")

  M.sembuf = t.struct { { "sem_num", t.u16 }, { "sem_op", t.i16 },
    { "sem_flg", t.flags("sem_flags", { of = t.u16, comment = "SEM_???" }) } }

  M.shminfo = t.struct { { "shmmax", t.ulong }, { "shmmin", t.ulong }, { "shmmni", t.ulong }, { "shmseg", t.ulong },
    { "shmall", t.ulong }, { "unused", hidden(t.inline_array(t.ulong, 4)) } }
  M.shm_info = t.struct { { "used_ids", t.i32 }, { "shm_tot", t.ulong }, { "shm_rss", t.ulong }, { "shm_swp", t.ulong },
    { "swap_attempts", t.ulong }, { "swap_successes", t.ulong } }
  M.seminfo = t.struct { { "semmap", t.i32 }, { "semmni", t.i32 }, { "semmns", t.i32 }, { "semmnu", t.i32 },
    { "semmsl", t.i32 }, { "semopm", t.i32 }, { "semume", t.i32 }, { "semusz", t.i32 }, { "semvmx", t.i32 },
    { "semaem", t.i32 } }
  M.msginfo = t.struct { { "msgpool", t.i32 }, { "msgmap", t.i32 }, { "msgmax", t.i32 }, { "msgmnb", t.i32 },
    { "msgmni", t.i32 }, { "msgssz", t.i32 }, { "msgtql", t.i32 }, { "msgseg", t.u16 } }

  --- A message: its type, then so many bytes of text.
  ---@param length string name of the argument
  ---@param valid string|nil "ret": how many there are
  function M.msgbuf(length, valid)
    local text = t.bytes(length, valid)
    local mtype = t.cell(t.long)
    return t.custom {
      siblings = { length, valid },
      fetch = function(call, address, scope, for_text)
        local kind = mtype.fetch(call, address)
        if kind == nil then return nil end
        local at = address + call.arch.pointer_size
        return { mtype = kind, at = at, mtext = text.fetch(call, at, scope, for_text) }
      end,
      text = function(out, call, value)
        out:put("{mtype=", t.decimal(value.mtype), ", mtext=")
        if value.mtext then
          quote.put(out, value.mtext, call.text_options and call.text_options.string_limit or 32)
        else
          out:put(t.hex(value.at))
        end
        out:put("}")
      end,
      plain = function(_, value)
        return { mtype = type(value.mtype) == "number" and value.mtype or t.decimal(value.mtype), mtext = value.mtext }
      end,
      extents = function(call, address, scope, add)
        local word = call.arch.pointer_size
        add(address, word)
        text.extents(call, address + word, scope, function(at, n, way) add(at, n, way) end)
      end,
    }
  end

  --- Keys, and IPC_PRIVATE.
  M.ipc_key = f.described(t.x32, function(value) return value == 0 and "IPC_PRIVATE" or t.hex(value) end)

  --- Commands of the three, with IPC_64 in front as strace has it.
  ---@param set string
  ---@param comment string
  function M.ipc_command(set, comment)
    local names = t.enum(set, { comment = comment })
    return setmetatable({ text = function(out, call, value)
      local wide = bit.band(value, 0x100) ~= 0
      if wide then out:put("IPC_64|") end
      names.text(out, call, wide and bit.band(value, bit.bnot(0x100)) or value)
    end }, { __index = names })
  end
end
