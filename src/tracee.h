/*
 * tracee.h - one traced thread: its identity, its state and the legal transitions between states.
 *
 * Owns what hangs under a tracee (memory fd, unwinding cache); frees it with the tracee. Makes no ptrace calls.
 *
 *            birth or attach
 *                 |
 *                 v      first stop            resume
 *             TRACEE_NEW ----------> TRACEE_STOPPED <-----> TRACEE_RUNNING <--> TRACEE_LISTENING
 *                 |                       |                      |                    |
 *                 +-----------------------+----------+-----------+--------------------+
 *                                                    v
 *                                               TRACEE_DEAD
 */
#ifndef LUATRACE_TRACEE_H
#define LUATRACE_TRACEE_H

#include "gate_code.h" /* GATE_DOORS */
#include "tracer.h"    /* struct tracer, struct tracer_stop */

enum tracee_state {
  TRACEE_NEW,       /* known of, has not stopped yet */
  TRACEE_RUNNING,   /* resumed */
  TRACEE_STOPPED,   /* in a ptrace-stop */
  TRACEE_LISTENING, /* in a group-stop, resumed with PTRACE_LISTEN */
  TRACEE_DEAD
};

/* Where the thread is in a system call, as far as stops tell. */
enum call_phase {
  PHASE_OUTSIDE,
  PHASE_ENTERED,   /* entry seen; no exit stop is wanted */
  PHASE_WANT_EXIT, /* entry seen; the exit stop is reported */
  PHASE_QUIET_EXIT /* entry seen; the core itself needs the exit stop (to restore registers, set a result) */
};

/* A remote call in progress (remote_syscall.c). */
enum remote_phase {
  REMOTE_NONE,
  REMOTE_CALLING,  /* the injected call runs; its exit stop comes next */
  REMOTE_RETURNING /* rewound: the interrupted call's entry stop comes next */
};

enum { GATE_PLACES = 32 };

/* The gate of an address space: gate.c. */
struct gate {
  uint32_t users;                /* processes: more than one after vfork, say */
  tracee_addr base;              /* 0: it has none */
  uint32_t doors;                /* used */
  uint32_t made;                 /* of which there is a site, also when they have been taken back */
  tracee_addr sites[GATE_DOORS]; /* by door: what stops tell as the address of a call that comes out of it */
  bool closed;                   /* no door is added any more */
  uint32_t calls;                /* that have been ruled out, from places that are not settled... */
  uint32_t due;                  /* ...and how many must be before something is changed; 0: as ever */
  uint8_t delays;                /* of what could not be changed just then */
  struct mailbox *mailbox;       /* NULL: it has none... */
  bool no_mailbox;               /* ...nor will it */
  bool switched_on;  /* the memory was copied together with the switch of the parent's: for its first stop */
  bool foreign_page; /* ...and so was the parent's mailbox: in the place for its own */
  uint32_t quick;    /* notifications that came soon after the one before... */
  uint64_t last;     /* ...which came then... */
  uint64_t interval; /* ...and so long after each other, on average */
  uint8_t settled_count;
  tracee_addr settled[GATE_PLACES]; /* places that need no look any more: changed, or not to be */
};

/* A gate is being made. */
enum gate_phase {
  GATE_NOT_ASKED,
  GATE_ASKED,  /* the tracee has been interrupted for it */
  GATE_CALLING /* it runs a call of ours: mmap, shmat */
};

/* What the threads of a process share, counted. */
struct process {
  pid_t pid;
  uint32_t references;
  int mem_fd;                /* /proc/PID/mem, -1 when not open; reopened after exec */
  bool no_process_vm;        /* process_vm_readv said EPERM: use mem_fd or PEEKDATA */
  struct unwinder *unwinder; /* stack_trace.c's cache, NULL until the first stack */
  struct gate *gate;         /* that of its memory, NULL until there is something to know */
};

struct tracee {
  struct tracee *next_by_tid;
  struct tracee *next_finished;
  struct tree *tree;
  struct process *process;
  uint32_t number;
  uint32_t slot;
  pid_t tid;
  enum tracee_state state;
  enum call_phase phase;
  bool is_root;
  bool is_thread;
  bool born;      /* its birth has been reported */
  bool muted;     /* detached in all but name: stops are no longer reported */
  bool detaching; /* let go at the next stop */
  bool pausing;   /* tracer_pause: the next PTRACE_EVENT_STOP is reported */
  bool launching; /* between spawn and the execve of the program itself */
  bool parked;    /* first stop seen before the birth event: held back */
  int parked_status;

  /* The call being made: as the program asked, and what was rewritten. */
  uint64_t original_nr;
  uint64_t original_args[6];
  uint8_t changed_args; /* bit i: args[i] differs in the registers */
  bool changed_nr;
  bool skipped;       /* the number is -1; `forced_result` is what the program gets */
  bool force_at_exit; /* ...and must be written at the exit stop */
  int64_t forced_result;
  bool printing;         /* the printer has begun the call's line */
  bool notified;         /* held by a notification, not by a stop: notified.c */
  uint64_t notification; /* the last one's id, which counts all that the tree's filter makes... */
  uint64_t received;     /* ...and the place of that among those that we have received */
  siginfo_t *put_off;    /* a signal that comes when the call does: call.c */
  bool put_off_sent;
  bool interrupted; /* a trapped call was broken off by a signal: it may come again as a restart... */
  struct {
    uint32_t arch;
    uint64_t nr;
    uint64_t args[6];
    tracee_addr ip, sp;
  } broken_off; /* ...and would look like this; calls of signal handlers may come before it */

  enum remote_phase remote;
  struct remote_call *remote_call; /* saved registers while remote != REMOTE_NONE */
  int deferred_stop;               /* SIGSTOP that arrived during a remote call */

  enum gate_phase gating;
  bool wants_mailbox;            /* the gate shall have one... */
  bool asks_gate;                /* ...and is to be asked for when the call is let go */
  struct gate_visit *gate_visit; /* while GATE_CALLING */

  struct mailbox *asked; /* by which the call came that it is held at; NULL: by a notification or a stop */
  bool has_stopped;      /* while it is held so: the stop comes when the call is let go... */
  int stopped_status;    /* ...with this status */

  enum stop_kind held;     /* the stop it is held at; stays when stop.kind is STOP_INJECTED */
  struct tracer_stop stop; /* the current or the last stop; nr and args are those of the last trapped call */
};

/* Moves to another state; an illegal transition aborts: the core's own bug. */
void tracee_set_state(struct tracee *tracee, enum tracee_state state);
const char *tracee_state_name(enum tracee_state state);
bool tracee_can_become(enum tracee_state from, enum tracee_state to);

struct process *process_new(pid_t pid);
struct process *process_hold(struct process *process);
/* Drops one reference; the last one closes and frees. NULL is allowed. */
void process_drop(struct process *process);
/* After exec: memory and unwinding caches are of the old image. */
void process_reset(struct process *process);

#endif
