--- Extended attributes (xattr(7)).

local t = require "luatrace.types"
local structs = require "luatrace.structs"

local zero, path, dirfd, path_at = t.i32, t.path, t.dirfd, t.path_at
local name = t.ptr_in(t.cstring)
local flags = t.flags("xattr_flags", { comment = "XATTR_???" })
local value_in = t.ptr_in(structs.xattr_value("size", nil))
local value_out = t.ptr_out(structs.xattr_value("size", "ret"))
local list_out = t.ptr_out(structs.xattr_names "size")
local at_flags = t.flags("at_flags", { comment = "AT_???" })

local function set(first) return { returns = zero, first, { "name", name }, { "value", value_in }, { "size", t.size },
  { "flags", flags } } end
local function get(first) return { returns = t.count, first, { "name", name }, { "value", value_out },
  { "size", t.size } } end
local function list(first) return { returns = t.count, first, { "list", list_out }, { "size", t.size } } end
local function remove(first) return { returns = zero, first, { "name", name } } end

local function by_path() return { "path", path } end
local function by_fd() return { "fd", t.fd } end

return {
  setxattr = set(by_path()), lsetxattr = set(by_path()), fsetxattr = set(by_fd()),
  getxattr = get(by_path()), lgetxattr = get(by_path()), fgetxattr = get(by_fd()),
  listxattr = list(by_path()), llistxattr = list(by_path()), flistxattr = list(by_fd()),
  removexattr = remove(by_path()), lremovexattr = remove(by_path()), fremovexattr = remove(by_fd()),
  setxattrat = { returns = zero, { "dfd", dirfd }, { "pathname", path_at "dfd" }, { "at_flags", at_flags },
    { "name", name }, { "uargs", t.ptr_in(structs.xattr_args_in) }, { "usize", t.size } },
  getxattrat = { returns = t.count, { "dfd", dirfd }, { "pathname", path_at "dfd" }, { "at_flags", at_flags },
    { "name", name }, { "uargs", t.ptr_in(structs.xattr_args) }, { "usize", t.size } },
  listxattrat = { returns = t.count, { "dfd", dirfd }, { "pathname", path_at "dfd" }, { "at_flags", at_flags },
    { "list", list_out }, { "size", t.size } },
  removexattrat = { returns = zero, { "dfd", dirfd }, { "pathname", path_at "dfd" }, { "at_flags", at_flags },
    { "name", name } },
  file_getattr = { returns = zero, { "dfd", dirfd }, { "filename", path_at "dfd" },
    { "ufattr", t.ptr_out(structs.file_attr) }, { "usize", t.size }, { "at_flags", at_flags } },
  file_setattr = { returns = zero, { "dfd", dirfd }, { "filename", path_at "dfd" },
    { "ufattr", t.ptr_in(structs.file_attr) }, { "usize", t.size }, { "at_flags", at_flags } },
}
