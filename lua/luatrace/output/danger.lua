--- Calls that touch security (--mark=danger): why, in a few words, or nothing.
--
--   require("luatrace.output.danger").of(call)      -- "changes the system's configuration", at entry of the call
--
-- A mark says where to look, not that something is wrong. What it judges by is data: what is dangerous by itself, by
-- the path that it names, by a flag. Names are looked at before the call runs, so failed attempts are marked as well.

local bit = require "bit"
local formats = require "luatrace.sentences.formats"
local types = require "luatrace.types"

local M = {}

--- Dangerous whatever their arguments are.
local always = {
  ["changes whom it runs as"] = "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups",
  ["changes its privileges"] = "capset",
  ["changes what it sees of the system"] = "chroot pivot_root setns move_mount mount_setattr open_tree fsmount",
  ["changes what is mounted"] = "mount umount2 swapon swapoff",
  ["changes the kernel"] = "init_module finit_module delete_module kexec_load kexec_file_load bpf create_module",
  ["stops the machine"] = "reboot",
  ["reaches into another process"] = "process_vm_readv process_vm_writev pidfd_getfd kcmp",
  ["opens files past their directories"] = "open_by_handle_at",
  ["talks to devices directly"] = "iopl ioperm",
  ["changes the clock"] = "settimeofday clock_settime",
  ["changes the machine's name"] = "sethostname setdomainname",
  ["uses the kernel's keys"] = "add_key request_key keyctl",
  ["watches the system"] = "perf_event_open fanotify_init fanotify_mark acct",
  ["handles page faults itself"] = "userfaultfd",
  ["limits system calls"] = "seccomp landlock_restrict_self",
}

local by_name = {}
for why, names in pairs(always) do
  for name in names:gmatch("%S+") do by_name[name] = why end
end

--- Places that are the system's, or decide what runs later: whoever changes something there.
local guarded = {
  { "/%.ssh/", "changes who may log in" }, { "^/etc/cron", "changes what runs later" },
  { "^/var/spool/cron/", "changes what runs later" }, { "^/etc/systemd/", "changes what runs later" },
  { "^/usr/lib/systemd/", "changes what runs later" }, { "/%.config/autostart/", "changes what runs later" },
  { "/%.bashrc$", "changes what shells run" }, { "/%.bash_profile$", "changes what shells run" },
  { "/%.profile$", "changes what shells run" }, { "/%.zshrc$", "changes what shells run" },
  { "^/etc/", "changes the system's configuration" }, { "^/boot/", "changes how the system starts" },
  { "^/usr/local/", "changes installed programs" }, { "^/usr/", "changes installed programs" },
  { "^/bin/", "changes installed programs" }, { "^/sbin/", "changes installed programs" },
  { "^/lib", "changes installed programs" }, { "^/opt/", "changes installed programs" },
  { "^/dev/[shv]d%l", "writes to a disk past its file system" }, { "^/dev/nvme",
    "writes to a disk past its file system" },
  { "^/dev/k?mem$", "writes to the machine's memory" }, { "^/proc/sys/", "changes the kernel's settings" },
  { "^/proc/sysrq%-trigger$", "commands the kernel" }, { "^/proc/%d+/mem$", "writes into a process" },
  { "^/sys/", "changes the kernel's settings" },
}

--- What not everybody should read.
local secret = {
  { "^/etc/g?shadow", "reads passwords" }, { "^/etc/sudoers", "reads who may do what" },
  { "/%.ssh/id_", "reads a private key" }, { "/%.gnupg/", "reads private keys" },
  { "^/etc/ssl/private/", "reads private keys" }, { "^/etc/ssh/ssh_host_.*_key$", "reads a private key" },
  { "/%.aws/credentials", "reads credentials" }, { "/%.netrc$", "reads credentials" }, { "/%.pgpass$",
    "reads credentials" },
  { "/%.git%-credentials$", "reads credentials" }, { "/%.docker/config%.json$", "reads credentials" },
  { "/%.kube/config$", "reads credentials" }, { "^/proc/%d+/mem$", "reads another process" },
  { "^/proc/%d+/environ$", "reads another process's environment" }, { "^/dev/k?mem$", "reads the machine's memory" },
  { "^/proc/kcore$", "reads the machine's memory" },
}

--- Where anybody can put a program.
local common = { "^/tmp/", "^/var/tmp/", "^/dev/shm/" }

local function match(rules, path)
  if not path then return nil end
  for _, rule in ipairs(rules) do
    if path:find(rule[1]) then return rule[2] end
  end
end

local function path_of(call, name) return (formats.absolute(call, name)) end

local function number(value)
  if type(value) == "table" then value = value.value end
  return type(value) == "number" and value or 0
end

local O_ACCMODE, O_CREAT, O_TRUNC = 3, 0x40, 0x200

local function opens(call)
  local flags = number(call.flags or type(call.how) == "table" and call.how ~= types.NULL and call.how.flags)
  local path = path_of(call, "pathname")
  if call.row.name == "creat" or bit.band(flags, O_ACCMODE) ~= 0 or bit.band(flags, O_CREAT + O_TRUNC) ~= 0 then
    local why = match(guarded, path)
    if why then return why end
  end
  return match(secret, path)
end

