/*
 * api.h - the one boundary between the C core and Lua.
 *
 * Plain C declarations without preprocessor directives: this text is compiled as C (through
 * tracer.h, the only file that includes it) and handed, unchanged, to LuaJIT's ffi.cdef.
 * The core never calls Lua: the loop belongs to the caller (tracer_next, look, tracer_resume).
 *
 * Every int-returning function returns 0 or a positive count, or -errno. -ESRCH always means
 * the tracee is gone or the stop id is stale: a state, not a diagnostic.
 */

enum { TRACER_ABI = 12 };

/* An address in the tracee: never a pointer of ours. */
typedef uint64_t tracee_addr;

enum stop_kind {
  STOP_NONE = 0,      /* the time given to tracer_next has passed */
  STOP_DONE,          /* no tracee is left */
  STOP_INTERRUPTED,   /* luatrace itself got `signal` (see tracer_catch_signals) */
  STOP_BIRTH,         /* notification: `tracee` was created by `parent` (0: a root); message = its clone flags */
  STOP_START,         /* held: the first stop of a new tracee (reported with WANT_START) */
  STOP_SYSCALL_ENTRY, /* held: about to run `nr` */
  STOP_SYSCALL_EXIT,  /* held: `nr` has returned `result` (raw: -512..-516 are restarts) */
  STOP_SIGNAL,        /* held: `signal` is about to be delivered (with WANT_SIGNALS) */
  STOP_GROUP,         /* notification: group-stop by `signal`; the core has resumed it with LISTEN */
  STOP_EXEC,       /* held: a new program image is in place; sp: its argc; message: the exec'ing thread's former tid */
  STOP_INJECTED,   /* held: the call asked for by tracer_inject has returned `result` */
  STOP_EXIT,       /* notification: the tracee is gone; `status` is its wait status */
  STOP_SUPERSEDED, /* notification: the tracee (a thread-group leader) was replaced by the exec of tid `message` */
  STOP_READY,      /* one of the descriptors given to tracer_watch is ready */
  STOP_PRINTED,    /* much has been printed (tracer_print_start), or somebody has not written what he has for a while
                      (tracer_note_unwritten): take it, and write it */
  STOP_PAUSED      /* held: where tracer_pause found it */
};

enum stop_flag {
  STOP_FLAG_THREAD = 1,    /* BIRTH, EXIT: a thread of an existing process, not a new process */
  STOP_FLAG_VFORK = 2,     /* BIRTH: the parent waits for its child */
  STOP_FLAG_RESTARTED = 4, /* ENTRY: the kernel restarts an interrupted call: not a new one */
  STOP_FLAG_ATTACHED = 8,  /* the tracee was attached to, not spawned, by us */
  STOP_FLAG_ROOT = 16,     /* the tracee that tracer_spawn or tracer_attach named */
  STOP_FLAG_DETACHED = 32, /* EXIT: not dead: detached */
  STOP_FLAG_DYING = 64,    /* ENTRY, EXIT: already on its way out (SIGKILL) */
  STOP_FLAG_NOTIFY = 128,  /* ENTRY: held by a seccomp notification, not by ptrace: it can be resumed or skipped and its
                              memory looked at, but no RESUME_WANT_EXIT, set_call, inject or stack; sp is 0 */
  STOP_FLAG_PRINTING = 256 /* SYSCALL_EXIT, EXIT, SUPERSEDED: of a call whose line was begun by the printer */
};

/* One stop. It belongs to the core and stays valid until the tracee is resumed (held kinds)
 * or until the next tracer_next (notifications). */
