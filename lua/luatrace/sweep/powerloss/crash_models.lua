--- What file systems promise: from the ops of a write log to *effects*, each of which reaches the disk or does not.
--
--   local effects = crash_models.effects(log, "ext4")
--   effects[7]        -- { op = 5, kind = "data", node =, page =, ..., after = { 6 }, durable = 9 }
--
-- `op` is the op that issued it. `after` are effects without which it cannot be on the disk. From the return of op
-- `durable` on it cannot be missing (math.huge: never certain). A crash state is a set of effects that is closed under
-- `after` and has all that is durable: `close_over` makes one of any wish.
--
-- The models. All: rename is atomic; a write may reach the disk page by page (4096 bytes); sync and syncfs make all
-- durable; O_SYNC and O_DSYNC are an fsync and fdatasync after each write; sync_file_range promises nothing.
--
-- posix   What the standard promises, which is next to nothing: whatever was not synced may be missing, in any
--         combination. fsync of a file makes its data, size and mode durable, not its name: that takes an fsync of the
--         directory. A file may have its new size without its data (zeros), and a sector (512 bytes) of a page may be
--         new beside old ones.
-- ext4    data=ordered with delayed allocation and auto_da_alloc, the defaults. Metadata (names, truncates, modes)
--         goes through one journal: what is there is a prefix of their order. Appended data is allocated late: it may
--         be missing under a name that is there (the zero-length file). Zeros may be where a block is missing before
--         one that is there, and where something was appended to a block that has data already; never garbage.
--         Overwritten pages are written in place, in any order, torn at sectors. fsync commits the journal: all
--         metadata up to then, and names with it. A rename over an existing file, and the close of a file that was cut
--         to nothing, start writing the data out: metadata from then on implies it.
-- btrfs   Copy on write: a page is old or new, never torn, and data becomes visible with metadata that is no older.
--         With the first complete extent of what was appended the size may be all of it: zeros for the rest.
--         Metadata is committed in order, too, but fsync takes a short cut (the log tree): it makes that file durable
--         with its names and their directories, and nothing of what came before it elsewhere. A rename over an
--         existing file gives the old content or the new one; one that replaces nothing may give an empty file.

local ffi = require "ffi"

local M = {}

local PAGE = 4096
local huge, min, max, floor = math.huge, math.min, math.max, math.floor

---@class luatrace.Effect see disk.lua for the fields of each kind
---@field index integer
---@field op integer
---@field kind string
---@field after integer[]
---@field durable number
---@field meta boolean|nil goes through the journal
---@field grows boolean|nil data that makes the file longer
---@field late boolean|nil ext4: data in a block that may not have been allocated yet

M.models = { "posix", "ext4", "btrfs" }

--- Is a page written in pieces of 512 bytes, or as a whole?
M.tears_sectors = { posix = true, ext4 = true, btrfs = false }

local Builder = {}
Builder.__index = Builder

function Builder:add(effect, after)
  local index = #self.effects + 1
  effect.index, effect.op, effect.durable, effect.after = index, self.op.index, huge, after or {}
  self.effects[index] = effect
  return index
end

--- What is remembered of a node: its size as the program sees it, effects not yet durable, and the last of some kinds.
function Builder:of(node)
  local known = self.known[node]
  if not known then
    known = { size = node.size, content = {}, names = {}, grown = {}, allocated = {}, page_last = {} }
    -- The fixture's own blocks lie on the disk already.
    for page = 0, node.base and floor((node.size - 1) / PAGE) or -1 do known.allocated[page] = true end
    self.known[node] = known
  end
  return known
end

