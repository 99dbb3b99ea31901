"""The two daemons as processes: what they say to a wrong call, how they start, share a machine with others, drain, die and come back."""

import contextlib
import http.client
import json
import os
import random
import select
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest

import support
from support import LiveClient, StackCase
from stack import ROOT, Stack, free_port_check

WORKERS, API = "temu-workers", "temu-api"
SECRETS = {"password": "Zq-pass-4711", "app_key": "Zq-key-4712", "app_secret": "Zq-secret-4713", "access_token": "Zq-token-4714"}
CONFIG = """paths:
  run: %(folder)s/run
  state: %(folder)s/state
api:
  port: 0
database:
  server: "127.0.0.1:1"
  user: u
  password: %(password)s
shops:
  - id: 1
    name: One
    app_key: %(app_key)s
    app_secret: %(app_secret)s
    access_token: %(access_token)s
    warehouses: [2]
"""


def sanitizer_options():
    return {key: os.environ[key] for key in ("LSAN_OPTIONS", "TSAN_OPTIONS", "ASAN_OPTIONS", "UBSAN_OPTIONS") if key in os.environ}


def call(program, *arguments, environment=None, timeout=20):
    """(code, stdout, stderr) of a program that ends by itself."""
    clean = dict(sanitizer_options(), PATH=os.environ.get("PATH", ""), LANG="C.UTF-8", **(environment or {}))
    done = subprocess.run([os.path.join(ROOT, "build", support.BUILD, program), *arguments], env=clean, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=timeout)
    return done.returncode, done.stdout, done.stderr


def await_condition(condition, timeout=10, what="the condition"):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("%s did not come true in %d s" % (what, timeout))
        select.select([], [], [], 0.01)