--- Calls that change what a path names: the arguments to look at.
local changed = { unlink = "pathname", unlinkat = "pathname", rmdir = "pathname", mkdir = "pathname",
  mkdirat = "pathname",
  rename = "oldpath newpath", renameat = "oldpath newpath", renameat2 = "oldpath newpath", link = "newpath",
  linkat = "newpath", symlink = "linkpath", symlinkat = "linkpath", truncate = "path", mknod = "pathname",
  mknodat = "pathname", chown = "pathname", lchown = "pathname", fchownat = "pathname", utimensat = "pathname",
  setxattr = "path", lsetxattr = "path", removexattr = "path", lremovexattr = "path" }

local function changes(call)
  for name in changed[formats.canonical(call.row.name)]:gmatch("%S+") do
    local why = match(guarded, path_of(call, name))
    if why then return why end
  end
end

local S_ISUID, S_ISGID, S_IWOTH = 0x800, 0x400, 0x2

local function sets_mode(call)
  local mode = number(call.mode)
  if bit.band(mode, S_ISUID + S_ISGID) ~= 0 then return "lets a program run as its owner" end
  if bit.band(mode, S_IWOTH) ~= 0 and bit.band(mode, 0x200) == 0 then return "lets everybody write to a file" end
  return call.row.index.pathname and match(guarded, path_of(call, "pathname"))
end

local function executes(call)
  local path, fd = formats.absolute(call, "pathname")
  if fd or path and (path:find("^/proc/self/fd/") or
    path:find("^/memfd:")) then return "runs a program without a name" end
  if not path then return nil end
  for _, pattern in ipairs(common) do
    if path:find(pattern) then return "runs a program from where anybody can put one" end
  end
end

local PROT_WRITE, PROT_EXEC = 2, 4
local function protects(call)
  if bit.band(number(call.prot), PROT_WRITE + PROT_EXEC) == PROT_WRITE + PROT_EXEC then
    return "makes memory both writable and executable"
  end
end

local SOCK_RAW = 3
local function makes_socket(call)
  if call.domain == "AF_PACKET" or bit.band(number(call.type), 15) == SOCK_RAW and call.domain ~= "AF_NETLINK" then
    return "sees or makes raw packets"
  end
end

local function is_local(ip)
  return ip:find("^127%.") or ip == "::1" or ip:find("^::ffff:127%.")
end

local function binds(call)
  local address = call.addr
  if type(address) ~= "table" or address == types.NULL or not address.ip then return nil end
  if address.port and address.port > 0 and address.port < 1024 then return "serves a privileged port" end
  if not is_local(address.ip) and address.port ~= 0 then return "can be reached from other machines" end
end

local function connects(call)
  local address = call.addr
  if type(address) ~= "table" or address == types.NULL or not address.ip or address.port == 0 then return nil end
  if not is_local(address.ip) then return "connects to another machine" end
end

local CLONE_NEW = 0x7e020000 -- the namespaces
local function clones(call)
  local flags = call.row.name == "clone3" and type(call.cl_args) == "table" and call.cl_args ~= types.NULL and
    call.cl_args.flags or call.raw[1]
  flags = type(flags) == "table" and flags.value or flags
  if type(flags) == "number" and flags < 4294967296 and bit.band(flags,
    CLONE_NEW) ~= 0 then return "makes namespaces" end
end

local function signals(call)
  local pid = types.load.i32(nil, call.raw[1])
  if call.raw[2] == 0 or pid == 0 then return nil end
  if pid == -1 then return "signals all processes" end
  local tree = call.session and call.session.tree
  if pid > 0 and tree and not tree:find(pid) then return "signals a process that is not its own" end
end

local controls = { PR_SET_NO_NEW_PRIVS = "limits its privileges", PR_SET_SECCOMP = "limits system calls",
  PR_CAPBSET_DROP = "changes its privileges", PR_SET_SECUREBITS = "changes its privileges",
  PR_SET_KEEPCAPS = "changes its privileges", PR_CAP_AMBIENT = "changes its privileges",
  PR_SET_DUMPABLE = "changes who may look into it", PR_SET_PTRACER = "changes who may look into it" }

local checks = { open = opens, openat = opens, openat2 = opens, creat = opens, chmod = sets_mode, fchmod = sets_mode,
  fchmodat = sets_mode, fchmodat2 = sets_mode, execve = executes, execveat = executes, mmap = protects,
  mprotect = protects, pkey_mprotect = protects, socket = makes_socket, bind = binds, connect = connects,
    clone = clones,
  clone3 = clones, unshare = clones, kill = signals,
  prctl = function(call) return controls[call.option] end,
  ptrace = function(call)
    if call.op ~= "PTRACE_TRACEME" then return "reaches into another process" end
  end,
  ioctl = function(call)
    if call.request == "TIOCSTI" then return "types into a terminal" end
  end }
for name in pairs(changed) do checks[name] = changes end

--- Why a call touches security; nil when it does not.
---@param call luatrace.Call at its entry
---@return string|nil
function M.of(call)
  local name = formats.canonical(call.row.name)
  local why = by_name[name]
  if why then return why end
  local check = checks[name]
  return check and check(call) or nil
end

local Marker = { wants_exit = false }
Marker.__index = Marker
function Marker.entry(_, call) rawset(call, "danger", M.of(call)) end
for _, name in ipairs { "exit", "signal", "group", "exec", "exit_process", "superseded", "finish" } do
  Marker[name] = function() end
end

--- An observer that comes before the outputs: `call.danger` is there when they look.
function M.observer() return setmetatable({}, Marker) end

return M
