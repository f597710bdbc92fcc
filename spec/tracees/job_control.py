"""Drives a shell with job control on a terminal of its own, and says what it saw; its own clock is the shell's output."""
import os
import pty
import select
import sys

pid, terminal = pty.fork()
if pid == 0:
    os.environ["PS1"] = "ready> "
    os.execvp(sys.argv[1], sys.argv[1:])

seen = b""


def wait_for(text):
    """Everything up to `text`; what comes after it is kept for the next wait."""
    global seen
    while text not in seen:
        if not select.select([terminal], [], [], 30)[0]:
            print("nothing more; wanted", text, "in", seen)
            sys.exit(1)
        try:
            got = os.read(terminal, 4096)
        except OSError:
            got = b""
        if not got:
            print("ended; wanted", text, "in", seen)
            sys.exit(1)
        seen += got
    before, seen = seen.split(text, 1)
    return before


def type_line(line):
    os.write(terminal, line + b"\n")


wait_for(b"ready> ")
# The job says when it runs and when it has been continued: what is typed earlier would be the shell's.
with open("/proc/self/fd/%d" % os.memfd_create("job", 0), "w") as job:
    # It waits for signals that it has blocked, and dies of SIGINT at any moment: before a pause, a handler would lose them.
    job.write("""import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})
print("running", flush=True)
while True:
    signal.sigwait({signal.SIGCONT})
    print("again", flush=True)
""")
    job.flush()
    path = "/proc/%d/fd/%d" % (os.getpid(), job.fileno())
    type_line(sys.executable.encode() + b" " + path.encode())
    wait_for(b"running")
os.write(terminal, b"\x1a")
wait_for(b"Stopped")
wait_for(b"ready> ")
print("stopped")
type_line(b"jobs")
wait_for(b"Stopped")
wait_for(b"ready> ")
type_line(b"fg")
wait_for(b"again")
print("continued")
os.write(terminal, b"\x03")
wait_for(b"ready> ")
print("interrupted")
type_line(b"cat | (read x; echo A-$x)")
type_line(b"piped")
wait_for(b"A-piped")
os.write(terminal, b"\x04")
wait_for(b"ready> ")
print("piped")
type_line(b"exit 9")
try:
    while os.read(terminal, 4096):
        pass
except OSError:
    pass
status = os.waitpid(pid, 0)[1]
print("status", os.WEXITSTATUS(status) if os.WIFEXITED(status) else status)