struct tracer_stop {
  uint64_t id;     /* names this stop; below 2^53, never reused; goes stale on resume */
  uint32_t kind;   /* enum stop_kind */
  uint32_t flags;  /* enum stop_flag */
  uint32_t tracee; /* number of the thread, never reused (tids are) */
  uint32_t parent; /* BIRTH: number of the creator, 0 when unknown */
  uint32_t tree;   /* number given by tracer_spawn / tracer_attach; descendants inherit it */
  int32_t tid;     /* in the tracer's pid namespace */
  int32_t pid;     /* thread-group id, in the tracer's pid namespace */
  uint32_t arch;   /* AUDIT_ARCH_* of this stop, never of the process */
  uint64_t time;   /* CLOCK_MONOTONIC, nanoseconds */
  uint64_t nr;     /* call number as the program gave it; x32 keeps bit 30 */
  uint64_t args[6];
  int64_t result;
  tracee_addr ip;
  tracee_addr sp;
  uint64_t message; /* of the kind; ENTRY with RESTARTED: the number of the call before */
  int32_t signal;
  int32_t status;
  uint64_t system_time; /* WANT_SYSTEM_TIME: nanoseconds that the process has spent in the kernel so far */
};

enum tracer_want { WANT_START = 1, WANT_SIGNALS = 2, WANT_SYSTEM_TIME = 4 };

/* How a tree is trapped. */
enum trap_mode {
  TRAP_SECCOMP = 0, /* a seccomp filter made of the plan: calls nobody asked about cost nothing */
  TRAP_PTRACE = 1   /* PTRACE_SYSCALL for every call; the plan is applied by the core */
};

enum trap_mechanism {
  MECHANISM_ALLOW = 0,
  MECHANISM_ERRNO,  /* the filter answers -data */
  MECHANISM_NOTIFY, /* seccomp user notification */
  MECHANISM_STOP    /* a ptrace stop at entry; at exit when tracer_resume asks for it */
};

/* Comparison of one call argument, all 64 bits, unsigned unless it says signed. */
enum trap_test_op {
  TRAP_TEST_EQ = 0, /* (arg & mask) == value */
  TRAP_TEST_NE,
  TRAP_TEST_LT,
  TRAP_TEST_LE,
  TRAP_TEST_GT,
  TRAP_TEST_GE
};

struct trap_test {
  uint8_t arg; /* 0..5 */
  uint8_t op;  /* enum trap_test_op */
  uint8_t is_signed;
  uint8_t bits; /* 32 or 64: how much of the register the kernel looks at */
  uint64_t mask;
  uint64_t value;
};

/* One entry of a plan: call `nr` of `arch` uses `mechanism` when all its tests hold; entries of the same call are
 * tried in the order in which they were added; a call that no entry matches is allowed. */
struct trap_entry {
  uint32_t arch; /* AUDIT_ARCH_* */
  uint32_t nr;
  uint32_t mechanism;
  uint32_t data;       /* MECHANISM_ERRNO: the errno */
  uint32_t test_first; /* its tests: a run in the plan's test array */
  uint32_t test_count;
};

struct trap_plan; /* opaque: src/trap_plan.h */
struct tracer;    /* opaque */

struct trap_plan *trap_plan_new(void);
void trap_plan_free(struct trap_plan *plan);
int trap_plan_add(struct trap_plan *plan, const struct trap_entry *entry, const struct trap_test *tests);
/* What no entry matches gets this mechanism; nothing can be added after it. */
int trap_plan_add_rest(struct trap_plan *plan, uint32_t mechanism);
/* Number of BPF instructions of the filter, or -E2BIG when the kernel's bound (4096) is passed. */
int trap_plan_filter_size(struct trap_plan *plan);
/* What the plan says of one call: enum trap_mechanism | data << 8. The same verdict as the filter's. */
int trap_plan_verdict(const struct trap_plan *plan, uint32_t arch, uint64_t nr, const uint64_t args[6]);

/* Call `nr` is of interest only if one of its paths (bit i of `arguments`: argument i) matches a pattern; one of those
 * begins with `begin` ("", or a slash first) and ends with `end` (no slash in it). One call of this for each pattern.
 * Where a stop or a notification shows other paths, the core lets the call pass by itself, and reports nothing. */
int trap_plan_add_path(struct trap_plan *plan, uint32_t arch, uint32_t nr, uint32_t arguments, const char *begin,
                       const char *end);
/* Programs may be made to compare those paths themselves, to make calls that nobody is to see past the filter, and to ask
 * about others by a mailbox instead of a notification. When all has been added, and before a program is launched. 0;
 * -ENOTSUP: no call of the plan can be treated so; -E2BIG. */
