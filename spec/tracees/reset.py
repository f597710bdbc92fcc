# A connection that the peer has reset, by itself ("real") or in a fault; what the calls named by the letters say then.
import errno, select, signal, socket, struct, sys

real = sys.argv[1] == "real"
order = sys.argv[2]
signal.signal(signal.SIGPIPE, lambda *a: print("SIGPIPE"))
listener = socket.create_server(("127.0.0.1", 0))
a = socket.create_connection(listener.getsockname())
b, _ = listener.accept()
b.sendall(b"01234" if real else b"0123456789")
if real:
    b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    b.close()
def attempt(what, fn, *args):
    try: print(what, fn(*args))
    except OSError as e: print(what, errno.errorcode[e.errno])
def poll():
    p = select.poll(); p.register(a, select.POLLIN | select.POLLOUT | select.POLLRDHUP)
    return ' '.join(n for n in ('POLLIN','POLLOUT','POLLERR','POLLHUP') if p.poll(0)[0][1] & getattr(select, n))
for c in order:
    if c == 'r': attempt('recv', a.recv, 100)
    if c == 'm': attempt('recvmsg', lambda: a.recvmsg(100)[::2])
    if c == 'w': attempt('send', a.send, b"x")
    if c == 'W': attempt('send nosig', lambda: socket.socket.send(a, b"x", socket.MSG_NOSIGNAL))
    if c == 'e': attempt('SO_ERROR', lambda: errno.errorcode.get(a.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))
    if c == 'p': attempt('poll', poll)
    if c == 'n': attempt('peer', a.getpeername)
