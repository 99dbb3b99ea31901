"""The release before this one is put back on a state folder, journal and schema that this one has worked on, and this one on what that one
left: nothing is lost and nothing has to be repaired. Builds the other release from the history, hence with the long campaigns only."""

import os
import shutil
import subprocess
import tempfile
import unittest

import support
from support import ROOT, StackCase

PREVIOUS = "0e98b1f"


def build_previous(folder):
    """Its two daemons; their folder. SkipTest when the history does not reach back so far."""
    if not shutil.which("git") or subprocess.run(["git", "-C", ROOT, "cat-file", "-e", PREVIOUS + "^{commit}"],
                                                 capture_output=True, check=False).returncode != 0:
        raise unittest.SkipTest("the history at hand does not hold %s" % PREVIOUS)
    with subprocess.Popen(["git", "-C", ROOT, "archive", PREVIOUS], stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", folder], stdin=archive.stdout, check=True)
    done = subprocess.run(["make", "-s", "-j2", "-C", folder, "B=build/release", "build/release/temu-api", "build/release/temu-workers"],
                          env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError("%s does not build:\n%s" % (PREVIOUS, done.stderr[-2000:]))
    return os.path.join(folder, "build", "release")


@unittest.skipUnless(os.environ.get("TEMU_TEST_LONG"), "a long campaign: TEMU_TEST_LONG=1")
class Rollback(StackCase):
    articles, seed = 120, 5
    shop_settings = {"zero_share_least": 5, "zero_share_percent": 10}

    @classmethod
    def setUpClass(cls):
        cls.sources = tempfile.mkdtemp(prefix="temu-previous-")
        try:
            cls.previous = build_previous(cls.sources)
            super().setUpClass()
            cls.current = cls.stack.bin
        except BaseException:
            shutil.rmtree(cls.sources, ignore_errors=True)
            raise

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.sources, ignore_errors=True)
        super().tearDownClass()

    def change_release(self, folder):
        self.stack.api.stop()
        self.assertEqual(self.stack.workers.stop(), 0)
        self.stack.bin = folder
        self.stack.start_workers()
        self.stack.start_api()
        self.stack.await_ready()

    def events(self):
        """Every event of the journal by its number."""
        found, start = {}, 1
        while True:
            status, _, page = self.stack.request("GET", "/api/logs?from=%d" % start)
            self.assertEqual(status, 200, page)
            found.update((event["seq"], event) for event in page["events"])
            if not page["more"]:
                return found
            start = page["events"][-1]["seq"] + 1

    def trip_the_guard(self):
        """A run that this release stops, with the alarm and whatever else it keeps of it."""
        kept = [dict(entry) for entry in self.model.stock]
        self.change_stock(60, to=0)
        run = self.sync("full")
        self.assertEqual(run["state"], "failed", run)
        changed = [(new["k"], new["w"], old["b"]) for new, old in zip(self.model.stock, kept) if new["b"] != old["b"]]
        self.model.stock = kept + self.model.stock[len(kept):]
        with self.database() as connection:
            cursor = connection.cursor()
            for article, warehouse, amount in changed:
                cursor.execute("UPDATE dbo.tlagerbestandProLagerLagerartikel SET fBestand = CONVERT(decimal(25,13), %s) "
                               "WHERE kArtikel = %d AND kWarenlager = %d", (amount, article, warehouse))
        return run["run_id"]

    def work(self, start):
        """A full and a quick run that end well and have something to do."""
        for mode, at in (("full", start), ("quick", start + 5)):
            self.change_stock(5, start=at)
            run = self.sync(mode)
            self.assertEqual(run["state"], "success", run)
            self.assert_in_step()
        return run["run_id"]

    def test_there_and_back(self):
        stopped = self.trip_the_guard()
        mine = self.work(0)
        before = self.events()
        self.change_release(self.previous)
        after = self.events()
        self.assertIn("alarm", {event["event"] for event in before.values()})
        self.assertEqual({seq: (event["event"], event.get("text")) for seq, event in after.items() if seq in before},
                         {seq: (event["event"], event.get("text")) for seq, event in before.items()}, "also what it does not know")
        for run_id, state in ((mine, "success"), (stopped, "failed")):
            self.assertEqual(self.stack.run(run_id)["state"], state)
        theirs = self.work(10)
        self.assertEqual(self.stack.request("GET", "/api/shops")[2]["shops"][0]["writes"], "stock")
        code, output = self.stack.workers_command("--migrate", "--plan")
        self.assertEqual((code, "nothing to apply" in output), (0, True), output)
        self.change_release(self.current)
        for run_id, state in ((mine, "success"), (stopped, "failed"), (theirs, "success")):
            self.assertEqual(self.stack.run(run_id)["state"], state)
        self.work(20)
        self.assert_events_whole()
        with open(self.stack.path("log", "temu-workers.log"), encoding="utf-8") as log:
            self.assertNotIn("JOURNAL_", log.read())


if __name__ == "__main__":
    support.main()
