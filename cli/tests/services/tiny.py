"""A tiny HTTP/1.1 server on plain sockets, one thread a connection, for services that must misbehave exactly.

`/ready` is answered by the server itself; every other request is numbered (from 1, over all connections) and goes to
`serve`, which a service may replace. What a service does on TERM is up to it. With TLS=FILE in the environment it speaks HTTPS.
"""
import os
import signal
import socket
import ssl
import sys
import threading
import time


class Server:
    def __init__(self, port, delay=0.05):
        self.delay = delay
        self.ready = True
        self.refuse = False          # answer 503
        self.closing = False         # say `Connection: close` with every answer
        self.lock = threading.Lock()
        self.number = 0              # load requests read
        self.served = 0              # load requests answered completely
        self.open = 0                # connections
        self.stop = threading.Event()
        self.tls = None
        if "TLS" in os.environ:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(os.environ["TLS"])
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(128)

    def on_term(self, action):
        """Handlers run in the main thread, which waits in `run`."""
        signal.signal(signal.SIGTERM, lambda *_: action())

    def run(self):
        threading.Thread(target=self.accept, daemon=True).start()
        print("ready", flush=True)
        while not self.stop.wait(0.02):
            pass

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.open += 1
            threading.Thread(target=self.connection, args=(connection,), daemon=True).start()

    def close_listener(self):
        # shutdown first: close alone leaves it listening for as long as accept() sits in it.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def wait_for_connections(self, limit=5):
        until = time.monotonic() + limit
        while self.open > 0 and time.monotonic() < until:
            time.sleep(0.01)

    def connection(self, connection):
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                reader = connection.makefile("rb")
                while self.request(connection, reader):
                    pass
        except OSError:
            pass
        finally:
            with self.lock:
                self.open -= 1

    def request(self, connection, reader):
        """One request; true if another may follow."""
        line = reader.readline()
        if not line:
            return False
        length = 0
        while (header := reader.readline()) not in (b"\r\n", b""):
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if length and len(reader.read(length)) < length:
            return False
        if line.split()[1] == b"/ready":
            self.answer(connection, 200 if self.ready else 503, close=True)
            return False
        with self.lock:
            self.number += 1
            number = self.number
        return self.serve(connection, number)

    def serve(self, connection, number):
        if self.refuse:
            self.answer(connection, 503, close=True)
            return False
        time.sleep(self.delay)
        close = self.closing
        self.answer(connection, 200, close=close)
        with self.lock:
            self.served += 1
        return not close

    def answer(self, connection, status, close=False, body=b"something"):
        connection.sendall(self.head(status, f"Content-Length: {len(body)}", close) + body)

    @staticmethod
    def head(status, framing, close=False):
        extra = "Connection: close\r\n" if close else ""
        return f"HTTP/1.1 {status} X\r\n{framing}\r\n{extra}\r\n".encode()

    def drain_by_listener(self, code=0):
        """Closes the listener, answers what is under way and what still comes, saying `close`, and leaves."""
        self.ready = False
        # In this order: a client told to reconnect while the listener is open could be in its queue when it closes.
        self.close_listener()
        self.closing = True
        self.wait_for_connections()
        leave(code)


def leave(code):
    sys.stdout.flush()
    os._exit(code)
