-- Prints luatrace(1) or a shell's completions: luajit scripts/manual.lua man|bash|zsh|fish

package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local manual = require "luatrace.cli.manual"

local write = manual[arg[1] or ""]
if type(write) ~= "function" then
  io.stderr:write("scripts/manual.lua takes man, bash, zsh or fish\n")
  os.exit(2)
end
io.write(write())
