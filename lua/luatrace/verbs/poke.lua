--- What --inject's poke_enter and poke_exit do: bytes into the memory that an argument points to, as strace has it.

local M = { outcome = "required", extra = { at = true }, placed = true, notify = true }

function M.parse(outcome)
  if type(outcome) == "table" and #outcome > 0 then return outcome end
  return nil, "a list of { argument number, bytes }"
end

function M.draw() return "poke" end
function M.recall(text) return text end

function M.enter(rule, call)
  for _, poke in ipairs(rule.value) do
    -- strace pokes the program's own memory, and so do we: nothing is put back.
    if call.memory:write(call.raw[poke[1]], poke[2]) then rawset(call, "tampered_args", true) end
  end
end
M.leave = M.enter

return M
