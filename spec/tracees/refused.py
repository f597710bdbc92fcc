# A connection to a port where nobody listens, on sockets that wait and that do not, and one by datagrams.
import errno, select, socket

def attempt(what, fn, *args):
    try: print(what, fn(*args))
    except OSError as e: print(what, errno.errorcode[e.errno])
closed = socket.socket(); closed.bind(("127.0.0.1", 0)); where = closed.getsockname()
a = socket.socket(); a.setblocking(False)
print(errno.errorcode.get(a.connect_ex(where)))
w = select.select([], [a], [], 5)[1] != []
print(w, errno.errorcode.get(a.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)), errno.errorcode.get(a.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
attempt('udp', u.connect, where)
attempt('blocking', socket.create_connection, where)
