"""Child processes of the sandbox: started in order, watched by their files and their log, ended for certain."""

import os
import select
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class StackError(Exception):
    """Something did not start; the text says what and why."""


def free_port_check(host, port):
    """A clear message instead of a daemon that dies."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StackError("port %d on %s is in use (%s): stop what listens there, or choose another with PORT=n"
                             % (port, host, error.strerror)) from None


class Process:
    """A child whose first matching line of output says that it is ready."""

    def __init__(self, name, command, environment, log):
        self.name, self.log = name, log
        self.output = open(log, "ab")
        self.start_of_log = self.output.tell()
        clean = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
        for key in ("LSAN_OPTIONS", "TSAN_OPTIONS", "ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if key in os.environ:
                clean[key] = os.environ[key]
        clean.update(environment)
        # A session of its own: Ctrl-C reaches the parent only, which stops the children in order.
        self.child = subprocess.Popen(command, env=clean, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
                                      start_new_session=True)

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def tail(self):
        with open(self.log, "rb") as file:
            file.seek(self.start_of_log)
            return file.read()[-1500:].decode(errors="replace")

    def await_file(self, path, timeout=15):
        """Until the child has written this file."""
        end = time.monotonic() + timeout
        while not os.path.exists(path):
            if not self.alive():
                raise StackError("%s ended with code %s:\n%s" % (self.name, self.child.returncode, self.tail()))
            if time.monotonic() > end:
                raise StackError("%s is not ready after %d s:\n%s" % (self.name, timeout, self.tail()))
            select.select([], [], [], 0.005)
        with open(path, encoding="ascii") as file:
            return [int(word) for word in file.read().split()]

    def stop(self, number=signal.SIGTERM, timeout=10):
        if self.alive():
            self.child.send_signal(number)
            try:
                self.child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                self.output.close()
                raise StackError("%s did not end within %d s of signal %d" % (self.name, timeout, number)) from None
        self.output.close()
        return self.child.returncode

    def kill(self):
        return self.stop(signal.SIGKILL)