class CommandLine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="temu-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.text = CONFIG % dict(SECRETS, folder=self.folder)

    def config(self, text):
        path = os.path.join(self.folder, "temu.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def assert_silent_about_secrets(self, text):
        for secret in SECRETS.values():
            self.assertNotIn(secret, text)

    def assert_refused(self, text, *words, environment=None):
        """Both programs, with the reason on stderr and no secret anywhere."""
        path = self.config(text) if text is not None else os.path.join(self.folder, "nothing.yaml")
        for program, options in ((WORKERS, ()), (WORKERS, ("--check-config",)), (WORKERS, ("--migrate",)), (API, ()), (API, ("--check-config",))):
            with self.subTest(program=program, options=options):
                code, out, error = call(program, "--config", path, *options, environment=environment)
                self.assertEqual((code, out), (2, ""), error)
                for word in words:
                    self.assertIn(word, error)
                self.assertEqual(error.count("\n"), 1, error)
                self.assert_silent_about_secrets(error)

    def test_help_and_version(self):
        for program in (WORKERS, API):
            code, out, error = call(program, "--help")
            self.assertEqual((code, error), (0, ""))
            for option in ("--config", "--check-config", "--help-config", "--version"):
                self.assertIn(option, out)
            code, out, error = call(program, "--version")
            self.assertEqual((code, error), (0, ""))
            self.assertRegex(out, r"^%s \d+\.\d+\n$" % program)

    def test_the_printed_configuration_is_every_setting_and_can_be_used(self):
        with open(os.path.join(ROOT, "proto", "settings.def"), encoding="utf-8") as file:
            keys = [line.split('"')[1] for line in file if line.startswith(("KEY(", "SHOP_KEY(", "HOOK_KEY(", "SCHEDULE_KEY("))]
        self.assertGreater(len(keys), 50)
        code, out, _ = call(WORKERS, "--help-config")
        self.assertEqual(code, 0)
        self.assertEqual(out, call(API, "--help-config")[1])
        for key in keys:
            self.assertIn(key.rsplit(".", 1)[-1] + ":", out)
        code, _, error = call(WORKERS, "--check-config", "--config", self.config(out))
        self.assertEqual(code, 2)
        self.assertIn("is required", error)

    def test_a_right_configuration(self):
        path = self.config(self.text)
        for program in (WORKERS, API):
            self.assertEqual(call(program, "--check-config", "--config", path), (0, "the settings are right: 1 shops\n", ""))
            self.assertEqual(call(program, "--check-config", environment={"TEMU_CONFIG": path})[0], 0)
        self.assertEqual(os.listdir(self.folder), ["temu.yaml"], "looking at the settings makes nothing")

    def test_unknown_option(self):
        for program in (WORKERS, API):
            for options in (("--nonsense",), ("stray",), ("--config",)):
                code, out, error = call(program, *options)
                self.assertEqual((code, out), (2, ""))
                self.assertIn(options[0].lstrip("-"), error)
        self.assertEqual(call(WORKERS, "--plan")[0], 2)

    def test_missing_file(self):
        self.assert_refused(None, "nothing.yaml", "No such file")

    def test_missing_keys_are_named_with_their_variable(self):
        self.assert_refused("", "database.server is required", "TEMU_DATABASE_SERVER")
        self.assert_refused(self.text[:self.text.index("shops:")], "shops")

    def test_unknown_key_with_the_nearest_known_one(self):
        self.assert_refused(self.text.replace("  server:", "  servr:"), "temu.yaml:7:3", "database.servr", "database.server")
        self.assert_refused(self.text.replace("    app_secret:", "    app_sekret:"), "temu.yaml:14:5", "app_sekret", "app_secret")

    def test_bad_value(self):
        self.assert_refused(self.text.replace("port: 0", "port: 70000"), "temu.yaml:5:9", "api.port", "0 to 65535", "70000")
        self.assert_refused(self.text.replace("port: 0", "port: http"), "temu.yaml:5:9", "api.port")
        self.assert_refused(self.text + "log:\n  level: LOUD\n", "log.level", "WARNING", "LOUD")
        self.assert_refused(self.text, "TEMU_API_PORT", "api.port", environment={"TEMU_API_PORT": "x"})

    def test_broken_yaml(self):
        self.assert_refused(self.text.replace("port: 0", "port: [0"), "temu.yaml:")
        self.assert_refused(self.text.replace("  user: u", "\tuser: u"), "temu.yaml:8")

    def test_a_secret_in_the_wrong_place_is_not_repeated(self):
        secret = SECRETS["password"]
        self.assert_refused(self.text.replace(": " + secret, ": [%s]" % secret), "database.password")
        self.assert_refused(self.text.replace(": " + secret, ": " + secret * 30), "database.password")
        self.assert_refused(self.text.replace("password: ", "pasword: "), "database.pasword", "database.password")
        self.assert_refused(self.text.replace(": " + secret, ': "%s' % secret), "temu.yaml:")

    def test_missing_secret_file(self):
        self.assert_refused(self.text.replace("  password: %s\n" % SECRETS["password"], ""), "TEMU_DATABASE_PASSWORD_FILE", "/no/such/file",
                            environment={"TEMU_DATABASE_PASSWORD_FILE": "/no/such/file"})

    def test_a_folder_that_cannot_be_made(self):
        path = self.config(self.text)
        with open(os.path.join(self.folder, "run"), "w", encoding="ascii"):
            pass
        for program in (WORKERS, API):
            code, out, error = call(program, "--config", path)
            self.assertEqual(code, 1)
            self.assertIn("%s/run exists and is not a folder" % self.folder, error)
            self.assert_silent_about_secrets(out + error)

    def test_a_regular_file_in_the_place_of_a_socket_stays(self):
        path = self.config(self.text)
        os.mkdir(os.path.join(self.folder, "run"), 0o700)
        for name in ("workers.sock", "events.sock"):
            with self.subTest(name=name):
                place = os.path.join(self.folder, "run", name)
                with open(place, "w", encoding="ascii") as file:
                    file.write("precious")
                code, _, error = call(WORKERS, "--config", path)
                self.assertEqual(code, 1)
                self.assertIn("%s is not a socket" % place, error)
                with open(place, encoding="ascii") as file:
                    self.assertEqual(file.read(), "precious")
                os.remove(place)


class Life(StackCase):
    """One running system; every test leaves it up."""
    orders_faults = True
    settings = {"workers.drain_ms": 1200, "log.level": "DEBUG"}

    def setUp(self):
        self.addCleanup(self.clear)

    def clear(self):
        self.stack.sql_control_line("clear")
        self.stack.gateway_control("POST", "/clear")
        for process, start in ((self.stack.workers, self.stack.start_workers), (self.stack.api, self.stack.start_api)):
            if not process.alive():
                start()
        self.stack.await_ready()

    def options(self, *more):
        return ("--config", self.stack.path("temu.yaml"), *more)

    def another(self, program, **environment):
        """The same program with the same settings, started a second time."""
        return call(program, *self.options(), environment=dict(self.stack.daemon_environment(), **environment))

    def run_in_the_middle(self):
        """A run that waits in a statement that takes long."""
        self.stack.sql_control_line("delay 30000 match=vLagerbestand")
        _, _, answer = self.stack.execute("full")
        await_condition(lambda: self.stack.run(answer["run_id"])["step"], what="the first step")
        return answer["run_id"]

    # --- others on the same machine ---

    def test_a_second_temu_workers_is_refused_and_the_first_unharmed(self):
        code, out, error = self.another(WORKERS)
        self.assertEqual(code, 1)
        self.assertIn("cannot start", error)
        self.assertIn(self.stack.path("state", "journal.db"), error)
        self.assertNotIn("ERROR", out)
        with tempfile.TemporaryDirectory(prefix="temu-") as state:
            code, _, error = self.another(WORKERS, TEMU_PATHS_STATE=state)
        self.assertEqual(code, 1)
        self.assertIn("already running", error)
        self.assertIn(self.stack.path("run"), error)
        self.assertEqual(self.stack.request("GET", "/readyz")[0], 200)
        self.assertEqual(self.sync()["state"], "success")

    def test_port_in_use(self):
        code, _, error = self.another(API, TEMU_API_PORT=str(self.stack.api_port))
        self.assertEqual(code, 1)
        self.assertIn("127.0.0.1:%d" % self.stack.api_port, error)
        self.assertIn("taken", error)
        self.assertEqual(self.stack.request("GET", "/readyz")[0], 200)

    def test_sockets_and_folders_are_ours_alone(self):
        for name in ("run", "state"):
            self.assertEqual(stat.S_IMODE(os.stat(self.stack.path(name)).st_mode), 0o700)
        for name in ("workers.sock", "events.sock"):
            found = os.stat(self.stack.path("run", name))
            self.assertTrue(stat.S_ISSOCK(found.st_mode))
            self.assertEqual(stat.S_IMODE(found.st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.stack.path("state", "journal.db")).st_mode), 0o600)

    # --- what they print ---

    def test_json_lines_and_the_two_streams(self):
        code, out, error = self.another(WORKERS, TEMU_LOG_FORMAT="json")
        self.assertEqual(code, 1)
        lines = [json.loads(line) for line in error.splitlines()]
        self.assertEqual({line["level"] for line in lines}, {"ERROR"})
        self.assertIn("cannot start", lines[0]["text"])
        for line in out.splitlines():
            self.assertNotEqual(json.loads(line)["level"], "ERROR")
        port_file = self.stack.path("run", "other.port")
        environment = dict(sanitizer_options(), **self.stack.daemon_environment(), TEMU_LOG_FORMAT="json", TEMU_API_PORT="0")
        with subprocess.Popen([os.path.join(self.stack.bin, API), *self.options("--port-file", port_file)], env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            try:
                await_condition(lambda: os.path.exists(port_file) or child.poll() is not None, what="the port file")
            finally:
                child.terminate()
            out, error = child.communicate(timeout=10)
        self.assertEqual((child.returncode, error), (0, ""))
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertTrue(any("listens on" in line["text"] for line in lines))
        self.assertNotIn("ERROR", {line["level"] for line in lines})

    def test_secrets_are_nowhere(self):
        wanted = self.change_stock()
        self.stack.sql_control_line("refuse-login count=1")
        self.stack.sql_control_line("close-all")
        self.stack.gateway_control("POST", "/fault", {"kind": "code", "code": 4000000, "count": 1, "text": "Temu internal system error"})
        refused = next(iter(wanted))
        self.stack.gateway_control("POST", "/fault", {"kind": "refuse_sku", "sku_id": refused, "count": 1, "code": 150010003})
        run = self.sync("full")
        texts = {"run": json.dumps(run), "items": json.dumps(self.stack.items(run["run_id"])),
                 "logs": json.dumps(self.stack.request("GET", "/api/logs?from=1")[2]),
                 "system": json.dumps(self.stack.request("GET", "/api/system")[2]),
                 "ready": json.dumps(self.stack.request("GET", "/readyz?verbose=1")[2])}
        for process in (self.stack.workers, self.stack.api):
            with open("/proc/%d/cmdline" % process.pid, encoding="utf-8") as file:
                texts[process.name + " command line"] = file.read()
            with open("/proc/%d/environ" % process.pid, encoding="utf-8") as file:
                texts[process.name + " environment"] = file.read()
            with open(process.log, encoding="utf-8") as file:
                texts[process.name + " log"] = file.read()
        for name in os.listdir(self.stack.path("state")):
            if name.startswith("journal.db"):
                with open(self.stack.path("state", name), "rb") as file:
                    texts[name] = file.read().decode("latin-1")
        self.assertIn("journal.db", texts)
        for place, text in texts.items():
            for secret in (self.stack.password, *self.stack.app.values()):
                self.assertNotIn(secret, text, place)
        self.sync("full")

    # --- signals ---

    def test_sigterm_in_the_middle_of_a_statement(self):
        run_id = self.run_in_the_middle()
        begun = time.monotonic()
        self.assertEqual(self.stack.workers.stop(signal.SIGTERM), 0)
        self.assertLess(time.monotonic() - begun, 1.2 + 0.3)
        self.clear()
        run = self.stack.await_run(run_id)
        self.assertEqual((run["state"], run["attempt"]), ("success", 1))
        self.assert_in_step()

    def test_second_signal_and_the_end_of_the_drain(self):
        # A server that answers nothing at all, not even the cancel.
        for drain_ms, signals, says in ((60000, 2, "second signal during the drain"), (300, 1, "the drain took longer than 300 ms")):
            with self.subTest(signals=signals):
                self.stack.workers.stop()
                self.stack.settings["workers.drain_ms"] = drain_ms
                self.stack.write_config()
                self.stack.start_workers()
                self.stack.await_ready()
                self.run_in_the_middle()
                os.kill(self.stack.sql.pid, signal.SIGSTOP)
                try:
                    begun = time.monotonic()
                    os.kill(self.stack.workers.pid, signal.SIGTERM)
                    await_condition(lambda: "stopping (signal" in self.stack.workers.tail(), what="the drain")
                    if signals == 2:
                        os.kill(self.stack.workers.pid, signal.SIGINT)
                    await_condition(lambda: not self.stack.workers.alive(), what="the end")
                    self.assertLess(time.monotonic() - begun, 2)
                    self.assertIn(says, self.stack.workers.tail())
                    self.assertEqual(self.stack.workers.stop(), 1)
                finally:
                    os.kill(self.stack.sql.pid, signal.SIGCONT)
                    self.stack.settings["workers.drain_ms"] = 1200
                    self.stack.write_config()
                self.clear()
                await_condition(lambda: not self.unfinished(), 30, "the run's end")
                self.assert_in_step()

    def unfinished(self):
        runs = self.stack.request("GET", "/api/runs?limit=500")[2]["runs"]
        return [run["run_id"] for run in runs if run["state"] not in ("success", "partial", "failed", "cancelled")]

    def test_sighup_and_sigpipe_are_harmless(self):
        for process in (self.stack.workers, self.stack.api):
            for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
                os.kill(process.pid, number)
        self.assertEqual(self.sync("quick")["state"], "success")
        self.assertTrue(self.stack.workers.alive() and self.stack.api.alive())

    def test_the_api_stops_with_a_live_client(self):
        live = LiveClient(self.stack)
        begun = time.monotonic()
        self.assertEqual(self.stack.api.stop(signal.SIGTERM), 0)
        self.assertLess(time.monotonic() - begun, 1.6, "longer than the supervisor waits")
        live.await_end()

    # --- one without the other ---

    def test_workers_down_and_back(self):
        live = LiveClient(self.stack)
        self.stack.workers.stop()
        for method, path, body in (("GET", "/api/jobs/status", None), ("GET", "/readyz", None), ("GET", "/api/runs", None),
                                   ("POST", "/api/jobs/execute", {"job_id": "temu_inventory_sync", "params": {"mode": "full"}})):
            with self.subTest(path=path):
                begun = time.monotonic()
                status, headers, answer = self.stack.request(method, path, body)
                self.assertEqual(status, 503, answer)
                self.assertGreater(int(headers["Retry-After"]), 0)
                self.assertIn("temu-workers", json.dumps(answer))
                self.assertEqual(answer["code"], "WORKERS_DOWN")
                self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(self.stack.request("GET", "/livez")[0], 200)
        self.stack.start_workers()
        self.stack.await_ready()
        run = self.sync("quick")
        live.await_run(run["run_id"], "success")
        self.assert_events_whole(live)

    def test_api_before_workers(self):
        self.stack.api.stop()
        self.stack.workers.stop()
        self.stack.start_api()
        self.assertEqual(self.stack.request("GET", "/readyz")[0], 503)
        self.stack.start_workers()
        self.stack.await_ready()
        live = LiveClient(self.stack)
        run = self.sync("quick")
        live.await_run(run["run_id"], "success")
        self.assert_events_whole(live)

    def test_workers_alone_while_the_server_is_down(self):
        self.stack.workers.stop()
        self.stack.sql.kill()
        begun = time.monotonic()
        self.stack.start_workers()
        self.stack.await_ready()
        self.assertLess(time.monotonic() - begun, 3)
        status, _, jobs = self.stack.request("GET", "/api/jobs/status")
        self.assertEqual((status, bool(jobs)), (200, True))
        _, _, answer = self.stack.execute("quick")
        self.stack.start_sql()
        self.assertEqual(self.stack.await_run(answer["run_id"])["state"], "success")


class Migration(StackCase):
    """Each test has an own database of its own on the server."""
    articles = 20

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="temu-")
        cls.stack = Stack(cls.folder, support.BUILD, cls.articles, cls.seed, rate=1000, settings=dict(support.QUICK))
        cls.stack.start_sql()
        cls.stack.prepare()
        cls.stack.start_gateway()

    def setUp(self):
        self.name = "temu_test_migration_%d" % os.getpid()
        self.master("IF DB_ID('%s') IS NOT NULL DROP DATABASE %s" % (self.name, self.name))
        self.master("CREATE DATABASE %s COLLATE Latin1_General_CI_AS" % self.name)
        self.addCleanup(self.master, "IF DB_ID('%s') IS NOT NULL DROP DATABASE %s" % (self.name, self.name))
        self.stack.settings["database.name"] = self.name
        self.stack.write_config()

    def master(self, statement):
        with self.database("master") as connection:
            connection.cursor().execute(statement)

    def versions(self):
        if self.rows("SELECT OBJECT_ID(N'dbo.temu_schema_version', N'U')", name=self.name) == [(None,)]:
            return []
        return [row for table in ("version", "addition")
                for row in self.rows("SELECT version, checksum, applied_at FROM dbo.temu_schema_%s ORDER BY version" % table, name=self.name)]

    def files(self):
        return sorted(name for name in os.listdir(os.path.join(ROOT, "ecosystem", "schema")) if name.endswith(".sql"))

    def test_plan_prints_and_changes_nothing(self):
        code, output = self.stack.workers_command("--migrate", "--plan")
        self.assertEqual(code, 0, output)
        for name in self.files():
            self.assertIn("to apply: " + name.removesuffix(".sql"), output)
        self.assertIn("CREATE TABLE dbo.temu_inventory", output)
        self.assertEqual(self.rows("SELECT COUNT(*) FROM sys.tables", name=self.name), [(0,)])
        self.stack.migrate()
        code, output = self.stack.workers_command("--migrate", "--plan")
        self.assertEqual((code, "nothing to apply" in output), (0, True), output)

    def test_twice(self):
        self.stack.migrate()
        first = self.versions()
        self.assertEqual([row[0] for row in first], list(range(1, len(self.files()) + 1)))
        self.stack.migrate()
        self.assertEqual(self.versions(), first)

    def test_two_at_once(self):
        environment = dict(sanitizer_options(), PATH=os.environ.get("PATH", ""), **self.stack.daemon_environment())
        with contextlib.ExitStack() as stack:
            both = [stack.enter_context(subprocess.Popen([os.path.join(self.stack.bin, WORKERS), "--config", self.stack.path("temu.yaml"),
                                                          "--migrate"], env=environment, stdin=subprocess.DEVNULL,
                                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)) for _ in range(2)]
            outputs = [child.communicate(timeout=60)[0] for child in both]
        self.assertEqual([child.returncode for child in both], [0, 0], outputs)
        self.assertEqual([row[0] for row in self.versions()], list(range(1, len(self.files()) + 1)))

    def test_newer_schema_is_refused(self):
        self.stack.migrate()
        self.rows("INSERT INTO dbo.temu_schema_version (version, name, applied_at, checksum) VALUES (99, 'later', SYSUTCDATETIME(), 'x'); "
                  "SELECT 1", name=self.name)
        before = self.versions()
        for options in (("--migrate",), ("--migrate", "--plan")):
            code, output = self.stack.workers_command(*options)
            self.assertEqual(code, 1)
            self.assertIn("version 99", output)
            self.assertIn("knows 3", output)
        self.assertEqual(self.versions(), before)
        with self.daemons():
            run = self.held_run()
            self.assertIn("99", run["error"]["text"])
            self.assertEqual(run["attempt"], 0)

    def test_missing_database_says_what_to_run(self):
        self.master("DROP DATABASE " + self.name)
        for options in (("--migrate",), ("--migrate", "--plan")):
            code, output = self.stack.workers_command(*options)
            self.assertEqual(code, 1)
            self.assertIn("CREATE DATABASE [%s]" % self.name, output)
        with self.daemons():
            self.assertIn(self.name, self.held_run()["error"]["text"])

    def test_a_run_before_the_migration_waits_for_it(self):
        with self.daemons():
            run = self.held_run()
            self.assertIn("temu-workers --migrate", run["error"]["text"])
            self.stack.migrate()
            run = self.stack.await_run(run["run_id"])
            self.assertEqual((run["state"], run["attempt"]), ("success", 1), run)
            self.assert_events_whole()

    @contextlib.contextmanager
    def daemons(self):
        try:
            self.stack.start_workers()
            self.stack.start_api()
            self.stack.await_ready()
            yield
        finally:
            for run in self.stack.request("GET", "/api/runs")[2]["runs"]:
                if run["state"] == "held":
                    status, _, answer = self.stack.request("POST", "/api/runs/%s/cancel" % run["run_id"])
                    self.assertLess(status, 300, answer)
                    self.assertEqual(self.stack.await_run(run["run_id"])["state"], "cancelled")
            for process in (self.stack.api, self.stack.workers):
                if process is not None:
                    process.stop()
            self.stack.api = self.stack.workers = None

    def held_run(self):
        status, _, answer = self.stack.execute("full")
        self.assertEqual(status, 202)
        return self.stack.await_run(answer["run_id"], states=("held", "success", "partial", "failed")) | {"run_id": answer["run_id"]}


