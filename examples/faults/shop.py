"""shop.py COMMAND... - a web server on a port of its own, for one command, in which PORT stands for that port. Every
page has 2000 bytes; it understands Range."""
import http.server, subprocess, sys, threading

PAGE = b"0123456789" * 200


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        wanted = self.headers.get("Range", "bytes=0-")
        start = int(wanted[len("bytes=") : -1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(PAGE) - 1, len(PAGE)))
        self.send_header("Content-Length", str(len(PAGE) - start))
        self.end_headers()
        self.wfile.write(PAGE[start:])

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
server.handle_error = lambda request, address: None
threading.Thread(target=server.serve_forever, daemon=True).start()
command = [word.replace("PORT", str(server.server_address[1])) for word in sys.argv[1:]]
sys.exit(subprocess.run(command).returncode)
