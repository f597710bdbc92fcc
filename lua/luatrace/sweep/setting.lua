--- What a sweep is asked to do, looked at before anything runs: from options to a setting, or what is wrong with them.
--
--   local setting, message = setting_module.new { "sort", "-o", "f", "f", fixture = "data", faults = "disk" }
--   setting.program, setting.image, setting.choice, setting.budget, setting.shard, setting.check, setting.ignore

local checker = require "luatrace.sweep.checker"
local faults = require "luatrace.sweep.faults"
local fixture = require "luatrace.sweep.fixture"
local processes = require "luatrace.sys.processes"
local runner = require "luatrace.sweep.runner"
local sys = require "luatrace.sys"

local M = {}

--- A fixture larger than this is copied only when the user says so.
local HUGE = 256 * 1024 * 1024

--- Runs and seconds of --budget.
local function read_budget(text)
  if not text then return {} end
  local value, unit = tostring(text):match("^([%d.]+)(%a*)$")
  local scale = ({ [""] = 0, s = 1, m = 60, h = 3600 })[unit or "?"]
  value = tonumber(value)
  if not value or not scale or value <= 0 then
    return nil, ("--budget takes a number of runs such as 200, or a time such as 30s or 5m, not %q"):format(text)
  end
  if scale == 0 then return { runs = value } end
  return { seconds = value * scale }
end

local function read_shard(text)
  if not text then return nil end
  local k, n = text:match("^(%d+)/(%d+)$")
  k, n = tonumber(k), tonumber(n)
  if not k or k < 1 or k > n then return nil, ("--shard takes K/N such as 1/4, not %q"):format(text) end
  return { k = k, n = n }
end

local function size_text(bytes)
  if bytes < 1048576 then return ("%d KiB"):format(math.ceil(bytes / 1024)) end
  return ("%.1f MiB"):format(bytes / 1048576)
end

--- A glob as a Lua pattern: * and ? match everything, / too.
local function pattern_of(glob)
  return "^" .. glob:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".") .. "$"
end

--- Does anything that runs need lie in /tmp?
local function needs_tmp(setting, options)
  local paths = { setting.program.file, options.fixture or "", options.stdin or "", options.check or "" }
  for _, word in ipairs(setting.command) do paths[#paths + 1] = word end
  for _, path in ipairs(paths) do
    local whole = type(path) == "string" and path ~= "" and sys.realpath(path)
    if whole and (whole:find("^/tmp/") or path:find("^/tmp/")) then return true end
  end
  return false
end

--- Looks at what the user gave, before anything runs; nil and what is wrong.
---@param options luatrace.SweepOptions
---@return table|nil setting, string? message
function M.new(options)
  local command = {}
  for i, word in ipairs(options) do command[i] = word end
  if #command == 0 then
    return nil, "no command: luatrace sweep [OPTIONS] -- COMMAND (luatrace sweep --help tells more)"
  end
  local setting = { command = command, fixture = options.fixture, as_root = processes.is_root() }
  local message
  setting.choice, message = faults.choose(options.faults)
  if not setting.choice then return nil, message end
  setting.budget, message = read_budget(options.budget)
  if not setting.budget then return nil, message end
  setting.shard, message = read_shard(options.shard)
  if message then return nil, message end
  if options.check then
    setting.check, message = checker.new(options.check)
    if not setting.check then return nil, message end
  end
  if options.fixture then
    local measured
    measured, message = fixture.measure(options.fixture)
    if not measured then return nil, message end
    if #measured.odd > 0 then
      return nil, ("the fixture %s has what cannot be copied: %s"):format(options.fixture,
        table.concat(measured.odd, ", ", 1, math.min(3, #measured.odd)))
    end
    if measured.bytes > HUGE and not options.yes then
      return nil, ("the fixture %s has %s in %d files, and each run copies it: say --yes if that is meant"):format(
        options.fixture, size_text(measured.bytes), measured.count)
    end
  end
  setting.ignore = {}
  for i, glob in ipairs(options.ignore or {}) do setting.ignore[i] = pattern_of(glob) end
  if options.stdin and not sys.file_kind(options.stdin) then
    return nil, ("--stdin: cannot read %s"):format(options.stdin)
  end
  if options.script and not setting.choice.powerloss then
    return nil, "--script is for --faults powerloss: it says what the program had promised when the power went"
  end
  if type(options.script) == "string" and not sys.file_kind(options.script) then
    return nil, ("cannot read the script %s"):format(options.script)
  end
  setting.script = options.script
  setting.program, message = runner.program(command, options)
  if not setting.program then return nil, message end
  setting.image, message = fixture.read(options.fixture)
  if not setting.image then return nil, message end
  setting.keeps_tmp = needs_tmp(setting, options)
  setting.depth, setting.expects_failure, setting.faults_text = options.depth, options.expect_failure, options.faults
  setting.plain = options.plain
  return setting
end

return M
