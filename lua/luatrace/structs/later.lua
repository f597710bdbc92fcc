--- The structs of structs.lua for rooms of calls that few programs make: one is looked up when it is used, not when the
-- room is loaded. For structs only, not for functions that make some.
--
--   local structs = require "luatrace.structs.later"
--   { "buf", t.ptr_out(structs.statfs) }

local t = require "luatrace.types"

return setmetatable({}, { __index = function(later, name)
  later[name] = t.later(function()
    return require("luatrace.structs")[name] or error(("there is no struct %s"):format(name))
  end)
  return later[name]
end })
