"""What the live page says of metrics that no single run of `jj` brings about at will: the server's answer is put in its place."""

import time

import pytest

NEW = """
joyfuljay_packets_total 0
joyfuljay_bytes_total 0
joyfuljay_flows_total{reason="fin"} 0
joyfuljay_errors_total{stage="parsing"} 0
joyfuljay_active_flows 0
joyfuljay_active_runs{mode="pcap"} 0
joyfuljay_active_runs{mode="live"} 0
joyfuljay_runs_total{mode="pcap",result="success"} 0
joyfuljay_runs_total{mode="pcap",result="failure"} 0
process_start_time_seconds 1000
"""


class Metrics:
    """An answer of /metrics that a test changes: a new value for a sample, a sample more, or one that grows by so much a second.

    It grows with the time that passes and not with the answers, so that its rate is the same however often the page asks.
    """

    def __init__(self):
        self.lines = dict(line.rsplit(" ", 1) for line in NEW.split("\n") if line)
        self.growing = {}

    def __call__(self):
        for name, (begun, before, per_second) in self.growing.items():
            self.lines[name] = before + per_second * (time.monotonic() - begun)
        return "".join(f"{name} {number}\n" for name, number in self.lines.items())

    def __setitem__(self, name, number):
        self.lines[name] = number
        if name in self.growing:
            self.grow(name, self.growing[name][2])

    def grow(self, name, per_second):
        self.growing[name] = (time.monotonic(), float(self.lines.get(name, 0)), per_second)


@pytest.fixture
def shown(paced_run, visit):
    metrics = Metrics()
    run = paced_run("-o", "-", "-f", "csv", rate=1)
    return metrics, visit(run.url, answer=metrics)


def test_a_second_run_does_not_inherit_the_firsts_progress(shown):
    metrics, v = shown
    v.state("idle")
    assert v.text("#run-title") == "No run yet"
    metrics['joyfuljay_active_runs{mode="pcap"}'] = 1
    metrics["joyfuljay_input_size_bytes"] = 4_000_000
    metrics["joyfuljay_input_read_bytes"] = 1_000_000
    v.until(lambda: v.text("#run-text").startswith("25.0 % · 1.00 MB of 4.00 MB"))
    # Over more than one reading, and the pace gives the time left.
    metrics.grow("joyfuljay_input_read_bytes", 1000)
    v.until(lambda: "about" in v.text("#run-text") and "left" in v.text("#run-text"))
    metrics.growing.clear()
    metrics["joyfuljay_input_read_bytes"] = 4_000_000
    v.until(lambda: "all of it is read" in v.text("#run-text"))
    metrics['joyfuljay_active_runs{mode="pcap"}'] = 0
    metrics['joyfuljay_runs_total{mode="pcap",result="success"}'] = 1
    v.state("finished")
    # The next one reads something without an end: what is left of the size is older than the run.
    metrics['joyfuljay_active_runs{mode="pcap"}'] = 1
    metrics["joyfuljay_input_size_bytes"] = 0
    metrics["joyfuljay_input_read_bytes"] = 5000
    v.until(lambda: v.text("#run-text").startswith("5.00 kB of captures read, of an input whose size is not known"))
    assert v.text("#run-note").startswith("1 run has ended before")
    metrics['joyfuljay_active_runs{mode="live"}'] = 2
    v.until(lambda: v.text("#run-title") == "3 runs at once: pcap, 2 × live")
    assert not v.page.is_visible("#progress")


def test_failed_runs_are_not_called_finished(shown):
    metrics, v = shown
    metrics['joyfuljay_runs_total{mode="pcap",result="failure"}'] = 1
    v.state("failed")
    assert v.text("#run-title") == "The run failed"
    assert v.rows("l-errors")["failed runs"][-1] == "1"
    metrics['joyfuljay_runs_total{mode="pcap",result="success"}'] = 2
    v.until(lambda: v.text("#run-title") == "No run goes on: 2 ended well, 1 failed")
    metrics['joyfuljay_runs_total{mode="pcap",result="cancelled"}'] = 3
    v.until(lambda: v.text("#run-title") == "No run goes on: 2 ended well, 1 failed, 3 were stopped")


