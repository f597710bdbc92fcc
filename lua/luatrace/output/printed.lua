--- Rows as programs for the core's printer (src/printer.c): simple calls are printed without waking Lua.
--
-- A program says how each argument looks: a number, a string, bytes, or a text that depends on nothing but the value
-- (flags, names, modes, small structs). The core knows no names: it has the texts that it was told here, after Lua has
-- printed the first call with that value. What it cannot print it hands over, at the entry or at the exit. So every
-- text is made in one place, from the row's types; a row that is not simple has no program and is Lua's each time.
--
--   local printed = require("luatrace.output.printed").start(tracer, { show_tid = true, column = 40, limit = 32 })
--   printed:learn(call)          -- after Lua has printed a part of the call
--   printed.output               -- struct print_output: what has been printed

local bit = require "bit"
local ffi = require "ffi"
local buffer = require "string.buffer"
local decode = require "luatrace.decode"
local structs = require "luatrace.structs"
local types = require "luatrace.types"

local band = bit.band

local M = {}

---@class luatrace.Printed
local Printed = {}
Printed.__index = Printed

local CALLS, MAX_CONTENT = 512, 64
local STAT, STAT_MODE, STAT_RDEV, PERMISSIONS = 144, 24, 40, 0x1ff
local S_IFMT, S_IFCHR, S_IFBLK = 0xf000, 0x2000, 0x6000
local AT_FDCWD = -100
local ERRORS = 0
--- So many bytes of strings the core shows at the most.
local MAX_LIMIT = 4096

---@param tracer luatrace.Tracer
---@param options { show_tid: boolean, column: integer, limit: integer } limit: bytes of strings that are shown
---@return luatrace.Printed|nil
function M.start(tracer, options)
  if options.limit > MAX_LIMIT then return nil end
  local output = tracer:print_start(options.show_tid, options.column)
  return setmetatable({ tracer = tracer, output = output, limit = options.limit, programs = {}, sets = {},
    set_count = ERRORS, told = { [ERRORS] = {} }, text = buffer.new() }, Printed)
end

-- --- from a row to a program ----------------------------------------------------------------------------------------

--- Texts that depend on the value alone, of types that are no sets of names.
local plain_texts = { [types.mode.text] = true, [types.file_mode.text] = true, [types.signal.text] = true,
  [types.uid.text] = true }

--- Numbers that the core prints by itself: by how they are loaded and printed.
local load = types.load
local numbers = {
  [types.i64.text] = { [load.i32] = "I32", [load.u32] = "U32", [load.i64] = "I64", [load.u64] = "U64" },
  [types.long_unsigned.text] = { [load.i64] = "U64" },
  [types.xlong.text] = { [load.u64] = "HEX", [load.u32] = "HEX32" },
  [types.address.text] = { [load.u64] = "ADDRESS" },
  [types.fd.text] = { [load.i32] = "I32" },
}
for _, id in ipairs { types.pid, types.tid, types.pgid, types.sid, types.pid_number } do
  numbers[id.text] = { [load.i32] = "I32" }
end

local function number_kind(argument_type)
  local by_load = numbers[argument_type.text]
  return by_load and by_load[argument_type.load]
end

--- Texts of one type, or of one condition, are a set.
function Printed:set_of(key)
  local set = self.sets[key]
  if not set then
    set = self.set_count + 1
    self.sets[key], self.set_count = set, set
    self.told[set] = {}
  end
  return set
end

--- Is the type's text that of its kind, and not another one put over it?
local function is_own(argument_type, shape)
  return argument_type.shape == shape and argument_type.own_text == argument_type.text
end

--- Of a list of elements whose text depends on their bytes alone: how many there are, and the size of one.
local function array_of(row, inner)
  if inner.shape ~= "array" then return nil end
  local count, element = inner.count, inner.element
  if type(count) ~= "string" or not (element.definition and element.definition.plain) and not element.plain_bytes then
    return nil
  end
  local size = element.plain_bytes or element.size { bits = 64, pointer_size = 8 }
  return count == "ret" and count or row.index[count] and row.index[count] - 1, size
end

