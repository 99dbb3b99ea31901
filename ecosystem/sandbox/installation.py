"""One installation of the two daemons: a folder, a configuration, the processes. Several of them may stand before the same servers,
each with wires of its own that can break."""

import http.client
import json
import os
import select
import shutil
import subprocess
import time

from process import Process, StackError
from proxy import Proxy


class Installation:
    """The world is the Stack with the servers. Named ones are told apart at the gateway by their name (?via=NAME)."""

    PARTS = ("run", "state", "log", "secret")

    def __init__(self, world, folder, name="", settings=None, shops=None, proxied=False):
        self.world, self.folder, self.name = world, folder, name
        self.settings, self.shops = settings or {}, shops or []
        self.workers = self.api = self.sql_proxy = self.gateway_proxy = None
        self.api_port = 0
        for part in ("", *self.PARTS):
            os.makedirs(os.path.join(folder, part), mode=0o700, exist_ok=True)
        if proxied:
            self.sql_proxy = Proxy(world.sql_host, world.sql_port)
            self.gateway_proxy = Proxy("127.0.0.1", world.gateway_port)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def clone(self, name, **changes):
        """A copy of this folder's state as a copied machine has it, with the same configuration; nothing of it is started. Its network is
        its own, as the original's may break."""
        copy = self.world.installation(name, settings=dict(self.settings), shops=[dict(shop) for shop in self.shops],
                                       proxied=self.sql_proxy is not None, **changes)
        for entry in os.listdir(self.path("state")):
            if entry.startswith("journal") or entry == "installation":
                shutil.copy2(self.path("state", entry), copy.path("state", entry))
        return copy

    # --- the daemons ---

    def write_config(self):
        """The YAML file without secrets; those come from files named in the environment."""
        world = self.world
        server = "%s:%d" % (("127.0.0.1", self.sql_proxy.port) if self.sql_proxy else (world.sql_host, world.sql_port))
        settings = {"paths.run": self.path("run"), "paths.state": self.path("state"), "api.port": self.api_port,
                    "database.server": server, "database.user": world.user, "database.name": world.own, "database.jtl": world.jtl,
                    "temu.rate": min(world.rate, 1000)}
        settings.update(self.settings)
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
        for number, given in enumerate(self.shops):
            shop = {"id": number + 1, "name": "Sandbox" if number == 0 else "Sandbox %d" % (number + 1), "url": self.temu_url(),
                    "warehouses": [2]}
            shop.update(given)
            text += ["  %s %s: %s" % (" " if place else "-", key, json.dumps(value)) for place, (key, value) in enumerate(shop.items())]
        with open(self.path("temu.yaml"), "w", encoding="utf-8") as file:
            file.write("\n".join(text) + "\n")
        secrets = {"password": world.password}
        for number in range(len(self.shops)):
            secrets.update({"%s_%d" % (key, number): value for key, value in self.app_of(number).items()})
        for key, value in secrets.items():
            with open(os.open(self.path("secret", key), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(value)

    def app_of(self, number):
        """Credentials of the number-th configured shop, from 0; those belong to the shop's id, wherever it is configured."""
        return self.world.apps[self.shops[number].get("id", number + 1) - 1]

    def temu_url(self):
        """Behind the own wire, and with the own name, so that the gateway can say who called."""
        url = self.world.gateway_url
        if self.gateway_proxy:
            url = url.replace(":%d/" % self.world.gateway_port, ":%d/" % self.gateway_proxy.port)
        return url + ("?via=" + self.name if self.name else "")

    def daemon_environment(self):
        environment = {"TEMU_SHOPS_%d_%s_FILE" % (number, key.upper()): self.path("secret", "%s_%d" % (key, number))
                       for number in range(len(self.shops)) for key in self.app_of(number)}
        environment["TEMU_DATABASE_PASSWORD_FILE"] = self.path("secret", "password")
        return environment

    def workers_command(self, *options):
        """Runs temu-workers to its end (--migrate and the like); (code, output)."""
        clean = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/")}
        clean.update(self.daemon_environment())
        done = subprocess.run([os.path.join(self.world.bin, "temu-workers"), "--config", self.path("temu.yaml"), *options], env=clean,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True)
        return done.returncode, done.stdout + done.stderr

    def migrate(self):
        code, output = self.workers_command("--migrate")
        if code != 0:
            raise StackError("temu-workers --migrate ended with code %d:\n%s" % (code, output[-1500:]))
        return output

    def start_workers(self):
        self.workers = Process("temu-workers", [os.path.join(self.world.bin, "temu-workers"), "--config", self.path("temu.yaml")],
                               self.daemon_environment(), self.path("log", "temu-workers.log"))

    def start_api(self):
        path = self.path("run", "api.port")
        if os.path.exists(path):
            os.remove(path)
        self.api = Process("temu-api", [os.path.join(self.world.bin, "temu-api"), "--config", self.path("temu.yaml"), "--port-file", path],
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
        self.write_config()
        self.start_daemons()

    def start_daemons(self):
        self.start_workers()
        self.start_api()
        self.await_ready()

    def stop(self):
        """Returns the daemons' exit codes. Nothing is left running."""
        codes, failure = {}, None
        for name in ("api", "workers"):
            process = getattr(self, name)
            setattr(self, name, None)
            if process is None:
                continue
            try:
                codes[process.name] = process.stop()
            except StackError as error:
                failure = failure or error
        for name in ("sql_proxy", "gateway_proxy"):
            if getattr(self, name) is not None:
                getattr(self, name).stop()
                setattr(self, name, None)
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

    def execute(self, mode="full", shop=None, **params):
        order = {"job_id": "temu_inventory_sync", "params": dict(params, mode=mode)}
        return self.request("POST", "/api/jobs/execute", dict(order, shop=shop) if shop else order)

    def sync(self, mode="full", shop=None, **params):
        """One run to its end."""
        status, _, answer = self.execute(mode, shop, **params)
        if status != 202:
            raise StackError("the sync was not accepted: %d %s" % (status, answer))
        return self.await_run(answer["run_id"], timeout=300)

    def open_gate(self, gate, shop=1):
        status, _, answer = self.request("PUT", "/api/shops/%d/writes" % shop, {"writes": gate, "reason": "test"})
        if status != 200:
            raise StackError("gate %s: %d %s" % (gate, status, answer))

    def shop_state(self, shop=1):
        """The shop's entry of /api/shops."""
        return next(entry for entry in self.request("GET", "/api/shops")[2]["shops"] if entry["id"] == shop)

    def alarms(self, code=""):
        """Texts of the alarms whose code begins so, oldest first."""
        found, start = [], 1
        while True:
            page = self.request("GET", "/api/logs?from=%d" % start)[2]
            found += [event["text"] for event in page["events"] if event["event"] == "alarm" and event["text"].startswith(code)]
            if not page["more"]:
                return found
            start = page["events"][-1]["seq"] + 1

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
