"""JTL-Wawi changes under a running installation: it is updated, taken away, restored, a warehouse is closed, a permission is lost. Each time
the run waits and says in words for what, TEMU keeps what it shows, and the run goes on by itself once the cause is gone."""

import contextlib
import select
import time

import support
from support import StackCase


class JtlCase(StackCase):
    orders_faults = True

    def setUp(self):
        self.writes = len(self.stack.temu_writes())

    def tearDown(self):
        self.stack.sql_control_line("clear")
        for database in (self.stack.jtl, self.stack.own):
            self.stack.sql_control_line("database %s online" % database)

    def master(self, statement):
        """From a session that ends again: who sets SINGLE_USER holds the database as long as he is there."""
        with self.database("master") as connection:
            connection.cursor().execute(statement)

    def jtl(self, statement):
        with self.database() as connection:
            connection.cursor().execute(statement)

    def assert_nothing_sent(self):
        self.assertEqual(len(self.stack.temu_writes()), self.writes, "TEMU was written to")

    def start_run(self, **params):
        status, _, answer = self.stack.execute("full", **params)
        self.assertEqual(status, 202, answer)
        self.addCleanup(self.end_run, answer["run_id"])
        return answer["run_id"]

    def end_run(self, run_id):
        """A test that failed leaves its run waiting."""
        if self.stack.run(run_id)["state"] not in ("success", "partial", "failed", "cancelled"):
            self.stack.request("POST", "/api/runs/%s/cancel" % run_id)
            self.stack.await_run(run_id)

    def await_held(self, run_id, code, *words):
        run = self.stack.await_run(run_id, states=("held", "success", "partial", "failed"))
        self.assertEqual(run["state"], "held", run)
        self.assertEqual(run["error"]["code"], code, run)
        for word in words:
            self.assertIn(word, run["error"]["text"])
        return run

    def held(self, code, *words, **params):
        """A run that cannot go on; nothing of its plan reaches TEMU."""
        run_id = self.start_run(**params)
        self.await_held(run_id, code, *words)
        self.assert_nothing_sent()
        return run_id

    def assert_goes_on(self, run_id):
        run = self.stack.await_run(run_id, timeout=60)
        self.assertEqual(run["state"], "success", run)
        self.assertEqual(run["attempt"], 1, "a hold spends no attempt")
        self.assert_in_step()

    def faults(self):
        return int(self.stack.sql_control_line("stats").split('"faults":')[1].split(",")[0].rstrip("}"))

    @contextlib.contextmanager
    def in_front_of(self, text):
        """A run that stands in front of the statement with this text, until `clear`."""
        before = self.faults()
        self.stack.sql_control_line("delay 60000 match=\"%s\"" % text)
        run_id = self.start_run()
        end = time.monotonic() + 20
        while self.faults() == before:
            self.assertLess(time.monotonic(), end, "the run never came to: " + text)
            select.select([], [], [], 0.01)
        yield run_id


