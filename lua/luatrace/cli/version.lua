--- What luatrace is, and what it has found in this kernel: the text of --version.

local ffi = require "ffi"
local engine = require "luatrace.engine"

local M = {}

M.number = "0.1.0"

---@return string
function M.text()
  local f = engine.features { notify = true, i386 = true }
  local function yes(value) return value ~= 0 and "yes" or "no" end
  local yama = f.yama_scope < 0 and "none" or tostring(f.yama_scope)
  return table.concat({
    "luatrace " .. M.number,
    ("kernel %s: PTRACE_GET_SYSCALL_INFO %s, PTRACE_SET_SYSCALL_INFO %s, process_vm_readv %s"):format(
      ffi.string(f.release), yes(f.get_syscall_info), yes(f.set_syscall_info), yes(f.process_vm)),
    ("  seccomp filter %s, user notification %s (wait-killable %s, sync wake-up %s)"):format(yes(f.seccomp_filter),
      f.notify_error > 0 and "no: " .. select(3, engine.failure(-f.notify_error)) or yes(f.seccomp_notify),
      yes(f.notify_wait_killable), yes(f.notify_sync_wakeup)),
    ("  filters need no_new_privs: %s, Yama ptrace_scope: %s, 32-bit programs: %s"):format(
      yes(f.unprivileged_needs_nnp), yama, yes(f.arch_i386)),
  }, "\n") .. "\n"
end

return M
