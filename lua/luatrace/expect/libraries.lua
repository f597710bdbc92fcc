--- What the loader and the C library look at by themselves: libraries, locales, time zones.

local M = {}

M.paths = { "/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib",
  "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/ld.so.nohwcap", "/usr/share/locale", "/etc/locale.alias",
  "/etc/localtime", "/usr/share/zoneinfo" }

-- The program has it from us. A relative one means another place with every chdir.
for path in (os.getenv "LD_LIBRARY_PATH" or ""):gmatch "[^:;]+" do
  path = path:gsub("/+$", "")
  if path:sub(1, 1) == "/" then M.paths[#M.paths + 1] = path end
end

--- Is this one of them, or below one?
---@param path string|nil absolute
---@return boolean
function M.has(path)
  if not path then return false end
  for _, known in ipairs(M.paths) do
    local after = path:sub(#known + 1, #known + 1)
    if path:sub(1, #known) == known and (after == "" or after == "/") then return true end
  end
  return false
end

return M