--- auto_da_alloc, and what btrfs documents: the new content is there when the name is that replaced another, or (after
-- a flush) when later metadata is. ext4 starts it for what it has not allocated yet: that a block is written out
-- between two writes to it, and the second then lost, is left out, since the promise is the documented one.
function Builder:need_content(after, node)
  for _, content in ipairs(self:of(node).content) do
    local effect = self.effects[content]
    if effect.grows or effect.late or self.model == "btrfs" and effect.kind == "data" then
      after[#after + 1] = content
    end
  end
end

--- An effect in the journal.
function Builder:meta(effect, ...)
  local after = {}
  if self.ordered then
    after[1] = self.last_meta
    for node in pairs(self.flushed) do
      self:need_content(after, node)
      self.flushed[node] = nil
    end
  end
  effect.meta = true
  local index = self:add(effect, after)
  self.last_meta = index
  for i = 1, select("#", ...) do
    local node = select(i, ...)
    if node then self:of(node).last_meta = index end
  end
  return index
end

--- Names: pending in their directories, known to what they name.
function Builder:name(effect, node, ...)
  local index = self:meta(effect, node, ...)
  for i = 1, select("#", ...) do
    local dir = select(i, ...)
    if dir then table.insert(self:of(dir).content, index) end
  end
  if node then table.insert(self:of(node).names, index) end
  return index
end

--- ext4, appending to a block that has data already. When the block lies on the disk, the new size goes to the journal
-- at once and the data is written in place when it may: zeros are seen in between. When it has not been allocated yet,
-- the size waits for that. Which of the two is certain only for blocks that were there or synced.
function Builder:grow_in_block(node, known, page, size)
  local index
  if known.allocated[page] then
    index = self:meta({ kind = "size", node = node, size = size }, node)
    known.last_shape = index
  else
    index = self:add({ kind = "size", node = node, size = size, grows = true },
      { known.grown[page] or self.last_meta, known.grown[page] and self.last_meta or nil })
    table.insert(known.content, index)
  end
  known.size = size
end

local ops = {}

function ops.write(self, op)
  local node, bytes = op.node, op.bytes
  local known = self:of(node)
  local start = op.offset
  local stop, old_size = start + #bytes, known.size
  if stop > known.size and self.model == "posix" then
    table.insert(known.content, self:add { kind = "size", node = node, size = stop })
  end
  local at = start
  while at < stop do
    local page = floor(at / PAGE)
    local from = at - page * PAGE
    local length = min(PAGE - from, stop - at)
    local effect = { kind = "data", node = node, page = page, from = from, made = {},
      bytes = bytes:sub(at - start + 1, at - start + length) }
    local grows = at + length > known.size
    local after = {}
    if self.model == "ext4" and (not grows or known.size > page * PAGE) then
      -- In place: it is seen as far as the file reaches, whatever the journal says of the file.
      if grows then self:grow_in_block(node, known, page, at + length) end
      effect.clip, grows = true, false
      effect.late = not known.allocated[page] or nil
    elseif self.model ~= "posix" then
      effect.grows = grows or nil
      after[1] = self.last_meta
    end
    -- A page that is written takes along what was written to it before.
    if self.ordered then after[#after + 1] = known.page_last[page] end
    local index = self:add(effect, after)
    table.insert(known.content, index)
    known.page_last[page] = index
    if grows then
      known.grown[page], known.size = index, at + length
      known.first_grown = known.first_grown or index
    end
    at = at + length
  end
  if stop > old_size and self.model == "btrfs" and known.first_grown then
    -- The first extent that is complete brings the size that the file has by then.
    table.insert(known.content, self:add({ kind = "size", node = node, size = stop, grows = true },
      { known.first_grown, self.last_meta }))
  end
  -- The inode's times change with it: fsync commits the journal as it was then.
  known.written_at = self.last_meta
  if op.sync then self:sync(node, op.sync == "data") end
end

function ops.truncate(self, op)
  local known = self:of(op.node)
  local page = floor(op.size / PAGE)
  local from = op.size - page * PAGE
  local zeroed
  if self.model == "ext4" and from > 0 and op.size < known.size then
    -- The rest of the last block is wiped in place, before the journal has the new size.
    zeroed = self:add({ kind = "data", node = op.node, page = page, from = from, made = {}, clip = true,
      bytes = ("\0"):rep(min(PAGE, known.size - page * PAGE) - from) }, { known.page_last[page] })
    known.page_last[page] = zeroed
    table.insert(known.content, zeroed)
  end
  local index = self:meta({ kind = "truncate", node = op.node, size = op.size }, op.node)
  if zeroed then table.insert(self.effects[index].after, zeroed) end
  known.size, known.last_shape = op.size, index
  for _, pages in ipairs { known.grown, known.allocated, known.page_last } do
    for block in pairs(pages) do
      if block * PAGE >= op.size then pages[block] = nil end
    end
  end
  known.first_grown = nil
  table.insert(known.content, index)
end

function ops.allocate(self, op)
  local known = self:of(op.node)
  local index = self:meta({ kind = "size", node = op.node, size = op.size }, op.node)
  for page = floor(op.from / PAGE), floor((op.size - 1) / PAGE) do known.grown[page] = known.grown[page] or index end
  known.size, known.last_shape = max(known.size, op.size), index
  table.insert(known.content, index)
end

function ops.zero(self, op)
  local known = self:of(op.node)
  known.last_shape = self:meta({ kind = "zero", node = op.node, offset = op.offset, length = op.length }, op.node)
  table.insert(known.content, known.last_shape)
end

function ops.replace(self, op)
  local known = self:of(op.node)
  known.last_shape = self:meta({ kind = "replace", node = op.node, bytes = op.bytes }, op.node)
  known.size = #op.bytes
  table.insert(known.content, known.last_shape)
end

function ops.chmod(self, op)
  local index = self:meta({ kind = "mode", node = op.node, mode = op.mode }, op.node)
  table.insert(self:of(op.node).content, index)
end

function ops.create(self, op)
  local index = self:name({ kind = "entry", dir = op.dir, name = op.name, node = op.node }, op.node, op.dir)
  self:of(op.node).last_shape = index
end

function ops.link(self, op)
  local index = self:name({ kind = "entry", dir = op.dir, name = op.name, node = op.node }, op.node, op.dir)
  -- Renamed to here from elsewhere.
  if op.replaced and self.ordered then self:need_content(self.effects[index].after, op.node) end
end

function ops.unlink(self, op)
  self:meta({ kind = "remove", dir = op.dir, name = op.name }, op.node, op.dir)
  table.insert(self:of(op.dir).content, self.last_meta)
end

function ops.rename(self, op)
  local other = op.from_dir ~= op.dir and op.from_dir or nil
  local index = self:name({ kind = "rename", from_dir = op.from_dir, from_name = op.from_name, dir = op.dir,
    name = op.name, node = op.node, replaced = op.replaced, exchange = op.exchange }, op.node, op.dir, other)
  if op.exchange and op.replaced then table.insert(self:of(op.replaced).names, index) end
  if op.replaced and not op.exchange and self.ordered then
    self:need_content(self.effects[index].after, op.node)
  end
end

--- The last writer of a file that was cut to nothing has closed it.
function ops.flush(self, op)
  if self.ordered then self.flushed[op.node] = true end
end

function ops.sync(self, op)
  if op.node then return self:sync(op.node, op.data_only) end
  for _, effect in ipairs(self.effects) do effect.durable = min(effect.durable, op.index) end
  for _, known in pairs(self.known) do
    known.content = {}
    for page in pairs(known.grown) do known.allocated[page] = true end
  end
end

function Builder:make_durable(index)
  if index then self.effects[index].durable = min(self.effects[index].durable, self.op.index) end
end

--- btrfs' log: the names of a node, and the directories that they are in.
function Builder:log_names(node, seen)
  if seen[node] then return end
  seen[node] = true
  for _, index in ipairs(self:of(node).names) do
    self:make_durable(index)
    local effect = self.effects[index]
    if effect.dir then self:log_names(effect.dir, seen) end
    if effect.from_dir then self:log_names(effect.from_dir, seen) end
  end
end

function Builder:sync(node, data_only)
  local known = self:of(node)
  local kept, pending_growth = {}, false
  for _, index in ipairs(known.content) do
    local effect = self.effects[index]
    if data_only and effect.kind == "mode" then
      kept[#kept + 1] = index
    elseif not (self.model == "ext4" and effect.meta) then
      pending_growth = pending_growth or effect.grows
      self:make_durable(index)
    end
  end
  known.content = kept
  for page in pairs(known.grown) do known.allocated[page] = true end
  if self.model == "ext4" then
    -- What was just allocated is in the running transaction, with everything before it.
    if pending_growth then
      self:make_durable(self.last_meta)
    elseif data_only then
      self:make_durable(known.last_shape)
    else
      self:make_durable(max(known.last_meta or 0, known.written_at or 0) > 0 and
        max(known.last_meta or 0, known.written_at or 0) or nil)
    end
  elseif self.model == "btrfs" then
    self:log_names(node, {})
  end
end

--- The effects of a log's ops under a model, in their order.
---@param log luatrace.WriteLog
---@param model "posix"|"ext4"|"btrfs"
---@return luatrace.Effect[]
function M.effects(log, model)
  local self = setmetatable({ model = model, ordered = model ~= "posix", effects = {}, known = {}, flushed = {} },
    Builder)
  for _, op in ipairs(log.ops) do
    self.op = op
    if ops[op.kind] then ops[op.kind](self, op) end
  end
  -- What a durable effect needs is durable: backwards, since needs are always older. btrfs' log goes without the
  -- order of metadata, but a rename has its data there too.
  local effects = self.effects
  for i = #effects, 1, -1 do
    local effect = effects[i]
    if effect.durable < huge then
      for _, needed in ipairs(effect.after) do
        if model ~= "btrfs" or not effects[needed].meta then
          effects[needed].durable = min(effects[needed].durable, effect.durable)
        end
      end
    end
  end
  return M.flatten(effects)
end

--- The same in plain arrays, since every state is made of all effects: `effects.flat`.
---@param effects luatrace.Effect[]
---@return luatrace.Effect[] effects
function M.flatten(effects)
  local count, total = #effects, 0
  for _, effect in ipairs(effects) do total = total + #effect.after end
  local flat = { durable = ffi.new("double[?]", count + 1), first = ffi.new("int32_t[?]", count + 2),
    after = ffi.new("int32_t[?]", total + 1), mark = ffi.new("uint8_t[?]", count + 2) }
  local at = 0
  for i, effect in ipairs(effects) do
    flat.durable[i], flat.first[i] = effect.durable, at
    for _, needed in ipairs(effect.after) do
      flat.after[at] = needed
      at = at + 1
    end
  end
  flat.first[count + 1] = at
  effects.flat = flat
  return effects
end

--- The marked ones of first..last, as a set and as a list; the marks are wiped.
local function take_marks(mark, first, last, lost)
  local list = {}
  for i = first, last do
    if mark[i] ~= 0 then
      lost[i] = true
      list[#list + 1] = i
      -- One by one: LuaJIT's compiled ffi.fill has been seen to take a length of 0 for an enormous one.
      mark[i] = 0
    end
  end
  return lost, list
end

--- Makes a wish a state: adds to `lost` all that cannot be there without it, takes from it what cannot be missing at
-- `point`. Changes and returns `lost`.
---@param effects luatrace.Effect[]
---@param last integer effects 1..last have been issued
---@param point integer ops 1..point have returned
---@param lost table<integer, boolean>
---@return table<integer, boolean> lost, integer[] list the same in order
function M.close_over(effects, last, point, lost)
  local flat = effects.flat
  local durable, first, after, mark = flat.durable, flat.first, flat.after, flat.mark
  local start = last + 1
  for i in pairs(lost) do
    if i <= last then
      mark[i] = 1
      if i < start then start = i end
    end
    lost[i] = nil
  end
  for i = start, last do
    if durable[i] <= point then
      mark[i] = 0
    elseif mark[i] == 0 then
      for k = first[i], first[i + 1] - 1 do
        if mark[after[k]] ~= 0 then
          mark[i] = 1
          break
        end
      end
    end
  end
  return take_marks(mark, start, last, lost)
end

--- The other way: of effects 1..last only the durable ones, those in `kept`, and what those need.
---@return table<integer, boolean> lost, integer[] list
function M.only(effects, last, point, kept)
  local flat = effects.flat
  local durable, first, after, mark = flat.durable, flat.first, flat.after, flat.mark
  for i = 1, last do mark[i] = 1 end
  for i in pairs(kept) do mark[i] = 0 end
  for i = last, 1, -1 do
    if durable[i] <= point then
      mark[i] = 0
    elseif mark[i] == 0 then
      for k = first[i], first[i + 1] - 1 do mark[after[k]] = 0 end
    end
  end
  return take_marks(mark, 1, last, {})
end

return M
