--- A crash state in words: what had been done, what of it is on the disk, and what is not.
--
--   explain.title(state)      -- "power lost after rename f.tmp -> f: without write f.tmp, 12 bytes at 0"
--   explain.lines(state)      -- the same at length, with stacks
--   explain.cause(state)      -- equal for states that differ only in where in a loop they are

local M = {}

--- More lost calls than this are counted, not listed.
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
M.lost_ops = lost_ops

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
    for i = 1, math.min(#lost, MOST) do
      local op = lost[i].op
      lines[#lines + 1] = ("  #%d %s%s"):format(op.index, M.op(op), lost[i].part and ": " .. lost[i].part or "")
      local stack = op.stack and stack_text(op.stack)
      if stack and stack ~= "" then lines[#lines + 1] = "      at " .. stack end
    end
    if #lost > MOST then lines[#lines + 1] = ("  and %d more"):format(#lost - MOST) end
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
---@return string
function M.cause(state)
  local seen, list = {}, {}
  for _, entry in ipairs(lost_ops(state)) do
    local path = (entry.op.path or ""):gsub("%f[%w]%x%x%x%x+%f[%W]", "#"):gsub("%d+", "#")
    local text = ("%s %s%s"):format(entry.op.kind, path, entry.part and " in part" or "")
    if not seen[text] then
      seen[text] = true
      list[#list + 1] = text
    end
  end
  table.sort(list)
  if #list == 0 then
    local op = state.space.ops[state.point]
    return op and ("all there after %s %s"):format(op.kind, (op.path or ""):gsub("%d+", "#")) or "the start"
  end
  return table.concat(list, ", ")
end

return M
