--- What a call did, in a sentence that a system administrator reads.
--
--   local sentences = require "luatrace.sentences"
--   sentences.begin(call)                 -- at entry: what the call will overwrite or take away is taken down
--   local said = sentences.of(call)       -- at exit
--   said.text                             -- "opened /etc/passwd for reading -> fd 3"
--   said.category                         -- "file"
--
-- Sentences are data, a room a subject in sentences/: one template a call.
--
--   openat = "(open|opened) {pathname} {flags:access}[ -> {ret}]"
--
--   (open|opened)       the verb as it is after "could not ", and as it is when the call has succeeded
--   {pathname}          an argument, by its manual-page name, as suits its type; {ret} is the result
--   {flags:access}      the same in another format: see sentences/formats.lua
--   [ -> {ret}]         only when the call has succeeded
--   < to {addr}>        only when there is a value for all that is named inside
--
-- A call that fails says "could not open ...: No such file or directory". Where one template is not enough a row is a
-- list: { { when, template }, ..., template } takes the first whose when(call) holds when the call has returned;
-- `failed` is the template of failures, with {error}. Calls without a row are said by their names and arguments.

local constants = require "luatrace.constants"
local decode = require "luatrace.decode"
local formats = require "luatrace.sentences.formats"

local M = {}

local rooms = { "file", "fd", "memory", "network", "process", "signals", "time", "ipc", "system" }

-- --- templates ------------------------------------------------------------------------------------------------------

local closing = { ["["] = "]", ["<"] = ">" }

