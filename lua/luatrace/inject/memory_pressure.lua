--- Memory runs out: past start-up the program gets so much more, then mmap and mremap fail with ENOMEM and brk does not
-- move.
--
--   inject.memory_pressure { budget = "8M" }
--   inject.memory_pressure { budget = 0 }              -- nothing at all
--
-- Counted per process is what is mapped privately and anonymously, what mprotect makes usable of address space that was
-- only kept (stacks and heaps of threads), and the heap; munmap gives back. A child begins with what its parent has
-- left.

local bit = require "bit"
local ranges = require "luatrace.inject.ranges"

local MAP_ANONYMOUS, MAP_NORESERVE, PROT_NONE = 0x20, 0x4000, 0

local MAP_FIXED, PROT_WRITE = 0x10, 2

return {
  about = "mmap, mremap and brk fail past a budget",
  options = { budget = "size" },
  required = { "budget" },
  add = function(t, options, where)
    local calls = "?mmap,?mmap2,?mremap,?brk,?munmap,?mprotect"
    local matches = t.matches(calls, where)
    local processes = setmetatable({}, { __mode = "k" })

    --- `paid`: what counts; `kept`: address space that costs nothing until it may be written.
    local function state_of(process)
      local state = processes[process]
      if not state or state.images ~= process.images then
        state = { left = options.budget, images = process.images, paid = ranges.new(), kept = ranges.new() }
        processes[process] = state
      end
      return state
    end

    t.at.fork(function(child)
      local parent = child.parent
      local theirs = parent and processes[parent]
      if theirs and theirs.images == parent.images then
        processes[child] = { left = theirs.left, images = child.images, paid = theirs.paid:copy(),
          kept = theirs.kept:copy(), brk = theirs.brk }
      end
    end)

    local function give_back(state, from, to)
      state.left = state.left + state.paid:remove(from, to)
      state.kept:remove(from, to)
    end

    --- Runs a call that takes so much, which is paid before: another thread may ask meanwhile.
    local function run_paid(call, state, length)
      if length > state.left then
        call:fail "ENOMEM"
        return nil
      end
      state.left = state.left - length
      local address = call:run()
      if type(address) == "number" then return address end
      state.left = state.left + length
    end

    local function map(call, state, length)
      -- Old 32-bit programs put the arguments of mmap into memory; their C libraries have used mmap2 for long.
      if call.name == "mmap" and call.arch.bits == 32 then return end
      local flags, protection = tonumber(call.raw[4]), tonumber(call.raw[3])
      length = math.ceil(length / 4096) * 4096
      local is_anonymous = bit.band(flags, MAP_ANONYMOUS) ~= 0
      -- Address space that nobody may touch costs nothing.
      local is_free = not is_anonymous or protection == PROT_NONE or bit.band(flags, MAP_NORESERVE) ~= 0
      local address
      if is_free then address = call:run() else address = run_paid(call, state, length) end
      if type(address) ~= "number" then return end
      if bit.band(flags, MAP_FIXED) ~= 0 then give_back(state, address, address + length) end
      local set = is_free and state.kept or state.paid
      if is_anonymous then set:add(address, address + length) end
    end

    local function protect(call, state, from, length)
      if bit.band(tonumber(call.raw[3]), PROT_WRITE) == 0 then return end
      local to = from + math.ceil(length / 4096) * 4096
      local grown = state.kept:overlap(from, to)
      if grown == 0 or not run_paid(call, state, grown) then return end
      state.kept:remove(from, to)
      state.paid:add(from, to)
    end

    local function move_break(call, state, wanted)
      local now = state.brk or call:inject("brk", 0)
      state.brk = now
      local growth = wanted - now
      if wanted ~= 0 and growth > state.left then return call:returns(now) end
      local result = call:run()
      if type(result) == "number" and wanted ~= 0 and result == wanted then
        state.left, state.brk = state.left - growth, result
      end
    end

    local function remap(call, state, from, old, new)
      local growth = math.max(0, math.ceil((new - old) / 4096) * 4096)
      local address = run_paid(call, state, growth)
      if not address then return end
      local had = state.paid:remove(from, from + old) + growth
      local kept = math.min(new, had)
      state.left = state.left + had - kept
      state.paid:add(address, address + kept)
    end

    t.on[calls](function(call)
      if not matches(call) then return end
      local state, name = state_of(call.process), call.name
      local first, second, third = tonumber(call.raw[1]), tonumber(call.raw[2]), tonumber(call.raw[3])
      if name == "brk" then return move_break(call, state, first) end
      if name == "mprotect" then return protect(call, state, first, second) end
      if name == "mremap" then return remap(call, state, first, second, third) end
      if name ~= "munmap" then return map(call, state, second) end
      call:run()
      if not call.errno then give_back(state, first, first + math.ceil(second / 4096) * 4096) end
    end)
  end,
}
