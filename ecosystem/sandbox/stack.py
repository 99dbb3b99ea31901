"""The whole system in one folder: the two stand-ins and the two daemons, started, asked and stopped. Used by `make run` and by the
system tests. The daemons see only addresses and credentials: nothing tells them that they talk to stand-ins.

A SQL server or gateway of somebody else takes the stand-in's place through the environment:
  TEMU_TEST_TDS=host:port   with TEMU_TEST_TDS_USER, TEMU_TEST_TDS_PASSWORD (and _OWN, _JTL: database names)
  TEMU_TEST_GATEWAY=url     with TEMU_TEST_APP_KEY, TEMU_TEST_APP_SECRET, TEMU_TEST_ACCESS_TOKEN
The articles are then made for the SKUs that gateway has. Databases without the sandbox's marker table and hosts of TEMU are refused."""

import http.client
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import time
import urllib.parse

import seed as seeding
import temu_client

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SEED = os.path.join(ROOT, "ecosystem", "sandbox", "seed.py")
APP = {"app_key": "simkey00000000000000000000000001", "app_secret": "simsecret0123456789abcdef0123456789ab",
       "access_token": "simtoken-a1"}


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


class Stack:
    PARTS = ("run", "state", "log", "secret")

    def __init__(self, folder, build="release", articles=500, seed=1, api_port=0, rate=20, latency_ms=0, settings=None,
                 shop=None, collations=("Latin1_General_CI_AS", "Latin1_General_CI_AS")):
        self.folder, self.bin = folder, os.path.join(ROOT, "build", build)
        # Under a sanitizer only the daemons are of interest.
        self.sandbox_bin = os.path.join(ROOT, "build", "release") if build.endswith(("asan", "tsan")) else self.bin
        self.articles, self.seed_number, self.api_port = articles, seed, api_port
        self.rate, self.latency_ms, self.collations = rate, latency_ms, collations
        self.settings, self.shop = settings or {}, shop or {}
        self.sql = self.gateway = self.workers = self.api = None
        self.sql_port = self.sql_control = self.gateway_port = self.gateway_control_port = 0
        for part in ("", *self.PARTS):
            os.makedirs(os.path.join(folder, part), mode=0o700, exist_ok=True)
        external = os.environ.get("TEMU_TEST_TDS")
        self.external_sql = external
        self.user = os.environ.get("TEMU_TEST_TDS_USER", "sa") if external else "temu"
        self.own = os.environ.get("TEMU_TEST_TDS_OWN", "temu_test_own") if external else "toci"
        self.jtl = os.environ.get("TEMU_TEST_TDS_JTL", "temu_test_jtl") if external else "eazybusiness"
        self.password = os.environ.get("TEMU_TEST_TDS_PASSWORD", "") if external else self.kept_password()
        self.external_gateway = os.environ.get("TEMU_TEST_GATEWAY")
        self.app = dict(APP)
        if self.external_gateway:
            host = urllib.parse.urlparse(self.external_gateway).hostname or ""
            if host == "temu.com" or host.endswith(".temu.com"):
                raise StackError("TEMU_TEST_GATEWAY: %s is a host of TEMU; tests do not go there" % host)
            for key in self.app:
                self.app[key] = os.environ["TEMU_TEST_" + key.upper()]

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def kept_password(self):
        path = self.path("secret", "sql")
        if not os.path.exists(path):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(18))
        with open(path, encoding="ascii") as file:
            return file.read()

    # --- the stand-ins ---

    def start_sql(self, port=None):
        if self.external_sql:
            host, _, number = self.external_sql.partition(":")
            self.sql_host, self.sql_port = host, int(number or 1433)
            return
        for name in ("sql.port", "sql.control"):
            if os.path.exists(self.path("run", name)):
                os.remove(self.path("run", name))
        self.sql_host = "127.0.0.1"
        command = [os.path.join(self.sandbox_bin, "sandbox-sql"), "--file", self.path("state", "sql.db"), "--user", self.user,
                   "--password-file", self.path("secret", "sql"), "--port", str(port if port is not None else self.sql_port),
                   "--port-file", self.path("run", "sql.port"), "--control-port", "0",
                   "--control-port-file", self.path("run", "sql.control")]
        self.sql = Process("sandbox-sql", command, {}, self.path("log", "sandbox-sql.log"))
        self.sql_port = self.sql.await_file(self.path("run", "sql.port"))[0]
        self.sql_control = self.sql.await_file(self.path("run", "sql.control"))[0]

    def seed(self, gateway_only=False):
        """Both sides, once for a folder."""
        command = [SEED, "--articles", str(self.articles), "--seed", str(self.seed_number), "--user", self.user, "--own", self.own,
                   "--jtl", self.jtl, "--jtl-collation", self.collations[0], "--own-collation", self.collations[1]]
        if self.external_sql:
            command += ["--fresh"]
        if self.external_gateway:
            command += ["--catalogue", self.keep_catalogue()]
        else:
            command += ["--gateway-data", self.path("state", "gateway.json")]
        if not gateway_only:
            command += ["--server", "%s:%d" % (self.sql_host, self.sql_port)]
        environment = dict(os.environ, TEMU_SEED_PASSWORD=self.password, TEMU_SEED_SHOP=json.dumps(self.app))
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              start_new_session=True)  # Ctrl-C does not stop it half-way
        if done.returncode != 0:
            raise StackError(done.stderr.strip()[-1500:])

    def keep_catalogue(self):
        """What the gateway has before anything is pushed, as the seed's input; the file's path."""
        rows = [{"sku_id": sku_id, "goods_id": int(row["goodsId"]), "sku_sn": row.get("skuSn") or "", "stock": int(row["stock"]),
                 "status": row["status"]} for sku_id, row in temu_client.list_skus(self.gateway_url, self.app).items()]
        path = self.path("state", "catalogue.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(rows, file)
        return path

    def model(self):
        """The seed's articles and listings in memory, for an oracle."""
        if self.external_gateway:
            with open(self.path("state", "catalogue.json"), encoding="utf-8") as file:
                return seeding.MirroredShop(self.seed_number, json.load(file))
        return seeding.Shop(self.seed_number, self.articles)

    def start_gateway(self):
        if self.external_gateway:
            return
        path = self.path("run", "gateway.ports")
        if os.path.exists(path):
            os.remove(path)
        command = [os.path.join(self.sandbox_bin, "sandbox-gateway"), "--data", self.path("state", "gateway.json"), "--state",
                   self.path("state", "gateway.state"), "--port-file", path, "--port", str(self.gateway_port), "--rate", str(self.rate),
                   "--latency-ms", str(self.latency_ms)]
        self.gateway = Process("sandbox-gateway", command, {}, self.path("log", "sandbox-gateway.log"))
        self.gateway_port, self.gateway_control_port = self.gateway.await_file(path)

    @property
    def gateway_url(self):
        return self.external_gateway or "http://127.0.0.1:%d/openapi/router" % self.gateway_port

    # --- the daemons ---

    def write_config(self):
        """The YAML file without secrets; those come from files named in the environment."""
        settings = {"paths.run": self.path("run"), "paths.state": self.path("state"), "api.port": self.api_port,
                    "database.server": "%s:%d" % (self.sql_host, self.sql_port), "database.user": self.user,
                    "database.name": self.own, "database.jtl": self.jtl, "temu.rate": min(self.rate, 1000)}
        settings.update(self.settings)
        shop = {"id": 1, "name": "Sandbox", "url": self.gateway_url, "warehouses": [2]}
        shop.update(self.shop)
        tree = {}
        for key, value in settings.items():
            place = tree
            *sections, last = key.split(".")
            for section in sections:
                place = place.setdefault(section, {})
            place[last] = value

        def lines(place, indent):
            for key, value in place.items():
                if isinstance(value, dict):
                    yield "%s%s:" % (indent, key)
                    yield from lines(value, indent + "  ")
                else:
                    yield "%s%s: %s" % (indent, key, json.dumps(value))

        text = list(lines(tree, "")) + ["shops:"]
        for number, (key, value) in enumerate(shop.items()):
            text.append("  %s %s: %s" % ("-" if number == 0 else " ", key, json.dumps(value)))
        with open(self.path("temu.yaml"), "w", encoding="utf-8") as file:
            file.write("\n".join(text) + "\n")
        for key, value in dict(self.app, password=self.password).items():
            with open(os.open(self.path("secret", key), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(value)

    def daemon_environment(self):
        environment = {"TEMU_SHOPS_0_%s_FILE" % key.upper(): self.path("secret", key) for key in self.app}
        environment["TEMU_DATABASE_PASSWORD_FILE"] = self.path("secret", "password")
        return environment

    def workers_command(self, *options):
        """Runs temu-workers to its end (--migrate and the like); (code, output)."""
        clean = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/")}
        clean.update(self.daemon_environment())
        done = subprocess.run([os.path.join(self.bin, "temu-workers"), "--config", self.path("temu.yaml"), *options], env=clean,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True)
        return done.returncode, done.stdout + done.stderr

    def migrate(self):
        code, output = self.workers_command("--migrate")
        if code != 0:
            raise StackError("temu-workers --migrate ended with code %d:\n%s" % (code, output[-1500:]))
        return output

    def start_workers(self):
        self.workers = Process("temu-workers", [os.path.join(self.bin, "temu-workers"), "--config", self.path("temu.yaml")],
                               self.daemon_environment(), self.path("log", "temu-workers.log"))

    def start_api(self):
        path = self.path("run", "api.port")
        if os.path.exists(path):
            os.remove(path)
        self.api = Process("temu-api", [os.path.join(self.bin, "temu-api"), "--config", self.path("temu.yaml"), "--port-file", path],
                           self.daemon_environment(), self.path("log", "temu-api.log"))
        self.api_port = self.api.await_file(path)[0]

    def await_ready(self, timeout=15):
        """Until /readyz says so."""
        end = time.monotonic() + timeout
        while True:
            try:
                status, _, body = self.request("GET", "/readyz")
                if status == 200:
                    return
            except OSError as error:
                body = str(error)
            for process in (self.workers, self.api):
                if process is not None and not process.alive():
                    raise StackError("%s ended with code %s:\n%s" % (process.name, process.child.returncode, process.tail()))
            if time.monotonic() > end:
                raise StackError("not ready after %d s: %s" % (timeout, body))
            select.select([], [], [], 0.01)

    def start(self):
        self.start_sql()
        self.prepare()
        self.start_gateway()
        self.write_config()
        self.migrate()
        self.start_workers()
        self.start_api()
        self.await_ready()

    def prepare(self):
        done = self.path("state", "seeded")
        if not os.path.exists(done):
            self.seed()
            with open(done, "w", encoding="ascii") as file:
                file.write("%d %d\n" % (self.seed_number, self.articles))

    def stop(self):
        """The daemons first, so that nothing is lost on the way; returns their exit codes. Nothing is left running."""
        codes, failure = {}, None
        for name in ("api", "workers", "gateway", "sql"):
            process = getattr(self, name)
            setattr(self, name, None)
            if process is None:
                continue
            try:
                codes[process.name] = process.stop()
            except StackError as error:
                failure = failure or error
        if failure:
            raise failure
        return codes

    # --- asking ---

    def request(self, method, path, body=None, headers=None, timeout=10):
        """(status, headers, body as JSON or text)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=timeout)
        try:
            data = json.dumps(body) if body is not None else None
            connection.request(method, path, data, dict({"Content-Type": "application/json"} if data else {}, **(headers or {})))
            answer = connection.getresponse()
            text = answer.read().decode()
            kind = answer.headers.get("Content-Type", "")
            return answer.status, answer.headers, json.loads(text) if "json" in kind else text
        finally:
            connection.close()

    def gateway_control(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway_control_port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status != 200:
                raise StackError("gateway control %s %s: %d %s" % (method, path, answer.status, text))
            return json.loads(text) if text else None
        finally:
            connection.close()

    def sql_control_line(self, line):
        with socket.create_connection(("127.0.0.1", self.sql_control), timeout=10) as connection:
            connection.sendall(line.encode() + b"\n")
            answer = connection.makefile("r", encoding="utf-8").readline().strip()
        if answer.startswith("error"):
            raise StackError("sandbox-sql control: %s: %s" % (line, answer))
        return answer

    def temu_stock(self):
        """The truth at the gateway: {sku_id: row}."""
        if self.external_gateway:
            return {sku_id: {"sku_id": sku_id, "goods_id": int(row["goodsId"]), "sku_sn": row.get("skuSn") or "", "stock": int(row["stock"]),
                             "status": row["status"]} for sku_id, row in temu_client.list_skus(self.gateway_url, self.app).items()}
        return {row["sku_id"]: row for row in self.gateway_control("GET", "/stock")["skus"]}

    def execute(self, mode="full", **params):
        return self.request("POST", "/api/jobs/execute", {"job_id": "temu_inventory_sync", "params": dict(params, mode=mode)})

    def run(self, run_id):
        return self.request("GET", "/api/runs/" + run_id)[2]

    def await_run(self, run_id, timeout=60, states=("success", "partial", "failed", "cancelled")):
        end = time.monotonic() + timeout
        while True:
            found = self.run(run_id)
            if found.get("state") in states:
                return found
            if time.monotonic() > end:
                raise StackError("run %s is still %s after %d s\n%s" % (run_id, found.get("state"), timeout, self.workers.tail()))
            select.select([], [], [], 0.02)

    def items(self, run_id, outcome=None):
        rows, after = [], 0
        while True:
            path = "/api/runs/%s/items?limit=1000&after=%d%s" % (run_id, after, "&outcome=" + outcome if outcome else "")
            page = self.request("GET", path)[2]
            rows += page["items"]
            if not page.get("next"):
                return rows
            after = page["next"]

    def memory_kb(self, process):
        """(now, peak) resident, of a running process."""
        with open("/proc/%d/status" % process.pid, encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["VmRSS"].split()[0]), int(fields["VmHWM"].split()[0])
