--- A directory tree as a crash leaves it: the fixture with the effects of some calls applied and of others not.
--
--   local disk = disk.new(log, effects, fixture)
--   local tree = disk:apply(41, lost, torn, losses)     -- effects 1..41 but those in `lost`
--   tree.key                                    -- equal keys: equal trees
--   disk:each(tree, fn)                         -- fn(path, node, file): what differs from the fixture or might
--
-- Contents are pages of 4096 bytes over the fixture's own: strings, which Lua interns, so that equal pages are one
-- pointer, and comparing two states of a file costs its touched pages, not its bytes. What an effect makes of a page
-- is remembered with the effect. Effects (made by crash_models.lua) are
--
--   data     node, page, from, bytes      makes the file as long as it must be; `clip`: seen as far as the file reaches
--   size     node, size                   makes it at least so long        truncate  node, size
--   zero     node, offset, length         replace   node, bytes            mode      node, mode
--   entry    dir, name, node              remove    dir, name              rename    as the op in write_log.lua

local files = require "luatrace.sys.files"
local shallow = require "luatrace.shallow"

local M = {}

local floor, min = math.floor, math.min
local PAGE = 4096
local ZEROS = ("\0"):rep(PAGE)
M.PAGE = PAGE

---@class luatrace.CrashFile contents of a file in a state
---@field size number
---@field kept number so many bytes of the fixture's content are visible where no page is
---@field pages table<integer, string> page number -> 4096 bytes
---@field mode integer|nil when it was changed

---@class luatrace.CrashTree
---@field key string
---@field files table<luatrace.Node, luatrace.CrashFile>
---@field names table<luatrace.Node, table<string, luatrace.Node|false>> what differs from the fixture

---@class luatrace.Disk
---@field watched table<luatrace.Node, string[]> names in each directory that some effect touches, or leads to
local Disk = {}
Disk.__index = Disk

local function watch(self, dir, name)
  local seen = self.seen[dir]
  if not seen then
    seen = {}
    self.seen[dir], self.watched[dir] = seen, {}
  end
  if seen[name] then return end
  seen[name] = true
  table.insert(self.watched[dir], name)
end

--- The names that lead to what was there from the start.
local function watch_up(self, node)
  for _, place in ipairs(self.places[node] or {}) do
    local known = self.seen[place.dir] and self.seen[place.dir][place.name]
    watch(self, place.dir, place.name)
    if not known then watch_up(self, place.dir) end
  end
end

