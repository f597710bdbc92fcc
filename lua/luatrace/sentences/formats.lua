--- How values stand in sentences: sizes, paths, descriptors, permissions, addresses, users, times.
--
--   formats.format(call, "flags", "access")        -- "for reading"
--
-- A format takes the call, the argument's value as a script sees it, its name; nil says that there is none.

local bit = require "bit"
local constants = require "luatrace.constants"
local decode = require "luatrace.decode"
local fd_table = require "luatrace.tracee.fd_table"
local quote = require "luatrace.text.quote"
local sys = require "luatrace.sys"
local types = require "luatrace.types"

local M = {}

local formats = {}

local function load_i32(raw) return types.load.i32(nil, raw) end

-- --- numbers --------------------------------------------------------------------------------------------------------

local units = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" }

--- 832 -> "832 bytes", 4096 -> "4 KiB", 1500000 -> "1.4 MiB".
---@param bytes number|any
---@return string
function M.size(bytes)
  bytes = tonumber(bytes)
  if bytes == 1 then return "1 byte" end
  if bytes < 1024 then return ("%d bytes"):format(bytes) end
  local unit = 0
  while bytes >= 1023.95 and unit < #units do
    bytes, unit = bytes / 1024, unit + 1
  end
  return (("%.1f"):format(bytes):gsub("%.0$", "")) .. " " .. units[unit]
end

function formats.size(_, value)
  if type(value) ~= "number" and type(value) ~= "cdata" then return nil end
  return M.size(value)
end

--- 0.25 -> "250 ms".
---@param value number
---@return string
function M.seconds(value)
  if value == 0 then return "no time" end
  if value < 1e-3 then return ("%.3g µs"):format(value * 1e6) end
  if value < 1 then return ("%.4g ms"):format(value * 1e3) end
  if value < 120 then return ("%.4g s"):format(value) end
  return ("%d min %d s"):format(math.floor(value / 60), value % 60)
end

function formats.seconds(_, value)
  if type(value) == "number" then return M.seconds(value) end
  if type(value) ~= "table" or value == types.NULL then return nil end
  local seconds, part = value.tv_sec, value.tv_nsec or (value.tv_usec and value.tv_usec * 1000)
  if not seconds or not part then return nil end
  return M.seconds(tonumber(seconds) + tonumber(part) / 1e9)
end

--- A timeout in milliseconds; negative ones are none.
function formats.ms(_, value)
  value = type(value) == "number" and load_i32(value)
  if not value or value < 0 then return nil end
  return M.seconds(value / 1e3)
end

function formats.number(_, value)
  if type(value) == "table" then return nil end
  return types.decimal(value)
end

function formats.octal(_, value)
  return type(value) == "number" and ("%04o"):format(bit.band(value, 0xfff)) or nil
end

-- --- files ----------------------------------------------------------------------------------------------------------

--- A path as one reads it: bare where nothing in it can be misread.
local function show_path(path)
  if path:find("^[%w/._%-+:@%%,=~%[%]#]+$") then return path end
  return quote.string(path)
end
M.show_path = show_path

--- The absolute path that a path argument means.
local function absolute(call, name)
  local index = call.row.index[name]
  local path = index and decode.value(call, index)
  if type(path) ~= "string" then return nil end
  local dirfd = index and call.row[index].type.dirfd
  local start = dirfd and load_i32(call.raw[call.row.index[dirfd]]) or fd_table.AT_FDCWD
  if path == "" and start ~= fd_table.AT_FDCWD then return nil, start end
  local full = call.process.fds:path_of(start, path)
  return full or path
end
M.absolute = absolute

function formats.path(call, _, name)
  local path, fd = absolute(call, name)
  if fd then return M.fd(call, fd) end
  if path then return show_path(path) end
  local index = call.row.index[name]
  local address = index and call.raw[index]
  local dirfd = index and call.row[index].type.dirfd
  -- utimensat(fd, NULL, ...) means the descriptor itself.
  if address == 0 and dirfd then return M.fd(call, load_i32(call.raw[call.row.index[dirfd]])) end
  return address == 0 and "no path (NULL)" or address and "a path at " .. types.hex(address)
