"""What the old scripts read of a job, and what stands beside it: exactly the old documents, figures that agree with the list of runs
to the last one, in every window, also after a kill; the last result stays in sight while another run is under way."""

import json
import math

import support
from support import StackCase

JOB = "temu_inventory_sync"
O1 = ["status", "last_run", "duration_seconds", "error"]
O2 = ["success_rate", "avg_duration", "max_duration", "last_error", "error_rate", "retry_count"]
ENDED = ("success", "partial", "failed", "cancelled")


def share(part, whole):
    return "%.1f%%" % (100 * part / whole) if whole else None


def rank(values, percent):
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


class Jobs(StackCase):
    orders_faults, articles = True, 40

    def get(self, path, status=200):
        answer = self.stack.request("GET", path)
        self.assertEqual(answer[0], status, answer)
        return answer[2]

    def runs(self):
        """All of them, page by page."""
        found, before = [], ""
        while before is not None:
            page = self.get("/api/runs?job_id=%s&limit=3%s" % (JOB, "&before=" + before if before else ""))
            found, before = found + page["runs"], page["next"]
        return [run for run in found if run["state"] in ENDED]

    def slow_run(self):
        """One that does not end by itself."""
        self.stack.gateway_control("POST", "/fault", {"kind": "slow", "count": -1, "delay_ms": 20000})
        run_id = self.stack.execute()[2]["run_id"]
        self.stack.await_run(run_id, states=("running",))
        return run_id

    def end(self, run_id):
        self.stack.request("POST", "/api/runs/%s/cancel" % run_id)
        self.stack.await_run(run_id)
        self.stack.gateway_control("POST", "/clear")

    def restart(self):
        self.stack.workers.kill()
        self.stack.start_workers()
        self.stack.await_ready()

    def failed_run(self):
        self.stack.gateway_control("POST", "/fault", {"kind": "empty_page", "count": -1})
        run = self.sync()
        self.stack.gateway_control("POST", "/clear")
        return run

    def compare(self, window):
        runs, answer = self.runs(), self.get("/api/jobs/%s/kpi?window=%s" % (JOB, window))
        kpi, detail = answer["kpi"], answer["detail"]
        count = {state: sum(run["state"] == state for run in runs) for state in ENDED}
        self.assertEqual(list(answer), ["job_id", "kpi", "detail"])
        self.assertEqual(list(kpi), O2)
        self.assertEqual((detail["window"], detail["shop"], detail["states"], detail["runs"]), (window, None, count, len(runs)))
        good, judged = count["success"] + count["partial"], len(runs) - count["cancelled"]
        self.assertEqual((kpi["success_rate"], kpi["error_rate"]), (share(good, judged), share(count["failed"], judged)))
        self.assertEqual(kpi["retry_count"], sum(max(0, run["attempt"] - 1) for run in runs))
        timed = [run["duration_seconds"] for run in runs if run["duration_seconds"] is not None]
        for percent in (50, 95, 99):
            self.assertEqual(detail["duration_seconds"]["p%d" % percent], rank(timed, percent))
        self.assertEqual(kpi["max_duration"], "%.1fs" % max(timed))
        self.assertAlmostEqual(float(kpi["avg_duration"][:-1]), sum(timed) / len(timed), delta=0.051)
        for name, member in (("pushed", "changed"), ("refused", "refused")):
            self.assertEqual(detail["items"][name], sum(run[member] for run in runs))
            self.assertEqual(detail["items"][name], sum(day[name] for day in detail["days"]))
        self.assertEqual(sum(day["runs"] for day in detail["days"]), len(runs))
        by_end = sorted(runs, key=lambda run: run["finished"], reverse=True)
        told = [run for run in by_end if run["state"] != "cancelled"]
        failures = next((n for n, run in enumerate(told) if run["state"] != "failed"), len(told))
        self.assertEqual(detail["consecutive_failures"], failures)
        self.assertEqual(detail["last_success"], told[failures]["finished"])
        errors = [run["error"]["text"] for run in by_end if run["state"] == "failed"]
        self.assertEqual(kpi["last_error"], errors[0] if errors else None)
        return answer

    def test_figures_agree_with_the_runs(self):
        for number in range(4):
            self.change_stock(count=5, start=number)
            self.sync()
        self.compare("7d")
        self.assertEqual(self.failed_run()["state"], "failed")
        self.end(self.slow_run())
        answers = {window: self.compare(window) for window in ("24h", "7d", "all")}
        self.assertTrue(all(count >= 1 for state, count in answers["7d"]["detail"]["states"].items() if state != "partial"))
        self.assertEqual(answers["7d"]["detail"]["consecutive_failures"], 1)
        self.assertEqual(self.get("/api/jobs/%s/kpi" % JOB), answers["7d"])
        self.assertEqual(self.get("/api/jobs/%s/kpi?window=all&shop=1" % JOB)["kpi"], answers["all"]["kpi"])
        self.get("/api/jobs/%s/kpi?shop=2" % JOB, 404)
        self.get("/api/jobs/%s/kpi?window=1h" % JOB, 400)
        self.restart()
        self.assertEqual({window: self.compare(window) for window in answers}, answers)
        self.sync()

    def test_at_rest_it_is_the_old_document(self):
        self.sync()
        status = self.get("/api/jobs/status")
        self.assertEqual(list(status[JOB]), O1)
        self.assertEqual(status[JOB]["status"], "success")
        self.assertRegex(status[JOB]["last_run"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertRegex(json.dumps(status[JOB]["duration_seconds"]), r"^\d+(\.\d+)?$")

    def test_the_last_result_stays_beside_a_run(self):
        ended = self.sync()
        run_id = self.slow_run()
        job = self.get("/api/jobs/status")[JOB]
        self.assertEqual(list(job), O1 + ["last_result"])
        self.assertEqual((job["status"], job["error"]), ("running", None))
        self.assertEqual(job["last_result"], {"state": "success", "finished": ended["finished"],
                                              "duration_seconds": ended["duration_seconds"], "error": None})
        self.end(run_id)
        self.assertEqual(self.get("/api/jobs/status")[JOB]["status"], "cancelled")
        self.sync()

    def test_and_beside_one_that_waits_also_after_a_kill(self):
        ended = self.sync()
        self.stack.gateway_control("POST", "/fault", {"kind": "code", "code": 3000032, "count": -1})
        run_id = self.stack.execute()[2]["run_id"]
        self.stack.await_run(run_id, states=("held",))
        for restart in (False, True):
            if restart:
                self.restart()
                self.stack.await_run(run_id, states=("held",))
            job = self.get("/api/jobs/status")[JOB]
            self.assertEqual((job["status"], job["last_result"]["finished"]), ("held", ended["finished"]))
        self.end(run_id)
        self.sync()


class Shops(StackCase):
    articles, more_shops = 40, ({"name": "Second"},)

    def test_each_shop_is_told(self):
        for shop in (1, 2):
            self.sync(shop=shop)
        job = self.stack.request("GET", "/api/jobs/status")[2][JOB]
        self.assertEqual(list(job), O1 + ["shops"])
        self.assertEqual(list(job["shops"]), ["1", "2"])
        for shop in job["shops"].values():
            self.assertEqual(list(shop), O1 + ["last_result"])
        self.assertEqual([job[name] for name in O1], [job["shops"]["2"][name] for name in O1])
        one, two = ((self.stack.request("GET", "/api/jobs/%s/kpi?shop=%d" % (JOB, shop))[2]) for shop in (1, 2))
        both = self.stack.request("GET", "/api/jobs/%s/kpi" % JOB)[2]
        self.assertEqual(both["detail"]["runs"], one["detail"]["runs"] + two["detail"]["runs"])


class Fresh(StackCase):
    articles, first_run = 40, False

    def test_nothing_ran_yet(self):
        status = self.stack.request("GET", "/api/jobs/status")[2]
        self.assertEqual(status[JOB], dict(dict.fromkeys(O1), status="never"))
        kpi = self.stack.request("GET", "/api/jobs/%s/kpi?window=all" % JOB)[2]
        self.assertEqual(kpi["kpi"], dict(dict.fromkeys(O2), retry_count=0))
        self.assertEqual(kpi["detail"]["days"], [])


if __name__ == "__main__":
    support.main()
