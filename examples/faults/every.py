"""every.py [careful] - does something every 0.2 s, three times, as cron-like loops do: by the time of day, which may be
set back, so that the next time is an hour away; "careful" by a clock that only counts."""
import sys, time

now = time.monotonic if sys.argv[1:] == ["careful"] else time.time
start = time.monotonic()
due = now() + 0.2
for _ in range(3):
    while now() < due:
        time.sleep(0.05)
    print("done", flush=True)
    due += 0.2
print("in time" if time.monotonic() - start > 0.5 else "too early")
