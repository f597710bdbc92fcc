--- Names of mocked peers, asked of DNS: a program's datagram socket to port 53 becomes one to luatrace, which answers
-- what is asked about these names and passes everything else on to the server that it was for.
--
--   dns.connect(peers, call, where, original, fd)          -- from a handler of connect

local ffi = require "ffi"
local address = require "luatrace.mock.peer.address"
local dns_message = require "luatrace.mock.peer.dns_message"
local descriptors = require "luatrace.sys.descriptors"
local engine = require "luatrace.engine"
local place = require "luatrace.mock.files.place"
local sockets = require "luatrace.mock.peer.sockets"
local swap = require "luatrace.mock.peer.swap"
local watched_fds = require "luatrace.session.watched_fds"

local M = {}

local word32 = place.word32
local DNS_PORT = 53
local SOL_SOCKET, SO_TYPE, SOCK_DGRAM = 1, 3, "\2"
--- Is this where names are asked for, with names of ours to be found?
---@param peers luatrace.Peers
function M.is_for(peers, where)
  return where.port == DNS_PORT and next(peers.names) ~= nil
end

--- Serves a socket: answers, or passes on.
local function serve(peers, session, fd, where, known)
  local watched = watched_fds.of(session.tracer)
  local server
  local function close()
    if not known.serving then return end
    known.serving = nil
    for _, each in ipairs { fd, server } do
      watched:remove(each)
      descriptors.close(each)
    end
    known:close()
  end
  known.stop = close
  known.serving = true
  local pending = {} -- by the number of the query
  local function give_up()
    for _, query in pairs(pending) do
      local reply = dns_message.failure(query)
      if reply then descriptors.send(fd, reply) end
    end
    pending = {}
  end
  local function pass_on(query)
    pending[query:sub(1, 2)] = query
    if not server then
      server = descriptors.datagram_to(where.bytes)
      if not server then return give_up() end
      watched:add(server, "in", function()
        local reply, _, errno = descriptors.receive(server)
        if reply then
          pending[reply:sub(1, 2)] = nil
          descriptors.send(fd, reply)
        elseif errno ~= "EAGAIN" then
          give_up()
        end
      end)
    end
    if not descriptors.send(server, query) then give_up() end
  end
  watched:add(fd, "in", function(ready)
    local query, _, errno = descriptors.receive(fd)
    -- A Unix socket whose peer is gone has nothing to read, for ever.
    if query == "" or not query and (errno ~= "EAGAIN" or ready == "hangup") then return close() end
    local reply = query and dns_message.answer(query, function(name) return peers.names[name] end)
    if reply then descriptors.send(fd, reply) elseif query then pass_on(query) end
  end)
end

--- Swaps a datagram socket for one to luatrace.
local function take_over(peers, call, where, original, fd)
  local swapped, errno = swap.socket(call, fd, original, "datagram")
  if not swapped then
    descriptors.close(original)
    return nil, errno
  end
  local known = sockets.new(where, original, 0, "datagram")
  peers.by_inode[swapped.inode] = known
  serve(peers, call.session, swapped.fd, where, known)
  return known
end

---@param peers luatrace.Peers
---@param where table
---@param original integer
function M.connect(peers, call, where, original, fd)
  local known, errno = take_over(peers, call, where, original, fd)
  if known then call:returns(0) else call:fail(errno) end
end

--- The socket that a query of a resolver goes to which does not connect, but says with each where it goes; nil when
-- it is none of ours, or the call has been failed.
local function queried(peers, call, where)
  local fd = word32(call.args[1])
  local known = peers:known(call, fd)
  if not known then
    if not where or not M.is_for(peers, where) then return nil end
    local original = descriptors.take(call.process.pid, fd)
    local kind = original and descriptors.get_option(original, SOL_SOCKET, SO_TYPE, 4)
    if not kind or kind:sub(1, 1) ~= SOCK_DGRAM then
      if original then descriptors.close(original) end
      return nil
    end
    local errno
    known, errno = take_over(peers, call, where, original, fd)
    if not known then
      call:fail(errno)
      return nil
    end
  end
  if where then known.peer = where.bytes end
  return known
end

local function read_address(call, at, length)
  if at == 0 or length < 16 then return nil end
  return address.parse(call.memory:read(at, math.min(length, 128)))
end

local function on_sendto(peers)
  return function(call)
    local where = read_address(call, call.args[5], word32(call.args[6]))
    if where and queried(peers, call, where) then call.args[5], call.args[6] = 0, 0 end
  end
end

--- struct msghdr begins with the address and its length.
local function message_of(call)
  local word = call.arch.pointer_size
  local size = word * 7
  local bytes = call.memory:read(call.args[2], size)
  if not bytes or #bytes < size then return nil end
  local name = ffi.cast(word == 8 and "const uint64_t *" or "const uint32_t *", bytes)[0]
  return { bytes = bytes, word = word, name = engine.exact(ffi.cast("uint64_t", name)),
    length = ffi.cast("const int32_t *", bytes)[word / 4], length_at = call.args[2] + word }
end

local function on_sendmsg(peers)
  return function(call)
    local message = message_of(call)
    local where = message and read_address(call, message.name, message.length)
    if not where or not queried(peers, call, where) then return end
    local room = call.memory:alloc(#message.bytes)
    if not room then return end
    call.memory:write(room, ("\0"):rep(message.word + 4) .. message.bytes:sub(message.word + 5))
    call.args[2] = room
  end
end

local function on_recvmsg(peers)
  return function(call)
    local known = peers:known(call, word32(call.args[1]))
    local message = known and known.kind == "datagram" and message_of(call)
    if not message or message.name == 0 or not call:run() then return end
    call.memory:write(message.name, known.peer:sub(1, math.max(message.length, 0)))
    call.memory:write(message.length_at, ffi.string(ffi.new("uint32_t[1]", #known.peer), 4))
  end
end

--- Resolvers look at who has replied.
local function on_recvfrom(peers)
  return function(call)
    local known = call.args[5] ~= 0 and peers:known(call, word32(call.args[1]))
    if not known or known.kind ~= "datagram" then return end
    -- The kernel says that there is no address: how much room there was must be known before.
    local room = sockets.room(call, 6)
    local got = call:run()
    if got then
      sockets.answer_sized(call, 5, 6, known.peer, true, room)
      if not call.failed then call:returns(got) end
    end
  end
end

---@param context luatrace.MockContext
---@param peers luatrace.Peers
function M.install(context, peers)
  context.on({ "sendto" }, on_sendto(peers))
  context.on({ "recvfrom" }, on_recvfrom(peers))
  context.on({ "sendmsg" }, on_sendmsg(peers))
  context.on({ "recvmsg" }, on_recvmsg(peers))
  context.clean_up(function()
    for _, known in pairs(peers.by_inode) do
      if known.stop then known.stop() end
    end
  end)
end

return M
