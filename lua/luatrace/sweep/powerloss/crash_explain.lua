--- A crash state in words: what had been done, what of it is on the disk, and what is not.
--
--   explain.title(state)      -- "power lost after rename f.tmp -> f: without write f.tmp, 12 bytes at 0"
--   explain.lines(state)      -- the same at length, with stacks
--   explain.group(failures)   -- findings: one for all that fail for like reasons

local M = {}

--- More lost calls than this are listed by file, not each.
local MOST = 8

local function count(n, what) return ("%d %s%s"):format(n, what, n == 1 and "" or "s") end

--- An op in a few words.
---@param op table see write_log.lua
---@return string
function M.op(op)
  local kind, path = op.kind, op.path
  if kind == "write" then
    return ("%s %s, %s at %.0f"):format(op.call, path, count(#op.bytes, "byte"), op.offset)
  elseif kind == "truncate" or kind == "allocate" then
    return ("%s %s to %.0f bytes"):format(op.call, path, op.size)
  elseif kind == "zero" then
    return ("%s %s, %.0f bytes at %.0f to zeros"):format(op.call, path, op.length, op.offset)
  elseif kind == "replace" then
    return ("%s %s, all of it"):format(op.call, path)
  elseif kind == "rename" then
    return ("%s %s %s %s"):format(op.call, op.from_path, op.exchange and "<->" or "->", path)
  elseif kind == "create" then
    return ("%s %s (new)"):format(op.call, path)
  elseif kind == "chmod" then
    return ("%s %s to %04o"):format(op.call, path, op.mode)
  elseif kind == "sync" then
    return op.node and ("%s %s"):format(op.call, path) or op.call
  elseif kind == "announce" then
    local text = op.bytes:sub(1, 40):gsub("[%c\127-\255]", function(c) return ("\\x%02x"):format(c:byte()) end)
    return ("%s %q to %s"):format(op.call, text, op.stream == "socket" and "a socket" or op.stream)
  elseif kind == "exit" then
    return op.signal and ("end by signal %d"):format(op.signal) or ("exit with status %d"):format(op.status or -1)
  elseif kind == "mark" then
    return ("mark %q"):format(op.text)
  elseif kind == "flush" then
    return ("%s of %s"):format(op.call, path)
  end
  return path and ("%s %s"):format(op.call, path) or op.call
end

--- The ops of which something is missing: { op =, part = nil (all of it), "a page", ... } in order.
local function lost_ops(state)
  local space = state.space
  local list = {}
  for op = 1, #space.ops do
    local own = space.of_op[op]
    if own and own[1] <= state.last then
      local missing, torn, data, data_missing = 0, nil, 0, 0
      for _, i in ipairs(own) do
        local is_data = space.effects[i].kind == "data"
        if is_data then data = data + 1 end
        if state.lost[i] then
          missing = missing + 1
          if is_data then data_missing = data_missing + 1 end
        end
        if state.torn and state.torn[i] then torn = state.torn[i] end
      end
      if missing > 0 or torn then
        local entry = { op = space.ops[op], own = own }
        if torn then
          entry.part = torn > 0 and ("only the first %d bytes are there"):format(torn) or
            ("only the last %d bytes are there"):format(-torn)
          if data > 1 then
            entry.part = ("torn: of %d pages, %d are missing and one is there in part (%s)"):format(data, data_missing,
              torn > 0 and "its front" or "its end")
          end
        elseif missing < #own and data_missing == data then
          entry.part = "its data; the size is there"
        elseif missing < #own then
          entry.part = ("%d of its %d pages"):format(data_missing, data)
        end
        list[#list + 1] = entry
      end
    end
  end
  return list
end

local function when(state)
  local op = state.space.ops[state.point]
  local space = state.space
  local under_way = space.upto[state.point] < state.last and space.ops[space.effects[state.last].op]
  if under_way then return "power lost during " .. M.op(under_way) end
  return op and "power lost after " .. M.op(op) or "power lost at the start"
end

--- One line.
---@param state luatrace.CrashState
---@return string
function M.title(state)
  local lost = lost_ops(state)
  local words = {}
  for i = 1, math.min(#lost, 2) do
    words[i] = M.op(lost[i].op) .. (lost[i].part and " (" .. lost[i].part .. ")" or "")
  end
  if #lost > 2 then words[#words + 1] = ("%d more"):format(#lost - 2) end
  if #lost == 0 then return when(state) .. ": all is there" end
  return ("%s: without %s"):format(when(state), table.concat(words, "; "))
end

--- The frames of a stack that tell something: of the program, not of the C library's wrappers.
local function stack_text(stack)
  local parts = {}
  for _, frame in ipairs(stack) do
    local module = frame.module and frame.module:match("[^/]*$") or "?"
    if not module:find("^libc[.-]") and not module:find("^ld%-linux") and not module:find("^libpthread") then
      parts[#parts + 1] = frame.symbol and ("%s+0x%x"):format(frame.symbol, frame.offset or 0) or
        ("%s+0x%x"):format(module, frame.module_offset or 0)
      if #parts == 4 or frame.symbol == "main" then break end
    end
  end
  return table.concat(parts, " < ")
end

--- Many lost calls: by kind and file.
local function summarize(lost, lines)
  local by_what, list = {}, {}
  for _, entry in ipairs(lost) do
    local op = entry.op
    local what = ("%s %s"):format(op.kind, op.path or "")
    local group = by_what[what]
    if not group then
      group = { first = op, count = 0 }
      by_what[what] = group
      list[#list + 1] = group
    end
    group.count, group.last = group.count + 1, op
  end
  for i = 1, math.min(#list, MOST) do
    local first, last = list[i].first, list[i].last
    lines[#lines + 1] = list[i].count == 1 and ("  #%d %s"):format(first.index, M.op(first)) or
      ("  #%d to #%d: %d times %s %s"):format(first.index, last.index, list[i].count, first.kind, first.path or "")
  end
  if #list > MOST then lines[#lines + 1] = ("  and %d kinds more"):format(#list - MOST) end
end

--- At length: when, what is there, what is not and who did it.
---@param state luatrace.CrashState
---@return string[]
function M.lines(state)
  local space = state.space
  local lines = { ("%s (file system model: %s, state %s)"):format(when(state), state.model, state.name) }
  local lost = lost_ops(state)
  if #lost == 0 then
    lines[2] = ("on the disk: the effects of all calls up to then (%d)"):format(state.point)
  else
    local gone = {}
    for _, entry in ipairs(lost) do gone[entry.op.index] = true end
    local there = 0
    for op = 1, math.max(state.point, space.effects[state.last] and space.effects[state.last].op or 0) do
      if space.of_op[op] and not gone[op] then there = there + 1 end
    end
    lines[2] = ("on the disk: the effects of %s; not there, or not all:"):format(count(there, "call"))
    if #lost > MOST then
      summarize(lost, lines)
    else
      for _, entry in ipairs(lost) do
        local op = entry.op
        lines[#lines + 1] = ("  #%d %s%s"):format(op.index, M.op(op), entry.part and ": " .. entry.part or "")
        local stack = op.stack and stack_text(op.stack)
        if stack and stack ~= "" then lines[#lines + 1] = "      at " .. stack end
      end
    end
  end
  local told = state:announced()
  if told.exit then
    lines[#lines + 1] = ("the program had ended with status %d"):format(told.exit)
  elseif #told.stdout > 0 then
    lines[#lines + 1] = ("the program had written %s to its output"):format(count(#told.stdout, "byte"))
  end
  return lines
end

--- What is lost in general: files and kinds of calls, numbers left out.
---@param state luatrace.CrashState
---@return table<string, boolean> causes empty when all is there
local function causes(state)
  local set = {}
  for _, entry in ipairs(lost_ops(state)) do
    local path = (entry.op.path or ""):gsub("%f[%w]%x%x%x%x+%f[%W]", "#"):gsub("%d+", "#")
    set[("%s %s%s"):format(entry.op.kind, path, entry.part and " in part" or "")] = true
  end
  return set
end

local function is_subset(small, large)
  for item in pairs(small) do
    -- Who cannot bear a part missing cannot bear all of it missing.
    if not large[item] and not large[item:gsub(" in part$", "")] then return false end
  end
  return true
end

--- A checker's words without what differs from state to state.
local function neutral(message) return (message:gsub("%f[%w]%x%x%x%x+%f[%W]", "#"):gsub("%d+", "#")) end

--- Failed states by what they lack. Those that lack least come first, and whoever lacks the same and more is counted
-- with them; so is a state that is just what an earlier, failed moment had left whole.
---@param failures table[] state, message, output, status, signal
---@return table[] findings state, title, lines, message, output, status, signal, count
function M.group(failures)
  for order, failure in ipairs(failures) do failure.order, failure.size = order, #failure.state.losses end
  table.sort(failures, function(x, y)
    if x.size ~= y.size then return x.size < y.size end
    return x.order < y.order
  end)
  local findings, whole, by_words = {}, {}, {}
  for _, failure in ipairs(failures) do
    local set = causes(failure.state)
    local finding
    if next(set) == nil then
      local words = neutral(failure.message)
      finding = by_words[words]
      whole[failure.state.tree.key] = finding or true
      if finding then finding.last = failure.state end
    else
      finding = whole[failure.state.tree.key]
      for i = 1, finding and 0 or #findings do
        if next(findings[i].causes) and is_subset(findings[i].causes, set) then
          finding = findings[i]
          break
        end
      end
    end
    if not finding then
      finding = { causes = set, count = 0, state = failure.state, message = failure.message, output = failure.output,
        status = failure.status, signal = failure.signal }
      findings[#findings + 1] = finding
      if next(set) == nil then
        by_words[neutral(failure.message)] = finding
        whole[failure.state.tree.key] = finding
      end
    end
    finding.count = finding.count + 1
  end
  for _, finding in ipairs(findings) do
    finding.title, finding.lines = M.title(finding.state), M.lines(finding.state)
    if finding.last then
      table.insert(finding.lines, 3, ("so at other moments too, the last of them: %s"):format(when(finding.last)))
    end
  end
  return findings
end

return M
