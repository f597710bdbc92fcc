--- Bytes as strace prints them: in double quotes, C escapes, octal for the rest.
--
--   quote.string("a\nb")                 -- "a\nb" in quotes
--   quote.put(out, bytes, 32)            -- at most 32 bytes, then "..."

local style = require "luatrace.text.style"

local now = style.now

local M = {}

--- A table of what stands for each byte, filled as bytes come up.
local function each_byte(escaped, named)
  return setmetatable(named or {}, { __index = function(texts, char)
    local byte = char:byte()
    texts[char] = named and byte >= 32 and byte < 127 and char or escaped:format(byte)
    return texts[char]
  end })
end

local function c_names()
  return { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ["\v"] = "\\v",
    ["\f"] = "\\f" }
end

local hex = each_byte("\\x%02x")
local escapes, hex_escapes = each_byte("\\%o", c_names()), each_byte("\\x%02x", c_names())

--- An octal escape that an octal digit follows is written with all three digits.
local function octal_escape(bytes)
  return (bytes:gsub("()(.)", function(at, char)
    local text = escapes[char]
    if #text > 1 and #text < 4 and text:find("^\\%d") and bytes:find("^[0-7]", at + 1) then
      return ("\\%03o"):format(char:byte())
    end
    return text
  end))
end

local function escape(bytes)
  local strings = now.strings
  if strings == "all" then return (bytes:gsub(".", hex)) end
  if not bytes:find('[%c"\\\127-\255]') then return bytes end
  if strings == "none" then return octal_escape(bytes) end
  -- One byte that is neither printable nor white space makes all of them hexadecimal.
  if strings == "non-ascii" and bytes:find("[^\t-\r\32-\126]") then return (bytes:gsub(".", hex)) end
  return (bytes:gsub(".", hex_escapes))
end

---@param bytes string
---@return string
function M.string(bytes) return '"' .. escape(bytes) .. '"' end

--- A path for a message or between < and >: escaped, without quotes.
---@param bytes string
---@return string
function M.path(bytes)
  local text = escape(bytes)
  if not text:find("[<>]") then return text end
  return (text:gsub("[<>]", now.strings == "none" and { ["<"] = "\\74", [">"] = "\\76" } or hex))
end

--- Appends at most `limit` bytes in quotes, and "..." when there are more.
---@param out table string.buffer
---@param bytes string
---@param limit integer
function M.put(out, bytes, limit)
  if #bytes > limit then
    out:put('"', escape(bytes:sub(1, limit)), '"...')
  else
    out:put('"', escape(bytes), '"')
  end
end

--- The same, every byte in hexadecimal: for what is never text.
function M.put_hex(out, bytes, limit)
  local shown = #bytes > limit and bytes:sub(1, limit) or bytes
  out:put('"', (shown:gsub(".", function(char) return ("\\x%02x"):format(char:byte()) end)),
    #bytes > limit and '"...' or '"')
end

--- The same for a NUL-terminated string, of which there may be more than was read.
function M.put_string(out, bytes, limit, truncated)
  if #bytes > limit then
    out:put('"', escape(bytes:sub(1, limit)), '"...')
  else
    out:put('"', escape(bytes), truncated and '"...' or '"')
  end
end

local keywords = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then true " ..
  "until while"):gmatch("%a+") do keywords[word] = true end

--- A key as a Lua table has it: path, ["until"].
---@param key string
---@return string
function M.key(key)
  return key:find("^[%a_][%w_]*$") and not keywords[key] and key or ("[%q]"):format(key)
end

return M
