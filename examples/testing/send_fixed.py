"""send_fixed.py PORT TEXT...: sends records to a log server, each once, also when a reply is lost.

send.py without its fault: a retry keeps the sequence number, by which the server knows what it has already.
"""
import os
import socket
import sys

port, texts = int(sys.argv[1]), sys.argv[2:]
sequence = 0
for text in texts:
    sequence += 1
    for attempt in range(5):
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(f"{os.getpid()} {sequence} {text}\n".encode())
                if connection.recv(100) == b"ok\n":
                    break
        except OSError as error:
            print(f"{text}: {error.strerror}, once more", file=sys.stderr)
    else:
        sys.exit(1)
