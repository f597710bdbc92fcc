--- What ioctl's third argument is for terminals, and for what any descriptor takes: requests that most programs make.
-- All others are in structs/ioctl.lua.
--
--   structs.ioctl[0x5413]                 -- TIOCGWINSZ: a pointer to a winsize that the kernel fills
--   structs.ioctl[0x540c] == false        -- TIOCEXCL takes no argument

local bit = require "bit"
local constants = require "luatrace.constants"
local style = require "luatrace.text.style"
local t = require "luatrace.types"
local f = require "luatrace.structs.fields"

---@param M table structs so far, by name
return function(M)
  --- Parts that are enumerations, in the order of the text, before the flags.
  local function parted(set, parts)
    local flags = t.flags(set)
    local mask = 0
    for _, part in ipairs(parts) do
      mask = bit.bor(mask, part[2], part.shift and bit.lshift(part[2], part.shift) or 0)
    end
    return setmetatable({ text = function(out, _, value)
      for _, part in ipairs(parts) do
        local chosen = bit.band(value, part[2])
        local name = part[chosen] or constants.enums[part[1]].by_value[chosen]
        out:put(style.constant(t.hex(chosen), name), "|")
        if part.shift then
          --- The speed of what comes in, where it is not that of what goes out.
          local input = bit.band(bit.rshift(value, part.shift), part[2])
          if input ~= 0 then
            out:put(style.constant(t.hex(input), constants.enums[part[1]].by_value[input]), "<<IBSHIFT|")
          end
        end
      end
      local rest = bit.band(value, bit.bnot(mask))
      if rest < 0 then rest = rest + 4294967296 end
      -- With no flags at all strace prints nothing, not 0.
      if rest ~= 0 then out:put(style.described(t.hex(rest), (flags.string(rest):gsub(" /%*.*", "")))) end
    end }, { __index = flags })
  end
  local oflag = parted("termios_oflag", { { "termios_oflag_nl", 0x100 }, { "termios_oflag_cr", 0x600 },
    { "termios_oflag_tab", 0x1800, [0x1800] = "XTABS" }, { "termios_oflag_bs", 0x2000 }, { "termios_oflag_vt", 0x4000 },
    { "termios_oflag_ff", 0x8000 } })
  local cflag = parted("termios_cflag", { { "baud_rate", 0x100f, shift = 16 }, { "termios_cflag_csize", 0x30 } })
  local first_flags = { c_iflag = true, c_oflag = true, c_cflag = true, c_lflag = true }
  local function termios(with_speeds)
    local cc = f.described(t.fixed_bytes(19), function(bytes)
      local parts = {}
      for i = 0, 18 do
        parts[i + 1] = ("[%s]=%s"):format(constants.enums.termios_cc.by_value[i] or i, t.hex(bytes:byte(i + 1)))
      end
      return "[" .. table.concat(parts, ", ") .. "]"
    end)
    local definition = { plain = true,
      { "c_iflag", parted("termios_iflag", {}) }, { "c_oflag", oflag }, { "c_cflag", cflag },
      { "c_lflag", parted("termios_lflag", {}) }, { "c_line", t.enum("line_discipline", { of = t.u8 }) },
      { "c_cc", cc },
      brief = first_flags }
    if with_speeds then
      definition[7], definition[8] = { "c_ispeed", t.u32 }, { "c_ospeed", t.u32 }
    end
    return t.struct(definition)
  end
  M.termios, M.termios2 = termios(false), termios(true)

  local int_in, int_out = t.ptr_in(t.cell(t.i32)), t.ptr_out(t.cell(t.i32))
  local u32_out, u64_out = t.ptr_out(t.cell(t.u32)), t.ptr_out(t.cell(t.u64))
  local lines = t.cell(t.flags("modem_lines", { comment = "TIOCM_???" }))
  M.ioctl = {
    [0x5401] = t.ptr_out(M.termios), [0x5402] = t.ptr_in(M.termios), [0x5403] = t.ptr_in(M.termios),
    [0x5404] = t.ptr_in(M.termios), [0x802c542a] = t.ptr_out(M.termios2), [0x402c542b] = t.ptr_in(M.termios2),
    [0x402c542c] = t.ptr_in(M.termios2), [0x402c542d] = t.ptr_in(M.termios2),
    [0x5409] = t.i32, [0x5425] = t.i32, [0x540a] = t.enum("tcxonc", { comment = "TC???" }),
    [0x540b] = t.enum("tcflsh", { comment = "TC???" }), [0x540c] = false, [0x540d] = false, [0x540e] = t.i32,
    [0x540f] = int_out, [0x5410] = int_in, [0x5411] = int_out, [0x5412] = t.ptr_in(t.bytes(1)),
    [0x5413] = t.ptr_out(M.winsize), [0x5414] = t.ptr_in(M.winsize), [0x5415] = t.ptr_out(lines),
    [0x5416] = t.ptr_in(lines), [0x5417] = t.ptr_in(lines), [0x5418] = t.ptr_in(lines), [0x5419] = int_out,
    [0x541a] = int_in, [0x541b] = int_out, [0x5420] = int_in, [0x5421] = int_in, [0x5422] = false, [0x5423] = int_in,
    [0x5424] = int_out, [0x5427] = false, [0x5428] = false, [0x5429] = int_out, [0x80045430] = u32_out,
    [0x40045431] = int_in, [0x40045436] = t.signal,
    [0x5450] = false, [0x5451] = false, [0x5452] = int_in, [0x5460] = u64_out,
  }
end
