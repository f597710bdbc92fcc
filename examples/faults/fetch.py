"""fetch.py URL [SECONDS] - fetches a page with a timeout, as most programs do: it is one for each read, so that a server
that sends a little now and then holds the program for as long as it likes. With SECONDS the whole has a limit, too."""
import sys, time, urllib.request

limit = time.monotonic() + float(sys.argv[2]) if len(sys.argv) > 2 else None
page = b""
with urllib.request.urlopen(sys.argv[1], timeout=0.5) as reply:
    while part := reply.read1():
        page += part
        if limit and time.monotonic() > limit:
            sys.exit("fetch: too slow")
print(len(page), "bytes")
