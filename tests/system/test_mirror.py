"""The journal's lines in scheduler_logs: whatever breaks between the two, every number of the journal arrives once, in its order."""

import collections
import os
import random
import signal

import support
from support import StackCase, await_condition

NOBODY = "temu-workers"
COMMIT = 'match="COMMIT TRANSACTION"'


class Mirror(StackCase):
    orders_faults, articles = True, 40
    rounds = int(os.environ.get("TEMU_TEST_KILLS") or 60) // 10

    def setUp(self):
        self.installations = [self.stack]

    def tearDown(self):
        if self.stack.sql is None or not self.stack.sql.alive():
            self.stack.start_sql()
        self.stack.sql_control_line("clear")
        self.stack.gateway_control("POST", "/clear")
        if not self.stack.workers.alive():
            self.stack.start_workers()
            self.stack.await_ready()

    # --- both sides ---

    @staticmethod
    def journal(made):
        """What every number says, in order."""
        found, start = [], 1
        while True:
            page = made.request("GET", "/api/logs?from=%d" % start)[2]
            found += page["events"]
            if not page["more"]:
                break
            start = found[-1]["seq"] + 1
        assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
        return [(event.get("run_id") or NOBODY, event["text"]) for event in found]

    def table(self, condition="1 = 1"):
        return self.rows("SELECT job_id, message FROM dbo.scheduler_logs WHERE %s ORDER BY log_id" % condition)

    @staticmethod
    def mirror(made):
        return made.request("GET", "/api/system")[2]["pools"]["mirror"]

    def await_copied(self, made=None):
        made = made or self.stack

        def whole():
            system = made.request("GET", "/api/system")[2]
            if not (system.get("pools") or {}).get("mirror"):
                return False
            mirror, last = system["pools"]["mirror"], system["workers"]["last_seq"]
            return mirror["state"] == "idle" and mirror["mark"] >= last and mirror["lag_lines"] == mirror["lag_seconds"] == 0
        await_condition(whole, timeout=60, what="the table to be whole")

    def await_state(self, state, made=None):
        await_condition(lambda: self.mirror(made or self.stack)["state"] == state, what="mirror " + state)
        return self.mirror(made or self.stack)

    def assert_each_once(self):
        """In order for one journal; of several, those of all."""
        for made in self.installations:
            self.await_copied(made)
        journals = [self.journal(made) for made in self.installations]
        if len(journals) == 1:
            self.assertEqual(self.table(), journals[0])
        else:
            wanted = collections.Counter(line for journal in journals for line in journal)
            self.assertEqual(collections.Counter(self.table()), wanted)

    def say(self, count, made=None):
        """So many lines: the gate of the shop goes to and fro."""
        for number in range(count):
            (made or self.stack).open_gate(("stock", "all")[number % 2])

    def restart_workers(self):
        self.stack.start_workers()
        self.stack.await_ready()

    # --- what happens to it ---

    def test_a_run_as_the_reports_of_before_read_it(self):
        self.change_stock()
        run = self.sync("full")
        self.assertEqual(run["state"], "success", run)
        self.assert_each_once()
        ends = self.rows("SELECT job_type, level, status, duration_seconds, error_text FROM dbo.scheduler_logs "
                         "WHERE job_id = %s AND status IS NOT NULL", (run["run_id"],))
        self.assertEqual(ends, [("temu_inventory_sync", "INFO", "SUCCESS", run["duration_seconds"], None)])
        near = self.rows("SELECT COUNT(*) FROM dbo.scheduler_logs WHERE job_id = %s AND [timestamp] > DATEADD(minute, -5, SYSDATETIME()) "
                         "AND [timestamp] < DATEADD(minute, 5, SYSDATETIME())", (run["run_id"],))
        self.assertEqual(near[0][0], len([line for line in self.journal(self.stack) if line[0] == run["run_id"]]))
        # Fresh lines of ours are not the old system's: the next run is not held.
        self.assertEqual(self.sync("quick")["state"], "success")

    def test_a_failed_run_says_why(self):
        self.stack.gateway_control("POST", "/fault", {"kind": "empty_page", "count": -1})
        run = self.sync("full")
        self.assertEqual(run["state"], "failed", run)
        self.assert_each_once()
        ends = self.rows("SELECT level, status, error_text FROM dbo.scheduler_logs WHERE job_id = %s AND status IS NOT NULL", (run["run_id"],))
        self.assertEqual([row[:2] for row in ends], [("ERROR", "FAILED")])
        self.assertIn(run["error"]["text"], ends[0][2])
        self.assertEqual(self.rows("SELECT COUNT(*) FROM dbo.scheduler_logs WHERE level = 'ERROR' AND error_text IS NULL")[0][0], 0)

    def test_wires_cut_between_insert_and_commit(self):
        before = self.mirror(self.stack)["failures"]
        for fault in ("cut-after match=scheduler_logs", "cut-before " + COMMIT, "cut-after " + COMMIT, "error 1205 13 match=scheduler_logs",
                      "error 1222 16 match=temu_log_mark", "garbage " + COMMIT):
            self.stack.sql_control_line(fault + " count=3")
            self.say(5)
            self.await_copied()
            self.stack.sql_control_line("clear")
        self.assertGreaterEqual(self.mirror(self.stack)["failures"], before + 6)
        self.assertEqual(self.sync("full")["state"], "success")
        self.assert_each_once()

    def test_killed_again_and_again(self):
        chance = random.Random(7)
        for _ in range(self.rounds):
            self.change_stock(5)
            self.stack.sql_control_line("delay %d match=scheduler_logs count=0" % chance.randrange(1, 30))
            mark = self.mirror(self.stack)["mark"] or 0
            self.assertIn(self.stack.execute("quick")[0], (202, 409))
            self.say(chance.randrange(5, 25))
            if chance.random() < 0.5:
                await_condition(lambda: (self.mirror(self.stack)["mark"] or 0) > mark, what="another batch")
            self.stack.workers.kill()
            self.stack.sql_control_line("clear")
            self.restart_workers()
        for run in self.stack.request("GET", "/api/runs?limit=500")[2]["runs"]:
            self.stack.await_run(run["run_id"])
        self.assert_each_once()

    def test_sql_server_is_down_at_the_start(self):
        self.await_copied()
        self.assertEqual(self.stack.workers.stop(signal.SIGTERM), 0)
        self.stack.sql.kill()
        self.stack.start_workers()
        await_condition(lambda: self.stack.request("GET", "/api/system")[2]["pools"], what="the workers")
        self.say(30)
        mirror = self.await_state("waiting")
        self.assertIsNone(mirror["mark"])
        self.assertIn("SQL_", mirror["error"]["code"])
        self.stack.start_sql()
        self.assert_each_once()

    def test_sql_server_goes_and_comes(self):
        self.await_copied()
        last, said = self.mirror(self.stack)["mark"], self.words_of_the_mirror()
        self.stack.sql.kill()
        self.say(25)
        mirror = self.await_state("waiting")
        self.assertEqual(mirror["mark"], last)
        self.assertGreaterEqual(mirror["lag_lines"], 25)
        await_condition(lambda: self.mirror(self.stack)["lag_seconds"] >= 1, what="a lag of a second")
        # What the mirror has to say of it stands in its own stream, once, and not in the journal.
        self.assertFalse([line for line in self.journal(self.stack) if "log mirror" in line[1]])
        self.stack.start_sql()
        self.assert_each_once()
        said = self.words_of_the_mirror()[len(said):]
        self.assertEqual([("waits" in line, "goes on" in line) for line in said], [(True, False), (False, True)], said)

    def words_of_the_mirror(self):
        with open(self.stack.path("log", "temu-workers.log"), encoding="utf-8") as log:
            return [line for line in log if "log mirror" in line]

    def test_stopped_and_started(self):
        for _ in range(3):
            self.say(40)
            self.assertEqual(self.stack.workers.stop(signal.SIGTERM), 0)
            self.restart_workers()
        self.assert_each_once()

    def test_stopped_while_the_server_says_nothing_more(self):
        self.await_copied()
        for fault in ("hang match=scheduler_logs", "hang attention=yes match=scheduler_logs", "hang " + COMMIT):
            self.stack.sql_control_line(fault)
            self.say(3)
            await_condition(lambda: (self.mirror(self.stack)["lag_seconds"] or 0) >= 0.5, what="a batch that hangs")
            self.assertEqual(self.stack.workers.stop(signal.SIGTERM), 0)
            self.stack.sql_control_line("clear")
            self.restart_workers()
        self.assert_each_once()

    def test_two_installations_each_with_its_journal(self):
        other = self.stack.installation("other", shops=[dict(id=1)])
        self.installations.append(other)
        try:
            other.start()
            for _ in range(3):
                self.say(30)
                self.say(30, other)
            self.assert_each_once()
            self.assertEqual(self.mirror(other)["conflicts"], 0)
        finally:
            other.stop()
            self.stack.installations.remove(other)
            self.rows("DELETE FROM dbo.scheduler_logs; DELETE FROM dbo.temu_log_mark; SELECT 1")
        # Somebody emptied both: everything comes again.
        self.assertEqual(self.stack.workers.stop(signal.SIGTERM), 0)
        self.restart_workers()
        self.installations.remove(other)
        self.assert_each_once()


class Off(StackCase):
    articles, settings = 40, {"mirror.enabled": False}

    def test_nothing_is_copied_until_it_is_on(self):
        self.assertEqual(self.stack.request("GET", "/api/system")[2]["pools"]["mirror"], {"enabled": False})
        self.assertEqual(self.rows("SELECT COUNT(*) FROM dbo.scheduler_logs")[0][0], 0)
        self.assertEqual(self.stack.workers.stop(signal.SIGTERM), 0)
        self.stack.settings["mirror.enabled"] = True
        self.stack.write_config()
        self.stack.start_workers()
        self.stack.await_ready()
        table = "SELECT job_id, message FROM dbo.scheduler_logs ORDER BY log_id"
        await_condition(lambda: self.rows(table) == Mirror.journal(self.stack), what="the table to be the journal")


if __name__ == "__main__":
    support.main()
