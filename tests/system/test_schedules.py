"""Schedules in the running daemons: starts that come by themselves, over kills too, changes by hand, and configurations that are refused."""

import os
import re
import signal
import unittest

import support
from support import LiveClient, StackCase, await_condition

JOB = "temu_inventory_sync"


def schedule(name, when, **more):
    return dict({"name": name, "job": JOB, "when": when, "params": '{"mode":"quick"}'}, **more)


class Schedules(StackCase):
    settings = {"schedules": [schedule("often", "every 2s"), schedule("nightly", "30 2 * * mon-fri", shop=1, jitter_s=60, missed="once"),
                              schedule("resting", "every 1s", paused=True)]}
    articles = 40

    def schedules(self):
        status, _, page = self.stack.request("GET", "/api/schedules")
        self.assertEqual(status, 200, page)
        self.assertEqual(page["zone"], "Europe/Berlin")
        return {entry["name"]: entry for entry in page["schedules"]}

    def change(self, name, **change):
        status, _, answer = self.stack.request("PUT", "/api/schedules/" + name, change)
        self.assertEqual(status, 200, answer)
        return answer

    def runs(self):
        """The scheduled runs, oldest first."""
        status, _, page = self.stack.request("GET", "/api/runs?limit=500")
        self.assertEqual(status, 200)
        self.assertIsNone(page["next"])
        return [run for run in page["runs"] if run["trigger"] == "schedule"][::-1]

    def moments(self):
        """The first words of every scheduled run: (schedule, moment)."""
        made = []
        for run in self.runs():
            _, _, page = self.stack.request("GET", "/api/logs?from=1&run_id=" + run["run_id"])
            words = re.match(r"schedule: (\S+) of (\S+), started \d+\.\d{3} s late", page["events"][0]["text"])
            self.assertIsNotNone(words, page["events"][0])
            made.append(words.groups())
        return made

    def warnings(self):
        found, start = [], 1
        while True:
            _, _, page = self.stack.request("GET", "/api/logs?from=%d" % start)
            found += [event["text"] for event in page["events"] if event.get("level") == "WARNING"]
            if not page["more"]:
                return found
            start = page["events"][-1]["seq"] + 1

    def restart(self):
        self.stack.workers.kill()
        self.stack.start_workers()
        self.stack.await_ready()

    def test_1_starts_come_by_themselves(self):
        live = LiveClient(self.stack)
        before = self.schedules()["often"]["fires"]
        await_condition(lambda: self.schedules()["often"]["fires"] >= before + 3, what="three starts")
        state = self.schedules()
        self.assertEqual(state["often"]["source"], "file")
        self.assertLess(state["often"]["late_max_ms"], 60000)
        self.assertIsNone(state["resting"]["next"])
        self.assertRegex(state["nightly"]["next"], r"T0[01]:3[01]:")
        run = self.stack.await_run(state["often"]["last_run"])
        self.assertEqual((run["trigger"], run["params"], run["state"]), ("schedule", {"mode": "quick"}, "success"))
        self.change_stock(5)
        await_condition(lambda: self.differences() == {}, what="the stock at TEMU")
        self.assert_events_whole(live)

    def test_2_kills_cost_no_start_and_make_none_twice(self):
        kills = 20 if os.environ.get("TEMU_TEST_LONG") else 6
        for number in range(kills):
            known = self.schedules()["often"]["fires"]
            self.restart()
            if number % 2:
                await_condition(lambda: self.schedules()["often"]["fires"] > known, what="a start after kill %d" % number)
        # Little was missed, so every moment is a start, one that was refused, or one of those.
        self.change("often", paused=True)
        state = self.schedules()["often"]
        made = [moment for name, moment in self.moments() if name == "often"]
        self.assertEqual(len(made), len(set(made)), "a moment has two runs")
        self.assertTrue(all(int(moment[17:19]) % 2 == 0 for moment in made), made)
        self.assertGreaterEqual(state["fires"], kills // 2)
        self.change("often", reset=True)

    def test_3_changes_outlive_a_kill(self):
        answer = self.change("often", paused=True, when="*/5 * * * *")
        self.assertEqual((answer["paused"], answer["source"], answer["next"]), (True, "change", None))
        self.assertEqual(answer["changed_by"], "api 127.0.0.1")
        self.restart()
        state = self.schedules()["often"]
        self.assertEqual((state["when"], state["paused"], state["next"]), ("*/5 * * * *", True, None))
        self.assertEqual(state["file"], {"when": "every 2s", "paused": False})
        count = len(self.runs())
        self.change("resting", paused=False)  # another one goes on meanwhile
        await_condition(lambda: self.schedules()["resting"]["fires"] + self.schedules()["resting"]["refused"] >= 3, what="three starts")
        self.change("resting", reset=True)
        self.assertEqual([name for name, _ in self.moments()[count:]].count("often"), 0)
        self.change("often", reset=True)
        state = self.schedules()["often"]
        self.assertEqual((state["when"], state["source"]), ("every 2s", "file"))
        self.assertIn("schedule often: paused, when every 2s -> */5 * * * * (api 127.0.0.1)", self.warnings())
        for change, code in (({"when": "61 * * * *"}, 400), ({}, 400), ({"paused": True, "reset": True}, 400)):
            self.assertEqual(self.stack.request("PUT", "/api/schedules/often", change)[0], code)
        self.assertEqual(self.stack.request("PUT", "/api/schedules/nobody", {"paused": True})[0], 404)

    def test_4_a_drain_leaves_nothing_half(self):
        self.assertEqual(self.stack.workers.stop(signal.SIGTERM), 0)
        self.stack.start_workers()
        self.stack.await_ready()
        before = self.schedules()["often"]["fires"]
        await_condition(lambda: self.schedules()["often"]["fires"] > before, what="a start after the drain")
        made = self.moments()
        self.assertEqual(len(made), len(set(made)))

    def test_5_wrong_configurations_are_refused(self):
        cases = ((schedule("a", "61 * * * *"), r"temu\.yaml:\d+:\d+: schedules\[0\]\.when: .61 \* \* \* \*.: not understood: minute"),
                 (schedule("a b", "every 5m"), r"schedules\[0\]\.name"), (schedule("a", "every 5m", shop=9), r"schedules\[0\]\.shop"),
                 (schedule("a", "every 5m", job="none"), r"schedules\[0\]\.job: there is no job .none."),
                 (schedule("a", "every 5m", params="[]"), r"temu\.yaml:\d+:\d+: schedules\[0\]\.params: a JSON object"),
                 (schedule("a", "every 5m", params='{"mode":"wrong"}'), r"schedules\[0\]\.params: "))
        copy = self.stack.installation("copy", settings={})
        for wrong, words in cases:
            with self.subTest(wrong=wrong):
                copy.settings["schedules"] = [wrong]
                copy.write_config()
                code, output = copy.workers_command("--check-config")
                self.assertEqual(code, 2, output)
                self.assertRegex(output, words)
        copy.settings = dict(copy.settings, schedules=[], zone="Europe/Nowhere")
        copy.write_config()
        code, output = copy.workers_command()
        self.assertEqual(code, 2)
        self.assertRegex(output, r"temu\.yaml:\d+:\d+: zone: time zone Europe/Nowhere is not known here")


if __name__ == "__main__":
    support.main()