--- A template as a list of nodes: strings, { value =, format = }, { base =, past = }, { nodes =, when = }.
local function parse(template, at, ending)
  local nodes = {}
  while true do
    local from, char = template:match("()([%({%[<%]>])", at)
    -- An arrow is no bracket.
    while char == ">" and template:sub(from - 1, from - 1) == "-" do
      local next_from, next_char = template:match("()([%({%[<%]>])", from + 1)
      from, char = next_from, next_char
    end
    if not from then
      if ending then error("sentence without " .. ending .. ": " .. template, 0) end
      nodes[#nodes + 1] = template:sub(at)
      return nodes, #template + 1
    end
    if from > at then nodes[#nodes + 1] = template:sub(at, from - 1) end
    if char == ending then return nodes, from + 1 end
    if char == "(" then
      local base, past, after = template:match("^%(([^|]*)|([^)]*)%)()", from)
      if not base then error("sentence with a verb of one form: " .. template, 0) end
      nodes[#nodes + 1] = { base = base, past = past }
      at = after
    elseif char == "{" then
      local name, format, after = template:match("^{([%w_.]+):?([%w_]*)}()", from)
      if not name then error("sentence with a bad name: " .. template, 0) end
      nodes[#nodes + 1] = { value = name, format = format ~= "" and format or "plain" }
      at = after
    elseif closing[char] then
      local inner
      inner, at = parse(template, from + 1, closing[char])
      nodes[#nodes + 1] = { nodes = inner, when = char == "[" and "success" or "known" }
    else
      error("sentence with a lone " .. char .. ": " .. template, 0)
    end
  end
end

--- The values that a template names.
local function named(nodes, list)
  for _, node in ipairs(nodes) do
    if type(node) == "table" then
      if node.value then list[#list + 1] = node end
      if node.nodes then named(node.nodes, list) end
    end
  end
  return list
end

local function compile(row, category)
  local compiled = { category = row.category or category, choices = {}, values = {} }
  local function add(template, when)
    local nodes = parse(template, 1, nil)
    named(nodes, compiled.values)
    compiled.choices[#compiled.choices + 1] = { nodes = nodes, when = when }
    return nodes
  end
  if type(row) == "string" then
    add(row)
  else
    for _, choice in ipairs(row) do
      if type(choice) == "table" then add(choice[2], choice[1]) else add(choice) end
    end
    if row.failed then
      compiled.failed = add(row.failed)
      compiled.choices[#compiled.choices] = nil
    end
  end
  return compiled
end

--- Is every argument that a sentence names there?
local function fits(known, row)
  for _, node in ipairs(known.values) do
    local name = node.value:match("^[^.]+")
    if name ~= "ret" and name ~= "error" and not row.index[name] then return false end
  end
  return true
end

local loaded -- name -> { row, category }, then compiled
local function find(name)
  if not loaded then
    loaded = {}
    for _, room in ipairs(rooms) do
      local content = require("luatrace.sentences." .. room)
      for call_name, row in pairs(content.rows) do loaded[call_name] = { row = row, category = content.category } end
    end
  end
  local known = loaded[name]
  if known and known.row then
    known = compile(type(known.row) == "table" and known.row or tostring(known.row), known.category)
    loaded[name] = known
  end
  return known
end

--- The sentence of a call, or of its like.
local function sentence_of(row)
  local known = find(row.name)
  if known then return known end
  local name = formats.canonical(row.name)
  known = name ~= row.name and find(name)
  return known and fits(known, row) and known or nil
end

--- All calls that have sentences of their own, for the spec that checks them.
---@return table<string, table>
function M.all()
  find "read"
  local all = {}
  for name in pairs(loaded) do all[name] = find(name) end
  return all
end

-- --- values ---------------------------------------------------------------------------------------------------------

local function is_late(call, name)
  if name == "ret" or name == "error" then return true end
  local index = call.row.index[name:match("^[^.]+")]
  local late = index and call.row[index].type.late
  if type(late) == "function" then return late(call) end
  return late or false
end

--- A formatted value; nil where there is none.
local function value_of(call, node)
  local said = rawget(call, "said")
  local key = node.value .. ":" .. node.format
  local known = said and said[key]
  if known ~= nil then return known or nil end
  -- Nothing more is to be learnt of a call whose thread is gone.
  if call.phase == "over" then return nil end
  return formats.format(call, node.value, node.format)
end

local function choose(known, call)
  for _, choice in ipairs(known.choices) do
    if not choice.when or choice.when(call) then return choice.nodes end
  end
end

--- At entry: takes down what the call's arguments say before it runs.
---@param call luatrace.Call
function M.begin(call)
  local known = sentence_of(call.row)
  local said = {}
  if known then
    for _, node in ipairs(known.values) do
      local key = node.value .. ":" .. node.format
      if said[key] == nil and not is_late(call, node.value) then
        said[key] = formats.format(call, node.value, node.format) or false
      end
    end
    said.nodes = choose(known, call)
  else
    local out = require("string.buffer").new()
    decode.text_args(call, out, "entry")
    said.arguments = out:tostring()
  end
  -- What the later description of descriptors stands on.
  formats.note(call, said)
  rawset(call, "said", said)
end

-- --- sentences ------------------------------------------------------------------------------------------------------

local function render(call, nodes, failed, said, parts)
  for _, node in ipairs(nodes) do
    if type(node) == "string" then
      parts[#parts + 1] = node
    elseif node.base then
      parts[#parts + 1] = failed and (said.stem or "could not ") .. node.base or node.past
    elseif node.value then
      if node.value == "ret" and node.format == "size" and not said.size then
        -- A place of its own: sentences of a group add sizes up.
        said.size = tonumber(call.raw_ret)
        parts[#parts + 1] = "\1"
      else
        local value = value_of(call, node)
        if value == nil then said.missing = true end
        parts[#parts + 1] = value or "?"
      end
    elseif node.when == "success" then
      if not failed then render(call, node.nodes, failed, said, parts) end
    else
      local inner, missing = {}, said.missing
      said.missing = nil
      render(call, node.nodes, failed, said, inner)
      if not said.missing then parts[#parts + 1] = table.concat(inner) end
      said.missing = missing
    end
  end
  return parts
end

--- By its name and its arguments, for calls without a sentence.
local function generic(call, unwatched)
  local out = require("string.buffer").new()
  local early = rawget(call, "said") and rawget(call, "said").arguments or ""
  decode.text_args(call, out, "exit")
  local arguments = (early .. out:tostring()):gsub("^%s*,?%s*", "")
  local text = (call.failed and "could not call " or "called ") .. call.row.name
  if arguments ~= "" then text = text .. " with " .. arguments end
  if not unwatched and not call.failed and call.raw_ret ~= 0 then
    out:reset()
    decode.text_result(call, out)
    text = text .. " -> " .. out:tostring()
  end
  return text
end

local function strerror(name) return constants.errno.text[name] or name end

local interrupted = { ERESTARTSYS = true, ERESTARTNOINTR = true, ERESTARTNOHAND = true, ERESTART_RESTARTBLOCK = true }

---@class luatrace.Said
---@field text string with "\1" where a size belongs: see M.text
---@field size number|nil
---@field category string

--- What is said of a call whose result is not known: the verb's infinitive goes behind the stem.
local stems = { unfinished = "did not return: to ", unwatched = "set out to " }

--- The words for a call that has no sentence.
local function without_sentence(call, open_end)
  if open_end == "unfinished" then return "did not return from " .. call.row.name end
  return generic(call, open_end == "unwatched")
end

--- What the call did; with `open_end` why that is not known: it has not returned ("unfinished"), or nobody was there
-- when it did ("unwatched", after call:skip_exit).
---@param call luatrace.Call
---@param open_end "unfinished"|"unwatched"|nil
---@return luatrace.Said
function M.of(call, open_end)
  local known = sentence_of(call.row)
  local said = { category = known and known.category or formats.category(call) }
  local failed = open_end or call.failed
  local broken_off = call.failed and interrupted[call.errno]
  said.stem = stems[open_end] or broken_off and "was interrupted: to " or nil
  if not known then
    said.text = without_sentence(call, open_end)
  elseif failed and known.failed and not open_end and not broken_off then
    said.text = table.concat(render(call, known.failed, true, said, {})):gsub("{error}", strerror(call.errno))
    return said
  else
    local nodes = open_end and rawget(call, "said").nodes or not open_end and choose(known, call)
    said.text = nodes and table.concat(render(call, nodes, failed, said, {})) or without_sentence(call, open_end)
  end
  if open_end == "unwatched" then said.text = said.text .. " (result not watched)" end
  if call.failed and not open_end and not broken_off then said.text = said.text .. ": " .. strerror(call.errno) end
  return said
end

--- The sentence as one reads it.
---@param said luatrace.Said
---@return string
function M.text(said)
  return said.size and (said.text:gsub("\1", (formats.size(said.size)))) or said.text
end

return M
