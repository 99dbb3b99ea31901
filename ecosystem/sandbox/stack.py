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
import socket
import subprocess
import urllib.parse

import seed as seeding
import temu_client
from installation import Installation
from process import ROOT, Process, StackError, free_port_check  # noqa: F401  (for those who take it all from here)

SEED = os.path.join(ROOT, "ecosystem", "sandbox", "seed.py")
APP = {"app_key": "simkey00000000000000000000000001", "app_secret": "simsecret0123456789abcdef0123456789ab",
       "access_token": "simtoken-a1"}


def app_of(number):
    """The stand-in's credentials of the number-th shop, from 0."""
    return {key: value if number == 0 else "%s-%d" % (value, number + 1) for key, value in APP.items()}


class Stack(Installation):
    """The servers, and the first installation, which has no name. more_shops: settings of shops beside the first, each with credentials
    and a catalogue of its own; "id" and "name" are given when missing."""

    def __init__(self, folder, build="release", articles=500, seed=1, api_port=0, rate=20, latency_ms=0, settings=None,
                 shop=None, collations=("Latin1_General_CI_AS", "Latin1_General_CI_AS"), more_shops=()):
        self.bin = os.path.join(ROOT, "build", build)
        super().__init__(self, folder, "", settings, [shop or {}, *more_shops])
        # Under a sanitizer only the daemons are of interest.
        self.sandbox_bin = os.path.join(ROOT, "build", "release") if build.endswith(("asan", "tsan")) else self.bin
        self.articles, self.seed_number, self.api_port = articles, seed, api_port
        self.rate, self.latency_ms, self.collations = rate, latency_ms, collations
        self.installations = []
        self.sql = self.gateway = None
        self.sql_port = self.sql_control = self.gateway_port = self.gateway_control_port = 0
        external = os.environ.get("TEMU_TEST_TDS")
        self.external_sql = external
        self.user = os.environ.get("TEMU_TEST_TDS_USER", "sa") if external else "temu"
        self.own = os.environ.get("TEMU_TEST_TDS_OWN", "temu_test_own") if external else "toci"
        self.jtl = os.environ.get("TEMU_TEST_TDS_JTL", "temu_test_jtl") if external else "eazybusiness"
        self.password = os.environ.get("TEMU_TEST_TDS_PASSWORD", "") if external else self.kept_password()
        self.external_gateway = os.environ.get("TEMU_TEST_GATEWAY")
        self.apps = [app_of(number) for number in range(len(self.shops))]
        if self.external_gateway:
            if len(self.shops) > 1:
                raise StackError("TEMU_TEST_GATEWAY has credentials for one shop only")
            host = urllib.parse.urlparse(self.external_gateway).hostname or ""
            if host == "temu.com" or host.endswith(".temu.com"):
                raise StackError("TEMU_TEST_GATEWAY: %s is a host of TEMU; tests do not go there" % host)
            for key in self.app:
                self.app[key] = os.environ["TEMU_TEST_" + key.upper()]

    @property
    def app(self):
        return self.apps[0]

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
        environment = dict(os.environ, TEMU_SEED_PASSWORD=self.password, TEMU_SEED_SHOPS=json.dumps(self.apps))
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
        return seeding.Shop(self.seed_number, self.articles, len(self.shops))

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

    # --- all of it ---

    def start_servers(self):
        self.start_sql()
        self.prepare()
        self.start_gateway()

    def start(self):
        self.start_servers()
        self.write_config()
        self.migrate()
        super().start_daemons()

    def installation(self, name, settings=None, shops=None, proxied=False):
        """One more before the same servers, with the settings of the first where none are given; not started."""
        made = Installation(self, self.path(name), name, dict(self.settings, **(settings or {})),
                            shops or [dict(shop) for shop in self.shops], proxied)
        self.installations.append(made)
        return made

    def prepare(self):
        done = self.path("state", "seeded")
        if not os.path.exists(done):
            self.seed()
            with open(done, "w", encoding="ascii") as file:
                file.write("%d %d\n" % (self.seed_number, self.articles))

    def stop(self):
        """The daemons first, so that nothing is lost on the way; returns the exit codes of the own processes. Nothing is left running."""
        codes, failure = {}, None
        for stop in [made.stop for made in self.installations] + [super().stop, self.stop_servers]:
            try:
                codes.update(stop())
            except StackError as error:
                failure = failure or error
        if failure:
            raise failure
        return codes

    def stop_servers(self):
        codes = {}
        for name in ("gateway", "sql"):
            process = getattr(self, name)
            setattr(self, name, None)
            if process is not None:
                codes[process.name] = process.stop()
        return codes

    # --- asking the servers ---

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

    @staticmethod
    def mall_id(shop=0):
        return seeding.mall_id(shop)

    def temu_stock(self, shop=0):
        """The truth at the gateway of the number-th shop, from 0: {sku_id: row}."""
        if self.external_gateway:
            return {sku_id: {"sku_id": sku_id, "goods_id": int(row["goodsId"]), "sku_sn": row.get("skuSn") or "", "stock": int(row["stock"]),
                             "status": row["status"]} for sku_id, row in temu_client.list_skus(self.gateway_url, self.app).items()}
        return {row["sku_id"]: row for row in self.gateway_control("GET", "/stock?shop=%d" % seeding.mall_id(shop))["skus"]}

    def temu_writes(self, since=0):
        """Every stock edit that was applied, behind this number: rows of number, time_ms, mall_id, sku_id, was, now, via."""
        answer = self.gateway_control("GET", "/writes?since=%d" % since)
        if answer["dropped"]:
            raise StackError("the gateway's list of writes is not whole")
        return answer["writes"]

    def temu_calls(self, since=0):
        """The last 10,000 calls behind this number, refused ones too."""
        return self.gateway_control("GET", "/calls?since=%d" % since)["calls"]

