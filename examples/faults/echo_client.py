"""A client and a server in one program, on sockets that do not wait. select says that there is something to read; for
"trusting" that is a promise, and BlockingIOError the end. "careful" asks again."""
import select, socket, sys

careful = sys.argv[1:] == ["careful"]
client, server = socket.socketpair()
client.setblocking(False)
server.sendall(b"hello")
answer = b""
while not answer:
    select.select([client], [], [])
    try:
        answer = client.recv(100)
    except BlockingIOError:
        if not careful:
            raise
print(answer.decode())