---@param log luatrace.WriteLog
---@param effects table[]
---@param fixture string directory with the fixture's unchanged files
---@return luatrace.Disk
function M.new(log, effects, fixture)
  local self = setmetatable({ root = log.nodes[1], effects = effects, fixture = fixture, watched = {}, seen = {},
    places = {}, page_ids = {}, page_count = 0, base_fds = {}, by_node = {}, name_effects = {}, keys = {},
    last_named = {}, kept_prefixes = { [0] = { files = {}, names = {}, own_names = {} } } }, Disk)
  for _, node in ipairs(log.nodes) do
    for name, child in pairs(node.base and node.names or {}) do
      self.places[child] = self.places[child] or {}
      table.insert(self.places[child], { dir = node, name = name })
    end
  end
  for i, effect in ipairs(effects) do
    local list = self.name_effects
    self.keys[i] = "names"
    if not effect.dir and (effect.kind ~= "mode" or effect.node.kind == "file") then
      list = self.by_node[effect.node]
      if not list then
        list = {}
        self.by_node[effect.node] = list
      end
    end
    if list ~= self.name_effects then self.keys[i] = effect.node end
    list[#list + 1] = i
    if effect.dir and effect.node then self.last_named[effect.node] = i end
    if effect.dir then
      watch(self, effect.dir, effect.name)
      watch_up(self, effect.dir)
    end
    if effect.from_dir then
      watch(self, effect.from_dir, effect.from_name)
      watch_up(self, effect.from_dir)
    end
    if effect.node and effect.node.base then watch_up(self, effect.node) end
  end
  for _, names in pairs(self.watched) do table.sort(names) end
  return self
end

--- A page of the fixture, zeros where it has none.
local function base_page(self, node, index, kept)
  if not node.base or index * PAGE >= kept then return ZEROS end
  local pages = node.base_pages
  if not pages then
    pages = {}
    node.base_pages = pages
  end
  local page = pages[index]
  if not page then
    local fd = self.base_fds[node]
    if not fd then
      fd = assert(files.open(self.fixture .. "/" .. node.base, files.O_RDONLY))
      self.base_fds[node] = fd
    end
    page = assert(files.pread(fd, PAGE, index * PAGE))
    page = page .. ZEROS:sub(#page + 1)
    pages[index] = page
  end
  local left = kept - index * PAGE
  if left < PAGE then page = page:sub(1, left) .. ZEROS:sub(left + 1) end
  return page
end

--- The bytes of a page in a state, whether it was touched or not.
---@return string 4096 bytes
function Disk:page(node, file, index)
  return file.pages[index] or base_page(self, node, index, file.kept)
end

--- A file's contents, to be changed: trees share what they have in common, and copy what they change.
local function file_of(tree, node)
  local file = tree.files[node]
  if not file then
    file = { size = node.size, kept = node.base and node.size or 0, pages = {}, owner = tree }
    tree.files[node] = file
  elseif file.owner ~= tree then
    local pages = {}
    for index, page in pairs(file.pages) do pages[index] = page end
    file = { size = file.size, kept = file.kept, pages = pages, mode = file.mode, owner = tree }
    tree.files[node] = file
  end
  return file
end

local function put(self, file, node, effect, index, from, bytes)
  local old = file.pages[index] or base_page(self, node, index, file.kept)
  local made = effect.made
  local new = made[old]
  if not new then
    new = #bytes == PAGE and bytes or old:sub(1, from) .. bytes .. old:sub(from + #bytes + 1)
    made[old] = new
  end
  -- What is the fixture's own page needs no page: equal states get equal keys.
  if node.base and (index + 1) * PAGE <= file.kept and new == base_page(self, node, index, file.kept) then
    new = nil
  end
  file.pages[index] = new
end

local function cut(file, size)
  if size < file.size then
    local last = floor(size / PAGE)
    for index in pairs(file.pages) do
      if index > last or index * PAGE >= size then file.pages[index] = nil end
    end
    local partial = file.pages[last]
    if partial then file.pages[last] = partial:sub(1, size - last * PAGE) .. ZEROS:sub(size - last * PAGE + 1) end
    file.kept = min(file.kept, size)
  end
  file.size = size
end

local function set_name(tree, dir, name, node)
  local names = tree.names[dir]
  if not names or not tree.own_names[names] then
    local copy = {}
    for key, value in pairs(names or {}) do copy[key] = value end
    names = copy
    tree.names[dir], tree.own_names[names] = names, true
  end
  names[name] = node
end

local function name_in(tree, dir, name)
  local names = tree.names[dir]
  local node = names and names[name]
  if node == nil and dir.base then node = dir.names[name] end
  return node or nil
end
M.name_in = name_in

local apply = {}

function apply.data(self, tree, effect, torn)
  local node = effect.node
  local file = file_of(tree, node)
  local piece, from, bytes = effect, effect.from, effect.bytes
  -- So many of its bytes at the front, or at the end, reached the disk.
  local first, last = 1, #bytes
  if torn and torn >= 0 then last = torn elseif torn then first = #bytes + torn + 1 end
  if effect.clip then last = min(last, file.size - effect.page * PAGE - from) end
  if first > last then return end
  if first > 1 or last < #bytes then
    effect.pieces = effect.pieces or {}
    local key = first * 8192 + last
    piece = effect.pieces[key]
    if not piece then
      piece = { made = {} }
      effect.pieces[key] = piece
    end
    from, bytes = from + first - 1, bytes:sub(first, last)
  end
  put(self, file, node, piece, effect.page, from, bytes)
  local stop = effect.page * PAGE + from + #bytes
  if stop > file.size then file.size = stop end
end

function apply.size(_, tree, effect)
  local file = file_of(tree, effect.node)
  if effect.size > file.size then file.size = effect.size end
end

function apply.truncate(_, tree, effect) cut(file_of(tree, effect.node), effect.size) end

function apply.zero(self, tree, effect)
  local file, node = file_of(tree, effect.node), effect.node
  local stop = min(effect.offset + effect.length, file.size)
  local at = effect.offset
  while at < stop do
    local index = floor(at / PAGE)
    local from = at - index * PAGE
    local length = min(PAGE - from, stop - at)
    put(self, file, node, { made = {} }, index, from, ZEROS:sub(1, length))
    at = at + length
  end
end

function apply.replace(self, tree, effect)
  local file, node, bytes = file_of(tree, effect.node), effect.node, effect.bytes
  cut(file, 0)
  for index = 0, math.ceil(#bytes / PAGE) - 1 do
    put(self, file, node, { made = {} }, index, 0, bytes:sub(index * PAGE + 1, (index + 1) * PAGE))
  end
  file.size = #bytes
end

function apply.mode(_, tree, effect)
  if effect.node.kind == "file" then
    file_of(tree, effect.node).mode = effect.mode
  else
    local modes = {}
    for node, mode in pairs(tree.modes or {}) do modes[node] = mode end
    modes[effect.node] = effect.mode
    tree.modes = modes
  end
end

function apply.entry(_, tree, effect) set_name(tree, effect.dir, effect.name, effect.node) end
function apply.remove(_, tree, effect) set_name(tree, effect.dir, effect.name, false) end

function apply.rename(_, tree, effect)
  set_name(tree, effect.dir, effect.name, effect.node)
  set_name(tree, effect.from_dir, effect.from_name, effect.exchange and effect.replaced or false)
end

--- Calls fn(path, node, file) for all that some effect touches and that is there, directories first. `file` is nil of
-- what has the fixture's own content.
---@param tree luatrace.CrashTree
---@param fn fun(path: string, node: luatrace.Node, file: luatrace.CrashFile|nil)
function Disk:each(tree, fn, dir, prefix)
  dir = dir or self.root
  for _, name in ipairs(self.watched[dir] or {}) do
    local node = name_in(tree, dir, name)
    if node then
      local path = prefix and prefix .. "/" .. name or name
      fn(path, node, tree.files[node])
      if node.kind == "dir" then self:each(tree, fn, node, path) end
    end
  end
end

--- A short text that is equal for equal contents.
function Disk:file_key(node, file)
  if not file then return node.base and "=" .. node.index or "empty" end
  if file.key then return file.key end
  local parts = { node.base and file.kept > 0 and node.index or 0, file.kept, file.size, file.mode or node.mode }
  local indexes = {}
  for index in pairs(file.pages) do indexes[#indexes + 1] = index end
  table.sort(indexes)
  for i = 1, #indexes do
    local page = file.pages[indexes[i]]
    -- A page of nothing is no page where the fixture has none.
    if page ~= ZEROS or indexes[i] * PAGE < file.kept then
      local id = self.page_ids[page]
      if not id then
        id = self.page_count + 1
        self.page_count, self.page_ids[page] = id, id
      end
      parts[#parts + 1] = indexes[i]
      parts[#parts + 1] = id
    end
  end
  -- Whole as it was: the same as never touched.
  if node.base and #parts == 4 and file.size == node.size and file.kept == node.size and
    (file.mode or node.mode) == node.mode then
    file.key = "=" .. node.index
  else
    file.key = table.concat(parts, ",")
  end
  return file.key
end

-- --- states near each other --------------------------------------------------------------------------------------

--- So many effects lie between two remembered prefixes.
local STRIDE = 512

local function share(tree)
  return { files = shallow.copy(tree.files), names = shallow.copy(tree.names), own_names = {}, modes = tree.modes }
end

local function run(self, tree, from, to)
  local effects = self.effects
  for i = from, to do
    local effect = effects[i]
    apply[effect.kind](self, tree, effect)
  end
end

--- Contents that no name leads to any more, nor ever will, need no memory.
local function forget_nameless(self, tree, at)
  local named = {}
  for _, names in pairs(tree.names) do
    for _, node in pairs(names) do
      if node then named[node] = true end
    end
  end
  for node in pairs(tree.files) do
    if not named[node] and not node.base and (self.last_named[node] or 0) <= at then tree.files[node] = nil end
  end
end

--- The tree after effects 1..k*STRIDE.
local function remembered(self, k)
  local kept = self.kept_prefixes
  if not kept[k] then
    local before = remembered(self, k - 1)
    local tree = share(before)
    run(self, tree, (k - 1) * STRIDE + 1, k * STRIDE)
    forget_nameless(self, tree, k * STRIDE)
    kept[k] = tree
  end
  return kept[k]
end

--- The tree after effects 1..last.
local function prefix(self, last)
  if self.latest and self.latest.last == last then return self.latest.tree end
  local k = floor(last / STRIDE)
  local tree = remembered(self, k)
  if last > k * STRIDE then
    tree = share(tree)
    run(self, tree, k * STRIDE + 1, last)
  end
  self.latest = { last = last, tree = tree }
  return tree
end

--- Applies again, without what is lost, those effects of a list that come after the first loss.
local function without(self, tree, list, first, last, lost, torn)
  local effects = self.effects
  -- The first of the list after the remembered prefix: by halving.
  local start = floor((first - 1) / STRIDE) * STRIDE
  local low, high = 1, #list + 1
  while low < high do
    local middle = floor((low + high) / 2)
    if list[middle] > start then high = middle else low = middle + 1 end
  end
  for at = low, #list do
    local i = list[at]
    if i > last then break end
    if not lost[i] then
      local effect = effects[i]
      apply[effect.kind](self, tree, effect, torn and torn[i])
    end
  end
end

--- Where each loss makes itself felt: node (or "names") -> the first lost effect.
local function felt(self, losses)
  local first = {}
  local keys = self.keys
  for at = 1, #losses do
    local key = keys[losses[at]]
    if not first[key] then first[key] = losses[at] end
  end
  return first
end

--- The tree after effects 1..last without the lost ones. Only what a loss touches is worked out; the rest is shared
-- with the tree that has it all.
---@param last integer
---@param lost table<integer, boolean>|nil
---@param torn table<integer, integer>|nil bytes of a data effect that are there: at its front, or (negative) its end
---@param losses integer[]|nil keys of both, in order
---@return luatrace.CrashTree
function Disk:apply(last, lost, torn, losses)
  local tree = share(prefix(self, last))
  for key, first in pairs(losses and felt(self, losses) or {}) do
    local before = remembered(self, floor((first - 1) / STRIDE))
    if key == "names" then
      tree.names, tree.modes = shallow.copy(before.names), before.modes
      without(self, tree, self.name_effects, first, last, lost, torn)
    else
      tree.files[key] = before.files[key]
      without(self, tree, self.by_node[key], first, last, lost, torn)
    end
  end
  local parts = {}
  self:each(tree, function(path, node, file)
    parts[#parts + 1] = path
    if node.kind == "file" then
      parts[#parts + 1] = self:file_key(node, file)
    else
      parts[#parts + 1] = ("%s %s %o"):format(node.kind, node.target or node.base or "", tree.modes and
        tree.modes[node] or node.mode)
    end
  end)
  tree.key = table.concat(parts, "\0")
  return tree
end

--- All of a file's bytes in a state: for specs and Lua checkers.
---@return string
function Disk:content(node, file)
  file = file or { size = node.size, kept = node.base and node.size or 0, pages = {} }
  local parts = {}
  for index = 0, math.ceil(file.size / PAGE) - 1 do parts[index + 1] = self:page(node, file, index) end
  return table.concat(parts):sub(1, file.size)
end

function Disk:close()
  for node, fd in pairs(self.base_fds) do
    files.close(fd)
    self.base_fds[node] = nil
  end
end

return M
