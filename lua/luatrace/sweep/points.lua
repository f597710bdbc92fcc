--- From recorded calls to the plan: which call shall fail how, in which run, the likely bugs first.
--
--   local plan = points.plan(events, choice, {})
--   plan[1]      -- { id, point = { process, thread, call, hit, ip, sp, path, fault }, event, rank }
--
-- Most calls are the same place in the program in a loop: of each site and fault the first, the last and the middle hit
-- are taken. Beyond that, what experience says breaks: the last and the first write to each file, the last and the
-- first read of each input, syncs, renames, closes. These come first; then the rest, by how new site and error are.

local faults = require "luatrace.sweep.faults"

local M = {}

--- Ranks, the first is run first.
local LAST_WRITE, FIRST_WRITE, LAST_READ, FIRST_READ, SYNC, RENAME, CLOSE, REST = 1, 2, 3, 4, 5, 6, 7, 8

--- Marks the events that play a part for a file.
local function cast_roles(events)
  local first_write, last_write, first_read, last_read = {}, {}, {}, {}
  for i, event in ipairs(events) do
    local path = event.path
    if path and not event.failed and not event.loader and event.kind == "file" then
      if faults.writes[event.name] and event.inside then
        first_write[path] = first_write[path] or i
        last_write[path] = i
      elseif faults.reads[event.name] and event.inside then
        first_read[path] = first_read[path] or i
        -- The read that finds the end comes after the one that has the last bytes.
        if (event.ret or 0) > 0 then last_read[path] = i end
      end
    end
  end
  local rank = {}
  local function give(set, value)
    for _, i in pairs(set) do rank[i] = math.min(rank[i] or REST, value) end
  end
  give(last_write, LAST_WRITE)
  give(first_write, FIRST_WRITE)
  give(last_read, LAST_READ)
  give(first_read, FIRST_READ)
  for i, event in ipairs(events) do
    if event.inside and not event.failed then
      if faults.syncs[event.name] then
        rank[i] = rank[i] or SYNC
      elseif faults.renames[event.name] then
        rank[i] = rank[i] or RENAME
      elseif event.name == "close" and event.written then
        rank[i] = rank[i] or CLOSE
      end
    end
  end
  return rank
end

--- A point's name: stable over runs, machines and versions of the plan.
local function id_of(event, fault)
  return ("%s/%d:%s#%d:%s"):format(event.process, event.thread, event.name, event.hit, faults.word(fault))
end

local function run_of(event, fault, rank, order)
  local id = id_of(event, fault)
  return { id = id, rank = rank, order = order, event = event,
    point = { process = event.process, thread = event.thread, call = event.name, hit = event.hit, ip = event.ip,
      sp = event.sp, site = event.site, path = event.path, fault = fault } }
end
M.run_of = run_of

--- Which of a site's hits are tried: the first, the last, one in the middle.
local function sample(hits)
  local count = #hits
  local chosen = { [hits[1]] = 0, [hits[count]] = count > 1 and 1 or 0 }
  if count > 2 then chosen[hits[math.ceil(count / 2)]] = 2 end
  return chosen
end

local family_order = {}
for i, family in ipairs(faults.families) do family_order[family[1]] = i end

--- The plan: all runs, in their order.
---@param events table[] of record.events
---@param choice table of faults.choose
---@return table[] plan
function M.plan(events, choice)
  local rank = cast_roles(events)
  local groups, keys = {}, {}
  for i, event in ipairs(events) do
    for _, fault in ipairs(faults.of(event, choice)) do
      local key = ("%s %s %s %s"):format(event.site or event.name, event.name, fault.family, faults.word(fault))
      local group = groups[key]
      if not group then
        group = { hits = {}, fault = fault }
        groups[key] = group
        keys[#keys + 1] = key
      end
      group.hits[#group.hits + 1] = i
    end
  end
  local plan = {}
  for _, key in ipairs(keys) do
    local group = groups[key]
    local chosen = sample(group.hits)
    for _, i in ipairs(group.hits) do
      local event = events[i]
      local role = rank[i]
      if chosen[i] or role then
        local place = role or REST + (chosen[i] or 0) + (event.inside and 0 or 0.5)
        plan[#plan + 1] = run_of(event, group.fault, place, i)
      end
    end
  end
  for i, item in ipairs(plan) do item.number = i end
  table.sort(plan, function(a, b)
    if a.rank ~= b.rank then return a.rank < b.rank end
    local fa, fb = family_order[a.point.fault.family] or 0, family_order[b.point.fault.family] or 0
    if fa ~= fb then return fa < fb end
    if a.order ~= b.order then return a.order < b.order end
    return a.number < b.number
  end)
  return plan
end

--- How many sites the events have.
function M.count_sites(events)
  local sites, count = {}, 0
  for _, event in ipairs(events) do
    local key = event.name .. (event.site or "")
    if not sites[key] and not event.loader then
      sites[key] = true
      count = count + 1
    end
  end
  return count
end

return M
