--- System V IPC and POSIX message queues.

local bit = require "bit"
local t = require "luatrace.types"
local structs = require "luatrace.structs"

local zero, key = t.i32, structs.ipc_key

--- Creation flags, with the permissions in octal behind them.
local function get_flags(set)
  local names = t.flags(set, { comment = "IPC_???" })
  return setmetatable({ text = function(out, _, value)
    local mode = bit.band(value, 0x1ff)
    local rest = value - mode
    if rest ~= 0 then out:put((names.string(rest):gsub(" /%*.*", "")), "|") end
    out:put(("%#03o"):format(mode))
  end }, { __index = names })
end

local IPC_SET, IPC_STAT, IPC_INFO, IPC_RMID = 1, 2, 3, 0

local function command_of(index)
  return function(call) return bit.band(t.load.i32(nil, call.raw[index]), bit.bnot(0x100)) end
end

--- What the command's pointer points to.
local function control(index, stat, set_what, info, own)
  local of = command_of(index)
  local set, get = t.ptr_in(set_what), t.ptr_out(stat)
  local kinds = { [IPC_SET] = set, [IPC_STAT] = get, [IPC_INFO] = t.ptr_out(info), [IPC_RMID] = t.address }
  for command, kind in pairs(own or {}) do kinds[command] = kind end
  return t.by(function(call) return kinds[of(call)] or t.address end, true)
end

local semctl_command = command_of(3)
local SEM_SETVAL = 16
local SEM_STAT, SEM_INFO, SEM_STAT_ANY, MSG_STAT, MSG_INFO, MSG_STAT_ANY = 18, 19, 20, 11, 12, 13
local SHM_STAT, SHM_INFO, SHM_STAT_ANY, SHM_LOCK, SHM_UNLOCK = 13, 14, 15, 11, 12

local timespec = t.ptr_in(structs.timespec)
local sembufs = t.ptr_in(t.array(structs.sembuf, "nsops"))

local rows = {
  shmget = { returns = t.i32, classes = "ipc", { "key", key }, { "size", t.size },
    { "shmflg", get_flags "shmget_flags" } },
  shmat = { returns = t.address, classes = "ipc memory", { "shmid", t.i32 }, { "shmaddr", t.address },
    { "shmflg", t.flags("shmat_flags", { comment = "SHM_???" }) } },
  shmdt = { returns = zero, classes = "ipc memory", { "shmaddr", t.address } },
  shmctl = { returns = zero, classes = "ipc", { "shmid", t.i32 },
    { "cmd", structs.ipc_command("shmctl_cmd", "SHM_???") },
    { "buf", control(2, structs.shmid64_ds, structs.shmid64_ds_set, structs.shminfo, {
      [SHM_STAT] = t.ptr_out(structs.shmid64_ds),
      [SHM_STAT_ANY] = t.ptr_out(structs.shmid64_ds), [SHM_INFO] = t.ptr_out(structs.shm_info),
      [SHM_LOCK] = t.address, [SHM_UNLOCK] = t.address }) } },
  semget = { returns = t.i32, classes = "ipc", { "key", key }, { "nsems", t.i32 },
    { "semflg", get_flags "semget_flags" } },
  semop = { returns = zero, classes = "ipc", { "semid", t.i32 }, { "sops", sembufs }, { "nsops", t.u32 } },
  semtimedop = { returns = zero, classes = "ipc", { "semid", t.i32 }, { "sops", sembufs }, { "nsops", t.u32 },
    { "timeout", timespec } },
  semctl = { returns = t.i32, classes = "ipc", { "semid", t.i32 }, { "semnum", t.i32 },
    { "cmd", structs.ipc_command("semctl_cmd", "SEM_???") },
    { "arg", t.by(function(call)
      local command = semctl_command(call)
      if command == SEM_SETVAL then return t.xlong end
      if command == IPC_STAT or command == SEM_STAT or command == SEM_STAT_ANY then
        return t.ptr_out(structs.semid64_ds)
      end
      if command == IPC_SET then return t.ptr_in(structs.semid64_ds_set) end
      if command == IPC_INFO or command == SEM_INFO then return t.ptr_out(structs.seminfo) end
      return t.address
    end, true) } },
  msgget = { returns = t.i32, classes = "ipc", { "key", key }, { "msgflg", get_flags "msgget_flags" } },
  msgsnd = { returns = zero, classes = "ipc", { "msqid", t.i32 }, { "msgp", t.ptr_in(structs.msgbuf("msgsz")) },
    { "msgsz", t.size }, { "msgflg", t.flags("msgrcv_flags", { comment = "MSG_???" }) } },
  msgrcv = { returns = t.count, classes = "ipc", { "msqid", t.i32 },
    { "msgp", t.ptr_out(structs.msgbuf("msgsz")) }, { "msgsz", t.size }, { "msgtyp", t.long },
    { "msgflg", t.flags("msgrcv_flags", { comment = "MSG_???" }) } },
  msgctl = { returns = zero, classes = "ipc", { "msqid", t.i32 },
    { "cmd", structs.ipc_command("msgctl_cmd", "MSG_???") },
    { "buf", control(2, structs.msqid64_ds, structs.msqid64_ds_set, structs.msginfo, {
      [MSG_STAT] = t.ptr_out(structs.msqid64_ds),
      [MSG_STAT_ANY] = t.ptr_out(structs.msqid64_ds), [MSG_INFO] = t.ptr_out(structs.msginfo) }) } },
}

