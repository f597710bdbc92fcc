"""A server that has few descriptors left: eight clients connect and stay. The first accept that fails with EMFILE ends
it ("fragile"), or it closes its oldest connection and goes on ("patient")."""
import errno, socket, sys

patient = sys.argv[1:] == ["patient"]
listener = socket.create_server(("127.0.0.1", 0))
clients = []
for _ in range(8):  # opened before, by others in real life
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(listener.getsockname())
    clients.append(client)
served = []
accepted = 0
while accepted < len(clients):
    try:
        served.append(listener.accept()[0])
        accepted += 1
    except OSError as problem:
        if problem.errno != errno.EMFILE or not patient:
            raise
        served.pop(0).close()
print("served", accepted)
