--- What a `where` table may say of a call: one entry a predicate. luatrace.filter puts them together.
--
--   where = { path = "*.db", fd = "file", comm = "sqlite3", arg = { flags = "O_CREAT", count = "4096.." },
--     buf = "^SQLite", errno = "EAGAIN", ret = "1..", stack = "flush_page", when = function(call) ... end }
--
-- HOW TO ADD A PREDICATE: one entry of M with
--   takes       what it takes, in words, for messages
--   compile(value, rows, seen)  -> test(call), or nil, message; `rows` are the rows of the calls it will be asked
--               about, `seen` is a table for what why_never needs to know
--   why_never(seen)       why it has held for no call, where the user cannot see that from the calls; or nil
--   at          "entry" (default), "exit", or a function(value, rows) that says which: when it can be told
--   fits(row, value)      false for a row that it can never hold for (nil: for every row it can)
--   scalar(value, row, arch) -> alternatives for the seccomp filter (see value_test.scalar), or nil
--   cost        1 (registers) to 9 (stack): the cheap ones are asked first
--
-- A test looks only at what recorded calls have, too: name, row, arguments by name, process, thread, ret, errno,
-- paths(), fds(), data(), stack().

local constants = require "luatrace.constants"
local glob = require "luatrace.filter.glob"
local value_test = require "luatrace.filter.value_test"

local M = {}

--- Kinds of descriptors that fd_table knows.
local kinds = { file = true, dir = true, pipe = true, socket = true, eventfd = true, epoll = true, timerfd = true,
  signalfd = true, inotify = true, memfd = true, tty = true, char = true, block = true, anon = true }

--- One test out of a value or a list of values: any of them.
local function any_of(value, compile_one)
  if type(value) ~= "table" then return compile_one(value) end
  if #value == 0 then return nil, "an empty list matches nothing" end
  local tests = {}
  for i, each in ipairs(value) do
    local test, message = compile_one(each)
    if not test then return nil, message end
    tests[i] = test
  end
  if #tests == 1 then return tests[1] end
  return function(call)
    for i = 1, #tests do
      if tests[i](call) then return true end
    end
    return false
  end
end

--- One test out of a pattern or a list of them; a "!" in front turns what `test_of(matches)` finds over.
local function any_pattern(value, test_of)
  return any_of(value, function(pattern)
    if type(pattern) ~= "string" then return nil end
    local negated = pattern:sub(1, 1) == "!"
    local matches, message = glob.compile(negated and pattern:sub(2) or pattern)
    if not matches then return nil, message end
    return test_of(matches, negated, pattern)
  end)
end

local function has_role(row, role)
  for i = 1, #row do
    if row[i].type.role == role then return true end
  end
  return false
end

--- A descriptor in a register, not a list of them in memory.
local function is_fd(argument_type) return argument_type.role == "fd" and not argument_type.direction end