class Update(JtlCase):
    """JTL's own update, played live: its version, then columns and views, and the way back."""

    def test_1_a_column_is_missing_and_comes_back(self):
        wanted = self.change_stock()
        self.jtl("UPDATE dbo.tversion SET cVersion = N'1.11.0.0'")
        self.jtl("EXEC sp_rename 'dbo.tArtikel.nPuffer', 'nReserve', 'COLUMN'")
        run_id = self.held("JTL_OBJECT", "nPuffer", "1.10.11.0", "1.11.0.0", self.stack.jtl)
        self.assertEqual(self.stack.alarms("JTL_CHANGED"), [])
        self.jtl("EXEC sp_rename 'dbo.tArtikel.nReserve', 'nPuffer', 'COLUMN'")
        self.assert_goes_on(run_id)
        alarms = self.stack.alarms("JTL_CHANGED")
        self.assertEqual(len(alarms), 1, alarms)
        self.assertIn("1.10.11.0 -> 1.11.0.0", alarms[0])
        self.assertGreaterEqual(len(self.stack.temu_writes()) - self.writes, len(wanted))
        self.assertEqual(self.sync()["result"]["pushed"], 0)
        self.assertEqual(len(self.stack.alarms("JTL_CHANGED")), 1, "told once")

    def test_2_a_view_that_is_made_anew_with_another_type(self):
        before = len(self.stack.alarms("JTL_CHANGED"))
        text = self.rows("SELECT m.definition FROM sys.sql_modules m JOIN sys.objects o ON o.object_id = m.object_id "
                         "WHERE o.name = 'vLagerbestandProLager'", name=self.stack.jtl)[0][0]
        self.change_stock()
        self.jtl("DROP VIEW dbo.vLagerbestandProLager")
        run_id = self.held("JTL_OBJECT", "vLagerbestandProLager")
        self.jtl(text.replace("decimal(28,14)", "decimal(30,14)"))
        self.assert_goes_on(run_id)
        alarms = self.stack.alarms("JTL_CHANGED")[before:]
        self.assertEqual(len(alarms), 1, alarms)
        self.assertIn("dbo.vLagerbestandProLager.fBestand: decimal(28,14) -> decimal(30,14)", alarms[0])

    def test_3_a_column_that_goes_between_two_statements(self):
        self.change_stock()
        with self.in_front_of("vLagerbestandProLager v") as run_id:
            self.jtl("EXEC sp_rename 'dbo.tArtikel.cLagerAktiv', 'cLagerAktivNeu', 'COLUMN'")
            self.stack.sql_control_line("clear")
        self.await_held(run_id, "JTL_OBJECT", "cLagerAktiv")
        self.assert_nothing_sent()
        self.jtl("EXEC sp_rename 'dbo.tArtikel.cLagerAktivNeu', 'cLagerAktiv', 'COLUMN'")
        self.assert_goes_on(run_id)

    def test_4_a_shut_gate_waits_too(self):
        self.change_stock()
        self.open_gate("off")
        try:
            self.jtl("EXEC sp_rename 'dbo.tStueckliste.fAnzahl', 'fMenge', 'COLUMN'")
            run_id = self.held("JTL_OBJECT", "fAnzahl")
            self.assertEqual(self.stack.items(run_id), [], "no plan out of half an answer")
            self.jtl("EXEC sp_rename 'dbo.tStueckliste.fMenge', 'fAnzahl', 'COLUMN'")
            self.assertEqual(self.stack.await_run(run_id)["state"], "success")
            self.assert_nothing_sent()
        finally:
            self.open_gate("stock")
        self.assertEqual(self.sync()["state"], "success")
        self.assert_in_step()


class Unavailable(JtlCase):
    """The database is taken away: by a person, by a restore, by JTL's own maintenance."""

    def test_single_user(self):
        self.change_stock()
        with self.database("master") as admin:
            admin.cursor().execute("ALTER DATABASE [%s] SET SINGLE_USER WITH ROLLBACK IMMEDIATE" % self.stack.jtl)
            run_id = self.held("JTL_UNAVAILABLE", "only have one user", self.stack.jtl)
            admin.cursor().execute("ALTER DATABASE [%s] SET MULTI_USER" % self.stack.jtl)
        self.assert_goes_on(run_id)

    def test_states(self):
        for state, words in (("restoring", "middle of a restore"), ("recovering", "being recovered"), ("suspect", "SUSPECT"),
                             ("offline", "offline")):
            with self.subTest(state):
                self.writes = len(self.stack.temu_writes())
                self.change_stock()
                self.stack.sql_control_line("database %s %s" % (self.stack.jtl, state))
                run_id = self.held("JTL_UNAVAILABLE", words, self.stack.jtl)
                self.stack.sql_control_line("database %s online" % self.stack.jtl)
                self.assert_goes_on(run_id)

    def test_offline_in_the_middle_of_a_run(self):
        for text in ("vLagerbestandProLager v", "tStueckliste l"):
            with self.subTest(text):
                self.writes = len(self.stack.temu_writes())
                self.change_stock()
                with self.in_front_of(text) as run_id:
                    self.master("ALTER DATABASE [%s] SET OFFLINE WITH ROLLBACK IMMEDIATE" % self.stack.jtl)
                    self.stack.sql_control_line("clear")
                self.await_held(run_id, "JTL_UNAVAILABLE", "offline")
                self.assert_nothing_sent()
                self.master("ALTER DATABASE [%s] SET ONLINE" % self.stack.jtl)
                self.assert_goes_on(run_id)

    def test_the_state_lives_over_a_restart_of_the_server(self):
        self.change_stock()
        self.stack.sql_control_line("database %s restoring" % self.stack.jtl)
        self.stack.sql.kill()
        self.stack.start_sql()
        run_id = self.held("JTL_UNAVAILABLE", "middle of a restore")
        self.stack.sql_control_line("database %s online" % self.stack.jtl)
        self.assert_goes_on(run_id)

    def test_the_own_database_is_restored_at_the_start(self):
        self.change_stock()
        self.stack.sql_control_line("database %s restoring" % self.stack.own)
        run_id = self.held("SQL_4060", "it is RESTORING", self.stack.own)
        self.stack.sql_control_line("database %s online" % self.stack.own)
        self.assert_goes_on(run_id)

    def test_the_own_database_goes_in_the_middle_of_a_run(self):
        self.change_stock()
        with self.in_front_of("vLagerbestandProLager v") as run_id:
            with self.database("master") as admin:
                admin.cursor().execute("ALTER DATABASE [%s] SET SINGLE_USER WITH ROLLBACK IMMEDIATE" % self.stack.own)
                self.await_held(run_id, "SQL_4060", "SINGLE_USER")
                self.assert_nothing_sent()
                admin.cursor().execute("ALTER DATABASE [%s] SET MULTI_USER" % self.stack.own)
        run = self.stack.await_run(run_id)
        self.assertEqual(run["state"], "success", run)
        self.assert_in_step()

    def test_the_own_database_goes_between_two_pushes_answer_and_mark(self):
        wanted = self.change_stock()
        with self.in_front_of("NULLIF(j.c") as run_id:
            with self.database("master") as admin:
                admin.cursor().execute("ALTER DATABASE [%s] SET SINGLE_USER WITH ROLLBACK IMMEDIATE" % self.stack.own)
                self.await_held(run_id, "SQL_4060", "SINGLE_USER")
                admin.cursor().execute("ALTER DATABASE [%s] SET MULTI_USER" % self.stack.own)
        self.assertEqual(self.stack.await_run(run_id)["state"], "success")
        self.assert_in_step()
        sent = [write["sku_id"] for write in self.stack.temu_writes()[self.writes:]]
        self.assertEqual(set(sent) - set(wanted), set(), "what nobody asked for")


