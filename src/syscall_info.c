#include "syscall_info.h"

#include <errno.h>      /* errno */
#include <string.h>     /* memcpy */
#include <sys/ptrace.h> /* ptrace */
#include <sys/user.h>   /* struct user_regs_struct */

#include "arch_x86_64.h" /* register offsets */

#ifndef PTRACE_SET_SYSCALL_INFO
#define PTRACE_SET_SYSCALL_INFO 0x4212
#endif

static long request(int what, pid_t tid, size_t addr, uint64_t data) {
  return ptrace((enum __ptrace_request)what, tid, (void *)addr, (void *)data) < 0 ? -errno : 0;
}

static int get_from_registers(pid_t tid, enum syscall_op expected, uint32_t arch, struct syscall_info *info) {
  struct user_regs_struct regs;
  long error = request(PTRACE_GETREGS, tid, 0, (uintptr_t)&regs);
  if (error) return (int)error;
  info->op = expected;
  /* `int 0x80` from 64-bit code cannot be told here: the price of an old kernel. */
  info->arch = arch ? arch : regs.cs == ARCH_CS_32 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
  info->ip = regs.rip;
  info->sp = regs.rsp;
  if (info->arch == AUDIT_ARCH_I386) {
    info->nr = (uint32_t)regs.orig_rax;
    const uint64_t args[6] = {(uint32_t)regs.rbx, (uint32_t)regs.rcx, (uint32_t)regs.rdx,
                              (uint32_t)regs.rsi, (uint32_t)regs.rdi, (uint32_t)regs.rbp};
    memcpy(info->args, args, sizeof args);
    info->result = (int32_t)regs.rax;
  } else {
    info->nr = regs.orig_rax;
    const uint64_t args[6] = {regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9};
    memcpy(info->args, args, sizeof args);
    info->result = (int64_t)regs.rax;
  }
  return 0;
}

int syscall_info_get(pid_t tid, bool old, enum syscall_op expected, struct syscall_info *info) {
  if (old) return get_from_registers(tid, expected, 0, info);

  struct __ptrace_syscall_info raw;
  /* The size goes in the address argument. */
  long got = ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof raw, &raw);
  if (got < 0) return -errno;
  info->arch = raw.arch;
  info->ip = raw.instruction_pointer;
  info->sp = raw.stack_pointer;
  switch (raw.op) {
  case PTRACE_SYSCALL_INFO_ENTRY:
    info->op = SYSCALL_OP_ENTRY;
    info->nr = raw.entry.nr;
    memcpy(info->args, raw.entry.args, sizeof info->args);
    return 0;
  case PTRACE_SYSCALL_INFO_SECCOMP:
    info->op = SYSCALL_OP_SECCOMP;
    info->nr = raw.seccomp.nr;
    memcpy(info->args, raw.seccomp.args, sizeof info->args);
    return 0;
  case PTRACE_SYSCALL_INFO_EXIT:
    info->op = SYSCALL_OP_EXIT;
    info->result = raw.exit.rval;
    return 0;
  default:
    info->op = SYSCALL_OP_NONE;
    return 0;
  }
}

int syscall_info_get_broken_off(pid_t tid, bool old, struct syscall_info *info) {
  struct syscall_info now = {0};
  int error = old ? 0 : syscall_info_get(tid, false, SYSCALL_OP_NONE, &now);
  return error ? error : get_from_registers(tid, SYSCALL_OP_EXIT, now.arch, info);
}

static int set_call_by_info(pid_t tid, const struct syscall_info *before, uint64_t nr, const uint64_t args[6]) {
  struct __ptrace_syscall_info raw = {
      .op = before->op == SYSCALL_OP_SECCOMP ? PTRACE_SYSCALL_INFO_SECCOMP : PTRACE_SYSCALL_INFO_ENTRY,
      .entry = {.nr = nr},
  };
  /* `entry` and `seccomp` lay out number and arguments alike. */
  memcpy(raw.entry.args, args, sizeof raw.entry.args);
  return (int)request(PTRACE_SET_SYSCALL_INFO, tid, sizeof raw, (uintptr_t)&raw);
}

int syscall_info_set_call(pid_t tid, bool old, const struct syscall_info *before, uint64_t nr, const uint64_t args[6]) {
  if (!old) return set_call_by_info(tid, before, nr, args);
  unsigned changed = nr != before->nr ? 0x80 : 0;
  for (unsigned i = 0; i < 6; i++)
    if (args[i] != before->args[i]) changed |= 1u << i;
  return syscall_info_restore(tid, before->arch, changed, nr, args);
}

int syscall_info_restore(pid_t tid, uint32_t arch, unsigned which, uint64_t nr, const uint64_t args[6]) {
  for (unsigned i = 0; i < 6; i++) {
    if (!(which & (1u << i))) continue;
    long error = request(PTRACE_POKEUSER, tid, arch_arg_offset(arch, i), args[i]);
    if (error) return (int)error;
  }
  return which & 0x80 ? (int)request(PTRACE_POKEUSER, tid, arch_number_offset(), nr) : 0;
}

int syscall_info_skip(pid_t tid, int64_t result) {
  long error = request(PTRACE_POKEUSER, tid, arch_number_offset(), (uint64_t)-1);
  return error ? (int)error : syscall_info_set_result(tid, result);
}

int syscall_info_set_result(pid_t tid, int64_t result) {
  return (int)request(PTRACE_POKEUSER, tid, arch_result_offset(), (uint64_t)result);
}
