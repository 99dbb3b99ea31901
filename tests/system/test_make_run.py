"""`make run` as somebody at a terminal meets it: in a run folder of its own, with Ctrl-C through a terminal; and install-deps.sh where
packages are missing."""

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUN = os.path.join(ROOT, "scripts", "run.sh")
INSTALL = os.path.join(ROOT, "scripts", "install-deps.sh")
PROGRAMS = ("temu-workers", "temu-api", "sandbox-sql", "sandbox-gateway")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def running_in(folder):
    """Every process that has the folder in its command line: {pid: command line}."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(folder in word for word in words) and int(pid) != os.getpid():
            found[int(pid)] = " ".join(words)
    return found


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, command, environment):
        self.output = ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)

    def read(self, timeout):
        if not select.select([self.terminal], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.terminal, 65536)
        except OSError:  # the last one closed it
            return False
        self.output += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def await_text(self, pattern, timeout=60):
        end = time.monotonic() + timeout
        while not re.search(pattern, self.output):
            if not self.read(0.1) or time.monotonic() > end:
                raise AssertionError("%s did not come:\n%s" % (pattern, self.output[-3000:]))

    def press(self, key):
        os.write(self.terminal, key)

    def code(self, timeout=30):
        """Reads to the end and waits; the exit code as a shell shows it."""
        end = time.monotonic() + timeout
        while self.read(0.1):
            if time.monotonic() > end:
                os.killpg(self.pid, signal.SIGKILL)
                raise AssertionError("no end in %d s:\n%s" % (timeout, self.output[-3000:]))
        os.close(self.terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return 128 - status if status < 0 else status


class MakeRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="temu-run-")
        cls.port = free_port()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def tearDown(self):
        left = running_in(self.folder)
        for pid in left:
            os.kill(pid, signal.SIGKILL)  # the next test is not to fail for this one
        self.assertEqual(left, {}, "left running")

    def environment(self, **more):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("TEMU_") and key not in ("ONCE", "FRESH", "MAKEFLAGS")}
        return {**clean, "RUN_FOLDER": self.folder, "PORT": str(self.port), "ARTICLES": "60", "RATE": "1000", **more}

    def once(self, **more):
        return subprocess.run([RUN], env=self.environment(ONCE="1", **more), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=60)

    def assert_ports_free(self):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", self.port))

    def test_once_shows_log_and_table(self):
        done = self.once()
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr)
        for title in ("SKUs seen", "mapped", "unmapped", "changed", "pushed", "refused", "duration", "requests sent"):
            self.assertRegex(done.stdout, r"(?m)^  %s +\d" % title)
        self.assertRegex(done.stdout, r"(?m)^temu_inventory_sync\.1\.\d+: success$")
        self.assertRegex(done.stdout, r"(?m)^ +\d+ \d\d:\d\d:\d\d\.\d\d\d INFO +step done")
        self.assertTrue(done.stdout.endswith("run: stopped\n"))
        self.assertEqual(done.stderr, "")
        self.assert_ports_free()

    def test_second_start_takes_less_than_two_seconds(self):
        self.assertEqual(self.once().returncode, 0)
        begun = time.monotonic()
        there = Terminal([RUN], self.environment())
        there.await_text(r"up in [\d.]+ s")
        whole = time.monotonic() - begun
        there.press(b"\x03")
        there.code()
        self.assertLess(float(re.search(r"up in ([\d.]+) s", there.output)[1]), 2)
        self.assertLess(whole, 4, "with the look at packages and build")

    def test_a_run_that_does_not_succeed_is_exit_1(self):
        self.assertEqual(self.once().returncode, 0)
        with open(os.path.join(self.folder, "state", "gateway.json"), encoding="utf-8") as file:
            kept = file.read()
        try:
            # A shop whose token the gateway does not know any more.
            with open(os.path.join(self.folder, "state", "gateway.json"), "w", encoding="utf-8") as file:
                file.write(kept.replace("simtoken-a1", "simtoken-b2"))
            done = self.once()
        finally:
            with open(os.path.join(self.folder, "state", "gateway.json"), "w", encoding="utf-8") as file:
                file.write(kept)
        self.assertEqual(done.returncode, 1, done.stdout[-2000:])
        self.assertNotIn("simtoken-a1", done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^temu_inventory_sync\.1\.\d+: held$")
        self.assertIn("error:", done.stdout)
        done = self.once()
        self.assertEqual(done.returncode, 0, done.stdout[-2000:])
        self.assertIn("is cancelled for a new one", done.stdout)

    def test_ctrl_c_after_the_run(self):
        there = Terminal([RUN], self.environment())
        there.await_text("everything stays up")
        self.assertEqual(len([line for line in running_in(self.folder).values() if any(name in line for name in PROGRAMS)]), 4)
        there.press(b"\x03")
        self.assertEqual(there.code(), 0)
        self.assertTrue(there.output.endswith("run: stopped\n"), there.output[-500:])
        self.assertNotIn("Traceback", there.output)
        self.assert_ports_free()

    def test_ctrl_c_in_the_run_and_an_impatient_second_one(self):
        there = Terminal([RUN], self.environment(LATENCY_MS="500"))
        there.await_text("its live log")
        there.press(b"\x03")
        there.press(b"\x03")
        self.assertEqual(there.code(), 130)
        self.assertNotIn("Traceback", there.output)
        self.assert_ports_free()

    def test_ctrl_c_while_everything_starts(self):
        with tempfile.TemporaryDirectory(prefix="temu-run-") as folder:
            there = Terminal([RUN], self.environment(ARTICLES="5000", RUN_FOLDER=folder))
            end = time.monotonic() + 30
            while not os.path.exists(os.path.join(folder, "run", "sql.port")):
                self.assertLess(time.monotonic(), end)
                there.read(0.01)
            there.press(b"\x03")
            self.assertEqual(there.code(), 130)
            self.assertNotIn("Traceback", there.output)
            self.assertEqual(running_in(folder), {})

    def test_a_closed_terminal_stops_everything(self):
        there = Terminal([RUN], self.environment())
        there.await_text("everything stays up")
        os.close(there.terminal)
        end = time.monotonic() + 20
        while os.waitpid(there.pid, os.WNOHANG) == (0, 0):
            self.assertLess(time.monotonic(), end)
            select.select([], [], [], 0.02)

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", self.port))
            taken.listen()
            done = self.once()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^run: port %d on 127\.0\.0\.1 is in use .*PORT=n" % self.port)
        self.assertNotIn("Traceback", done.stderr)

    def test_numbers_that_are_none(self):
        for name, value in (("PORT", "http"), ("PORT", "0"), ("ARTICLES", "0"), ("RATE", "-1"), ("SEED", "1.5")):
            done = self.once(**{name: value})
            self.assertEqual(done.returncode, 1)
            self.assertIn("run: %s=%s: a whole number" % (name, value), done.stderr)

    def test_a_second_one_in_the_same_folder(self):
        there = Terminal([RUN], self.environment())
        there.await_text("everything stays up")
        done = self.once(FRESH="1", PORT=str(free_port()))
        self.assertEqual(done.returncode, 1)
        self.assertIn("another `make run` works in " + self.folder, done.stderr)
        there.press(b"\x03")
        self.assertEqual(there.code(), 0, "the first one is unharmed")

    def test_fresh_forgets_only_what_is_ours(self):
        self.assertEqual(self.once().returncode, 0)
        mine = os.path.join(self.folder, "notes.txt")
        with open(mine, "w", encoding="ascii") as file:
            file.write("mine")
        done = self.once(FRESH="1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("temu_inventory_sync.1.000000000001: success", done.stdout)
        self.assertTrue(os.path.exists(mine))

    def test_installed_configuration_and_variables_are_ignored(self):
        done = self.once(TEMU_CONFIG="/no/such/file.yaml", TEMU_DATABASE_SERVER="real-server,50000", TEMU_API_PORT="1",
                         TEMU_SHOPS_0_URL="https://openapi-b-eu.temu.com/openapi/router", TEMU_TEST_TDS="real-server:1433", TEMU_NONSENSE="x")
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr)


class InstallDeps(unittest.TestCase):
    """With a PATH that has only what the script itself needs, and stand-ins for what would change the machine."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="temu-")
        self.addCleanup(folder.cleanup)
        self.path = folder.name
        for name in ("bash", "awk", "sort", "comm", "xargs", "mktemp", "rm", "dirname", "tail", "cat", "echo"):
            os.symlink(shutil.which(name), os.path.join(self.path, name))
        self.program("dpkg-query", "exit 1")
        self.program("id", "echo 1000")

    def program(self, name, *lines):
        with open(os.open(os.path.join(self.path, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o755), "w", encoding="ascii") as file:
            file.write("#!/bin/bash\n" + "\n".join(lines) + "\n")

    def install(self, want="build"):
        return subprocess.run([INSTALL, want], env={"PATH": self.path, "LOG": os.path.join(self.path, "log")}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=60)

    def calls(self):
        with open(os.path.join(self.path, "log"), encoding="ascii") as file:
            return file.read()

    def packages(self, want):
        with open(os.path.join(ROOT, "scripts", "packages.txt"), encoding="ascii") as file:
            text = file.read()
        text = text.split("# test")[0] if want == "build" else text
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    def test_nothing_missing_asks_nobody(self):
        self.program("dpkg-query", *["echo %s installed" % name for name in self.packages("test")])
        for want in ("build", "test"):
            done = self.install(want)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_only_the_missing_ones_are_installed(self):
        self.program("id", "echo 0")
        self.program("apt-get", 'echo "$@" >>"$LOG"')
        self.program("dpkg-query", *["echo %s installed" % name for name in self.packages("test") if name not in ("jq", "valgrind")],
                     "echo jq config-files")
        self.assertEqual(self.install("build").returncode, 0)
        self.assertEqual(self.install("test").returncode, 0)
        self.assertEqual(self.calls(), "install -y --no-install-recommends jq\ninstall -y --no-install-recommends jq valgrind\n")

    def test_neither_root_nor_sudo(self):
        done = self.install()
        self.assertEqual(done.returncode, 1)
        self.assertIn("sudo is not there", done.stderr)
        self.assertIn("Run as root: apt-get install", done.stderr)
        self.assertIn("freetds-dev", done.stderr)

    def test_sudo_is_used_by_others_than_root(self):
        self.program("sudo", 'echo sudo "$@" >>"$LOG"')
        self.assertEqual(self.install().returncode, 0)
        self.assertIn("sudo apt-get install -y", self.calls())

    def test_no_network(self):
        self.program("id", "echo 0")
        self.program("apt-get", 'echo "$1" >>"$LOG"', "echo 'E: Temporary failure resolving deb.debian.org' >&2", "exit 100")
        done = self.install()
        self.assertEqual(done.returncode, 1)
        self.assertIn("Temporary failure resolving", done.stderr)
        self.assertIn("is the network reachable", done.stderr)
        self.assertEqual(self.calls(), "install\nupdate\n")

    def test_no_debian(self):
        os.remove(os.path.join(self.path, "dpkg-query"))
        done = self.install()
        self.assertEqual(done.returncode, 1)
        self.assertIn("not a Debian system", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
