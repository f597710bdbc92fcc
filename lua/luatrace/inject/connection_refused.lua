--- Nobody listens there: connect fails.
--
--   inject.connection_refused { port = 5432 }
--   inject.connection_refused { address = "10.*", errno = "ETIMEDOUT", after = "3s", times = 2 }
--
-- `errno` may be any that connect gives (ECONNREFUSED by default), `after` is how long it takes to fail, `times` how
-- often it does before connections go through.

return {
  about = "connect fails with ECONNREFUSED, or another error",
  options = { port = "count", address = "text", errno = "text", after = "time", times = "count" },
  add = function(t, options, where)
    where.arg = {}
    if options.port then where.arg["addr.port"] = options.port end
    if options.address then where.arg["addr.ip"] = options.address end
    if not options.port and not options.address then where.arg["addr.family"] = { "AF_INET", "AF_INET6" } end
    if options.times then where.nth = ("1..%d"):format(math.max(1, options.times)) end
    if options.after then
      local early = {}
      for key, value in pairs(where) do early[key] = value end
      t.delay("connect", options.after, early)
    end
    t.fail("connect", options.errno or "ECONNREFUSED", where)
  end,
}
