--- Names of mocked peers, asked of DNS: a program's datagram socket to port 53 becomes one to luatrace, which answers
-- what is asked about these names and passes everything else on to the server that it was for.
--
--   dns.connect(peers, call, where, original, fd)          -- from a handler of connect

local address = require "luatrace.mock.peer.address"
local dns_message = require "luatrace.mock.peer.dns_message"
local descriptors = require "luatrace.sys.descriptors"
local place = require "luatrace.mock.files.place"
local sockets = require "luatrace.mock.peer.sockets"
local swap = require "luatrace.mock.peer.swap"
local watched_fds = require "luatrace.watched_fds"

local M = {}

local word32 = place.word32
local DNS_PORT = 53
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

local SOL_SOCKET, SO_TYPE, SOCK_DGRAM = 1, 3, "\2"

--- Resolvers that do not connect say with each query where it goes.
local function on_sendto(peers)
  return function(call)
    local fd, length = word32(call.args[1]), word32(call.args[6])
    if call.args[5] == 0 or length < 16 then return end
    local where = address.parse(call.memory:read(call.args[5], math.min(length, 128)))
    local known = peers:known(call, fd)
    if not known then
      if not where or not M.is_for(peers, where) then return end
      local original = descriptors.take(call.process.pid, fd)
      local kind = original and descriptors.get_option(original, SOL_SOCKET, SO_TYPE, 4)
      if not kind or kind:sub(1, 1) ~= SOCK_DGRAM then
        if original then descriptors.close(original) end
        return
      end
      local errno
      known, errno = take_over(peers, call, where, original, fd)
      if not known then return call:fail(errno) end
    end
    if where then known.peer = where.bytes end
    call.args[5], call.args[6] = 0, 0
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
  context.clean_up(function()
    for _, known in pairs(peers.by_inode) do
      if known.stop then known.stop() end
    end
  end)
end

return M
