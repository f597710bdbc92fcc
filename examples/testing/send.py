"""send.py PORT TEXT...: sends records to a log server, each once, its author thought.

A record is "PRODUCER SEQUENCE TEXT"; the server says "ok" when it has it, and knows by producer and sequence what it
has already. The test of send_spec.lua loses a reply and finds the fault: a retry takes a new sequence number, so that
the server has the record twice. send_fixed.py keeps the number.
"""
import os
import socket
import sys

port, texts = int(sys.argv[1]), sys.argv[2:]
sequence = 0
for text in texts:
    for attempt in range(5):
        sequence += 1
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(f"{os.getpid()} {sequence} {text}\n".encode())
                if connection.recv(100) == b"ok\n":
                    break
        except OSError as error:
            print(f"{text}: {error.strerror}, once more", file=sys.stderr)
    else:
        sys.exit(1)
