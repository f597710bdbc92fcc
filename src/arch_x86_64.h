/*
 * arch_x86_64.h - where x86-64 keeps a system call: registers, call instruction, the 32-bit personality.
 *
 * The architecture is a property of each stop, never of the process: 64-bit code may execute `int 0x80`.
 * No ptrace calls here.
 */
#ifndef LUATRACE_ARCH_X86_64_H
#define LUATRACE_ARCH_X86_64_H

#include <linux/audit.h> /* AUDIT_ARCH_* */
#include <stddef.h>      /* size_t */
#include <stdint.h>

/* `syscall` and `int $0x80` are both two bytes; sysenter comes back behind an int $0x80 in the vDSO. */
enum { ARCH_CALL_SIZE = 2 };

/* Bit 30 of the number: the x32 ABI. */
#define ARCH_X32_BIT 0x40000000u

/* The page where vsyscall(2) "calls" happen: there is no call instruction to go back to. */
#define ARCH_VSYSCALL_PAGE 0xffffffffff600000u

/* The code segment of 32-bit code. */
enum { ARCH_CS_32 = 0x23 };

/* Calls that the core itself must know: those that make children, and the one that makes a program. */
enum {
  ARCH_NR_X86_64_CLONE = 56,
  ARCH_NR_I386_CLONE = 120,
  ARCH_NR_CLONE3 = 435, /* the same number everywhere */
  ARCH_NR_X86_64_EXECVE = 59
};

/* Offsets into struct user_regs_struct, as PTRACE_PEEKUSER and PTRACE_POKEUSER take them. */
size_t arch_arg_offset(uint32_t arch, unsigned arg);
size_t arch_number_offset(void);
size_t arch_result_offset(void);

/* A call of our own past libc, which leaves errno alone: the result or -errno. */
static inline long arch_call(long nr, const long args[6]) {
  register long r10 __asm__("r10") = args[3];
  register long r8 __asm__("r8") = args[4];
  register long r9 __asm__("r9") = args[5];
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(nr), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

#endif
