--- Mocks: parts of the world that a program sees, made up by the script.
--
-- A mock is a file of mock/; its name is a name that scripts have (`files`, `peer`, `clock`, `getrandom`, ...),
-- and the file is loaded when a script first says it. The module returns a table whose `new(context)` gives what the
-- name stands for. The handlers of mocks come after all those of the script, nearest to the kernel: a script's own
-- handlers, rules and expectations see the calls that a mock answers as they see any other.
--
--   local find = mock.finder(registry, { seed = 1 })
--   find "clock" { at = "2038-01-19" }
--
-- A new mock is one new file:
--
--   local M = {}
--   function M.new(context)
--     return function(options)
--       mock.check_fields("hostname", options, { name = "string" })
--       context.on("uname", function(call) ... end)
--     end
--   end
--   return M

local engine = require "luatrace.engine"
local event = require "luatrace.event"
local filter = require "luatrace.filter"
local script_place = require "luatrace.event.script_place"

local M = {}

local misuse = event.misuse

---@class luatrace.MockContext
---@field name string the mock's
---@field registry table see luatrace.script
---@field seed integer
---@field on fun(calls: string[], handler: fun(call: luatrace.Call), part: table?) names that an architecture lacks are
-- no error; part: { notify = it only looks and answers, tests = which calls it is about: see luatrace.plan.mechanism }
---@field at fun(event: string, handler: function)
---@field on_image fun(fn: fun(session: table, stop: any, thread: luatrace.Thread)) a program is in place, not yet begun
---@field on_birth fun(fn: fun(thread: luatrace.Thread)) before anybody can know of it
---@field clean_up fun(fn: function) called when the run is over, however it ended
---@field use fun(name: string): any another mock
local Context = {}
Context.__index = Context

--- How to find the mocks of a script's environment by name.
---@param registry table
---@param options { seed: integer }
---@return fun(name: any): any
function M.finder(registry, options)
  local found = {}
  local function find(name)
    if type(name) ~= "string" or not name:find("^%l+$") or name == "init" then return nil end
    if found[name] ~= nil then return found[name] or nil end
    local ok, module = pcall(require, "luatrace.mock." .. name)
    if not ok then
      local missing = ("module 'luatrace.mock.%s' not found"):format(name)
      if not tostring(module):find(missing, 1, true) then error(module, 0) end
      found[name] = false
      return nil
    end
    if not module.new then return nil end -- what mocks share
    local context = { name = name, registry = registry, seed = options.seed, use = find }
    function context.on(calls, handler, part)
      part = part or {}
      local pattern = "?" .. table.concat(calls, ",?")
      table.insert(registry.on, { pattern = pattern, fn = handler, where = script_place.nearest(1), verb = name,
        is_mock = true, notify = part.notify, tests = part.tests })
    end
    function context.at(what, handler) table.insert(registry.at[what], handler) end
    for _, hook in ipairs { "on_image", "on_birth" } do
      context[hook] = function(fn)
        registry[hook] = registry[hook] or {}
        table.insert(registry[hook], fn)
      end
    end
    function context.clean_up(fn) table.insert(registry.clean_up, fn) end
    found[name] = module.new(setmetatable(context, Context))
    return found[name]
  end
  return find
end

--- Handlers in the order in which they see a call: those of mocks last, nearest to the kernel.
---@param handlers table[]
---@return table[]
function M.in_order(handlers)
  local ordered = {}
  for _, is_mock in ipairs { false, true } do
    for _, handler in ipairs(handlers) do
      if (handler.is_mock or false) == is_mock then ordered[#ordered + 1] = handler end
    end
  end
  return ordered
end

--- A mock's options: each field known and of its type.
---@param what string
---@param options any
---@param fields table<string, string> name -> type, or types separated by "|"
function M.check_fields(what, options, fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  if type(options) ~= "table" then
    misuse(("%s takes a table { %s }, not a %s"):format(what, table.concat(names, " =, ") .. " =", type(options)))
  end
  for key, value in pairs(options) do
    local wanted = fields[key]
    if not wanted then
      misuse(("%s has no field %s%s: it takes %s"):format(what, tostring(key),
        type(key) == "string" and filter.did_you_mean(key, fields, 1) or "", table.concat(names, ", ")))
    end
    if not ("|" .. wanted .. "|"):find("|" .. type(value) .. "|", 1, true) then
      misuse(("%s: %s takes a %s, not a %s"):format(what, key, wanted:gsub("|", " or a "), type(value)))
    end
  end
end

M.misuse = misuse

--- Bytes of a pointer at a stop.
function M.word_size(stop) return engine.arch[stop.arch].pointer_size end

--- Answers a call with bytes at an address of the program's.
---@param call luatrace.Call
---@param address any
---@param bytes string
---@param result any? default 0
function M.answer(call, address, bytes, result)
  local put = call.memory:write(address, bytes)
  if put ~= #bytes then return call:fail "EFAULT" end
  call:returns(result or 0)
end

return M