function Printed:pointer_op(row, argument_type)
  local inner = argument_type.inner
  local of_result = argument_type.direction == "out"
  if argument_type.direction == "inout" or inner.text_failed then return nil end
  if inner == structs.stat then
    return of_result and { kind = "STAT", set = self:set_of(inner), type = inner, of_result = true }
  elseif inner == types.dirents then
    return of_result and { kind = "DIRENTS", of_result = true }
  elseif inner == structs.timespec then
    return { kind = "TIMESPEC", of_result = of_result }
  elseif is_own(inner, "string") then
    local limit = inner.limit_of { text_options = { string_limit = self.limit } }
    return limit <= MAX_LIMIT and { kind = "STRING", limit = limit, of_result = of_result }
  elseif is_own(inner, "bytes") and type(inner.length) == "string" then
    -- What was asked for at entry, or what has been returned of it.
    if (inner.valid or false) ~= (of_result and "ret" or false) then return nil end
    return { kind = inner.style == "hex" and "HEX_BYTES" or "BYTES", length = row.index[inner.length] - 1,
      limit = self.limit, of_result = of_result }
  end
  local count, each = array_of(row, inner)
  if count then
    return { kind = "ARRAY", length = count, limit = each, set = self:set_of(inner), type = inner,
      of_result = of_result }
  elseif inner.shape ~= "struct" then
    return nil
  end
  local size = inner.definition.plain and inner.size { bits = 64, pointer_size = 8 }
  if not size or size > MAX_CONTENT then return { kind = "NULL", of_result = of_result } end
  return { kind = "CONTENT", length = size, set = self:set_of(inner), type = inner, of_result = of_result }
end

function Printed:op(row, argument_type)
  local kind = number_kind(argument_type)
  if kind then return { kind = kind } end
  if argument_type.text == types.dirfd.text then
    return { kind = "NAMED", set = self:set_of(argument_type), type = argument_type }
  end
  if is_own(argument_type, "named") or plain_texts[argument_type.text] then
    local wide = argument_type.load ~= load.i32 and argument_type.load ~= load.u32
    return { kind = wide and "TEXT64" or "TEXT32", set = self:set_of(argument_type), type = argument_type }
  end
  return is_own(argument_type, "pointer") and self:pointer_op(row, argument_type) or nil
end

--- What a type that depends on the call is for this one.
local function concrete(argument_type, call)
  while argument_type.chosen do argument_type = argument_type.chosen(call) end
  return argument_type
end