int trap_plan_open_gate(struct trap_plan *plan);
/* Is this such a call? */
int trap_plan_gates(const struct trap_plan *plan, uint32_t arch, uint64_t nr);
/* Would this path be reported? 1 also in doubt. */
int trap_plan_lets_through(const struct trap_plan *plan, uint32_t arch, uint64_t nr, const char *path);

/* Threads that let go what rules on paths rule out (sieve_workers.h). */
enum tracer_workers { WORKERS_WHEN_IT_PAYS = 0, WORKERS_NEVER, WORKERS_ALWAYS };

/* Programs that look at calls themselves (gate.h) and ask by mailbox (mailbox.h), where the plan has been opened for
 * it. */
enum tracer_gate { GATE_WHEN_IT_PAYS = 0, GATE_ALWAYS };

struct tracer_options {
  uint32_t want;                /* enum tracer_want */
  uint32_t no_set_syscall_info; /* force the register path of older kernels */
  uint32_t no_get_syscall_info; /* same, for reading */
  uint32_t no_shared_cpu;       /* never run a lone tracee on the tracer's processor */
  uint32_t workers;             /* enum tracer_workers */
  uint32_t gate;                /* enum tracer_gate */
  uint32_t memory_path;         /* 0 best, 1 /proc/PID/mem only, 2 PTRACE_PEEKDATA only */
};

/* What the running kernel offers, probed once. */
struct tracer_features {
  uint32_t get_syscall_info;
  uint32_t set_syscall_info;
  uint32_t process_vm;
  uint32_t seccomp_filter;
  uint32_t seccomp_notify;
  uint32_t notify_wait_killable;
  uint32_t notify_sync_wakeup;
  int32_t
      notify_error; /* 0, or the errno that a listener cost when it was tried; -1: not tried (tracer_probe_notify) */
  uint32_t unprivileged_needs_nnp; /* no CAP_SYS_ADMIN: filters need no_new_privs */
  int32_t yama_scope;              /* kernel.yama.ptrace_scope, -1 when there is no Yama */
  int32_t arch_i386;               /* 32-bit programs can run; -1: not tried (tracer_probe_i386) */
  uint32_t foreign_proc;           /* /proc is not there, or another pid namespace's: its numbers are not ours */
  char release[65];
};

/* Who stays the caller's child: the program, with the tracer behind it. tracer_spawn then returns in another process
 * than it was called in, a grandchild; the caller's process has become the program. Not with notifications. */
enum daemonize {
  DAEMONIZE_NO = 0,
  DAEMONIZE_GRANDCHILD,
  DAEMONIZE_GROUP,  /* in a process group of its own */
  DAEMONIZE_SESSION /* in a session of its own */
};

struct tracer_launch {
  const char *file;        /* path of the program, already searched for */
  const char *const *argv; /* NULL-terminated */
  const char *const *envp; /* NULL-terminated, or NULL to inherit */
  const char *cwd;         /* or NULL */
  const char *user;        /* run as this user, with its groups; NULL: as we are */
  int32_t fds[3];          /* what becomes 0, 1, 2 in the program; -1: as ours */
  const int32_t *keep_fds; /* sorted: what else the program inherits; all others are closed by its exec */
  uint32_t keep_count;
  uint32_t new_group;     /* setpgid(0,0) */
  uint32_t mode;          /* enum trap_mode */
  uint32_t no_follow;     /* do not trace children (needs TRAP_PTRACE) */
  uint32_t insist_notify; /* no listener: fail (LAUNCH_LISTENER), instead of stopping where the plan says notify */
  struct trap_plan *plan; /* borrowed while the tree lives */
  uint32_t daemonize;     /* enum daemonize */
  uint64_t fd_limit;      /* its soft RLIMIT_NOFILE; 0: ours */
};

