--- Patterns for paths and names, as people write them for find and git.
--
--   local matches = glob.compile("*.o")
--   matches("/tmp/build/x.o")         -- true: without a slash the last component counts
--   glob.compile("/etc/**")           -- everything below /etc
--   glob.compile("src/*.{c,h}")       -- below any directory named src
--   glob.compile("!/usr/**")          -- everything else
--   glob.ends("/etc/x*.conf")         -- { { "/etc/x", ".conf" } }: what the core may ask in front of it
--
-- `*` and `?` do not match a slash, `**` does; `[a-z]`, `[!0-9]`, `{this,that}`; `\` takes a character as it is.

local M = {}

--- Is there anything in the text that makes it a pattern?
---@param text string
---@return boolean
function M.is_pattern(text) return text:find("[*?%[{\\]") ~= nil end

--- {a,b{c,d}}: all the texts without braces; nil when they do not pair.
local function expand(text)
  local depth, first, parts, from = 0, nil, nil, nil
  local i = 1
  while i <= #text do
    local char = text:sub(i, i)
    if char == "\\" then
      i = i + 1
    elseif char == "{" then
      depth = depth + 1
      if depth == 1 then first, parts, from = i, {}, i + 1 end
    elseif char == "," and depth == 1 then
      parts[#parts + 1] = text:sub(from, i - 1)
      from = i + 1
    elseif char == "}" then
      depth = depth - 1
      if depth < 0 then return nil, "a } without {" end
      if depth == 0 then
        parts[#parts + 1] = text:sub(from, i - 1)
        local all = {}
        for _, part in ipairs(parts) do
          local rest, message = expand(text:sub(1, first - 1) .. part .. text:sub(i + 1))
          if not rest then return nil, message end
          for _, each in ipairs(rest) do all[#all + 1] = each end
        end
        return all
      end
    end
    i = i + 1
  end
  if depth > 0 then return nil, "a { without }" end
  return { text }
end

local function escape(char) return (char:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0")) end

--- One alternative as a Lua pattern, without anchors.
local function translate(text)
  local out, i = {}, 1
  while i <= #text do
    local char = text:sub(i, i)
    if text:sub(i, i + 1) == "**" then
      out[#out + 1] = ".*"
      i = i + 1
    elseif char == "*" then
      out[#out + 1] = "[^/]*"
    elseif char == "?" then
      out[#out + 1] = "[^/]"
    elseif char == "[" then
      local close = text:find("]", i + 2, true)
      if not close then return nil, "a [ without ]" end
      out[#out + 1] = "[" .. text:sub(i + 1, close - 1):gsub("%%", "%%%%"):gsub("^!", "^") .. "]"
      i = close
    elseif char == "\\" then
      i = i + 1
      out[#out + 1] = escape(text:sub(i, i))
    else
      out[#out + 1] = escape(char)
    end
    i = i + 1
  end
  return table.concat(out)
end

local function compile_one(text)
  local whole = text:sub(1, 1) == "/" or text:sub(1, 2) == "**"
  local pattern, message = translate(text)
  if not pattern then return nil, message end
  local patterns = { "^" .. pattern .. "$" }
  if text:find("/**/", 1, true) then
    -- Any depth, none included.
    patterns[2] = "^" .. translate((text:gsub("/%*%*/", "/"))) .. "$"
  end
  if not whole and text:find("/", 1, true) then
    -- Relative with a slash: the tail of an absolute path.
    patterns[#patterns + 1] = "^.*/" .. pattern .. "$"
  end
  if not text:find("/", 1, true) and text:sub(1, 2) ~= "**" then
    patterns[#patterns + 1] = "/" .. pattern .. "$"
  end
  return patterns
end

---@param text string
---@return (fun(subject: string): boolean)|nil matches, string? message
function M.compile(text)
  if text == "" then return nil, "an empty pattern matches nothing" end
  local negated = text:sub(1, 1) == "!"
  local alternatives, message = expand(negated and text:sub(2) or text)
  if not alternatives then return nil, message end
  local patterns = {}
  for _, alternative in ipairs(alternatives) do
    local list, why = compile_one(alternative)
    if not list then return nil, why end
    for _, pattern in ipairs(list) do patterns[#patterns + 1] = pattern end
  end
  for _, pattern in ipairs(patterns) do
    local ok, why = pcall(string.find, "", pattern)
    if not ok then return nil, tostring(why) end
  end
  local count = #patterns
  return function(subject)
    for i = 1, count do
      if subject:find(patterns[i]) then return not negated end
    end
    return negated
  end
end

--- The characters of a text one by one; special ones (wildcards) as false, escaped ones as they are.
local function characters(text)
  local list, i = {}, 1
  while i <= #text do
    local char = text:sub(i, i)
    if char == "[" then
      i = text:find("]", i + 2, true) or #text
      char = false
    elseif char == "*" or char == "?" then
      char = false
    elseif char == "\\" then
      i = i + 1
      char = text:sub(i, i)
    end
    list[#list + 1] = char
    i = i + 1
  end
  return list
end

--- What every path that a pattern matches begins with ("", or a slash first) and ends with (after its last slash): so
-- much can be asked before the pattern itself. nil where nothing can be told so.
---@param text string a pattern that compiles
---@return { [1]: string, [2]: string }[]|nil alternatives
function M.ends(text)
  if text:sub(1, 1) == "!" then return nil end
  local alternatives = {}
  for i, alternative in ipairs(expand(text)) do
    local list = characters(alternative)
    local first, last = 0, #list + 1
    while list[1] == "/" and list[first + 1] do first = first + 1 end
    while last > 1 and list[last - 1] and list[last - 1] ~= "/" do last = last - 1 end
    local begin, finish = table.concat(list, "", 1, first), table.concat(list, "", last)
    if begin == "" and finish == "" then return nil end
    alternatives[i] = { begin, finish }
  end
  return alternatives
end

return M
