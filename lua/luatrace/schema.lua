--- The shape of a row, checked when the row is first asked for (a spec asks for all): a mistake in a table is found
-- with its name, not in what it prints.
--
-- HOW TO ADD A CALL. Put a row into the room of lua/luatrace/syscalls that fits (a new room is named in
-- syscalls.lua). All the rest follows from it: text, JSON, fields for scripts, assignment, footprint, classes.
--
--   pwritev2 = { returns = t.count, { "fd", t.fd }, { "iov", t.ptr_in(t.iovec "iovcnt") }, { "iovcnt", t.size },
--     { "offset", t.i64 }, { "offset_high", t.ulong, when = never }, { "flags", t.flags("rwf_flags") } },
--
--   - `returns`: the type of the result: t.i32 for 0, t.fd for a descriptor, t.count for a number of bytes, ...
--   - the arguments, at most six, in the order of the registers, named as in the manual page: { name, type }
--     when = fn(call)   the argument counts only if this holds (open's mode): otherwise it is not printed, not in JSON
--     decided_by = "flags"  what `when` looks at, if that is one argument: then the core can print the call by itself
--     label = "flags"   printed before it, as in clone(child_stack=NULL, flags=...)
--   - `order`: names of the arguments in the order of the text, where that is not the registers'
--   - `varies_by = "cmd"`: the argument that all types, conditions and comments of the row depend on, and on nothing
--     else but their own value: then the core can print the call by itself
--   - `comment = fn(call, result)`: what is printed behind the result in brackets, or nil
--   - `classes = "network desc"`: strace's %network, ...; paths bring %file and descriptors %desc by themselves
--   - `errors = "EACCES ENOSPC | EBADF"`: errors that can really happen, for fault injection, and behind the bar those
--     of a caller's mistake; without it, those of syscalls/errors.lua, which come from the manual pages
--
-- TYPES are in types.lua; structs in structs.lua and the files beside it. The usual ones:
--
--   t.i32 t.u32 t.i64 t.u64 t.long t.size   decimal        t.x32 t.xlong   hexadecimal        t.mode   octal
--   t.fd t.fd_socket t.dirfd t.pid t.uid t.signal t.dev t.address (an address that nobody looks behind)
--   t.path, t.path_at "dirfd"               a path, relative to the working directory or to that argument
--   t.flags("open_flags", {comment = "O_???"}), t.enum(...)   names of luatrace.constants; `comment` for what has none
--   t.ptr_in(X) t.ptr_out(X) t.ptr_inout(X) a pointer, read at entry, at exit on success, both; X is one of
--     t.bytes("count") t.bytes("count", "ret")   as many bytes as that argument says, or as the call has returned
--     t.cstring t.string_out "size" t.strings()  NUL-terminated, the kernel's, a list of them (argv)
--     structs.NAME, structs.sockaddr "addrlen", t.array(X, "count"), t.cell(t.i32), t.iovec("iovcnt", "ret"),
--     t.sigset "sigsetsize"
--   t.by(function(call) return TYPE end)    the type depends on the call (fcntl's third argument); add `true` where one
--                                           of them is an out-pointer. Make the types once, not in the function
--   t.hidden(X)                             padding of a struct
--
-- Names that a type looks up ("count") must be arguments of the row, "ret", or fields of the struct around it: that is
-- checked here. 32-bit programs use the same row by its name; what only they have, or pass otherwise, is in
-- syscalls/i386.lua. Rows do not know the architecture: t.long and t.address have its size.


local M = {}

local function fail(name, text) error(("table of calls: %s: %s"):format(name, text), 0) end

--- Checks a row and completes it: name, index, classes.
---@param name string
---@param row table
---@return table row
function M.check(name, row)
  if type(row) ~= "table" then fail(name, "a row is a table") end
  if #row > 6 then fail(name, "a call has at most six arguments") end
  if type(row.returns) ~= "table" then fail(name, "`returns` must be a type") end
  local index, classes = {}, {}
  for class in (row.classes or ""):gmatch("%S+") do classes[class] = true end
  for i, argument in ipairs(row) do
    local argument_name, argument_type = argument[1], argument[2]
    if type(argument_name) ~= "string" then fail(name, ("argument %d has no name"):format(i)) end
    if type(argument_type) ~= "table" or not argument_type.load then
      fail(name, ("argument %s: not a type that fits into a register"):format(argument_name))
    end
    if index[argument_name] then fail(name, ("two arguments are called %s"):format(argument_name)) end
    if argument.when and type(argument.when) ~= "function" then
      fail(name, argument_name .. ": `when` is a function")
    end
    index[argument_name] = i
    if argument_type.role == "path" then classes.file = true end
    -- strace's %desc has no calls that work on sockets only: they are %network.
    if argument_type.role == "fd" and argument_type.fd_kind ~= "socket" then classes.desc = true end
  end
  for i, argument in ipairs(row) do
    local argument_type = argument[2]
    local dirfd = argument_type.dirfd
    if dirfd and not index[dirfd] then fail(name, ("%s: there is no argument %s"):format(argument[1], dirfd)) end
    for _, sibling in ipairs(argument_type.siblings or {}) do
      if sibling ~= "ret" and not index[sibling] then
        fail(name, ("%s looks for %q: there is no such argument"):format(argument[1], sibling))
      end
    end
    if argument_type.at_entry then row.remembers = true end
    if argument.decided_by and not index[argument.decided_by] then
      fail(name, ("%s: there is no argument %s"):format(argument[1], argument.decided_by))
    end
    row[i] = { name = argument[1], type = argument_type, when = argument.when, label = argument.label,
      decided_by = argument.decided_by }
  end
  if row.varies_by and not index[row.varies_by] then
    fail(name, ("varies_by: there is no argument %s"):format(row.varies_by))
  end
  if row.order then
    if #row.order ~= #row then fail(name, "`order` must name every argument") end
    for _, argument_name in ipairs(row.order) do
      if not index[argument_name] then fail(name, ("order: there is no argument %s"):format(argument_name)) end
    end
  end
  for word in (row.errors or ""):gmatch("%w+") do
    if not require("luatrace.constants").errno.by_name[word] then
      fail(name, ("errors: there is no %s"):format(word))
    end
  end
  if row.returns.role == "fd" and not classes.network then classes.desc = true end
  row.name, row.index, row.classes = name, index, classes
  return row
end

return M
