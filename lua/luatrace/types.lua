--- The vocabulary of the tables: what an argument, a struct's field or a buffer is.
--
-- A row of lua/luatrace/syscalls says `{"flags", types.flags "open_flags"}`; all that luatrace knows of that argument
-- follows from its type. A type is a table with these parts; tables of calls only ever name types, never define them:
--
--   load(call, raw, scope)      the register or field as a Lua value: number, or a cdata when that is not exact
--   read(call, value, scope)    what a script gets: a number, a name, a string, an object
--   text(out, call, value, scope)  appends what strace prints
--   plain(call, value, scope)   for JSON: strings, numbers, lists; `types.empty_list` for an empty list
--   encode(call, value, what)   a script's value as a raw number; an error says what the type takes
--   extents(call, value, scope, add)  the memory it covers: add(address, length, direction)
--   late                        its value is there only when the call has returned: true, or a function of the call
--   early(out, call, value)     of a late type: what is printed at entry already
--   at_entry(call, value)       what must be remembered at entry because the kernel overwrites it
--   siblings                    names of the arguments or fields it looks up; schema.lua checks that they exist
--   shape, own_text             its kind, and that kind's text: output/printed.lua asks whether it still is its text
--   role                        "fd" or "path": what classes and rules look for
--
-- What a pointer points to (a pointee: bytes, a struct, an array, M.custom) has instead of load and read:
--
--   fetch(call, address, scope, for_text)  the memory as a Lua value; nil when it cannot be read
--   value(call, fetched, scope)   what a script gets
--   bytes_of(call, value, what)   a script's value as bytes;  capacity(call, address)  how many may be written back
--
-- `scope` is where siblings ("count", "ret") are looked up: the innermost struct's fields, then the call.
--
--   local types = require "luatrace.types"
--   local row = { returns = types.count, {"fd", types.fd}, {"buf", types.ptr_out(types.bytes("count", "ret"))} }
--
-- The types are in types/, a room a subject, each adding to the table that this module returns.

local types = require "luatrace.types.base"

require "luatrace.types.numbers"
require "luatrace.types.descriptors"
require "luatrace.types.names"
require "luatrace.types.pointers"
require "luatrace.types.layout"
require "luatrace.types.structs"
require "luatrace.types.arrays"
require "luatrace.types.by"
require "luatrace.types.fields"
require "luatrace.types.shapes"
require "luatrace.types.vectors"

local internal = types.internal
types.load_field, types.field_size = internal.load_field, internal.field_size
types.load = { i32 = internal.load_i32, u32 = internal.load_u32, i64 = internal.load_i64, u64 = internal.load_u64 }

return types
