--- Dates as people write them, to seconds since 1970.
--
--   date.parse "2038-01-19"                       -- 2147472000, 0        UTC, unless the text says otherwise
--   date.parse "2038-01-19 03:14:07.5 +01:00"     -- 2147480047, 500000000
--   date.parse "@2147483647"                      -- as date(1) has it

local M = {}

--- Days from 1970-01-01 to a date of the proleptic Gregorian calendar (the year begins in March: leap days come last).
local function days_from_civil(year, month, day)
  if month <= 2 then year = year - 1 end
  local era = math.floor(year / 400)
  local year_of_era = year - era * 400
  local day_of_year = math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  local day_of_era = year_of_era * 365 + math.floor(year_of_era / 4) - math.floor(year_of_era / 100) + day_of_year
  return era * 146097 + day_of_era - 719468
end

local month_days = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function days_in(year, month)
  local is_leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  return month == 2 and is_leap and 29 or month_days[month]
end

--- Seconds and nanoseconds of a time of day; nil when it is none. Second 60 is a leap second.
local function time_of_day(text)
  if text == "" then return 0, 0 end
  local hour, minute, rest = text:match("^[T ](%d%d):(%d%d)(.*)$")
  if not hour then return nil end
  local second, fraction = 0, ""
  if rest ~= "" then
    second, fraction = rest:match("^:(%d%d)%.?(%d*)$")
    if not second then return nil end
  end
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
  if hour > 23 or minute > 59 or second > 60 then return nil end
  return hour * 3600 + minute * 60 + second, tonumber((fraction .. "000000000"):sub(1, 9))
end

--- Seconds that a zone is east of Greenwich: "Z", "+01:00", "-0830".
local function zone_offset(text)
  if text == "" or text == "Z" then return 0 end
  local sign, hour, minute = text:match("^([+-])(%d%d):?(%d%d)$")
  if not sign then return nil end
  return (sign == "-" and -1 or 1) * (tonumber(hour) * 3600 + tonumber(minute) * 60)
end

--- Of a number: seconds since 1970.
local function from_seconds(value)
  if value ~= value or math.abs(value) > 2 ^ 53 then return nil end
  local whole = math.floor(value)
  return whole, math.floor((value - whole) * 1e9 + 0.5)
end

---@param value string|number
---@return integer|nil seconds, integer|nil nanoseconds nil when it is no date
function M.parse(value)
  if type(value) == "number" then return from_seconds(value) end
  local epoch = value:match("^@(%-?%d+%.?%d*)$")
  if epoch then return from_seconds(tonumber(epoch)) end
  local year, month, day, rest = value:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if not year then return nil end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if month < 1 or month > 12 or day < 1 or day > days_in(year, month) then return nil end
  local time, zone = rest == "Z" and "" or rest, ""
  local before, named = rest:match("^(.-%d) ?(Z)$")
  if not before then before, named = rest:match("^(.+:%d[%d.]*) ?([+-]%d%d:?%d%d)$") end
  if before then time, zone = before, named end
  local seconds, nanoseconds = time_of_day(time)
  local offset = zone_offset(zone)
  if not seconds or not offset then return nil end
  return days_from_civil(year, month, day) * 86400 + seconds - offset, nanoseconds
end

return M
