#include "arch_x86_64.h"

#include <stddef.h>   /* offsetof */
#include <sys/user.h> /* struct user_regs_struct */

static const size_t x86_64_args[6] = {
    offsetof(struct user_regs_struct, rdi), offsetof(struct user_regs_struct, rsi),
    offsetof(struct user_regs_struct, rdx), offsetof(struct user_regs_struct, r10),
    offsetof(struct user_regs_struct, r8),  offsetof(struct user_regs_struct, r9),
};

static const size_t i386_args[6] = {
    offsetof(struct user_regs_struct, rbx), offsetof(struct user_regs_struct, rcx),
    offsetof(struct user_regs_struct, rdx), offsetof(struct user_regs_struct, rsi),
    offsetof(struct user_regs_struct, rdi), offsetof(struct user_regs_struct, rbp),
};

size_t arch_arg_offset(uint32_t arch, unsigned arg) {
  return arch == AUDIT_ARCH_I386 ? i386_args[arg] : x86_64_args[arg];
}

size_t arch_number_offset(void) { return offsetof(struct user_regs_struct, orig_rax); }

size_t arch_result_offset(void) { return offsetof(struct user_regs_struct, rax); }
