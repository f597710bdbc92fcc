--- Records real calls for spec/decode_spec.lua: registers, memory, and what strace printed for the same call.
--
--   luajit spec/decode_capture.lua spec/tracees/decode_calls.c f m n p > spec/decode_cases.lua
--
-- The program runs without address randomisation: twice under strace, which gives the expected text, and once under
-- luatrace, which gives each call's registers and the memory around it. Kept are the calls for which strace printed the
-- same both times (no pid, port or time of its run) and whose result under luatrace was that one, too.

local source = assert(arg[1], "usage: luajit spec/decode_capture.lua SOURCE.c ARGUMENT...")
local root = assert(os.getenv("PWD"))
local luatrace = os.getenv("LUATRACE_BIN") or root .. "/build/luatrace"
--- Closed again at once: the program's own descriptors begin at 3.
local pipe = assert(io.popen("mktemp -d"))
local directory = pipe:read("*l")
pipe:close()

local function run(command) os.execute(command) end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local recorder = [[
local decode = require "luatrace.decode"
local buffer = require "string.buffer"
local out
local function quoted(bytes)
  return '"' .. bytes:gsub(".", function(c) return ("\\%03d"):format(c:byte()) end) .. '"'
end
local function number(value) return type(value) == "number" and ("%.0f"):format(value) or tostring(value) end
on["%all"](function(call)
  -- Opened here, not before: the program does not inherit it.
  out = out or assert(io.open(os.getenv "CAPTURE", "w"))
  local raw = {}
  for i = 1, 6 do raw[i] = call.args[i] end
  local parts, total = {}, 0
  local shadow = { arch = call.arch, row = call.row, raw = raw, phase = "entry", sp = tonumber(call.stop.sp) }
  local memory, seen = {}, {}
  local function note(address, bytes)
    total = total + #bytes
    local key = ("%.0f %s %s"):format(tonumber(address), shadow.phase, bytes)
    if tonumber(address) < 2 ^ 53 and not seen[key] then
      seen[key] = true
      parts[#parts + 1] = ("{%s,%s,%s}"):format(number(address), quoted(bytes), shadow.phase == "exit" and "1" or "0")
    end
  end
  function memory:read(address, n)
    local bytes, message, name = call.memory:read(address, n)
    if bytes then note(address, bytes) end
    return bytes, message, name
  end
  function memory:cstring(address, max)
    local bytes, truncated, name = call.memory:cstring(address, max)
    if bytes then note(address, truncated == true and bytes or bytes .. "\0") end
    return bytes, truncated, name
  end
  shadow.memory = memory
  local text = buffer.new()
  decode.text_args(shadow, text, "entry")
  call:run()
  shadow.phase, shadow.raw_ret, shadow.failed, shadow.errno = "exit", call.raw_ret, call.failed, call.errno
  decode.text_args(shadow, text, "exit")
  decode.text_result(shadow, text)
  if call.name == "execve" and not call.failed then return end
  local list = {}
  for i = 1, 6 do list[i] = number(raw[i]) end
  out:write(("%d\t{%q,%q,{%s},%s,%s,sp=%s,{%s}"):format(total, call.arch.name, call.name, table.concat(list, ","),
    number(call.raw_ret), call.errno and ("%q"):format(call.errno) or "false", number(shadow.sp),
    table.concat(parts, ",")), "\n")
  out:flush()
end)
]]

local file = assert(io.open(directory .. "/record.lua", "w"))
file:write(recorder)
file:close()

local MOST_BYTES = 700
print("--- Written by spec/decode_capture.lua; do not edit. Expected text: strace 6.1.")
print("-- { arch, name, { registers }, result, errno, sp =, { { address, bytes, at exit }, ... }, text }")
print("return {")
local kept, dropped = {}, 0
local program = directory .. "/program"
run(("gcc -w -std=gnu11 -D_GNU_SOURCE -O1 %s -o '%s' '%s'"):format(os.getenv "CFLAGS" or "", program, source))
for i = 2, #arg do
  for _, tool in ipairs { ("strace -o '%s/trace'"):format(directory), ("strace -o '%s/again'"):format(directory),
    ("'%s' --no-follow -o '%s/ours' '%s/record.lua' --"):format(luatrace, directory, directory) } do
    run(("mkdir -p '%s/w'; cd '%s/w' && rm -rf * && CAPTURE='%s/calls' timeout 10 setarch -R %s '%s' %s </dev/null " ..
      ">/dev/null 2>'%s/err'"):format(directory, directory, directory, tool, program, arg[i], directory))
  end
  local stable = {}
  for line in read(directory .. "/again"):gmatch("[^\n]+") do stable[line] = true end
  local expected = {}
  for line in read(directory .. "/trace"):gmatch("[^\n]+") do
    if line:find("^[%w_]+%(") and not line:find("^execve%(.* = 0$") and not line:find("^exit_group") then
      expected[#expected + 1] = line
    end
  end
  local at = 0
  --- The result as strace wrote it belongs to the same call.
  local function has_result(text, case)
    local result, errno = case:match("},(%-?%d+)U?L?L?,([%w_\"]+),sp=")
    local name = errno:match('^"(.*)"$')
    local printed = text:match("%)%s+= (.*)$")
    if not printed then return false end
    if name then return printed:find(name, 1, true) ~= nil end
    return tonumber(printed:match("^%S+")) == tonumber(result)
  end
  for line in read(directory .. "/calls"):gmatch("[^\n]+") do
    local size, case = line:match("^(%d+)\t(.*)$")
    local name = case:match('^{"[%w_]+","([%w_]+)"')
    -- strace has no name for some: both runs print the rest in the same order.
    local text
    for ahead = at + 1, at + 4 do
      if expected[ahead] and expected[ahead]:match("^([%w_]+)%(") == name then
        at, text = ahead, expected[ahead]
        break
      end
    end
    if text and tonumber(size) <= MOST_BYTES and stable[text] and has_result(text, case) then
      if not kept[text] then
        kept[text] = true
        print(case .. "," .. ("%q"):format(text) .. "},")
      end
    else
      dropped = dropped + 1
    end
  end
end
print("}")
io.stderr:write(dropped, " dropped\n")
run(("rm -rf '%s'"):format(directory))
