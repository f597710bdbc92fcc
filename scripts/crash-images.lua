--- Holds the file-system models of lua/luatrace/sweep/powerloss/crash_models.lua against the kernel.
--
--   $ make && sudo luajit scripts/crash-images.lua ext4 15        (the model, trials a program, the seed)
--   ext4 replace          15 trials, 0 states that the model does not allow; 11 of 14 seen
--
-- Each program is recorded, and all that the model allows at each moment worked out. Then its calls are made again on a
-- loop-mounted file system, with journal commits and write-back forced at random moments in between; at a random moment
-- the image is copied, the copy mounted, and what lies there must be among the allowed. Needs root, loop devices and
-- mkfs.ext4 or mkfs.btrfs. Ends with 1 when something was found that is not allowed.
--
-- The copy is made when the device has been quiet for a moment: the image is no snapshot, and a copy made in the middle
-- of a burst would have seen its end without its beginning.

package.cpath = "build/?.so;" .. package.cpath
require "luatrace"

local ffi = require "ffi"
local fcntl = require "posix.fcntl"
local stdlib = require "posix.stdlib"
local time = require "posix.time"
local unistd = require "posix.unistd"
local crash_models = require "luatrace.sweep.powerloss.crash_models"
local crash_states = require "luatrace.sweep.powerloss.crash_states"
local files = require "luatrace.sys.files"
local powerloss = require "luatrace.sweep.powerloss"
local sys = require "luatrace.sys"

ffi.cdef "int sync_file_range(int fd, int64_t offset, int64_t size, unsigned flags);"

local model, trials = arg[1] or "ext4", tonumber(arg[2] or 20)
local make_fs = { ext4 = "truncate -s 16M %s && mkfs.ext4 -q -b 4096 %s", btrfs =
  "truncate -s 128M %s && mkfs.btrfs -q %s >/dev/null 2>&1" }
local seed = tonumber(arg[3] or os.time())
math.randomseed(seed)
if not make_fs[model] then
  io.stderr:write("crash-images: takes ext4 or btrfs\n")
  os.exit(2)
end

local function run(format, ...)
  local command = format:format(...)
  if os.execute(command) ~= 0 then error("failed: " .. command, 2) end
end

local work = assert(stdlib.mkdtemp("/dev/shm/crash-images-XXXXXX"))
local mounted, copied, fixture = work .. "/mnt", work .. "/copied", work .. "/fixture"
run("mkdir %s %s %s", mounted, copied, fixture)

--- Too many effects that may be missing take too long: 2^16 trees.
local MOST = 16

