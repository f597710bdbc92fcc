--- Finds every ioctl request that the kernel's headers name, and writes value -> name.
--
-- A request is a macro whose body leads to _IO, _IOR, _IOW or _IOWR, or one of the old plain numbers below. Each header
-- is compiled alone, behind one prelude after the other; a request is worth what the first prelude that works says.

local probe = require "probe"

local ioctls = {}

local folders = { "asm", "asm-generic", "drm", "linux", "misc", "mtd", "rdma", "scsi", "sound", "video", "xen" }

local preludes = {
  "linux/types.h linux/ioctl.h",
  "stdint.h stddef.h linux/types.h linux/ioctl.h",
  "stdint.h sys/types.h sys/socket.h linux/types.h linux/ioctl.h",
  "stdint.h time.h sys/time.h sys/socket.h linux/if.h linux/types.h linux/ioctl.h",
  "stddef.h stdint.h time.h sys/socket.h net/if.h linux/ioctl.h linux/fs.h",
  "stdint.h sys/socket.h linux/atm.h linux/atmapi.h linux/atmioc.h linux/ioctl.h",
  "stdint.h stdbool.h sys/types.h asm/termbits.h linux/ioctl.h linux/sockios.h linux/serial.h linux/major.h "
    .. "linux/fiemap.h linux/blktrace_api.h linux/filter.h linux/videodev2.h linux/fs.h",
}

--- Requests from before _IO: plain numbers, known by header and by name.
local plain = {
  ["asm-generic/ioctls.h"] = { "^TC[GSX]", "^TCFLSH$", "^TIOC[^P]", "^TIOCP[^K]", "^TIOCPKT$", "^FIO" },
  ["asm-generic/sockios.h"] = { "^SIOC", "^FIO" },
  ["linux/sockios.h"] = { "^SIOC" },
  ["linux/wireless.h"] = { "^SIOC" },
  ["linux/cdrom.h"] = { "^CDROM[^_]", "^CDROM_[^LM]", "^CDROM_LAST_WRITTEN$", "^CDROM_LOCKDOOR$",
    "^CDROM_MEDIA_CHANGED$", "^DVD_[RWA][REU]" },
  ["linux/hdreg.h"] = { "^HDIO_" },
  ["linux/kd.h"] = { "^[GP]IO_", "^KD[GSMUAD][EGSKAIDR]", "^KDENABIO$", "^KDUNMAPDISP$", "^KIOCSOUND$", "^KDMKTONE$",
    "^KDKBDREP$", "^KDFONTOP$", "^KDSIGACCEPT$" },
  ["linux/vt.h"] = { "^VT_" },
  ["linux/lp.h"] = { "^LP[A-Z]" },
  ["linux/loop.h"] = { "^LOOP_" },
  ["linux/i2c-dev.h"] = { "^I2C_" },
  ["linux/cyclades.h"] = { "^CY" },
  ["linux/mroute.h"] = { "^SIOC" },
  ["linux/mroute6.h"] = { "^SIOC" },
  ["linux/ax25.h"] = { "^SIOC" },
  ["linux/rose.h"] = { "^SIOC" },
  ["linux/netrom.h"] = { "^SIOC" },
  ["linux/x25.h"] = { "^SIOC" },
  ["linux/atalk.h"] = { "^SIOC" },
  ["linux/if_pppox.h"] = { "^PPPOEIOC" },
  ["linux/fb.h"] = { "^FBIO" },
  ["linux/phonet.h"] = { "^SIOC" },
  ["linux/cciss_ioctl.h"] = { "^CCISS_" },
  ["scsi/scsi_ioctl.h"] = { "^SCSI_IOCTL_" },
  ["scsi/scsi.h"] = { "^SCSI_IOCTL_" },
  ["scsi/sg.h"] = { "^SG_[EGNS]", "^SG_IO$" },
}

--- The losing names where one request has several: strace prints the other. And other architectures' requests.
local hidden = {
  "^SOUND_PCM_", "^SNDCTL_DSP_SAMPLESIZE$", "^HDIO_DRIVE_CMD_AEB$", "^CDROM_GET_UPC$", "^TIOCINQ$", "^SIOCGSTAMP$",
  "^SIOCGSTAMPNS$", "^SIOCGETMIFCNT_IN6$", "^SIOCGETVIFCNT$", "^SIOCIWLAST$", "^DMA_BUF_SET_NAME$", "^FD%u+MEDIAPRM$",
  "^VIDIOC_SUBDEV_.*STD$", "^VIDIOC_SUBDEV_._EDID$", "^VIDIOC_SUBDEV_.*DV_TIMINGS", "^KVM_S390_", "^KVM_PPC_",
  "^KVM_ARM_", "^__", "^SG_SCATTER_SZ$", "^LPSETTIMEOUT_OLD$", "^SIOCINQ$", "^SIOCOUTQ$",
  "^SNDRV_TIMER_IOCTL_TREAD$", "^PPPIOCGIDLE$", "^IOCTL_GNTALLOC_SET_UNMAP_NOTIFY$",
}

