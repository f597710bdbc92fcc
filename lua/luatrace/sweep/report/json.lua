--- A sweep's outcome as one JSON object: what --merge reads, and programs of your own.

local json = require "luatrace.text.json"

local M = {}

---@param report table see luatrace.sweep
---@return string
function M.render(report)
  local copy = {}
  for key, value in pairs(report) do copy[key] = value end
  for _, key in ipairs { "findings", "runs", "warnings", "errors", "families", "timeline" } do
    copy[key] = setmetatable(copy[key] or {}, json.array)
  end
  return json.encode(copy) .. "\n"
end

return M