--- All trees that the model allows, for each point.
local function allowed_states(record)
  local space = crash_states.space(record, model)
  local allowed, total = {}, 0
  for p = 0, #record.ops do
    local open, seen = {}, {}
    for i = 1, space.upto[p] do
      if space.effects[i].durable > p then open[#open + 1] = i end
    end
    assert(#open <= MOST, "too many effects that may be missing")
    for bits = 0, 2 ^ #open - 1 do
      local lost = {}
      for k, i in ipairs(open) do
        if math.floor(bits / 2 ^ (k - 1)) % 2 == 1 then lost[i] = true end
      end
      local closed, losses = crash_models.close_over(space.effects, space.upto[p], p, lost)
      local tree, parts = space.disk:apply(space.upto[p], closed, nil, losses), {}
      space.disk:each(tree, function(path, node, file)
        parts[#parts + 1] = path .. (node.kind == "dir" and "/" or "=" .. space.disk:content(node, file))
      end)
      local text = table.concat(parts, "\0")
      if not seen[text] then total = total + 1 end
      seen[text] = true
    end
    allowed[p] = seen
  end
  -- What no call touches is not in the trees.
  local touched = {}
  for _, names in pairs(space.disk.watched) do
    for _, name in ipairs(names) do touched[name] = true end
  end
  space.disk:close()
  return allowed, touched, total
end

local function tree_text(root, touched)
  local parts = {}
  files.walk(root, function(path, stat)
    if path == "lost+found" or path == "other-file" or not touched[path:match("[^/]*$")] then return false end
    parts[#parts + 1] = path .. (stat.kind == "dir" and "/" or "=" .. sys.read_file(root .. "/" .. path))
  end)
  return table.concat(parts, "\0")
end

local function sync_path(path, data_only)
  local fd = assert(fcntl.open(path, fcntl.O_RDONLY))
  assert((data_only and unistd.fdatasync or unistd.fsync)(fd))
  unistd.close(fd)
end

--- What else goes on in a machine: commits of the journal, write-back of some blocks.
local function disturb(may_open)
  local what = math.random()
  if what < 0.3 then
    local fd = assert(fcntl.open(mounted .. "/other-file", fcntl.O_WRONLY))
    unistd.write(fd, tostring(math.random()))
    unistd.fsync(fd)
    unistd.close(fd)
  elseif what < 0.6 and may_open then
    local found = {}
    files.walk(mounted, function(path, stat) if stat.kind == "file" then found[#found + 1] = path end end)
    local path = found[math.random(#found)]
    local fd = assert(fcntl.open(mounted .. "/" .. path, fcntl.O_RDWR))
    local page = math.random(0, 1) * math.random(0, 2)
    ffi.C.sync_file_range(fd, page * 4096, math.random() < 0.5 and 4096 or 0, 7)
    unistd.close(fd)
  end
end

local made = {}

function made.write(op, path, open)
  unistd.lseek(open(path), op.offset, unistd.SEEK_SET)
  assert(unistd.write(open(path), op.bytes) == #op.bytes)
end
function made.truncate(op, path, open) files.ftruncate(open(path), op.size) end
function made.create(op, path, open)
  if op.node.kind == "dir" then assert(files.mkdir(path)) else open(path, fcntl.O_CREAT) end
end
function made.rename(op, path, _, fds)
  local from = mounted .. "/" .. op.from_path
  assert(files.rename(from, path))
  if fds[path] then unistd.close(fds[path]) end
  fds[path], fds[from] = fds[from], nil
end
function made.unlink(_, path) assert(files.unlink(path) or files.rmdir(path)) end
function made.sync(op, path)
  if op.node then sync_path(path, op.data_only) else os.execute("sync") end
end
function made.flush(_, path, _, fds)
  if fds[path] then unistd.close(fds[path]) end
  fds[path] = nil
end

local function one_trial(record, number, touched, flushes)
  local image = ("%s/%d.img"):format(work, number)
  run("cp --sparse=always %s/base.img %s && mount -o loop %s %s", work, image, image, mounted)
  local fds = {}
  local function open(path, flags)
    fds[path] = fds[path] or assert(fcntl.open(path, fcntl.O_RDWR + (flags or 0), 420))
    return fds[path]
  end
  local stop = math.random(0, #record.ops)
  for p = 1, stop do
    if math.random() < 0.6 then disturb(not flushes) end
    local op = record.ops[p]
    if made[op.kind] then made[op.kind](op, mounted .. "/" .. (op.path or "."), open, fds) end
  end
  disturb(not flushes)
  time.nanosleep { tv_sec = 0, tv_nsec = 40000000 }
  run("cp --sparse=always %s %s.copy", image, image)
  for _, fd in pairs(fds) do unistd.close(fd) end
  run("umount %s && mount -o loop %s.copy %s", mounted, image, copied)
  local text = tree_text(copied, touched)
  run("umount %s && rm %s %s.copy", copied, image, image)
  return stop, text
end

local cases = { "replace", "replace-synced", "replace-durable", "rename-to-new", "in-place", "in-place-then", "append",
  "append-synced", "new-directory", "overwrite" }

local function one_case(how)
  run("rm -rf %s/* %s/base.img", fixture, work)
  assert(files.write_file(fixture .. "/f", how == "overwrite" and ("a"):rep(8192) or "old\n"))
  local record = assert(powerloss.record { cmd = { work .. "/save_file", how }, fixture = fixture, stacks = false })
  local allowed, touched, total = allowed_states(record)
  local flushes = false
  for _, op in ipairs(record.ops) do flushes = flushes or op.kind == "flush" end
  run(make_fs[model], work .. "/base.img", work .. "/base.img")
  run("mount -o loop %s/base.img %s && cp %s/f %s/ && echo > %s/other-file && umount %s", work, mounted, fixture,
    mounted, mounted, mounted)
  local bad, seen, count = 0, {}, 0
  for number = 1, trials do
    local stop, text = one_trial(record, number, touched, flushes)
    if not allowed[stop][text] then
      bad = bad + 1
      print(("not allowed after call %d of %s: %q"):format(stop, how, text:sub(1, 300)))
    end
    local key = stop .. " " .. text
    if not seen[key] then count = count + 1 end
    seen[key] = true
  end
  record:close()
  if bad > 0 then print("seed " .. seed) end
  print(("%s %-16s %d trials, %d states that the model does not allow; %d of %d seen"):format(model, how, trials, bad,
    count, total))
  return bad
end

local bad = 0
local ok, message = pcall(function()
  run("gcc -D_GNU_SOURCE -O1 -o %s/save_file spec/tracees/save_file.c", work)
  for _, how in ipairs(cases) do bad = bad + one_case(how) end
end)
os.execute(("umount %s %s 2>/dev/null; rm -rf %s"):format(mounted, copied, work))
if not ok then
  io.stderr:write("crash-images: ", message, "\n")
  os.exit(2)
end
os.exit(bad == 0 and 0 or 1)