/* Why a launch failed: which step, and its errno. */
enum launch_step {
  LAUNCH_OK = 0,
  LAUNCH_FORK,
  LAUNCH_SEIZE,
  LAUNCH_CWD,
  LAUNCH_USER,
  LAUNCH_FDS,
  LAUNCH_NO_NEW_PRIVS,
  LAUNCH_FILTER,
  LAUNCH_LISTENER,
  LAUNCH_EXEC
};
struct launch_result {
  uint32_t step; /* enum launch_step */
  int32_t error; /* errno */
  int32_t pid;
  uint32_t tree;
  uint32_t no_new_privs; /* the filter needed it: set-uid programs lose their privileges */
  uint32_t notifies;     /* the tree has a listener */
  int32_t notify_error;  /* errno: why it has none although its plan says notify; 0 */
};

uint32_t tracer_abi(void);
void tracer_probe(struct tracer_features *features);
/* Fills in the notify_* features by trying them in a short-lived child. */
void tracer_probe_notify(struct tracer_features *features);
/* Fills in arch_i386 by making a 32-bit call in a short-lived child. */
void tracer_probe_i386(struct tracer_features *features);

struct tracer *tracer_open(const struct tracer_options *options); /* NULL with errno */
/* What tracer_probe has found for it. */
const struct tracer_features *tracer_features(const struct tracer *tracer);
/* Kills what was spawned, detaches what was attached, frees everything. */
void tracer_close(struct tracer *tracer);

/* Starts a program; its launch failure is in `result` (with LAUNCH_EXEC also later: see tracer_launch_error). */
int tracer_spawn(struct tracer *tracer, const struct tracer_launch *launch, struct launch_result *result);
/* Why this tree's root did not become its program: errno, and the step; 0 when it did (or has not yet failed). */
int tracer_launch_error(struct tracer *tracer, uint32_t tree, uint32_t *step);
/* Attaches to a process, all its threads; returns the tree's number. Always TRAP_PTRACE. */
int tracer_attach(struct tracer *tracer, int32_t pid, struct trap_plan *plan, uint32_t no_follow);

/* Waits for the next stop. timeout in nanoseconds, negative for no limit. Never NULL. */
const struct tracer_stop *tracer_next(struct tracer *tracer, int64_t timeout);

/* A descriptor of our own, laid out as struct pollfd. */
struct tracer_watched {
  int32_t fd;
  int16_t events;
  int16_t revents;
};
/* From now on tracer_next also returns (STOP_READY) when one of these is ready: its revents say for what. The list is
 * borrowed until the next tracer_watch; count 0 ends the watch. */
int tracer_watch(struct tracer *tracer, struct tracer_watched *list, uint32_t count);

enum resume_how {
  RESUME_RUN = 0,       /* go on; no exit stop of a call entered here */
  RESUME_WANT_EXIT = 1, /* at STOP_SYSCALL_ENTRY: stop again when the call has returned */
  RESUME_PRINT = 2      /* and that: the printer may end the line, which begins at `line` of its output */
};
/* Lets a held tracee go on. signal: at STOP_SIGNAL what is delivered, 0 to suppress it. */
int tracer_resume(struct tracer *tracer, uint64_t stop, uint32_t how, int32_t signal);

/* At STOP_SYSCALL_ENTRY (-EINVAL with STOP_FLAG_NOTIFY): rewrite what will run. The program's registers are restored
 * after the call. */
int tracer_set_call(struct tracer *tracer, uint64_t stop, uint64_t nr, const uint64_t args[6]);
/* At STOP_SYSCALL_ENTRY: the call does not happen, the program sees `result`. */
int tracer_skip_call(struct tracer *tracer, uint64_t stop, int64_t result);
/* At STOP_SYSCALL_EXIT: rewrite what the program sees (raw: -errno for a failure). */
int tracer_set_result(struct tracer *tracer, uint64_t stop, int64_t result);
/* At STOP_SYSCALL_ENTRY/EXIT (or STOP_INJECTED): run another call in the tracee, then come back to this stop.
 * The answer arrives as STOP_INJECTED, whose id replaces `stop` (which goes stale). Blocks nobody else. */
int tracer_inject(struct tracer *tracer, uint64_t stop, uint64_t nr, const uint64_t args[6]);