class Warehouses(JtlCase):
    """What makes a warehouse one that may not be offered, while the shop is live."""

    def trouble(self, change, mend, words):
        self.change_stock()
        self.jtl("UPDATE dbo.tWarenLager SET %s WHERE kWarenLager = 2" % change)
        run_id = self.held("JTL_WAREHOUSE", words)
        self.jtl("UPDATE dbo.tWarenLager SET %s WHERE kWarenLager = 2" % mend)
        self.assert_goes_on(run_id)

    def test_closed(self):
        self.trouble("nAktiv = 0", "nAktiv = 1", "2 is not active")

    def test_given_to_amazon(self):
        self.trouble("nFulfillment = 2", "nFulfillment = 0", "2 is Amazon FBA")

    def test_made_a_transit_one(self):
        self.trouble("kQuellLager = 1, kZielLager = 3", "kQuellLager = 0, kZielLager = 0", "2 is a transit warehouse")

    def test_vanished(self):
        self.change_stock()
        columns = "cName, cKuerzel, nFulfillment, nLagerplatzVerwaltung, kQuellLager, kZielLager, nAktiv"
        self.jtl("SELECT %s INTO dbo.temu_kept FROM dbo.tWarenLager WHERE kWarenLager = 2" % columns)
        self.jtl("DELETE FROM dbo.tWarenLager WHERE kWarenLager = 2")
        run_id = self.held("JTL_WAREHOUSE", "2 does not exist")
        self.jtl("SET IDENTITY_INSERT dbo.tWarenLager ON INSERT INTO dbo.tWarenLager (kWarenLager, %s) SELECT 2, %s FROM dbo.temu_kept "
                 "SET IDENTITY_INSERT dbo.tWarenLager OFF DROP TABLE dbo.temu_kept" % (columns, columns))
        self.assert_goes_on(run_id)


class Restricted(JtlCase):
    """A login with what the guide gives it, that loses one table."""

    def test_select_denied_on_one_table(self):
        self.master("CREATE LOGIN plain WITH PASSWORD = '%s'" % self.stack.password)
        self.jtl("CREATE USER plain FOR LOGIN plain ALTER ROLE db_datareader ADD MEMBER plain")
        with self.database(self.stack.own) as connection:
            connection.cursor().execute("CREATE USER plain FOR LOGIN plain ALTER ROLE db_owner ADD MEMBER plain")
        self.stack.workers.stop()
        self.stack.settings["database.user"] = "plain"
        self.stack.write_config()
        self.stack.start_workers()
        self.stack.await_ready()
        self.assertEqual(self.sync()["state"], "success")
        self.change_stock()
        self.jtl("DENY SELECT ON dbo.tlagerbestandProLagerLagerartikel TO plain")
        run_id = self.held("JTL_OBJECT", "SELECT", "tlagerbestandProLagerLagerartikel")
        self.jtl("GRANT SELECT ON dbo.tlagerbestandProLagerLagerartikel TO plain")
        self.assert_goes_on(run_id)


if __name__ == "__main__":
    support.main()
