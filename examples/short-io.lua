--- Short reads and writes, and EINTR, everywhere: POSIX allows them, so a correct program must give the same result.
-- Finds programs that assume that read() fills the buffer or that nothing interrupts them.
--
-- Usage: luatrace [--seed=N] examples/short-io.lua [CHANCE] -- COMMAND
--   CHANCE  of EINTR at each call, 0 to 1 (default 0.2)
--
-- Two things are left alone: the loader's own reads (it takes a short ELF header for a broken library) and standard
-- error, so that what a program complains of can be read. Captured output:
--
--   $ luatrace --seed=1 examples/short-io.lua -- cat greet.h
--   void greet(const char *who);
--   5 calls made shorter, 0 interrupted
--   $ luatrace --seed=1 examples/short-io.lua 0 -- tar cf main.tar main.c
--   tar: main.c: File shrank by 96 bytes; padding with zeros
--   55 calls made shorter, 0 interrupted
--   $ luatrace --seed=2 examples/short-io.lua 0.5 -- gzip -t data.gz
--
--   gzip: data.gz: Interrupted system call
--   0 calls made shorter, 1 interrupted

local chance = tonumber(arg[1] or 0.2)
local shortened, interrupted = 0, 0

on["read,write,pread64,pwrite64,recvfrom,sendto"](function(call)
  local fd = call.fd or call.sockfd
  if fd.num == 2 or (fd.path or ""):find("%.so") then return end
  -- Never twice in a row for one thread: real signals do not come that thick, and a test should end.
  local thread = call.thread
  if random() < chance and not thread.interrupted then
    thread.interrupted = true
    interrupted = interrupted + 1
    return call:fail "EINTR"
  end
  thread.interrupted = nil
  local size = call.args[3] -- all six have their size in the third argument
  if size > 1 then
    call.args[3] = random(1, math.min(size - 1, 512))
    shortened = shortened + 1
  end
end)

-- These copy without passing through the program's memory; programs fall back to read and write.
on["copy_file_range,sendfile,splice"](function(call) call:fail "EINVAL" end)

at.finish(function()
  io.stderr:write(("%d calls made shorter, %d interrupted\n"):format(shortened, interrupted))
end)
