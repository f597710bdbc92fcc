--- Addresses of the internet as text, and names of interfaces.
--
--   ip.v4("\127\0\0\1")          -- "127.0.0.1"
--   ip.v6(("\0"):rep(15) .. "\1")  -- "::1"

local M = {}

---@param bytes string 4 of them
---@return string
function M.v4(bytes) return ("%d.%d.%d.%d"):format(bytes:byte(1, 4)) end

--- The longest run of zero groups becomes "::" (RFC 5952), as inet_ntop prints.
---@param bytes string 16 of them
---@return string
function M.v6(bytes)
  local groups = {}
  for i = 1, 16, 2 do groups[#groups + 1] = bytes:byte(i) * 256 + bytes:byte(i + 1) end
  local best, best_length, start = nil, 1, nil
  for i = 1, 9 do
    if groups[i] == 0 then
      start = start or i
    elseif start then
      if i - start > best_length then best, best_length = start, i - start end
      start = nil
    end
  end
  if best == 1 and best_length >= 6 and (best_length == 6 or best_length == 5) or
    (best == 1 and best_length == 5 and groups[6] == 0xffff) then
    local prefix = groups[6] == 0xffff and "::ffff:" or "::"
    return ("%s%d.%d.%d.%d"):format(prefix, bytes:byte(13, 16))
  end
  local text = ""
  local i = 1
  while i <= 8 do
    if i == best then
      text = text .. "::"
      i = i + best_length
    else
      if text ~= "" and text:sub(-1) ~= ":" then text = text .. ":" end
      text = text .. ("%x"):format(groups[i])
      i = i + 1
    end
  end
  return text
end

--- The name of a network interface (of the tracer's network namespace, as strace has it).
---@param index integer
---@return string|nil
function M.interface_name(index)
  for line in io.lines("/proc/net/dev") do
    local name = line:match("^%s*([^:%s]+):")
    local file = name and io.open(("/sys/class/net/%s/ifindex"):format(name))
    if file then
      local number = file:read("*n")
      file:close()
      if number == index then return name end
    end
  end
end

return M
