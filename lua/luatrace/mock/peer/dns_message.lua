--- Messages of DNS (RFC 1035), as far as a server needs them that knows a few names.
--
--   dns_message.answer(query, function(name) return "\198\18\0\1" end)     -- a reply, or nil: no name of ours
--   dns_message.failure(query)

local M = {}

local TYPE_A, TYPE_ANY, CLASS_IN = 1, 255, 1
local TTL = 60

local function be16(bytes, at) return bytes:byte(at) * 256 + bytes:byte(at + 1) end
local function two(value) return string.char(math.floor(value / 256), value % 256) end

--- The first question of a query: name, type, class, and where it ends.
local function question(query)
  local labels, at = {}, 13
  while true do
    local length = query:byte(at)
    if not length or length > 63 then return nil end
    if length == 0 then break end
    labels[#labels + 1] = query:sub(at + 1, at + length)
    at = at + 1 + length
  end
  if #query < at + 4 then return nil end
  return table.concat(labels, "."):lower(), be16(query, at + 1), be16(query, at + 3), at + 4
end

--- The reply to a query (RFC 1035) about a name that `find` knows an IPv4 address for.
---@param query string
---@param find fun(name: string): string|nil
---@return string|nil
function M.answer(query, find)
  if #query < 17 or query:byte(3) >= 128 or be16(query, 5) ~= 1 then return nil end
  local name, kind, class, last = question(query)
  local ip = name and class == CLASS_IN and find(name)
  if not ip then return nil end
  local has_answer = kind == TYPE_A or kind == TYPE_ANY
  local flags = string.char(0x84 + query:byte(3) % 2, 0x80) -- a reply, authoritative; recursion as asked
  local head = query:sub(1, 2) .. flags .. two(1) .. two(has_answer and 1 or 0) .. two(0) .. two(0)
  local record = has_answer and two(0xc00c) .. two(TYPE_A) .. two(CLASS_IN) .. two(0) .. two(TTL) .. two(4) .. ip or ""
  return head .. query:sub(13, last) .. record
end

--- What a server says that could not find out (SERVFAIL), so that nobody waits for it.
function M.failure(query)
  return #query >= 12 and query:sub(1, 2) .. string.char(0x80 + query:byte(3) % 2, 0x82) .. query:sub(5, 6) ..
    ("\0"):rep(6) .. query:sub(13)
end

return M
