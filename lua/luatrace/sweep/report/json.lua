--- A sweep's outcome as one JSON object: what --merge reads, and programs of your own.

local json = require "luatrace.text.json"
local shallow = require "luatrace.shallow"

local M = {}

---@param report table see luatrace.sweep
---@return string
function M.render(report)
  local copy = shallow.copy(report)
  for _, key in ipairs { "findings", "runs", "warnings", "errors", "families", "timeline" } do
    copy[key] = setmetatable(copy[key] or {}, json.array)
  end
  return json.encode(copy) .. "\n"
end

return M
