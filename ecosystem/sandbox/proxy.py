"""A wire between a daemon and a server that can break: it forwards, is cut (every connection ends, new ones too), or is a hole (nothing
passes and nothing ends; what was under way arrives late, after restore)."""

import socket
import struct
import threading


class Proxy:
    def __init__(self, host, port):
        self._target = (host, port)
        self._changed = threading.Condition()
        self._mode, self._open = "open", set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self):
        self._turn("cut")

    def hole(self):
        self._turn("hole")

    def restore(self):
        self._turn("open")

    def connections(self):
        with self._changed:
            return len(self._open) // 2

    def stop(self):
        self._turn("stopped")
        # A listening socket is woken by a caller, not by its end.
        with socket.socket() as caller:
            caller.connect_ex(("127.0.0.1", self.port))
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _turn(self, mode):
        with self._changed:
            self._mode = mode
            if mode in ("cut", "stopped"):
                for end in self._open:
                    self._end(end)
            self._changed.notify_all()

    @staticmethod
    def _end(end):
        try:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _accept(self):
        while True:
            near, _ = self._listener.accept()
            with self._changed:
                mode = self._mode
            if mode in ("cut", "stopped"):
                self._end(near)
                near.close()
                if mode == "stopped":
                    return
                continue
            try:
                far = socket.create_connection(self._target, timeout=10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self._open |= {near, far}
                if self._mode in ("cut", "stopped"):
                    self._end(near)
                    self._end(far)
            pair = threading.Thread(target=self._both, args=(near, far), daemon=True)
            self._threads.append(pair)
            pair.start()

    def _both(self, near, far):
        back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
        back.start()
        self._pump(near, far)
        back.join()
        with self._changed:
            self._open -= {near, far}
        near.close()
        far.close()

    def _pump(self, source, sink):
        """One direction; its end is passed on like its bytes."""
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            with self._changed:
                self._changed.wait_for(lambda: self._mode != "hole")
                cut = self._mode in ("cut", "stopped")
            try:
                if data and not cut:
                    sink.sendall(data)
                    continue
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                self._end(source)
            return
