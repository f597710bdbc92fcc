--- Gives a program other files than those on the disk: a configuration to try, users that do not exist, a directory
-- that it may fill. What it writes, renames and removes there stays in memory; what it has made is listed at the end.
--
-- Usage: luatrace examples/mock-files.lua PATH=TEXT PATH= DIRECTORY/ ... -- COMMAND
--   PATH=TEXT    a file with this in it (\n is a newline); "PATH=" alone: no such file
--   DIRECTORY/   an empty directory, whatever there is
--
-- Captured output:
--
--   $ luatrace examples/mock-files.lua '/etc/passwd=ada:x:1815:1815::/:/bin/sh\n' '/etc/group=math:x:1815:\n' -- id ada
--   uid=1815(ada) gid=1815(math) groups=1815(math)
--   $ luatrace examples/mock-files.lua /srv/notes/ -- sh -c 'cd /srv/notes; echo one >a; mv a b; ls -l'
--   total 4
--   -rw-r--r-- 1 root root 4 Nov 28 01:40 b
--   written: /srv/notes/b (4 bytes)

local definitions, given = {}, {}
for _, word in ipairs(arg) do
  local path, text = word:match("^(/[^=]*)=(.*)$")
  if path then
    definitions[path] = text ~= "" and text:gsub("\\n", "\n")
    given[path] = definitions[path]
  elseif word:find("^/.*/$") then
    definitions[word] = {}
  else
    error("usage: luatrace examples/mock-files.lua PATH=TEXT PATH= DIRECTORY/ ... -- COMMAND", 0)
  end
end

local made = files(definitions)

at.finish(function()
  for _, path in ipairs(made:list()) do
    local content = made:read(path)
    if content ~= given[path] then io.stderr:write(("written: %s (%d bytes)\n"):format(path, #content)) end
  end
end)
