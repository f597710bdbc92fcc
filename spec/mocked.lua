--- What the specs of mocks share: programs that a mock serves and that must notice nothing, and scripts that are wrong.
--
--   local mocked = require "spec.mocked"
--   assert.are.equal("1000\n", mocked.run("getpid(1000)", { "sh", "-c", "echo $$" }))
--   mocked.refuses("getpid()", "getpid takes the id that ...")

local assert = require "luassert"
local support = require "spec.support"

local M = {}

--- A program under a script; it must end with 0 and have nothing to complain of, and neither must luatrace.
---@param lua string
---@param cmd string[]
---@param options table|nil of support.run
---@return table result of support.run
function M.result(lua, cmd, options)
  options = options or {}
  options.lua, options.cmd, options.timeout = lua, cmd, 60
  local result = support.run(options)
  assert.are.equal("", result.stderr)
  assert.are.equal(0, result.status)
  return result
end

--- The same; returns what was written to standard output.
---@return string
function M.run(lua, cmd, options) return M.result(lua, cmd, options).stdout end

---@param code string for /bin/sh
---@return string
function M.sh(lua, code, options) return M.run(lua, { "sh", "-c", code }, options) end

---@param code string in Python
---@return string
function M.python(lua, code, options) return M.run(lua, { support.python, "-c", code }, options) end

--- The script is a mistake, which is said with its line.
---@param message string
---@param cmd string[]|nil
function M.refuses(lua, message, cmd)
  local result = support.run { lua = "\n" .. lua, cmd = cmd or { "true" } }
  assert.are.equal("luatrace: (--lua):2: " .. message, (result.stderr:match("^[^\n]*")))
  assert.are.equal(125, result.status)
end

--- For after_each: no process and no file is left.
function M.leaves_nothing()
  support.clean()
  assert.are.same({}, support.leftovers())
end

return M