class Kills(StackCase):
    """The workers killed at random moments of full runs. More of it with TEMU_TEST_KILLS=n; SEED=n chooses the moments."""
    orders_faults, articles = True, 300
    kills = int(os.environ.get("TEMU_TEST_KILLS") or 10)

    def test_killed_again_and_again(self):
        dice = random.Random(int(os.environ.get("SEED") or 1))
        live = LiveClient(self.stack)
        self.stack.gateway_control("POST", "/fault", {"kind": "slow", "count": -1, "delay_ms": 15})
        self.change_stock(40)
        begun = time.monotonic()
        self.assertEqual(self.sync("full")["state"], "success")
        whole = time.monotonic() - begun
        runs = {}  # kills of each: the engine gives up on a run that was killed five times
        for _ in range(self.kills):
            self.change_stock(40, start=dice.randrange(60))
            status, _, answer = self.stack.execute("full")
            self.assertIn(status, (202, 409), answer)
            runs[answer["run_id"]] = runs.get(answer["run_id"], 0) + 1
            select.select([], [], [], dice.uniform(0, whole * 1.1))
            self.stack.workers.kill()
            self.stack.start_workers()
            self.stack.await_ready()
            if dice.random() < 0.5 or runs[answer["run_id"]] == 4:
                self.assertIn(self.stack.await_run(answer["run_id"])["state"], ("success", "partial"))
        self.stack.gateway_control("POST", "/clear")
        for run_id in runs:
            self.assertIn(self.stack.await_run(run_id)["state"], ("success", "partial"), run_id)
        self.assertEqual(self.sync("full")["state"], "success")
        self.assert_in_step()
        self.assert_events_whole(live)
        known = self.stack.request("GET", "/api/runs?limit=500")[2]["runs"]
        self.assertLessEqual(set(runs), {run["run_id"] for run in known})
        self.assertEqual({run["state"] for run in known} - {"success", "partial"}, set())
        self.assertTrue(any(run["rescues"] for run in known), "no kill hit a run")


if __name__ == "__main__":
    support.main()
