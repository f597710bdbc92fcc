--- Turns what a program reads, or what it writes, into upper case.
--
-- Usage: luatrace examples/upper-case.lua [read|write] -- COMMAND
--   read   after the call: the buffer that the kernel filled is rewritten (default); shared libraries are left alone
--   write  before the call: what goes to standard output is rewritten; the program's own memory is as it was after
--
-- Captured output:
--
--   $ luatrace examples/upper-case.lua read -- cat greet.h
--   VOID GREET(CONST CHAR *WHO);
--   $ luatrace examples/upper-case.lua write -- cat greet.h
--   VOID GREET(CONST CHAR *WHO);

local side = arg[1] or "read"

-- These copy without passing through the program's memory; cat and cp fall back to read and write.
on["copy_file_range,sendfile,splice"](function(call) call:fail "EINVAL" end)

if side == "read" then
  on.read(function(call)
    local path = call.fd.path or ""
    local count = call:run()
    if count and count > 0 and not path:find("%.so") then call.buf = call.buf:upper() end
  end)
elseif side == "write" then
  on.write(function(call)
    local bytes = call.fd.num == 1 and call.buf
    if type(bytes) == "string" then call.buf = bytes:upper() end -- a bad pointer is a number
  end)
else
  error("usage: luatrace examples/upper-case.lua [read|write] -- COMMAND", 0)
end