end

--- As the program wrote it: the target of a symbolic link.
function formats.raw(_, value) return type(value) == "string" and show_path(value) or nil end
function formats.quoted(_, value) return type(value) == "string" and quote.string(value) or nil end

local standard = { [0] = "standard input", "standard output", "standard error" }

--- The sockets of a run by inode: what they have been connected or bound to.
local function sockets_of(call)
  local owner = call.session or M
  owner.socket_names = owner.socket_names or {}
  return owner.socket_names
end

--- What a descriptor is open on: "/etc/passwd", "a pipe", "the connection to 127.0.0.1 port 80".
---@return string what, boolean named it has a name in the file system
local function fd_target(call, num)
  local fd = call.process.fds:get(num)
  if not fd then return nil, false end
  if fd.kind == "socket" then return sockets_of(call)[fd.inode] or "a socket", false end
  if fd.kind == "pipe" then return "a pipe", false end
  if fd.kind == "tty" then return "the terminal", false end
  local anonymous = fd.path:match("^anon_inode:%[?([%w_-]+)")
  if anonymous then return (anonymous:find("^[aeio]") and "an " or "a ") .. anonymous, false end
  if fd.kind == "memfd" then return "memory " .. show_path(fd.path:gsub("^/memfd:", "")), false end
  return show_path(fd.path) .. (fd.deleted and " (deleted)" or ""), true
end

--- "/etc/passwd (fd 3)", "standard output (a pipe)".
function M.fd(call, num)
  if num == fd_table.AT_FDCWD then return "the working directory" end
  local normal = call.text_options and call.text_options.normal
  local number = normal and normal:fd(call, num):gsub("^fd", "") or tostring(num)
  local target = fd_target(call, num)
  if standard[num] then return target and ("%s (%s)"):format(standard[num], target) or standard[num] end
  if not target then return "fd " .. number end
  return ("%s (fd %s)"):format(target, number)
end

function formats.fd(call, value)
  local num = type(value) == "table" and value.num or tonumber(value)
  return num and M.fd(call, num)
end

--- "fd 3" alone.
function formats.fdnum(call, value)
  local num = type(value) == "table" and value.num or tonumber(value)
  if not num then return nil end
  local normal = call.text_options and call.text_options.normal
  return "fd " .. (normal and normal:fd(call, num):gsub("^fd", "") or tostring(num))
end

--- Both of a pair: "fd 3 and fd 4".
function formats.fdpair(call, value)
  if type(value) ~= "table" or not value[2] then return nil end
  return formats.fdnum(call, value[1]) .. " and " .. formats.fdnum(call, value[2])
end

local function listed(list, limit)
  local count = #list
  if count == 0 then return nil end
  if count > limit then
    return table.concat(list, ", ", 1, limit) .. (" and %d more"):format(count - limit)
  elseif count == 1 then
    return list[1]
  end
  return table.concat(list, ", ", 1, count - 1) .. " and " .. list[count]
end

