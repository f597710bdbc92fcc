--- Who is at the other end: of a pipe, a FIFO, a socket, a lock; and who a process's children are. One look at /proc,
-- made
-- when it is first needed, serves a whole report.
--
--   local peers = require("luatrace.stuck.peers").new()
--   peers:writers("pipe:[4711]")        -- { { pid = 12, fd = 1, comm = "cat" } }
--   peers:socket_peer(fd)               -- "TCP:[127.0.0.1:5000->127.0.0.1:4000]", holders of the other end

local formats = require "luatrace.sentences.formats"
local sys = require "luatrace.sys"

local M = {}

---@class luatrace.Peers
local Peers = {}
Peers.__index = Peers

--- To be made before threads are stopped: a lock that is waited for is in /proc/locks only while it is waited for.
---@return luatrace.Peers
function M.new() return setmetatable({ locks = sys.read_file("/proc/locks") or "" }, Peers) end

local function own_pid() return tonumber((sys.readlink("/proc/self"))) end

--- All that is open: link -> { pid, fd }. Our own copies wait for nobody.
local function open_files(self)
  if self.open then return self.open end
  self.open = {}
  local me = own_pid()
  for _, name in ipairs(sys.list_dir("/proc") or {}) do
    local pid = tonumber(name)
    for _, fd in ipairs(pid and pid ~= me and sys.list_dir(("/proc/%d/fd"):format(pid)) or {}) do
      local link = sys.readlink(("/proc/%d/fd/%s"):format(pid, fd))
      if link then
        self.open[link] = self.open[link] or {}
        table.insert(self.open[link], { pid = pid, fd = tonumber(fd) })
      end
    end
  end
  return self.open
end

local function comm_of(pid)
  return formats.show_path(((sys.read_file(("/proc/%d/comm"):format(pid)) or "?"):gsub("\n$", "")))
end

--- "4711 (cat)".
function Peers.who(_, pid) return ("%d (%s)"):format(pid, comm_of(pid)) end

local O_ACCMODE, O_RDONLY, O_WRONLY = 4, 0, 1

local function access_of(holder)
  local text = sys.read_file(("/proc/%d/fdinfo/%d"):format(holder.pid, holder.fd)) or ""
  local flags = tonumber(text:match("flags:%s*(%d+)") or "0", 8)
  return flags % O_ACCMODE
end

local function holders(self, link, unwanted)
  local list = {}
  for _, holder in ipairs(open_files(self)[link] or {}) do
    if not unwanted or access_of(holder) ~= unwanted then list[#list + 1] = holder end
  end
  table.sort(list, function(a, b)
    if a.pid ~= b.pid then return a.pid < b.pid end
    return a.fd < b.fd
  end)
  return list
end

--- Who has the file behind a link of /proc/PID/fd open for writing, or for reading.
function Peers:writers(link) return holders(self, link, O_RDONLY) end
function Peers:readers(link) return holders(self, link, O_WRONLY) end
function Peers:holders(link) return holders(self, link) end

--- "4711 (cat), fd 1, and 4712 (sort), fd 0".
function Peers:list(list)
  local words = {}
  for i, holder in ipairs(list) do
    if i > 4 then
      words[#words + 1] = ("%d more"):format(#list - 4)
      break
    end
    words[i] = ("%s, fd %d"):format(self:who(holder.pid), holder.fd)
  end
  return table.concat(words, "; ")
end

--- Address and port as /proc/net/tcp has them, from "127.0.0.1:80" or "[::1]:80".
local function proc_net(address)
  local a, b, c, d, port = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+):(%d+)$")
  if a then return ("%02X%02X%02X%02X:%04X"):format(d, c, b, a, port), "tcp" end
  local ip
  ip, port = address:match("^%[(.*)%]:(%d+)$")
  if not ip then return nil end
  local head, tail = ip:match("^(.-)::(.*)$")
  local groups, after = {}, {}
  local function collect(text, into)
    for group in text:gmatch("[^:]+") do
      local w, x, y, z = group:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
      if w then
        into[#into + 1], into[#into + 2] = w * 256 + x, y * 256 + z
      else
        into[#into + 1] = tonumber(group, 16)
      end
    end
  end
  collect(head or ip, groups)
  collect(tail or "", after)
  while #groups + #after < 8 do groups[#groups + 1] = 0 end
  for _, group in ipairs(after) do groups[#groups + 1] = group end
  local words = {}
  for i = 1, 8, 2 do
    local first, second = groups[i], groups[i + 1]
    words[#words + 1] = ("%02X%02X%02X%02X"):format(second % 256, math.floor(second / 256), first % 256,
      math.floor(first / 256))
  end
  return table.concat(words) .. (":%04X"):format(port), "tcp6"
end

--- The inode of the local socket whose ends are these two the other way round.
local function reverse_inode(pid, here, there)
  local my_end, file = proc_net(here)
  local other_end = proc_net(there)
  if not my_end or not other_end then return nil end
  for line in (sys.read_file(("/proc/%d/net/%s"):format(pid, file)) or ""):gmatch("[^\n]+") do
    local from, to, inode = line:match("^%s*%d+: (%x+:%x+) (%x+:%x+) %x+ %S+ %S+ %S+%s+%d+%s+%d+ (%d+)")
    if from == other_end and to == my_end and inode ~= "0" then return tonumber(inode) end
  end
end

--- What a socket is connected to: its description, and who holds the other end where that is on this machine.
---@param fd luatrace.Fd
---@return string description, table[]|nil holders
function Peers:socket_peer(fd)
  local text = require("luatrace.tracee.fd_details").text(fd, { socket = true }) or fd.path
  local peer = tonumber(text:match("^UNIX[%u%-]*:%[%d+%->(%d+)"))
  if not peer then
    local here, there = text:match("^TCPv?6?:%[(.-)%->(.*)%]$")
    peer = here and reverse_inode(fd.pid, here, there)
  end
  return text, peer and self:holders(("socket:[%d]"):format(peer)) or nil
end

--- The living children of a process.
---@return integer[] pids
function Peers:children(pid)
  if not self.parents then
    self.parents = {}
    for _, name in ipairs(sys.list_dir("/proc") or {}) do
      local child = tonumber(name)
      local state, parent = (child and sys.read_file(("/proc/%d/stat"):format(child)) or
        ""):match("^%d+ %(.*%) (%a) (%d+)")
      if parent and state ~= "Z" then
        parent = tonumber(parent)
        self.parents[parent] = self.parents[parent] or {}
        table.insert(self.parents[parent], child)
      end
    end
  end
  return self.parents[pid] or {}
end

--- Who has the lock that a process waits for (/proc/locks): the pid, and what kind it is.
---@return integer|nil pid, string? kind "FLOCK", "POSIX", "OFDLCK"
function Peers:lock_owner(pid)
  local text = self.locks
  local id, kind
  for line in text:gmatch("[^\n]+") do
    local number, what, waiter = line:match("^(%d+): %->%s+(%u+)%s+%S+%s+%S+%s+(%-?%d+)")
    if tonumber(waiter) == pid then id, kind = number, what end
  end
  if not id then return nil end
  for line in text:gmatch("[^\n]+") do
    local number, owner = line:match("^(%d+):%s+%u+%s+%S+%s+%S+%s+(%-?%d+)")
    if number == id and not line:find("->", 1, true) then return tonumber(owner), kind end
  end
end

return M