local function is_hidden(name)
  for _, pattern in ipairs(hidden) do
    if name:find(pattern) then return true end
  end
end

local function header_list()
  local list = {}
  for _, folder in ipairs(folders) do
    local base = folder == "asm" and "/usr/include/x86_64-linux-gnu/" or "/usr/include/"
    local command = "cd %s && find -L %s -name '*.h' -exec grep -lE '_IO[A-Z]*[( ]|IOC' {} + 2>/dev/null"
    local found = probe.run(command:format(base, folder))
    for path in found:gmatch "[^\n]+" do list[#list + 1] = path end
  end
  for path in pairs(plain) do list[#list + 1] = path end
  table.sort(list)
  local unique = {}
  for i, path in ipairs(list) do
    if path ~= list[i - 1] then unique[#unique + 1] = path end
  end
  return unique
end

local makers = { _IO = true, _IOR = true, _IOW = true, _IOWR = true, _IOC = true }

--- Which object-like macros of a header lead to _IO*().
local function request_names(header, names, calls)
  local memo, made = {}, {}
  local function leads(name)
    if makers[name] then return true end
    if memo[name] ~= nil then return memo[name] end
    memo[name] = false -- a macro that names itself leads nowhere
    local body = calls[name] or names[name]
    if type(body) == "string" and not name:find "^_IOC_" then
      for token in body:gsub('"[^"]*"', ""):gmatch "[%a_][%w_]*" do
        if makers[token] or ((names[token] or calls[token]) and leads(token)) then
          memo[name] = true
          break
        end
      end
    end
    return memo[name]
  end
  local list = {}
  for name, body in pairs(names) do
    local wanted = type(body) == "string" and leads(name)
    for _, pattern in ipairs(plain[header] or {}) do
      wanted = wanted or (type(body) == "string" and body ~= "" and name:find(pattern) and true)
    end
    if wanted then list[#list + 1] = name end
    made[name] = memo[name]
  end
  table.sort(list)
  return list, made
end

--- All requests: name -> value, and the headers that no prelude makes compile.
---@return table<string, number> requests, string[] skipped, string[] lost headers that fail; names without a value
function ioctls.collect()
  local requests, skipped, lost = {}, {}, {}
  for _, header in ipairs(header_list()) do
    local failed, left = false, {}
    for _, prelude in ipairs(preludes) do
      local headers = probe.headers(prelude .. " " .. header)
      local names = {}
      local found, made = request_names(header, probe.identifiers(headers))
      for _, name in ipairs(found) do
        if not requests[name] then names[#names + 1] = name end
      end
      if #names == 0 then break end
      local values, complaint = probe.values(headers, names)
      failed = complaint ~= nil
      for _, name in ipairs(names) do
        local value = values[name] and tonumber(values[name].value)
        if value and value < 0 then value = value + 2 ^ 32 end
        -- FIBMAP is _IO(0, 1); a small plain number is no request.
        if value and (value > 0xff or (made[name] and value > 0)) then
          requests[name] = value
        end
      end
      left = {}
      for _, name in ipairs(names) do
        if not values[name] then left[#left + 1] = name end
      end
      if #left == 0 then break end
    end
    if failed then skipped[#skipped + 1] = header end
    for _, name in ipairs(left) do lost[#lost + 1] = name end
  end
  return requests, skipped, lost
end

--- The text of the generated file, behind its header.
function ioctls.text(note)
  local requests, skipped, lost = ioctls.collect()
  local by_value, order, names = {}, {}, {}
  for name in pairs(requests) do names[#names + 1] = name end
  table.sort(names)
  local aliases = {}
  for _, name in ipairs(names) do
    local value = requests[name]
    if is_hidden(name) then
      aliases[#aliases + 1] = name
    elseif not by_value[value] then
      by_value[value] = name
      order[#order + 1] = value
    else
      by_value[value] = by_value[value] .. " or " .. name
    end
  end
  table.sort(order)
  local without = skipped[1] and table.concat(skipped, " ") or "none"
  local out = { "-- Headers that do not compile alone: " .. without .. ".\n\n" }
  out[#out + 1] = "return {\n  by_value = {\n"
  for _, value in ipairs(order) do out[#out + 1] = ("    [0x%x] = %q,\n"):format(value, by_value[value]) end
  out[#out + 1] = "  },\n  -- Names that strace does not print.\n  aliases = {\n"
  for _, name in ipairs(aliases) do out[#out + 1] = ("    %s = 0x%x,\n"):format(name, requests[name]) end
  out[#out + 1] = "  },\n}\n"
  note("ioctl: %d requests, %d aliases; headers skipped: %s; no constants: %s", #order, #aliases,
    table.concat(skipped, " "), table.concat(lost, " "))
  return table.concat(out)
end

return ioctls