--- The descriptors of poll; of select when the value is a list of numbers.
function formats.fds(call, value)
  if value == types.NULL then return nil end
  if type(value) ~= "table" then return "descriptors" end
  local list = {}
  for _, item in ipairs(value) do
    local fd = type(item) == "table" and item.fd or item
    local num = type(fd) == "table" and fd.num or tonumber(fd)
    if num then list[#list + 1] = M.fd(call, num) end
  end
  return listed(list, 4) or "no descriptor"
end

local O_ACCMODE, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_PATH, O_TMPFILE = 3, 0x40, 0x80, 0x200, 0x400, 0x200000, 0x410000
local ways = { [0] = "for reading", "for writing", "for reading and writing", "for ioctl only" }

function formats.access(_, value)
  local flags = type(value) == "table" and value.value or value
  if type(flags) ~= "number" then return "somehow" end
  local function has(mask) return bit.band(flags, mask) == mask end
  if has(O_PATH) then return "as a mere place" end
  local way = ways[bit.band(flags, O_ACCMODE)]
  if has(O_APPEND) then way = way:gsub("writing", "appending") end
  if has(O_TMPFILE) then return way .. ", as a new file without a name" end
  if has(O_CREAT + O_EXCL) then
    way = way .. ", as a new file"
  elseif has(O_CREAT) then
    way = way .. (has(O_TRUNC) and ", new or emptied" or ", made if missing")
  elseif has(O_TRUNC) then
    way = way .. ", emptied"
  end
  return way
end

local file_types = { [4] = "a directory", [8] = "a file", [10] = "a symbolic link", [2] = "a character device",
  [6] = "a block device", [1] = "a pipe", [12] = "a socket" }

--- What stat or statx has told: "a file, 44.4 KiB", "a directory".
function formats.fileinfo(_, value)
  if type(value) ~= "table" or value == types.NULL then return nil end
  local mode, size = value.st_mode or value.stx_mode, value.st_size or value.stx_size
  local kind = type(mode) == "number" and bit.band(bit.rshift(mode, 12), 15)
  local name = kind and file_types[kind]
  return name and kind == 8 and size and name .. ", " .. M.size(size) or name
end

function formats.signalname(_, value) return constants.signals.by_value[value] end

--- access(2): what is looked for.
function formats.may(_, value)
  local mode = type(value) == "table" and value.value or value
  if type(mode) ~= "number" then return nil end
  local list = {}
  for _, pair in ipairs { { 4, "read" }, { 2, "written" }, { 1, "executed" } } do
    if bit.band(mode, pair[1]) ~= 0 then list[#list + 1] = pair[2] end
  end
  return #list > 0 and "may be " .. listed(list, 3) or "exists"
end

-- --- memory ---------------------------------------------------------------------------------------------------------

function formats.protection(_, value)
  local prot = type(value) == "table" and value.value or value
  if type(prot) ~= "number" then return nil end
  local list = {}
  for _, pair in ipairs { { 1, "readable" }, { 2, "writable" }, { 4, "executable" } } do
    if bit.band(prot, pair[1]) ~= 0 then list[#list + 1] = pair[2] end
  end
  return listed(list, 3) or "inaccessible"
end

function formats.address(_, value)
  return (type(value) == "number" or type(value) == "cdata") and types.hex(value) or nil
end

-- --- who ------------------------------------------------------------------------------------------------------------

local names = {} -- of a file: number -> name

local function name_from(file, number)
  if not names[file] then
    names[file] = {}
    for line in (sys.read_file(file) or ""):gmatch("[^\n]+") do
      local name, id = line:match("^([^:]*):[^:]*:(%d+):")
      if id and not names[file][tonumber(id)] then names[file][tonumber(id)] = name end
    end
  end
  return names[file][number]
end

function formats.user(_, value)
  if type(value) ~= "number" or value < 0 or value == 4294967295 then return nil end
  return name_from("/etc/passwd", value) or ("user %d"):format(value)
end

function formats.group(_, value)
  if type(value) ~= "number" or value < 0 or value == 4294967295 then return nil end
  return name_from("/etc/group", value) or ("group %d"):format(value)
end

--- "process 4711 (cat)"; of one's own, "itself".
local function process(call, pid)
  if pid == 0 or pid == call.process.pid then return "itself" end
  local normal = call.text_options and call.text_options.normal
  local other = call.session and call.session.tree and call.session.tree:find(pid)
  local comm = other and other.comm
  return "process " .. (normal and normal:pid(pid) or pid) .. (comm and not normal and " (" .. comm .. ")" or "")
end

function formats.process(call, value)
  value = type(value) == "number" and load_i32(value)
  if not value then return nil end
  if value == -1 then return "all processes" end
  if value < -1 then return "process group " .. (process(call, -value):gsub("^process ", "")) end
  return process(call, value)
end

--- The id alone.
function formats.pid(call, value)
  local normal = call.text_options and call.text_options.normal
  return normal and normal:pid(value) or tostring(value)
end

--- wait4's first argument.
function formats.children(call, value)
  value = type(value) == "number" and load_i32(value)
  if not value or value == -1 then return "any child" end
  if value <= 0 then return "any child of a process group" end
  return process(call, value)
end

--- How a child ended, from a wait status.
function formats.ending(_, value)
  if type(value) ~= "number" then return nil end
  local low = bit.band(value, 0x7f)
  local function signal(number) return constants.signals.by_value[number] or "signal " .. number end
  if low == 0 then return "ended with status " .. bit.band(bit.rshift(value, 8), 0xff) end
  if bit.band(value, 0xff) == 0x7f then return "stopped by " .. signal(bit.band(bit.rshift(value, 8), 0xff)) end
  if value == 0xffff then return "goes on" end
  return "was killed by " .. signal(low)
end

--- argv as a shell has it.
---@param value string[]
---@return string
function M.show_words(value)
  local list = {}
  for i, word in ipairs(value) do
    if type(word) ~= "string" then word = types.hex(word) end
    list[i] = word:find("^[%w_./:=,+%-@%%]+$") and word or quote.string(word)
    if i == 12 and value[13] then
      list[13] = "..."
      break
    end
  end
  return table.concat(list, " ")
end

function formats.words(_, value)
  if type(value) ~= "table" or value == types.NULL or #value == 0 then return nil end
  return M.show_words(value)
end

M.hex = types.hex

function formats.signals(_, value)
  if type(value) ~= "table" or value == types.NULL then return "signals" end
  if #value > 20 then return "nearly all signals" end
  return listed(value, 6) or "no signal"
end

-- --- network --------------------------------------------------------------------------------------------------------

--- "127.0.0.1 port 80", "the socket /run/x".
local function peer(_, address)
  if type(address) ~= "table" or address == types.NULL then return nil end
  if address.ip then
    return (address.ip:find(":", 1, true) and "[%s] port %d" or "%s port %d"):format(address.ip, address.port or 0)
  end
  if address.path then return address.path ~= "" and "the socket " .. show_path(address.path) or nil end
  if address.family == "AF_NETLINK" then return "the kernel (netlink)" end
  return address.family and tostring(address.family) or nil
end
formats.peer = peer

local families = { AF_INET = "an IPv4", AF_INET6 = "an IPv6", AF_UNIX = "a local", AF_LOCAL = "a local",
  AF_NETLINK = "a netlink", AF_PACKET = "a packet", AF_VSOCK = "a virtual machine's", AF_ALG = "a crypto" }

function formats.family(_, value) return families[value] or ("a %s"):format(tostring(value)) end

local kinds = { "stream", "datagram", "raw", "reliable datagram", "sequenced packet" }
function formats.kind(_, value)
  local flags = type(value) == "table" and value.value or value
  return type(flags) == "number" and kinds[bit.band(flags, 15)] or nil
end

-- --- anything -------------------------------------------------------------------------------------------------------

--- A set of flags, an enumeration, a request: its names.
function formats.names(call, value, name)
  if type(value) == "string" then return value end
  local index = call.row.index[name]
  if not index then return nil end
  local out = require("string.buffer").new()
  local argument_type = call.row[index].type
  argument_type.text(out, call, argument_type.load(call, call.raw[index]))
  return out:tostring()
end

local function plain(call, value, name)
  local index = call.row.index[name]
  local argument_type = index and call.row[index].type
  if not argument_type and name == "ret" then
    argument_type = call.row.returns
    if argument_type.chosen then argument_type = argument_type.chosen(call) end
    if argument_type.role == "fd" then return formats.fdnum(call, value) end
  end
  if argument_type and argument_type.role == "path" then return formats.path(call, value, name) end
  if value == types.NULL then return nil end
  if argument_type then
    if argument_type.role == "fd" then return formats.fd(call, value) end
    if argument_type == types.pid then return formats.process(call, value) end
  end
  if type(value) == "string" then return show_path(value) end
  return formats.names(call, value, name) or formats.number(call, value)
end
formats.plain = plain

---@param call luatrace.Call
---@param name string an argument, a field of one ("how.flags"), "ret" or "error"
---@param format string
---@return string|nil
function M.format(call, name, format)
  if name == "error" then return "{error}" end
  local value
  if name == "ret" then
    value = call.raw_ret
  else
    local first, field = name:match("^([^.]+)%.(.+)$")
    local index = call.row.index[first or name]
    if not index then return nil end
    -- Not call[name]: some arguments are called "name".
    value = decode.value(call, index)
    if field and value ~= nil then
      if type(value) ~= "table" or value == types.NULL then return nil end
      value = value[field]
    end
  end
  if value == nil then return nil end
  local fn = formats[format] or error(("sentences: there is no format %q"):format(format), 0)
  return fn(call, value, name)
end

--- Is there such a format? For the check of the tables.
function M.known(format) return formats[format] ~= nil end

--- At entry of a call: what sockets will be called from now on; forgotten when nothing of it comes true.
function M.note(call, said)
  local name = call.row.name
  if name == "connect" or name == "bind" then
    local where = peer(call, call.addr)
    local fd = call.process.fds:get(load_i32(call.raw[1]))
    if where and fd and fd.inode then
      said.socket = { inode = fd.inode, name = (name == "connect" and "the connection to " or "the socket at ") ..
        where }
    end
  end
end

--- At exit: sockets have names now.
function M.learn(call)
  local said = rawget(call, "said")
  local socket = said and said.socket
  if socket and (not call.failed or call.errno == "EINPROGRESS") then
    sockets_of(call)[socket.inode] = socket.name
  end
  local name = call.row.name
  if name == "getsockname" and not call.failed then
    -- Bound to port 0: now it is known to which.
    local fd = call.process.fds:get(load_i32(call.raw[1]))
    local where = peer(call, call.addr)
    local known = fd and fd.inode and sockets_of(call)[fd.inode]
    if known and where and known:find("^the socket at ") then sockets_of(call)[fd.inode] = "the socket at " .. where end
  end
  if (name == "accept" or name == "accept4") and not call.failed then
    local where = peer(call, call.addr)
    local fd = call.process.fds:get(call.raw_ret)
    if fd and fd.inode then
      sockets_of(call)[fd.inode] = where and "the connection from " .. where or "a connection"
    end
  end
end

local others = { mmap2 = "mmap", _newselect = "select", _llseek = "lseek", ugetrlimit = "getrlimit", fstatat64 =
  "newfstatat", oldstat = "stat", oldlstat = "lstat", oldfstat = "fstat", umount = "umount2" }

--- The name under which a call's like is known: i386 has several of many ("fcntl64", "setuid32").
---@param name string
---@return string
function M.canonical(name) return others[name] or (name:gsub("^(%a[%a_]+)64$", "%1"):gsub("^(%a[%a_]+)32$", "%1")) end

--- The category of a call that has no sentence: by the classes of its row.
local classes = { { "network", "network" }, { "file", "file" }, { "memory", "memory" }, { "signal", "signal" },
  { "process", "process" }, { "ipc", "ipc" }, { "desc", "file" }, { "clock", "time" }, { "creds", "process" } }

function M.category(call)
  for _, pair in ipairs(classes) do
    if call.row.classes and call.row.classes[pair[1]] then return pair[2] end
  end
  for i = 1, #call.row do
    local role = call.row[i].type.role
    if role == "path" or role == "fd" then return "file" end
  end
  return "system"
end

return M
