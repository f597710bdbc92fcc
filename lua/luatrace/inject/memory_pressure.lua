--- Memory runs out: past start-up the program gets so much more, then mmap and mremap fail with ENOMEM and brk does not
-- move.
--
--   inject.memory_pressure { budget = "8M" }
--   inject.memory_pressure { budget = 0 }              -- nothing at all
--
-- Counted per process is what is mapped privately and anonymously, and the heap; munmap gives back.

local bit = require "bit"

local MAP_ANONYMOUS, MAP_NORESERVE, PROT_NONE = 0x20, 0x4000, 0

return {
  about = "mmap, mremap and brk fail past a budget",
  options = { budget = "size" },
  required = { "budget" },
  add = function(t, options, where)
    local calls = "?mmap,?mmap2,?mremap,?brk,?munmap"
    local matches = t.matches(calls, where)
    local processes = setmetatable({}, { __mode = "k" })

    local function state_of(process)
      local state = processes[process]
      if not state or state.images ~= process.images then
        state = { left = options.budget, images = process.images, sizes = {} }
        processes[process] = state
      end
      return state
    end

    local function map(call, state, length)
      local flags, protection = tonumber(call.raw[4]), tonumber(call.raw[3])
      -- Address space that nobody may touch costs nothing.
      if bit.band(flags, MAP_ANONYMOUS) == 0 or protection == PROT_NONE or bit.band(flags, MAP_NORESERVE) ~= 0 then
        return
      end
      if length > state.left then return call:fail "ENOMEM" end
      local address = call:run()
      if type(address) == "number" then
        state.left = state.left - length
        state.sizes[address] = length
      end
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

    t.on[calls](function(call)
      if not matches(call) then return end
      local state, name = state_of(call.process), call.name
      local first, second, third = tonumber(call.raw[1]), tonumber(call.raw[2]), tonumber(call.raw[3])
      if name == "brk" then return move_break(call, state, first) end
      if name == "munmap" then
        call:run()
        if not call.errno and state.sizes[first] then
          local freed = math.min(second, state.sizes[first])
          state.left, state.sizes[first] = state.left + freed, nil
        end
        return
      end
      if name == "mremap" then
        local growth = third - second
        if growth > state.left then return call:fail "ENOMEM" end
        local address = call:run()
        if type(address) == "number" then
          state.left, state.sizes[first], state.sizes[address] = state.left - growth, nil, third
        end
        return
      end
      return map(call, state, second)
    end)
  end,
}