def test_a_program_that_counts_by_itself_has_no_runs_and_is_shown(shown):
    metrics, v = shown
    metrics.grow("joyfuljay_packets_total", 500)
    v.state("counting")
    v.until(lambda: 300 < v.number("#t-packets") < 700)
    metrics.growing.clear()
    v.state("idle")
    assert v.text("#t-packets") == "0"


def test_live_capture_workers_and_queues_are_shown_where_they_are(shown):
    metrics, v = shown
    v.state("idle")
    assert not v.page.is_visible("#l-workers") and not v.page.is_visible("#l-sources")
    assert v.text("#t-drops") == "0" and v.text("#s-drops") == "no live capture"
    metrics['joyfuljay_active_runs{mode="live"}'] = 1
    metrics['joyfuljay_capture_drops_total{interface="eth0",where="kernel"}'] = 12
    metrics['joyfuljay_queue_depth{queue="frames"}'] = 3
    metrics['joyfuljay_queue_capacity{queue="frames"}'] = 16
    metrics['joyfuljay_watermark_timestamp_seconds{source="eth0"}'] = 1700000000
    metrics['joyfuljay_lag_seconds{source="eth0"}'] = 2.5
    metrics['joyfuljay_worker_busy_seconds_total{worker="0"}'] = 5
    metrics.grow('joyfuljay_worker_busy_seconds_total{worker="0"}', 0.5)
    v.until(lambda: v.text("#t-drops") == "12" and v.text("#run-title") == "Capturing live traffic")
    assert "bad" in v.page.get_attribute("#tile-drops", "class")
    v.until(lambda: 25 < float(v.rows("l-workers")["worker 0"][-1].split()[0]) <= 100)
    assert v.rows("l-workers")["queue frames"][-1] == "3 of 16"
    assert v.rows("l-sources") == {
        "eth0, dropped: kernel": ["12"],
        "eth0, newest packet (UTC)": ["2023-11-14 22:13:20"],
        "eth0, behind the clock": ["2.50 s"],
    }


def test_another_process_gives_no_rate_across_the_two(shown):
    metrics, v = shown
    metrics.grow("joyfuljay_packets_total", 100)
    v.until(lambda: 0 < v.number("#t-packets") < 200)
    # It has counted more already, so that only its start says that it is another.
    metrics["process_start_time_seconds"] = 2000
    metrics["joyfuljay_packets_total"] = 5_000_000_000_000
    v.until(lambda: v.number("#s-packets") > 5_000_000_000_000)
    v.until(lambda: v.text("#t-packets") != "–")
    # A rate across the two would be a billion also if an hour had passed between two answers.
    assert v.number("#t-packets") < 1_000_000


def test_hostile_and_senseless_samples_stay_text_or_out(shown):
    metrics, v = shown
    metrics['joyfuljay_flows_total{reason="<img src=x onerror=alert(1)>"}'] = 7
    metrics['joyfuljay_flows_total{reason="a \\"quoted\\" \\\\ \\n name"}'] = 3
    metrics['joyfuljay_flows_total{reason="fin"}'] = "NaN"
    metrics["joyfuljay_bytes_total"] = "NaN"
    metrics["joyfuljay_packets_total"] = "1e18"
    metrics["this is no sample at all {{{"] = "}"
    v.until(lambda: v.text("#s-packets") == "1,000,000,000,000,000,000 in all")
    rows = v.rows("l-flows")
    assert rows["<img src=x onerror=alert(1)>"][-1] == "7" and rows['a "quoted" \\ \n name'][-1] == "3"
    assert v.page.locator("main img").count() == 0


def test_several_namespaces_are_a_choice(shown):
    metrics, v = shown
    v.state("idle")
    assert not v.page.is_visible("#namespace")
    metrics["other_packets_total"] = 77
    metrics["other_active_flows"] = 5
    v.page.wait_for_selector("#namespace", state="visible")
    v.page.select_option("#namespace", "other_")
    v.until(lambda: v.number("#s-packets") == 77 and v.text("#t-active") == "5")
    v.page.select_option("#namespace", "joyfuljay_")
    v.until(lambda: v.number("#s-packets") == 0)
