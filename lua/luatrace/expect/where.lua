--- Where-tables for recorded calls: { path = "*.db", fd = "socket", errno = "EIO", ret = { 1, 100 }, ... }.
--
--   local matches = where.compile { path = "*.db", errno = "EIO" }
--   if matches(recorded_call) then ... end
--
-- path: a glob (* also over /) for what the call names or its descriptor is open on, or a list of them; fd: number,
-- kind or list; comm, exe: glob; pid, ret: number, or { min, max }; errno: name, or true for any failure; arg: { name =
-- value, "FLAG", or { min, max } }; buf: Lua pattern; stack: Lua pattern for a frame; when: function(call).

local filter = require "luatrace.filter"

local M = {}

--- A glob as a Lua pattern; "*" goes over "/", as in the shell's case. Without a "/" it names files wherever they are.
---@param glob string
---@return fun(path: string|nil): boolean
function M.glob(glob)
  local pattern = glob:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*+", ".*"):gsub("%?", ".")
  if glob:sub(1, 1) ~= "/" and glob:sub(1, 1) ~= "*" then
    local whole, below = "^" .. pattern .. "$", "/" .. pattern .. "$"
    return function(path) return path ~= nil and (path:find(whole) or path:find(below)) ~= nil end
  end
  pattern = "^" .. pattern .. "$"
  return function(path) return path ~= nil and path:find(pattern) ~= nil end
end

local function any(list, make)
  local tests = {}
  for i, item in ipairs(type(list) == "table" and list or { list }) do tests[i] = make(item) end
  return function(value)
    for i = 1, #tests do
      if tests[i](value) then return true end
    end
    return false
  end
end

--- A number, or from a number to another.
local function number_test(key, value)
  if type(value) == "table" and type(value[1]) == "number" and type(value[2]) == "number" then
    return function(found) return type(found) == "number" and found >= value[1] and found <= value[2] end
  end
  if type(value) ~= "number" then return nil, ("%s takes a number or { min, max }"):format(key) end
  return function(found) return found == value end
end

local function argument_test(value)
  if type(value) == "table" then return number_test("arg", value) end
  return function(found)
    if type(found) == "table" then
      if found.has then return type(value) == "string" and found:has(value) or found.value == value end
      if found.num then return found.num == value end
    end
    return found == value or tostring(found) == value
  end
end

local make = {}

function make.path(value)
  local test = any(value, M.glob)
  return function(call)
    for _, path in ipairs(call.all_paths or {}) do
      if test(path) then return true end
    end
    if call.path and test(call.path) then return true end
    for i = 1, #call.row do
      local argument = call.row[i].type.role == "fd" and call[call.row[i].name]
      if argument and argument.path and test(argument.path) then return true end
    end
    return false
  end
end

function make.fd(value)
  local wanted = {}
  for _, item in ipairs(type(value) == "table" and value or { value }) do wanted[item] = true end
  return function(call)
    for i = 1, #call.row do
      local fd = call.row[i].type.role == "fd" and call[call.row[i].name]
      if fd and (wanted[fd.num] or fd.kind and wanted[fd.kind]) then return true end
    end
    return false
  end
end

function make.comm(value)
  local test = any(value, M.glob)
  return function(call) return test(call.process.comm) end
end

function make.exe(value)
  local test = any(value, M.glob)
  return function(call) return test(call.process.exe) end
end

function make.pid(value)
  local test, message = number_test("pid", value)
  return test and function(call) return test(call.process.pid) end, message
end

function make.ret(value)
  local test, message = number_test("ret", value)
  return test and function(call) return test(call.ret) end, message
end

function make.errno(value)
  if value == true then return function(call) return call.errno ~= nil end end
  local test = any(value, function(name) return function(found) return found == name end end)
  return function(call) return test(call.errno) end
end

function make.buf(value)
  if type(value) ~= "string" then return nil, "buf takes a Lua pattern" end
  return function(call)
    local bytes = call.buf or call.iov
    return type(bytes) == "string" and bytes:find(value) ~= nil
  end
end

function make.stack(value)
  return function(call)
    for _, frame in ipairs(call:stack()) do
      if frame.symbol and frame.symbol:find(value) or frame.module and frame.module:find(value) then return true end
    end
    return false
  end
end

function make.arg(value)
  if type(value) ~= "table" then return nil, "arg takes a table such as { flags = \"O_TRUNC\" }" end
  local tests = {}
  for name, wanted in pairs(value) do
    local test, message = argument_test(wanted)
    if not test then return nil, message end
    tests[name] = test
  end
  return function(call)
    for name, test in pairs(tests) do
      if call[name] == nil or not test(call[name]) then return false end
    end
    return true
  end
end

make["when"] = function(value)
  if type(value) ~= "function" then return nil, "when takes a function(call)" end
  return function(call) return value(call) and true or false end
end

local ignored = { call = true, calls = true }

---@param where table|nil
---@return (fun(call: luatrace.RecordedCall): boolean)|nil matches, string? message
function M.compile(where)
  local tests = {}
  if where ~= nil and type(where) ~= "table" then
    return nil, ("where is a table such as { path = \"*.db\" }, not a %s"):format(type(where))
  end
  for key, value in pairs(where or {}) do
    if not ignored[key] then
      local build = make[key]
      if not build then
        local near = type(key) == "string" and filter.nearest(key, make) or {}
        return nil, ("there is no predicate %s%s"):format(tostring(key),
          near[1] and (" (did you mean %s?)"):format(near[1]) or "")
      end
      local test, message = build(value)
      if not test then return nil, message end
      tests[#tests + 1] = test
    end
  end
  return function(call)
    for i = 1, #tests do
      if not tests[i](call) then return false end
    end
    return true
  end
end

return M
