--- What is different between two lists of lines, for people: "-" was expected, "+" came, and some lines around.
--
--   for _, line in ipairs(diff.lines({ "a", "b" }, { "a", "c" })) do print(line) end      --  a, -b, +c

local M = {}

local CONTEXT = 2
--- Above so many pairs of differing lines the middle is shown as replaced: the table would be too large.
local MAX_CELLS = 4000000

--- The lengths of the longest common subsequences of all ends.
local function common(a, b, a_first, a_last, b_first, b_last)
  local rows = {}
  rows[a_last + 1] = {}
  for j = b_first, b_last + 1 do rows[a_last + 1][j] = 0 end
  for i = a_last, a_first, -1 do
    local row, below = { [b_last + 1] = 0 }, rows[i + 1]
    for j = b_last, b_first, -1 do
      if a[i] == b[j] then
        row[j] = below[j + 1] + 1
      else
        row[j] = below[j] >= row[j + 1] and below[j] or row[j + 1]
      end
    end
    rows[i] = row
  end
  return rows
end

--- All lines, each with " ", "-" or "+" before it.
local function marked(a, b)
  local out, first = {}, 1
  while first <= #a and first <= #b and a[first] == b[first] do
    out[#out + 1] = " " .. a[first]
    first = first + 1
  end
  local a_last, b_last = #a, #b
  while a_last >= first and b_last >= first and a[a_last] == b[b_last] do a_last, b_last = a_last - 1, b_last - 1 end
  local i, j = first, first
  if (a_last - first + 1) * (b_last - first + 1) <= MAX_CELLS then
    local rows = common(a, b, first, a_last, first, b_last)
    while i <= a_last and j <= b_last do
      if a[i] == b[j] then
        out[#out + 1] = " " .. a[i]
        i, j = i + 1, j + 1
      elseif rows[i + 1][j] >= rows[i][j + 1] then
        out[#out + 1] = "-" .. a[i]
        i = i + 1
      else
        out[#out + 1] = "+" .. b[j]
        j = j + 1
      end
    end
  end
  for k = i, a_last do out[#out + 1] = "-" .. a[k] end
  for k = j, b_last do out[#out + 1] = "+" .. b[k] end
  for k = a_last + 1, #a do out[#out + 1] = " " .. a[k] end
  return out
end

--- The differing lines with some around them; "..." stands for what is left out.
---@param a string[] expected
---@param b string[] got
---@return string[]
function M.lines(a, b)
  local all, near = marked(a, b), {}
  for i, line in ipairs(all) do
    if line:sub(1, 1) ~= " " then
      for k = i - CONTEXT, i + CONTEXT do near[k] = true end
    end
  end
  local out = {}
  for i, line in ipairs(all) do
    if near[i] then
      out[#out + 1] = line
    elseif near[i - 1] and i > 1 or i == 1 then
      out[#out + 1] = "..."
    end
  end
  return out
end

return M
