--- Gives a program another file tree: every path that begins with FROM begins with TO instead. TO may be longer than
-- FROM; the new path is put into scratch memory of the program.
--
-- Usage: luatrace examples/redirect-path.lua FROM TO -- COMMAND
--
-- Captured output:
--
--   $ cat elsewhere/hosts
--   127.0.0.1 everything
--   $ luatrace examples/redirect-path.lua /etc $PWD/elsewhere -- cat /etc/hosts
--   127.0.0.1 everything

local from, to = arg[1], arg[2]
if not to then error("usage: luatrace examples/redirect-path.lua FROM TO -- COMMAND", 0) end

local function redirected(path)
  if type(path) ~= "string" or path:sub(1, #from) ~= from then return nil end
  local next_character = path:sub(#from + 1, #from + 1)
  -- /etc names /etc and /etc/passwd, not /etcetera.
  if next_character == "" or next_character == "/" or from:sub(-1) == "/" then return to .. path:sub(#from + 1) end
end

-- Names of path arguments in the manual pages.
local arguments = { "pathname", "path", "oldpath", "newpath", "linkpath" }

on["%file"](function(call)
  for _, name in ipairs(arguments) do
    local path = redirected(call[name])
    if path then call[name] = path end
  end
end)