/* Sends a signal to the thread (whole_process = 0) or its process. Works on held and running tracees. */
int tracer_signal(struct tracer *tracer, uint32_t tracee, int32_t signal, uint32_t whole_process);
/* Stops a running thread where it is, in a call or outside; it comes as STOP_PAUSED (not at all from a sleep that no
 * signal ends). A call that it waits in goes on when it is resumed, as after SIGSTOP and SIGCONT (signal(7) names the
 * few that fail with EINTR). -EBUSY: it is held already, or stopped by a signal. */
int tracer_pause(struct tracer *tracer, uint32_t tracee);
/* Lets a process (0: all of them) be: really detached where no filter holds it, otherwise kept by a minimal tracer (its
 * stops are no longer reported; the one it is held at must still be resumed). Returns 1 in the second case. */
int tracer_detach(struct tracer *tracer, uint32_t tracee);
/* Number of tracees alive; with a tree != 0, of that tree. */
int tracer_count(struct tracer *tracer, uint32_t tree);
/* Kills every tracee of a tree (0: of all). */
int tracer_kill(struct tracer *tracer, uint32_t tree, int32_t signal);

/* STOP_SIGNAL: the siginfo (128 bytes). */
int tracer_get_siginfo(struct tracer *tracer, uint64_t stop, void *siginfo, uint32_t size);

enum interruptible {
  INTERRUPTIBLE_REPORT = 0,  /* SIGINT, SIGTERM, SIGHUP, SIGQUIT reach the caller as STOP_INTERRUPTED */
  INTERRUPTIBLE_ANYWHERE,    /* they do what they do to any program */
  INTERRUPTIBLE_NEVER,       /* they are ignored */
  INTERRUPTIBLE_NOR_STOPPED, /* so is SIGTSTP */
  INTERRUPTIBLE_REPORT_ALL   /* they are reported, those that we were started to ignore included */
};
/* What signals to luatrace itself do from now on. */
int tracer_catch_signals(struct tracer *tracer, uint32_t how);
/* Something has been printed, or put into a buffer, that nobody can see yet: STOP_PRINTED comes soon, even if nothing else
 * does. Only after tracer_catch_signals. */
void tracer_note_unwritten(struct tracer *tracer);
/* luatrace itself ends at that time (CLOCK_MONOTONIC in nanoseconds; 0: not any more), with that exit status and a word
 * on stderr: for a script that does not come back. The kernel then kills what was spawned and lets go what was attached
 * to. One tracer of a process can ask for it. 0 or -errno. */
int tracer_end_at(struct tracer *tracer, uint64_t time, int32_t status);

/* --- memory (tracee_memory.c): `tracee` must be held ------------------------------------------------------- */

/* Bytes read, short at a hole; -EFAULT when the first byte cannot be read. */
int64_t tracer_read(struct tracer *tracer, uint32_t tracee, tracee_addr from, void *to, uint64_t size);
/* Bytes written; read-only mappings are written too (through /proc/PID/mem). */
int64_t tracer_write(struct tracer *tracer, uint32_t tracee, tracee_addr to, const void *from, uint64_t size);
/* Bytes before the NUL; `size` when there is none in so many bytes (then nothing is terminated). -EFAULT
 * when memory ends before a NUL (the bytes up to there are in `to`, their number in *partial when not NULL). */
int64_t tracer_read_cstring(struct tracer *tracer, uint32_t tracee, tracee_addr from, char *to, uint64_t size,
                            uint64_t *partial);
struct memory_range {
  tracee_addr from;
  void *to;
  uint64_t size;
  int64_t result; /* as tracer_read */
};
/* All of them with as few system calls as can be (one, when all are readable). */
int tracer_read_ranges(struct tracer *tracer, uint32_t tracee, struct memory_range *ranges, uint32_t count);

/* --- stacks (stack_trace.c) ------------------------------------------------------------------------------------ */

struct stack_frame {
  tracee_addr ip;
  tracee_addr sp;
  uint64_t symbol_offset; /* from the symbol's start */
  uint64_t module_offset; /* from the start of the file the mapping is of */
  const char *symbol;     /* or NULL; both valid until the next tracer_stack */
  const char *module;     /* path of the mapped file, or NULL */
};
/* Frames filled, innermost first. */
int tracer_stack(struct tracer *tracer, uint32_t tracee, struct stack_frame *frames, uint32_t capacity);

