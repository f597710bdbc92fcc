--- What the tracer knows about a process id that a program uses: the command behind it (-Y), and the id it has in the
-- tracer's own pid namespace (--decode-pids=pidns).
--
--   pids.comm(4711)                      -- "bash", or nil
--   pids.translate(4711, 2, "tgid")      -- what process 4711 calls 2 is, say, 4712 here

local sys = require "luatrace.sys"

local M = {}

---@return string|nil
function M.comm(pid)
  local name = sys.read_file(("/proc/%d/comm"):format(pid))
  return name and name:gsub("\n$", "") or nil
end

--- What /proc/PID/status calls the ids of each kind.
local lines = { tgid = "NStgid", tid = "NSpid", pgid = "NSpgid", sid = "NSsid" }

local own_namespace

--- A process's id of a kind in every namespace from ours inwards.
local function ids_of(directory, kind)
  local status = sys.read_file(directory .. "/status")
  local text = status and status:match("\n" .. lines[kind] .. ":([^\n]*)")
  if not text then return nil end
  local list = {}
  for number in text:gmatch("%d+") do list[#list + 1] = tonumber(number) end
  return list
end

--- Found once, a translation holds as long as the process does: it is checked, not searched for again.
local known = {}

---@param pid integer of the process that uses the id, in our namespace
---@param value integer
---@param kind "tgid"|"tid"|"pgid"|"sid"
---@return integer|nil ours; nil when it is the same number, or nobody has it
function M.translate(pid, value, kind)
  if value <= 0 then return nil end
  own_namespace = own_namespace or sys.readlink("/proc/self/ns/pid")
  local namespace = sys.readlink(("/proc/%d/ns/pid"):format(pid))
  if not namespace or namespace == own_namespace then return value end
  local depth = #(ids_of(("/proc/%d"):format(pid), "tgid") or {})
  local key = namespace .. kind .. value
  local function matches(directory)
    local ids = ids_of(directory, kind)
    if not ids or ids[depth] ~= value or sys.readlink(directory .. "/ns/pid") ~= namespace then return nil end
    known[key] = directory
    return ids[1]
  end
  local ours = known[key] and matches(known[key])
  if ours then return ours end
  for _, name in ipairs(sys.list_dir("/proc") or {}) do
    if name:find("^%d+$") then
      local directory = "/proc/" .. name
      ours = matches(directory)
      if not ours and kind == "tid" then
        for _, thread in ipairs(sys.list_dir(directory .. "/task") or {}) do
          ours = ours or matches(directory .. "/task/" .. thread)
        end
      end
      if ours then return ours end
    end
  end
  return nil
end

return M