--- The program of a row, of a row with several meanings that of this call's; nil for what is not simple.
function Printed:compile(row, call)
  local plan = decode.text_plan(row)
  if not plan or #plan > 6 or plan.varies and not row.varies_by then return nil end
  local program = { name = row.name, late = nil }
  if row.varies_by then
    program.variant = row.index[row.varies_by] - 1
    program.value = load.u32(nil, call.raw[program.variant + 1])
  end
  local returns = concrete(row.returns, call)
  program.result = number_kind(returns)
  if row.comment then
    -- What is said about a result belongs to its text.
    if not row.varies_by then return nil end
    program.result, program.result_set = "TEXT64", self:set_of(("%s %d"):format(row.name, program.value))
  end
  if not program.result then return nil end
  for place = 1, #plan do
    local argument = row[plan[place].i]
    local argument_type = concrete(argument.type, call)
    local used = not row.varies_by or not argument.when or argument.when(call)
    if used then
      -- What is noted at entry, or begun there, takes Lua.
      local by_lua = argument.label or argument_type.early or argument_type.at_entry
      local op = not by_lua and self:op(row, argument_type)
      if not op then return nil end
      local late = argument_type.late
      if late and not program.late then program.late = #program end
      op.argument = plan[place].i - 1
      op.before = #program > 0 and program.late ~= #program and ", " or ""
      if argument.when and not row.varies_by then
        if not argument.decided_by then return nil end
        op.when, op.used = row.index[argument.decided_by] - 1, argument.when
        op.when_set = self:set_of(argument.when)
      end
      program[#program + 1] = op
    end
  end
  program.late = program.late or #program
  return program
end

-- --- what the core is told ------------------------------------------------------------------------------------------

local number_box, i64 = ffi.new("int64_t[1]"), ffi.typeof "int64_t"
local bytes_pointer, u32_pointer = ffi.typeof "const char *", ffi.typeof "const uint32_t *"

--- A register as the core's key: all 64 bits.
local function key_of(value)
  number_box[0] = type(value) == "number" and value or ffi.cast(i64, value)
  return ffi.string(number_box, 8)
end

function Printed:tell(set, key, put)
  local told = self.told[set]
  if told[key] or self.is_full then return end
  local text = self.text:reset()
  put(text)
  -- What the core has no room for is not noted either: programs choose the values.
  self.is_full = not self.tracer:print_text(set, key, text:tostring())
  told[key] = true
end

--- Of a file's mode all but the permissions, which the core writes; of a device, where neither its number nor its mode
-- are what others have, the whole struct.
function Printed:tell_stat(call, op, address, bytes)
  local mode = ffi.cast(u32_pointer, ffi.cast(bytes_pointer, bytes) + STAT_MODE)[0]
  local kind = band(mode, S_IFMT)
  if kind == S_IFCHR or kind == S_IFBLK then
    local key = key_of(mode) .. bytes:sub(STAT_RDEV + 1, STAT_RDEV + 8)
    return self:tell(op.set, key, function(text) op.type.text(text, call, op.type.fetch(call, address)) end)
  end
  local without = mode - band(mode, PERMISSIONS)
  self:tell(op.set, key_of(without), function(text)
    types.file_mode.text(text, call, without)
    text:put((text:get():gsub("000$", "")))
  end)
end

--- How many bytes an array has in this call.
local function array_size(call, op)
  local count = op.length == "ret" and call.raw_ret or call.raw[op.length + 1]
  return type(count) == "number" and count >= 0 and count * op.limit or math.huge
end

--- Whatever is known of the call at this phase and depends on values alone.
function Printed:tell_op(call, op)
  local raw = call.raw
  local value = raw[op.argument + 1]
  if op.used then
    self:tell(op.when_set, key_of(raw[op.when + 1]), function(text) text:put(op.used(call) and "yes" or "") end)
    if not op.used(call) then return end
  end
  local argument_type = op.type
  if not argument_type or op.kind == "NAMED" then return end
  if op.kind == "TEXT32" or op.kind == "TEXT64" then
    local key = key_of(op.kind == "TEXT32" and load.u32(nil, value) or value)
    return self:tell(op.set, key, function(text) argument_type.text(text, call, argument_type.load(call, value)) end)
  end
  if value == 0 or op.of_result and (call.phase ~= "exit" or call.failed) then return end
  local size = op.kind == "STAT" and STAT or op.kind == "ARRAY" and array_size(call, op) or op.length
  local bytes = size == 0 and "" or size <= STAT and call.memory:read(value, size)
  if not bytes or #bytes < size then return end
  if op.kind == "STAT" then return self:tell_stat(call, op, value, bytes) end
  local content = #bytes <= MAX_CONTENT and argument_type.fetch(call, value)
  if not content then return end
  self:tell(op.set, bytes, function(text) argument_type.text(text, call, content) end)
end

--- Signals come one after the other, each once: all are told at once. So is the only descriptor that has a name.
local SIGNALS = 64

function Printed:tell_names(call, op)
  if op.type == types.signal then
    for signal = 1, SIGNALS do
      self:tell(op.set, key_of(signal), function(text) types.signal.text(text, call, signal) end)
    end
  elseif op.kind == "NAMED" then
    self:tell(op.set, key_of(load.u32(nil, AT_FDCWD)), function(text) op.type.text(text, call, AT_FDCWD) end)
  end
end

--- The program of a call, made if it is the first one like it; false when there can be none.
function Printed:program_of(call)
  local row = call.row
  local nr = row.nr
  if call.arch.bits ~= 64 or nr >= CALLS then return false end
  local key = row.varies_by and nr + CALLS * load.u32(nil, call.raw[row.index[row.varies_by]]) or nr
  local program = self.programs[key]
  if program == nil then
    program = self:compile(row, call) or false
    self.programs[key] = program
    if program then self.tracer:print_program(nr, program) end
    for i = 1, program and #program or 0 do self:tell_names(call, program[i]) end
  end
  return program
end

--- After Lua has printed the entry or the exit of a call: the next one like it is the core's.
---@param call luatrace.Call
---@return boolean is there a program?
function Printed:learn(call)
  local program = self:program_of(call)
  if not program then return false end
  local from, to = 1, program.late
  if call.phase == "exit" then
    from, to = program.late + 1, #program
    if call.failed then
      self:tell(ERRORS, key_of(call.raw_ret), function(text) decode.text_result(call, text) end)
    elseif program.result_set then
      self:tell(program.result_set, key_of(call.raw_ret), function(text) decode.text_result(call, text) end)
    end
  end
  for i = from, to do self:tell_op(call, program[i]) end
  return true
end

return M
