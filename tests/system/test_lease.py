"""One writer per shop in the world: two installations, copies of one, killed ones, cut wires, and the system that ran here before. The
gateway says who called: no call that could change something comes from one that has no right to."""

import os
import random
import shutil
import signal
import socket
import tempfile

import support
from support import BUILD, QUICK, Stack, StackCase, await_condition, oracle

EDIT = "bg.local.goods.stock.edit"
LONG_S, SHORT_S = 60, 2
# The guard is not what is looked at here.
FIRST, SECOND = ({"id": number, "raise_share_percent": 100, "zero_share_percent": 100} for number in (1, 2))


class Leases(StackCase):
    """The servers for the class; each test starts installations of its own, with no lease left over."""
    orders_faults, articles = True, 150
    rounds = int(os.environ.get("TEMU_TEST_KILLS") or 60) // 10

    @classmethod
    def setUpClass(cls):
        cls.skip_elsewhere()
        cls.folder = tempfile.mkdtemp(prefix="temu-")
        cls.stack = Stack(cls.folder, BUILD, cls.articles, cls.seed, rate=cls.rate,
                          settings=dict(QUICK, **{"lease.ttl_s": LONG_S, "old_system.quiet_s": 2, "temu.in_flight": 4}),
                          shop=FIRST, more_shops=(SECOND,))
        try:
            cls.stack.start_servers()
            cls.stack.write_config()
            cls.stack.migrate()
            cls.model = cls.stack.model()
        except BaseException:
            cls.tearDownClass()
            raise

    def setUp(self):
        self.begun = self.calls()

    def tearDown(self):
        self.stack.gateway_control("POST", "/clear")
        self.stack.sql_control_line("clear")
        for made in self.stack.installations:
            made.stop()
        self.assert_clean_logs()
        for made in self.stack.installations:
            shutil.rmtree(made.folder)
        self.stack.installations.clear()
        self.rows("DELETE FROM dbo.temu_lease; DELETE FROM dbo.scheduler_logs; SELECT 1")

    def start(self, name, ttl_s=LONG_S, gate="stock", proxied=False, shops=(FIRST,), **settings):
        made = self.stack.installation(name, dict(settings, **{"lease.ttl_s": ttl_s}), [dict(shop) for shop in shops], proxied)
        made.start()
        if gate != "off":
            for shop in made.shops:
                made.open_gate(gate, shop["id"])
        return made

    @staticmethod
    def identity(made):
        with open(made.path("state", "installation"), encoding="ascii") as file:
            return file.read().strip()

    def lease(self):
        """(installation, epoch) of the row."""
        rows = self.rows("SELECT installation, epoch FROM dbo.temu_lease WHERE shop = 1")
        return rows[0] if rows else (None, 0)

    def held_run(self, made, *codes, mode="full", **params):
        """A run that waits for one of these reasons."""
        status, _, answer = made.execute(mode, **params)
        self.assertEqual(status, 202, answer)
        return self.await_held(made, answer["run_id"], *codes)

    def await_held(self, made, run_id, *codes):
        run = made.await_run(run_id, states=("held", "success", "partial", "failed"))
        self.assertEqual(run["state"], "held", run)
        self.assertIn(run["error"]["code"], codes, run)
        if run["rescues"] == 0:
            self.assertEqual(run["attempt"], 0, "waiting spends no attempt")
        return run

    def assert_waits(self, made, run_id):
        """Held, or just looking whether it may go on."""
        self.assertIn(made.run(run_id)["state"], ("held", "running", "queued"))

    def cancel(self, made, run):
        made.request("POST", "/api/runs/%s/cancel" % run["run_id"])
        self.assertEqual(made.await_run(run["run_id"])["state"], "cancelled")

    def assert_success(self, run):
        self.assertEqual(run["state"], "success", run)
        return run

    def assert_names(self, run, holder):
        """Who, where and when."""
        for word in (self.identity(holder), socket.gethostname()):
            self.assertIn(word, run["error"]["text"])
        self.assertRegex(run["error"]["text"], r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")

    def edits_of(self, made, since=None):
        """Stock calls of this test, or behind a number, whatever became of them."""
        calls = self.stack.temu_calls(self.begun if since is None else since)
        return [call for call in calls if call["type"] == EDIT and call["via"] == made.name]

    def calls(self):
        return self.stack.gateway_control("GET", "/stats")["total"]

    def await_alarm(self, made, code):
        await_condition(lambda: made.alarms(code), what="alarm " + code)

    def await_state(self, made, *states):
        await_condition(lambda: made.shop_state()["lease"]["state"] in states, what="lease " + "/".join(states))
        return made.shop_state()["lease"]

    def slow_edits(self, delay_ms=60):
        self.stack.gateway_control("POST", "/fault", {"kind": "slow", "count": -1, "delay_ms": delay_ms, "type": EDIT})

    def in_mid_push(self, made, least=3):
        """A run of many pieces that has begun to send; its id."""
        wanted = self.change_stock(120)
        now = self.stack.temu_stock()
        changed = [sku_id for sku_id, value in wanted.items() if now[sku_id]["stock"] != value]
        self.assertGreater(len(changed), 60)
        self.slow_edits()
        since = self.calls()
        status, _, answer = made.execute("full")
        self.assertEqual(status, 202, answer)
        await_condition(lambda: len(self.edits_of(made, since)) >= least, what="the push")
        return answer["run_id"]

    def take_over(self, made, holder):
        """Asked for over the API; returns when the row says so."""
        epoch = self.lease()[1]
        status, _, answer = made.request("POST", "/api/shops/1/lease", {"from": self.identity(holder), "reason": "test"})
        self.assertEqual(status, 202, answer)
        await_condition(lambda: self.lease() == (self.identity(made), epoch + 1), what="the taking over")
        return self.calls()

    # --- two installations ---

    def test_the_second_is_refused_by_name_host_and_time(self):
        one = self.start("one")
        self.assert_success(one.sync())
        lease = self.await_state(one, "held")
        self.assertEqual((lease["installation"], lease["epoch"]), (self.identity(one), 1))
        two = self.start("two")
        seen = self.await_state(two, "foreign")
        self.assertEqual((seen["installation"], seen["host"]), (self.identity(one), socket.gethostname()))
        self.await_alarm(two, "LEASE_FOREIGN")
        self.change_stock(10)
        run = self.held_run(two, "LEASE_FOREIGN")
        self.assert_names(run, one)
        blocked = two.shop_state()["blocked"]
        self.assertEqual(blocked["code"], "LEASE_FOREIGN")
        self.cancel(two, run)
        self.assert_success(two.sync(dry_run=True))
        self.assert_success(one.sync())
        self.assert_in_step()
        self.assertIsNone(one.shop_state()["blocked"])
        self.assertEqual(self.edits_of(two), [])
        self.assertEqual(self.lease(), (self.identity(one), 1))
        self.assertEqual(len(two.alarms("LEASE_FOREIGN")), 1)

    def test_a_shut_gate_does_not_make_a_second_writer(self):
        one = self.start("one")
        self.assert_success(one.sync())
        two = self.start("two", gate="off")
        self.held_run(two, "LEASE_FOREIGN")
        before = self.rows("SELECT sku_id, known, wanted, seen_run FROM dbo.temu_ledger ORDER BY sku_id")
        self.cancel(two, two.request("GET", "/api/runs")[2]["runs"][0])
        self.assertEqual(self.rows("SELECT sku_id, known, wanted, seen_run FROM dbo.temu_ledger ORDER BY sku_id"), before)

    def test_two_start_at_once_and_one_wins(self):
        both = [self.stack.installation(name, shops=[dict(FIRST)]) for name in ("one", "two")]
        for made in both:
            made.write_config()
            made.start_workers()
        for made in both:
            made.start_api()
        for made in both:
            made.await_ready()
            made.open_gate("stock")
        states = sorted(self.await_state(made, "held", "foreign")["state"] for made in both)
        self.assertEqual(states, ["foreign", "held"])
        self.assertEqual(self.lease()[1], 1)
        self.change_stock(10)
        winner, loser = sorted(both, key=lambda made: made.shop_state()["lease"]["state"] != "held")
        self.held_run(loser, "LEASE_FOREIGN")
        self.assert_success(winner.sync())
        self.assertEqual(self.edits_of(loser), [])

    def test_an_expired_foreign_lease_is_still_foreign(self):
        one = self.start("one", ttl_s=SHORT_S)
        self.assert_success(one.sync())
        one.workers.kill()
        two = self.start("two", ttl_s=SHORT_S)
        await_condition(lambda: self.rows("SELECT CASE WHEN expires_at < SYSUTCDATETIME() THEN 1 ELSE 0 END FROM dbo.temu_lease") == [(1,)],
                        what="the expiry")
        run = self.held_run(two, "LEASE_FOREIGN")
        self.assert_names(run, one)
        self.take_over(two, one)
        self.assert_success(two.await_run(run["run_id"]))

    # --- the same installation ---

    def test_killed_in_mid_push_it_resumes_at_once(self):
        one = self.start("one")
        self.assert_success(one.sync())
        epoch = self.lease()[1]
        run_id = self.in_mid_push(one)
        one.workers.kill()
        self.stack.gateway_control("POST", "/clear")
        one.start_workers()
        one.await_ready()
        self.assert_success(one.await_run(run_id, timeout=LONG_S // 4))
        self.assertGreater(self.lease()[1], epoch, "every taking raises the epoch")
        self.assert_success(one.sync())
        self.assert_in_step()

    def test_stopped_in_good_order_it_resumes_at_once(self):
        one = self.start("one")
        self.assert_success(one.sync())
        self.change_stock(5)
        self.assertEqual(one.workers.stop(), 0)
        self.assertEqual(self.rows("SELECT CASE WHEN expires_at <= SYSUTCDATETIME() THEN 1 ELSE 0 END FROM dbo.temu_lease"), [(1,)])
        one.start_workers()
        one.await_ready()
        self.assert_success(one.sync("quick"))
        self.assert_in_step()

    def frozen_clone(self, made, name):
        """The copy of a machine: as it was in one moment."""
        os.kill(made.workers.pid, signal.SIGSTOP)
        try:
            return made.clone(name)
        finally:
            os.kill(made.workers.pid, signal.SIGCONT)

    def test_a_copy_is_refused_while_the_original_lives(self):
        one = self.start("one")
        self.assert_success(one.sync())
        run_id = self.in_mid_push(one)
        copy = self.frozen_clone(one, "copy")
        self.assertEqual(self.identity(copy), self.identity(one))
        copy.start()
        self.assertEqual(copy.shop_state()["writes"], "stock", "the copy believes that it may")
        self.await_held(copy, run_id, "LEASE_ELSEWHERE")
        self.assertEqual(self.await_state(copy, "elsewhere")["installation"], self.identity(one))
        self.stack.gateway_control("POST", "/clear")
        self.assert_success(one.await_run(run_id))
        self.change_stock(8)
        self.assert_success(one.sync())
        self.assert_in_step()
        self.assertEqual(self.edits_of(copy), [])
        self.assert_waits(copy, run_id)
        # Now the copy is meant to go on: the original is stopped.
        one.workers.stop()
        self.assertIn(copy.await_run(run_id)["state"], ("success", "partial"))
        self.assert_success(copy.sync())
        self.assert_in_step()
        # And the original is the copy now.
        since = self.calls()
        one.start_workers()
        one.await_ready()
        self.held_run(one, "LEASE_ELSEWHERE")
        self.assertEqual(self.edits_of(one, since), [])

    def test_a_copy_goes_on_when_the_original_is_dead_and_its_time_is_over(self):
        one = self.start("one", ttl_s=SHORT_S)
        self.assert_success(one.sync())
        copy = self.frozen_clone(one, "copy")
        one.workers.kill()
        self.change_stock(6)
        copy.start()
        run_id = copy.execute("full")[2]["run_id"]
        self.assert_success(copy.await_run(run_id))
        self.assert_in_step()

    # --- taking over ---

    def test_after_a_taking_over_the_old_one_writes_nothing_more(self):
        one = self.start("one")
        self.assert_success(one.sync())
        two = self.start("two")
        self.await_state(two, "foreign")
        since = self.take_over(two, one)
        self.assertEqual(self.lease()[1], 2)
        lease = self.await_state(two, "held")
        self.assertEqual((lease["installation"], lease["epoch"]), (self.identity(two), 2))
        self.change_stock(10)
        run = self.held_run(one, "LEASE_LOST", "LEASE_FOREIGN", mode="quick")
        self.assert_names(run, two)
        self.assert_success(two.sync())
        self.assert_in_step()
        self.assertEqual(self.edits_of(one, since), [])
        self.assertIn(one.shop_state()["lease"]["state"], ("foreign", "lost"))

    def test_the_old_one_notices_by_itself(self):
        one = self.start("one", ttl_s=SHORT_S)
        self.await_state(one, "held")
        two = self.start("two", ttl_s=SHORT_S)
        self.await_state(two, "foreign")
        self.take_over(two, one)
        self.await_state(one, "lost", "foreign")
        self.await_alarm(one, "LEASE_LOST")

    def test_taking_over_from_the_wrong_one_is_refused(self):
        one = self.start("one")
        self.await_state(one, "held")
        two = self.start("two")
        self.await_state(two, "foreign")
        for body, status, code in (({"from": "0" * 32}, 409, "LEASE_NOT_FOREIGN"), ({}, 400, "BAD_REQUEST"),
                                   ({"from": self.identity(two)}, 409, "LEASE_NOT_FOREIGN")):
            answer = two.request("POST", "/api/shops/1/lease", body)
            self.assertEqual((answer[0], answer[2]["code"]), (status, code), body)
        self.assertEqual(two.request("POST", "/api/shops/77/lease", {"from": self.identity(one)})[0], 404)
        self.assertEqual(self.lease(), (self.identity(one), 1))

    def test_taken_over_in_mid_push(self):
        one = self.start("one", **{"temu.push_batch": 1})
        self.assert_success(one.sync())
        two = self.start("two")
        self.await_state(two, "foreign")
        run_id = self.in_mid_push(one)
        since = self.take_over(two, one)
        self.await_held(one, run_id, "LEASE_LOST", "LEASE_FOREIGN")
        # Whoever had looked at its lease right before may have sent one more each.
        self.assertLessEqual(len(self.edits_of(one, since)), 4)
        self.assertTrue(self.differences(), "the push was not over")
        since = self.calls()
        self.stack.gateway_control("POST", "/clear")
        self.assert_success(two.sync())
        self.assertEqual(self.differences(), {})
        self.assert_waits(one, run_id)
        self.assertEqual(self.edits_of(one, since), [])
        # Back again: it reads everything afresh and finds nothing to do.
        self.take_over(one, two)
        self.assertIn(one.await_run(run_id)["state"], ("success", "partial"))
        self.assertEqual(self.differences(), {})

    def test_frozen_in_mid_push_and_thawed_after_a_taking_over(self):
        """A machine that slept: it wakes with a plan of yesterday."""
        one = self.start("one", **{"temu.push_batch": 1})
        self.assert_success(one.sync())
        two = self.start("two")
        self.await_state(two, "foreign")
        run_id = self.in_mid_push(one)
        os.kill(one.workers.pid, signal.SIGSTOP)
        try:
            self.take_over(two, one)
            self.stack.gateway_control("POST", "/clear")
            self.change_stock(100, start=10)
            self.assert_success(two.sync())
            self.assertEqual(self.differences(), {})
            since = self.calls()
        finally:
            os.kill(one.workers.pid, signal.SIGCONT)
        self.await_held(one, run_id, "LEASE_LOST", "LEASE_FOREIGN")
        self.assertLessEqual(len(self.edits_of(one, since)), 4, "only those that had looked right before they fell asleep")
        self.assert_success(two.sync())
        self.assertEqual(self.differences(), {})

    def test_calls_of_the_old_one_that_arrive_late(self):
        """What was under way at TEMU when the lease was lost cannot be called back; the new one sets it right."""
        one = self.start("one", proxied=True, **{"temu.push_batch": 1})
        self.assert_success(one.sync())
        two = self.start("two")
        self.await_state(two, "foreign")
        run_id = self.in_mid_push(one)
        since = self.calls()
        self.stack.gateway_control("POST", "/clear")
        self.stack.gateway_control("POST", "/fault", {"kind": "late_apply", "count": 3, "delay_ms": 1500, "type": EDIT})
        await_condition(lambda: any(call["fault"] == "late_apply" for call in self.edits_of(one, since)), what="a call that is on its way")
        one.gateway_proxy.cut()
        self.take_over(two, one)
        self.stack.gateway_control("POST", "/clear")
        self.change_stock(120)
        self.assert_success(two.sync())
        self.assertEqual(self.differences(), {})
        since, writes = self.calls(), len(self.stack.temu_writes())
        one.gateway_proxy.restore()
        await_condition(lambda: any(write["via"] == "one" for write in self.stack.temu_writes(writes)), what="what was on its way")
        self.await_held(one, run_id, "LEASE_LOST", "LEASE_FOREIGN")
        self.assertEqual(self.edits_of(one, since), [])
        self.assert_success(two.sync())
        self.assertEqual(self.differences(), {})

    def test_a_row_that_went_back_in_time(self):
        """The own database restored from a backup, or the row deleted by hand: the one that is there takes it again."""
        one = self.start("one")
        self.assert_success(one.sync())
        for statement in ("UPDATE dbo.temu_lease SET epoch = epoch - 1", "DELETE FROM dbo.temu_lease",
                          "UPDATE dbo.temu_lease SET expires_at = '2020-01-01'"):
            with self.subTest(statement=statement):
                self.rows(statement + "; SELECT 1")
                self.change_stock(5)
                self.assert_success(one.sync())
                self.assert_in_step()
                self.assertEqual(self.lease()[0], self.identity(one))

    def test_a_server_that_restarts_keeps_the_lease(self):
        one = self.start("one", **{"workers.attempts": 20})
        self.assert_success(one.sync())
        two = self.start("two")
        run_id = self.in_mid_push(one)
        self.stack.sql.kill()
        self.stack.start_sql()
        self.stack.gateway_control("POST", "/clear")
        self.assertIn(one.await_run(run_id)["state"], ("success", "partial"))
        self.held_run(two, "LEASE_FOREIGN")
        self.assert_success(one.sync())
        self.assert_in_step()
        self.assertEqual(self.edits_of(two), [])

    def test_each_shop_has_a_lease_of_its_own(self):
        """Two installations may share the work by shops; what becomes of one shop is nothing to the other."""
        one = self.start("one", shops=(FIRST, SECOND))
        two = self.start("two", shops=(SECOND,))
        for shop in (1, 2):
            self.assert_success(one.sync(shop=shop))
            self.assertEqual(self.differences(shop - 1), {})
        status, _, answer = two.request("POST", "/api/shops/2/lease", {"from": self.identity(one), "reason": "shop 2 moves"})
        self.assertEqual(status, 202, answer)
        await_condition(lambda: two.shop_state(2)["lease"]["state"] == "held", what="the taking over")
        self.change_stock(10)
        run = self.held_run(one, "LEASE_LOST", "LEASE_FOREIGN", shop=2)
        self.assert_names(run, two)
        self.assert_success(two.sync(shop=2))
        self.assert_success(one.sync(shop=1))
        for number in (0, 1):
            self.assertEqual(self.differences(number), {})
        self.assertEqual([row[0] for row in self.rows("SELECT installation FROM dbo.temu_lease ORDER BY shop")],
                         [self.identity(one), self.identity(two)])

    def test_a_long_quarrel(self):
        """Both are asked to take over from each other again and again, in mid-push, frozen, killed, cut off. Whoever has lost sends nothing
        more than what was under way, no figure is one that JTL never had, and at the end TEMU is right."""
        dice = random.Random(int(os.environ.get("SEED") or 1))
        both = []
        for name in ("one", "two"):
            both.append(self.start(name, proxied=True, **{"temu.push_batch": 1, "workers.attempts": 20, "workers.backoff_max_ms": 200}))
            self.await_state(both[-1], "held", "foreign")
        self.assert_success(both[0].sync())
        allowed = {sku_id: {value} for sku_id, value in oracle.expected(self.model).items()}
        begun = len(self.stack.temu_writes())
        for _ in range(self.rounds):
            holder, other = both if self.lease()[0] == self.identity(both[0]) else both[::-1]
            for sku_id, value in self.change_stock(60, start=dice.randrange(60)).items():
                allowed.setdefault(sku_id, set()).add(value)
            self.slow_edits(10)
            since = self.calls()
            holder.execute("full")
            await_condition(lambda: self.edits_of(holder, since), what="the push of %s" % holder.name)
            trouble = dice.choice(("none", "freeze", "kill", "cut"))
            if trouble == "freeze":
                os.kill(holder.workers.pid, signal.SIGSTOP)
            elif trouble == "kill":
                holder.workers.kill()
            elif trouble == "cut":
                holder.sql_proxy.cut()
            since = self.take_over(other, holder)
            if trouble == "freeze":
                os.kill(holder.workers.pid, signal.SIGCONT)
            elif trouble == "kill":
                holder.start_workers()
                holder.await_ready()
            holder.sql_proxy.restore()
            other.execute("full")
            await_condition(lambda: self.edits_of(other, since), what="the push of %s" % other.name)
            self.assertLessEqual(len(self.edits_of(holder, since)), 4, trouble)
        self.stack.gateway_control("POST", "/clear")
        holder = both[0] if self.lease()[0] == self.identity(both[0]) else both[1]
        for run in holder.request("GET", "/api/runs?limit=100")[2]["runs"]:
            holder.await_run(run["run_id"])
        self.assertIn(holder.sync()["state"], ("success", "partial"))
        self.assertEqual(self.differences(), {})
        self.assertEqual([write for write in self.stack.temu_writes(begun) if write["now"] not in allowed[write["sku_id"]]], [])

    # --- the network ---

    def test_cut_off_taken_over_and_back(self):
        one = self.start("one", proxied=True, **{"temu.push_batch": 1, "workers.attempts": 20, "workers.backoff_max_ms": 200})
        self.assert_success(one.sync())
        two = self.start("two")
        self.await_state(two, "foreign")
        run_id = self.in_mid_push(one)
        one.sql_proxy.cut()
        since = self.take_over(two, one)
        self.assert_success(two.sync())
        self.stack.gateway_control("POST", "/clear")
        self.assert_success(two.sync())
        self.assert_in_step()
        one.sql_proxy.restore()
        run = one.await_run(run_id, states=("held", "failed", "success", "partial"))
        self.assertEqual(run["state"], "held", run)
        self.assertIn(run["error"]["code"], ("LEASE_LOST", "LEASE_FOREIGN"))
        self.assertLessEqual(len(self.edits_of(one, since)), 4)
        self.assert_in_step()
        self.await_state(one, "foreign", "lost")

    def test_a_silent_wire_to_the_server(self):
        """Nothing passes and nothing ends: the one behind it cannot look at its lease, so it calls nobody."""
        one = self.start("one", ttl_s=SHORT_S, proxied=True, **{"database.statement_timeout_s": 60})
        self.assert_success(one.sync())
        two = self.start("two", ttl_s=SHORT_S)
        self.await_state(two, "foreign")
        one.sql_proxy.hole()
        self.change_stock(10)
        since = self.calls()
        status, _, answer = one.execute("quick")
        self.assertEqual(status, 202, answer)
        self.take_over(two, one)
        self.assert_success(two.sync())
        self.assert_in_step()
        self.change_stock(10, start=20)
        one.sql_proxy.restore()
        self.await_held(one, answer["run_id"], "LEASE_FOREIGN", "LEASE_LOST")
        self.assertEqual(self.edits_of(one, since), [])
        self.assert_success(two.sync())
        self.assert_in_step()

    def test_cut_off_and_back_with_nobody_else(self):
        one = self.start("one", ttl_s=SHORT_S, proxied=True, **{"workers.attempts": 20, "workers.backoff_max_ms": 200})
        self.assert_success(one.sync())
        run_id = self.in_mid_push(one)
        one.sql_proxy.cut()
        await_condition(lambda: self.rows("SELECT CASE WHEN expires_at < SYSUTCDATETIME() THEN 1 ELSE 0 END FROM dbo.temu_lease") == [(1,)],
                        what="the expiry")
        self.stack.gateway_control("POST", "/clear")
        one.sql_proxy.restore()
        self.assertIn(one.await_run(run_id)["state"], ("success", "partial"))
        self.assert_success(one.sync())
        self.assert_in_step()
        self.await_state(one, "held")

    def test_cut_off_from_temu(self):
        one = self.start("one", proxied=True)
        self.assert_success(one.sync())
        self.change_stock(10)
        one.gateway_proxy.cut()
        self.assertEqual(one.sync()["state"], "failed")
        self.assertEqual(self.lease(), (self.identity(one), 1), "trouble there is no reason to lose the lease")
        one.gateway_proxy.restore()
        self.assert_success(one.sync())
        self.assert_in_step()

    # --- the system that ran here before ---

    def old_system_logs(self, job="temu_inventory_sync_old"):
        self.rows("INSERT INTO dbo.scheduler_logs (job_id, job_type, level, message, [timestamp]) "
                  "VALUES (%s, 'inventory', 'INFO', N'Start', GETDATE()); SELECT 1", (job,))

    def test_the_old_system_still_runs(self):
        one = self.start("one")
        self.assert_success(one.sync())
        self.change_stock(10)
        since = self.calls()
        self.old_system_logs("sync_inventory")
        run = self.held_run(one, "OLD_SYSTEM")
        self.assertIn("sync_inventory", run["error"]["text"])
        self.assertEqual(one.shop_state()["blocked"]["code"], "OLD_SYSTEM")
        self.assertEqual(self.edits_of(one, since), [])
        self.assert_success(one.await_run(run["run_id"]))
        self.assert_in_step()
        self.assertIsNone(one.shop_state()["blocked"])

    def test_with_a_shut_gate_both_may_run(self):
        one = self.start("one", gate="off")
        self.change_stock(10)
        self.old_system_logs()
        run = self.assert_success(one.sync())
        self.assertGreater(run["result"]["planned"], 0)

    def test_the_old_system_starts_in_mid_run(self):
        one = self.start("one")
        self.assert_success(one.sync())
        self.change_stock(10)
        since = self.calls()
        self.stack.gateway_control("POST", "/fault", {"kind": "slow", "count": 1, "delay_ms": 300,
                                                      "type": "bg.local.goods.sku.list.query"})
        status, _, answer = one.execute("full")
        self.assertEqual(status, 202)
        await_condition(lambda: self.calls() > since, what="the read of TEMU")
        self.old_system_logs()
        run = self.await_held(one, answer["run_id"], "OLD_SYSTEM")
        self.assertEqual(self.edits_of(one, since), [])
        self.assert_success(one.await_run(run["run_id"]))
        self.assert_in_step()


if __name__ == "__main__":
    support.main()