/* --- printing (printer.c) -------------------------------------------------------------------------------------- */

enum print_kind {
  PRINT_I32 = 0, /* decimal: the register's lower half, signed or not; all of it, signed or not */
  PRINT_U32,
  PRINT_I64,
  PRINT_U64,
  PRINT_HEX,     /* "0" for zero */
  PRINT_HEX32,   /* the same of the lower half */
  PRINT_ADDRESS, /* "NULL" for zero */
  PRINT_NAMED,   /* a known text of the lower half, or I32 */
  PRINT_TEXT32,  /* a known text of the lower half, or of all of it */
  PRINT_TEXT64,
  PRINT_STRING,    /* NUL-terminated, at most `limit` bytes of it */
  PRINT_BYTES,     /* as many as argument `length` says, or as were returned; at most `limit` of them */
  PRINT_HEX_BYTES, /* the same, each as "\x1f" */
  PRINT_CONTENT,   /* a known text of the `length` bytes that it points to */
  PRINT_ARRAY,     /* the same of as many elements as argument `length` says (PRINT_OF_RESULT: as were returned), of
                  * `limit` bytes each */
  PRINT_TIMESPEC,
  PRINT_STAT,    /* struct stat in brief: a known text of the mode without permissions; of a device, all of it is one,
                  * of mode and number */
  PRINT_DIRENTS, /* struct linux_dirent64, as many bytes as were returned: how many there are */
  PRINT_NULL /* only if it is NULL, or the call has failed before there was anything: anything else is the caller's */
};

enum { PRINT_NO_ARGUMENT = 255, PRINT_OF_RESULT = 254, PRINT_MAX_OPS = 8 };

/* One argument. */
struct print_op {
  const char *before; /* printed first: ", " */
  uint8_t kind;       /* enum print_kind */
  uint8_t argument;   /* 0..5 */
  uint8_t when;       /* an argument: only if what is known of it in `when_set` is not empty; or PRINT_NO_ARGUMENT */
  uint8_t length;     /* BYTES, ARRAY: an argument; CONTENT: bytes */
  uint8_t of_result;  /* there when the call has succeeded; BYTES: as many bytes as it returned at the most */
  uint32_t set;       /* NAMED, TEXT, CONTENT, ARRAY, STAT: where known texts are looked up */
  uint32_t when_set;
  uint32_t limit; /* STRING, BYTES; ARRAY: bytes of an element */
};

/* How a call of x86-64 is printed: `ops` from `late` on when it has returned. A call of several meanings has a program
 * for each value that one argument, `variant`, was seen with. */
struct print_program {
  const char *name;
  const struct print_op *ops;
  uint32_t count;
  uint32_t late;
  uint32_t result; /* enum print_kind: I32 to ADDRESS, or TEXT64 of `result_set`; failures are known texts of set 0 */
  uint32_t result_set;
  uint32_t variant; /* an argument, or PRINT_NO_ARGUMENT */
  uint32_t value;   /* its lower half */
};

/* What has been printed. The caller takes `length` bytes: sets it to 0, and takes as much from `line`. */
struct print_output {
  char *bytes;
  int64_t length;
  int64_t line;  /* where the last line begins */
  uint32_t open; /* the tracee whose line has no end yet, here or in the caller's own output; 0: none */
};

/* From now on calls that have a program are printed, each line begun by the tid if `show_tid`; "=" stands at `column`.
 * NULL when memory runs out. Belongs to the tracer. */
struct print_output *tracer_print_start(struct tracer *tracer, uint32_t show_tid, uint32_t column);
int tracer_print_program(struct tracer *tracer, uint32_t nr, const struct print_program *program);
/* Makes a text known: of a number (size 8), of two (16) or of bytes (at most 64). */
int tracer_print_text(struct tracer *tracer, uint32_t set, const void *key, uint32_t size, const char *text,
                      uint32_t length);
