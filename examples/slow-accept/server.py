"""A server with two accepting threads, and its three clients: prints in which order the clients are served.

Each client gets one line as soon as a thread has accepted it; with a server whose threads are independent, a slow
accept delays one client and no other.
"""
import selectors
import socket
import threading

CLIENTS = 3

served = 0
lock = threading.Lock()


def serve(listener):
    global served
    while True:
        with lock:
            if served == CLIENTS:
                return
            served += 1
        connection, _ = listener.accept()
        connection.sendall(b"hello\n")
        connection.close()


listener = socket.create_server(("127.0.0.1", 0), backlog=CLIENTS)
clients = selectors.DefaultSelector()
# All wait in the queue before the first accept, so that their numbers are the order in which they are accepted.
for number in range(1, CLIENTS + 1):
    clients.register(socket.create_connection(listener.getsockname()), selectors.EVENT_READ, number)
threads = [threading.Thread(target=serve, args=(listener,)) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(CLIENTS):
    key, _ = clients.select()[0]
    print(f"client {key.data}: {key.fileobj.recv(100).decode().strip()}", flush=True)
    clients.unregister(key.fileobj)
    key.fileobj.close()
for thread in threads:
    thread.join()
listener.close()