-- --- POSIX message queues -------------------------------------------------------------------------------------------

local O_CREAT = 0x40
local function creates(call) return bit.band(t.load.u32(nil, call.raw[2]), O_CREAT) ~= 0 end

rows.mq_open = { returns = t.fd, classes = "desc", { "name", t.whole_name },
  { "oflag", t.flags("open_flags", { enum = "open_access", mask = 3, comment = "O_???" }) },
  { "mode", t.mode, when = creates }, { "attr", t.ptr_in(structs.mq_attr), when = creates } }
rows.mq_unlink = { returns = zero, { "name", t.whole_name } }
rows.mq_timedsend = { returns = zero, classes = "desc", { "mqdes", t.fd },
  { "msg_ptr", t.ptr_in(t.bytes "msg_len") }, { "msg_len", t.size }, { "msg_prio", t.u32 },
  { "abs_timeout", timespec } }
rows.mq_timedreceive = { returns = t.count, classes = "desc", { "mqdes", t.fd },
  { "msg_ptr", t.ptr_out(t.bytes("msg_len", "ret")) }, { "msg_len", t.size },
  { "msg_prio", t.ptr_out(t.cell(t.u32)) }, { "abs_timeout", timespec } }
rows.mq_notify = { returns = zero, classes = "desc", { "mqdes", t.fd }, { "sevp", t.ptr_in(structs.sigevent) } }
rows.mq_getsetattr = { returns = zero, classes = "desc", { "mqdes", t.fd }, { "newattr", t.ptr_in(structs.mq_attr) },
  { "oldattr", t.ptr_out(structs.mq_attr) } }

rows.kcmp = { returns = t.i32, { "pid1", t.pid }, { "pid2", t.pid },
  { "type", t.enum("kcmp_type", { comment = "KCMP_???" }) },
  { "idx1", t.by(function(call) return t.load.i32(nil, call.raw[3]) == 0 and t.fd or t.xlong end),
    when = function(call) local kind = t.load.i32(nil, call.raw[3]) return kind == 0 or kind > 6 or kind < 0 end },
  { "idx2", t.by(function(call) return t.load.i32(nil, call.raw[3]) == 0 and t.fd or t.xlong end),
    when = function(call) local kind = t.load.i32(nil, call.raw[3]) return kind == 0 or kind > 6 or kind < 0 end } }

return rows