--- What the paths that a `path` predicate holds for begin and end with: see glob.ends. nil: that cannot be told.
local function path_ends(value)
  local all = {}
  for _, pattern in ipairs(type(value) == "table" and value or { value }) do
    local ends = glob.ends(pattern)
    if not ends then return nil end
    for _, pair in ipairs(ends) do all[#all + 1] = pair end
  end
  return all
end

M.path = {
  ends = path_ends,
  takes = "a pattern such as \"*.db\" or \"/etc/**\", or a list of them", cost = 5,
  fits = function(row) return has_role(row, "path") or has_role(row, "fd") end,
  compile = function(value)
    return any_pattern(value, function(matches, negated)
      return function(call)
        local paths = call:paths()
        for i = 1, #paths do
          if matches(paths[i]) then return not negated end
        end
        return negated
      end
    end)
  end,
}

M.fd = {
  takes = "a number, a range such as \"3..\", a kind such as \"pipe\", or a list of them", cost = 4,
  fits = function(row)
    for i = 1, #row do
      if is_fd(row[i].type) then return true end
    end
    return false
  end,
  compile = function(value)
    return any_of(value, function(each)
      local test
      if type(each) == "string" and kinds[each:gsub("^!", "")] then
        local negated, kind = each:sub(1, 1) == "!", each:gsub("^!", "")
        test = function(fd) return (fd.kind == kind) ~= negated end
      else
        if type(each) == "string" and not value_test.range((each:gsub("^!", ""))) then
          local names = {}
          for kind in pairs(kinds) do names[#names + 1] = kind end
          table.sort(names)
          return nil, ("there is no kind of descriptor %q; there are %s"):format(each, table.concat(names, ", "))
        end
        local number, message = value_test.compile(each)
        if not number then return nil, message end
        test = number
      end
      return function(call)
        local fds = call:fds()
        for i = 1, #fds do
          if test(fds[i]) then return true end
        end
        return false
      end
    end)
  end,
  scalar = function(value, row, arch)
    local all = {}
    for i = 1, #row do
      if is_fd(row[i].type) then
        local alternatives = value_test.scalar(value, row[i].type, i - 1, arch)
        if not alternatives then return nil end
        for _, alternative in ipairs(alternatives) do all[#all + 1] = alternative end
      end
    end
    return all
  end,
}

local function process_pattern(field)
  return function(value)
    return any_pattern(value, function(matches, negated)
      return function(call)
        local actual = call.process[field]
        return actual ~= nil and matches(actual) ~= negated
      end
    end)
  end
end

M.comm = { takes = "a name or a pattern such as \"cc1*\", or a list of them", cost = 3,
  compile = process_pattern "comm" }
M.exe = { takes = "a path or a pattern such as \"*/cc1\", or a list of them", cost = 3,
  compile = process_pattern "exe" }

M.pid = {
  takes = "a process id, a place in the process tree such as \"0.2\", or a list of them", cost = 2,
  compile = function(value)
    return any_of(value, function(each)
      if type(each) == "number" then return function(call) return call.process.pid == each end end
      if type(each) == "string" and each:find("^%d+[%d.]*$") then
        return function(call) return call.process.number == each end
      end
    end)
  end,
}

--- The argument that "flags" or "addr.port" starts with, and the fields that follow.
local function split_name(name)
  if type(name) == "number" then return name, {} end
  local first, rest = name:match("^([^.]+)%.?(.*)$")
  local fields = {}
  for field in rest:gmatch("[^.]+") do fields[#fields + 1] = field end
  return first, fields
end

local function argument_names(rows)
  local seen, list = {}, {}
  for _, row in ipairs(rows) do
    for i = 1, #row do
      if not seen[row[i].name] then
        seen[row[i].name] = true
        list[#list + 1] = row[i].name
      end
    end
  end
  if #list > 24 then return ("none of these %d calls has it"):format(#rows) end
  return "there are " .. table.concat(list, ", ")
end

--- What an argument is worth to a test: a field of a field, where the name has dots.
local function reach(call, first, fields)
  local value
  if type(first) == "number" then value = call.args[first] else value = call[first] end
  for i = 1, #fields do
    if type(value) ~= "table" then return nil end
    value = value[tonumber(fields[i]) or fields[i]]
  end
  return value
end

local function compile_argument(name, wanted, rows)
  local first, fields = split_name(name)
  local argument_type, row_name
  if type(first) == "number" then
    if first < 1 or first > 6 or first % 1 ~= 0 then return nil, "arguments are numbered 1 to 6" end
  else
    for _, row in ipairs(rows) do
      local i = row.index[first]
      if i then
        argument_type, row_name = row[i].type, row.name
        break
      end
    end
    if not argument_type then return nil, ("there is no argument %s: %s"):format(first, argument_names(rows)) end
  end
  if #fields > 0 then argument_type = nil end
  local test, message = value_test.compile(wanted, argument_type)
  if not test then return nil, ("%s%s: %s"):format(row_name and row_name .. "'s " or "argument ", name, message) end
  -- Numbers are asked of the register itself: a script sees some of them as names or flags.
  local by_register = #fields == 0 and value_test.is_numeric(wanted)
  return function(call)
    local i = type(first) == "number" and first or call.row.index[first]
    if not i then return false end
    local type_here = call.row[i] and call.row[i].type
    if by_register and type_here and not type_here.direction then
      return test(type_here.load(call, (call.raw or call.args)[i]))
    end
    return test(reach(call, first, fields))
  end
end

--- Out-arguments are there only after the call.
local function argument_at(value, rows)
  for name in pairs(value) do
    local first = split_name(name)
    for _, row in ipairs(rows) do
      local i = row.index[first]
      if i and row[i].type.direction == "out" then return "exit" end
    end
  end
  return "entry"
end

M.arg = {
  takes = "a table such as { flags = \"O_CREAT\", count = \"4096..\" }", cost = 4,
  at = argument_at,
  fits = function(row, value)
    for name in pairs(value) do
      local first = split_name(name)
      if type(first) == "string" and not row.index[first] then return false end
    end
    return true
  end,
  compile = function(value, rows)
    if type(value) ~= "table" or next(value) == nil then return nil end
    local tests = {}
    for name, wanted in pairs(value) do
      local test, message = compile_argument(name, wanted, rows)
      if not test then return nil, message end
      tests[#tests + 1] = test
    end
    return function(call)
      for i = 1, #tests do
        if not tests[i](call) then return false end
      end
      return true
    end
  end,
  scalar = function(value, row, arch)
    local conjunction, exact = { {} }, true
    for name, wanted in pairs(value) do
      local first, fields = split_name(name)
      local i = row.index[first]
      local alternatives = i and #fields == 0 and value_test.scalar(wanted, row[i].type, i - 1, arch)
      if alternatives then
        local product = {}
        for _, left in ipairs(conjunction) do
          for _, right in ipairs(alternatives) do
            local both = {}
            for _, test in ipairs(left) do both[#both + 1] = test end
            for _, test in ipairs(right) do both[#both + 1] = test end
            product[#product + 1] = both
          end
        end
        conjunction = product
      else
        exact = false
      end
    end
    return conjunction, not exact
  end,
}

--- The argument whose bytes are the call's data: what is written, or what was read.
local data_arguments = { "buf", "iov", "msg", "value" }

--- Which argument of a row carries its data, and which way.
---@param row table
---@return integer|nil index, string? direction
function M.data_argument(row)
  for _, name in ipairs(data_arguments) do
    local i = row.index[name]
    local direction = i and row[i].type.direction
    if direction then return i, direction end
  end
end

M.buf = {
  takes = "a Lua pattern on the bytes that are written or were read", cost = 7,
  fits = function(row) return M.data_argument(row) ~= nil end,
  at = function(_, rows)
    for _, row in ipairs(rows) do
      local _, direction = M.data_argument(row)
      if direction and direction ~= "in" then return "exit" end
    end
    return "entry"
  end,
  compile = function(value)
    return any_of(value, function(pattern)
      if type(pattern) ~= "string" then return nil end
      local ok, message = pcall(string.find, "", pattern)
      if not ok then return nil, ("%q is no Lua pattern: %s"):format(pattern, message) end
      return function(call)
        local bytes = call:data()
        return bytes ~= nil and bytes:find(pattern) ~= nil
      end
    end)
  end,
}

M.errno = {
  takes = "the name of an error such as \"EAGAIN\", \"any\", \"none\", or a list of them", at = "exit", cost = 1,
  compile = function(value)
    return any_of(value, function(name)
      if name == "any" then return function(call) return call.errno ~= nil end end
      if name == "none" then return function(call) return call.errno == nil and call.ret ~= nil end end
      if type(name) ~= "string" then return nil end
      local negated, plain = name:sub(1, 1) == "!", name:gsub("^!", "")
      if not constants.errno.by_name[plain] then return nil, ("there is no error %q (see errno(3))"):format(plain) end
      return function(call) return (call.errno == plain) ~= negated end
    end)
  end,
}

M.ret = {
  takes = "a number, a range such as \"1..\", or a list of them", at = "exit", cost = 1,
  compile = function(value)
    local test, message = value_test.compile(value)
    if not test then return nil, message end
    return function(call) return call.errno == nil and test(call.ret) end
  end,
}

--- May that be the name of a function, as frames without symbols have none?
local function may_name_function(pattern)
  return not (pattern:find("^!") or pattern:find("/") or pattern:find(".so", 1, true))
end

--- Takes down which modules on the stack have had a frame with a name, and which none.
local function note_names(seen, frames)
  seen.calls, seen.named = (seen.calls or 0) + 1, seen.named or {}
  for _, frame in ipairs(frames) do
    if frame.module then seen.named[frame.module] = seen.named[frame.module] or frame.symbol ~= nil end
  end
end

M.stack = {
  takes = "the name of a function or a module such as \"flush_page\" or \"libc.so*\", or a list of them", cost = 9,
  compile = function(value, _, seen)
    local frames -- of the call that is asked about
    local by_name = false
    local test, message = any_pattern(value, function(matches, negated, pattern)
      by_name = by_name or may_name_function(pattern)
      return function()
        for _, frame in ipairs(frames) do
          if frame.symbol and matches(frame.symbol) or frame.module and matches(frame.module) then
            return not negated
          end
        end
        return negated
      end
    end)
    if not test then return nil, message end
    return function(call)
      frames = call:stack()
      local holds = test(call)
      if holds then seen.held = true elseif by_name and not seen.held then note_names(seen, frames) end
      return holds
    end
  end,
  why_never = function(seen)
    local nameless = {}
    for module, has_names in pairs(seen.named or {}) do
      if not has_names then nameless[#nameless + 1] = module end
    end
    if seen.held or #nameless == 0 then return nil end
    table.sort(nameless)
    return ("on the stacks of its %s no frame of %s has a name (a program without symbols?)"):format(
      seen.calls == 1 and "call" or seen.calls .. " calls", table.concat(nameless, ", "))
  end,
}

M.when = {
  takes = "a function(call) that says whether", cost = 8,
  compile = function(value)
    if type(value) ~= "function" then return nil end
    return value
  end,
}

return M
