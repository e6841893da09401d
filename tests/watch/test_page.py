"""The live page in a headless Chromium while `jj` extracts: what it says is held against /metrics and against what was fed."""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from looks import COLOURED, FAINT, PHONE
from paced import LINGER, ROOT
from scrapes import PATIENCE, announced, kill, value, wait_for

# Texts that do not fit into their boxes.
CUT = "[...document.querySelectorAll('.card, .tile p')].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.innerText)"
SCREENSHOT = os.environ.get("JJ_SCREENSHOT")


@pytest.fixture(scope="session")
def captures(tmp_path_factory):
    """Files that are one capture under many names, as much input as a test wants from little disk."""
    folder = tmp_path_factory.mktemp("captures")
    subprocess.run([sys.executable, ROOT / "benches" / "make_capture.py", folder / "0.pcap", "--packets", "100000"], check=True, timeout=PATIENCE)

    def many(count):
        for i in range(1, count):
            if not (folder / f"{i}.pcap").exists():
                os.link(folder / "0.pcap", folder / f"{i}.pcap")
        return [folder / f"{i}.pcap" for i in range(count)]

    return many


class FileRun:
    """`jj extract` over files of known size, to a reader of its CSV that takes `pace` bytes per second, or any number when that is
    None: the run goes no faster than its output is taken. Rows leave by batches of some 10 MB, and captures are read that far ahead."""

    def __init__(self, jj, files, pace, output="-"):
        self.pace = pace
        self.child = subprocess.Popen(
            [jj, "extract", *files, "-o", output, "--set", "close_timeout=0.5", "--set", "connection_window=60", "--workers", "2", "--no-progress", "--prometheus-port", "0", "--prometheus-linger", str(LINGER)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.url = announced(self.child)
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self):
        while taken := self.child.stdout.read1(1 << 16):
            end = time.monotonic() + (len(taken) / self.pace if self.pace else 0)
            while self.pace and time.monotonic() < end:
                time.sleep(0.01)

    def kill(self):
        kill(self.child)


@pytest.fixture
def file_run(jj, captures):
    runs = []

    def start(count, pace, **options):
        runs.append(FileRun(jj, captures(count), pace, **options))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()


def test_figures_agree_with_the_run_while_it_goes_on_and_when_it_has_ended(paced_run, visit, tmp_path):
    run = paced_run("-o", tmp_path / "rows.parquet", rate=5000)
    v = visit(run.url)
    v.state("running: pcap")
    # A rate of packets; what rate is right is for tests/watch/test_page_states.py, where no machine is in between.
    v.until(lambda: v.number("#t-packets") > 0)
    v.until(lambda: v.number("#t-bytes") > 0 and v.number("#t-active") > 0 and v.number("#t-flows") > 0)
    v.until(lambda: re.search(r"MB of captures read, of an input whose size is not known · \d+ s so far", v.text("#run-text")))
    assert v.page.get_attribute("#progress", "value") is None and v.page.is_visible("#progress")
    assert "running: pcap" in v.page.title()
    before = v.number("#s-packets")
    v.until(lambda: v.number("#s-packets") > before)
    assert v.number("#s-packets") <= run.packets
    v.until(lambda: "fin" in swatches(v))
    fin = swatches(v)["fin"]

    run.finish()
    v.state("finished")
    assert v.text("#run-title") == "Finished"
    end = run.scrape()
    assert v.number("#s-packets") == run.packets == value(end, "joyfuljay_packets_total")
    flows = v.rows("l-flows")
    for reason, cells in flows.items():
        assert float(cells[-1].replace(",", "")) == value(end, "joyfuljay_flows_total", f'reason="{reason}"'), reason
    assert set(flows) == {"fin", "rst", "timeout", "completed", "evicted", "kafka"}
    total = sum(float(cells[-1].replace(",", "")) for cells in flows.values())
    assert total == v.number("#s-flows") == float(v.rows("l-output")["parquet"][0].replace(",", "")) > 0
    assert {name: cells[-1] for name, cells in v.rows("l-errors").items()} == {"parsing": "0", "extraction": "0", "output": "0"}
    assert [v.text(tile) for tile in ("#t-errors", "#t-drops", "#t-active")] == ["0", "0", "0"]
    assert set(v.rows("l-batches")) == {"decode", "track", "extract", "output"}
    assert v.rows("l-runs")["pcap"][:2] == ["1", "0"]
    v.until(lambda: v.text("#t-packets") == "0")
    # A line keeps its colour when another one comes: flows that were open at the end.
    v.until(lambda: "completed" in swatches(v))
    assert swatches(v)["fin"] == fin != swatches(v)["completed"]


def swatches(v):
    """The colours of the lines of the flows that ended, by reason."""
    return v.page.evaluate("Object.fromEntries([...document.querySelectorAll('figure:nth-child(4) .legend button')].map((b) => [b.textContent.match(/[a-z]+/)[0], getComputedStyle(b.firstChild).backgroundColor]))")


def test_who_comes_after_the_end_sees_how_it_went(paced_run, visit):
    run = paced_run("-o", "-", "-f", "csv", rate=5000)
    wait_for(lambda: len(past(run)["samples"]) > 3 and value(run.scrape(), "joyfuljay_flows_total", 'reason="fin"') > 0)
    run.finish()
    v = visit(run.url)
    v.state("finished")
    # The lines of the packets and of the flows by reason, of a time when this page was not open.
    v.until(lambda: "fin" in v.text("figure:nth-child(4) .legend") and v.page.evaluate(COLOURED, 4))
    v.until(lambda: v.text("#t-packets") == v.text("figure:nth-child(1) .legend b") == "0")
    assert [v.text(f"{of} h3") for of in (".tile.c2", ".tile.c5")] == ["IP bytes/s", "Rows written"]
    assert v.text("#s-rows").endswith("of output")


def past(run):
    return json.loads(urllib.request.urlopen(run.url + "/history", timeout=PATIENCE).read())


def test_progress_of_files_and_the_time_left(file_run, visit):
    # Some 250 MB of output, four minutes of it: a page that a busy machine opens late still sees the run go on, with more than one batch to come.
    run = file_run(40, pace=1_000_000)
    v = visit(run.url)
    pattern = r"[\d.]+ % · [\d.]+ [MG]B of 1\.9\d GB of captures read · (\d+ min )?\d+ s so far · about .+ left"
    v.until(lambda: re.fullmatch(pattern, v.text("#run-text")))
    assert 0 < float(v.page.get_attribute("#progress", "value")) < 1
    assert v.text("#run-title") == "Reading captures"
    run.pace = None
    v.state("finished")
    assert v.page.get_attribute("#progress", "value") == "1"
    assert v.text("#run-text").startswith("4,000,000 packets, ")
    assert "ended well" in v.text("#run-note")


def test_every_control_is_named_reached_by_keyboard_and_works(paced_run, visit):
    run = paced_run("-o", "-", "-f", "csv", rate=5000)
    v = visit(run.url)
    page = v.page
    v.until(lambda: "fin" in v.text("figure:nth-child(4) .legend") and v.number("#t-flows") > 0)

    # Whatever can be used has a name and is reached with the Tab key alone.
    controls = "a[href], button, select, [tabindex]"
    nameless = page.evaluate("(s) => [...document.querySelectorAll(s)].filter((e) => !(e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent).trim()).length", controls)
    assert nameless == 0
    visible = page.evaluate("(s) => { window.wanted = [...document.querySelectorAll(s)].filter((e) => e.checkVisibility()); return wanted.length; }", controls)
    reached = set()
    page.evaluate("document.activeElement.blur()")
    for _ in range(visible + 2):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("wanted.indexOf(document.activeElement)"))
    assert set(range(visible)) <= reached and visible >= 6 + 4 + 5  # charts, header, names of lines

    # Theme: over the system's, and remembered.
    background = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    light = background()
    page.select_option("#theme", "dark")
    dark = background()
    assert dark != light
    page.emulate_media(color_scheme="dark")
    page.select_option("#theme", "light")
    assert background() == light
    page.reload()
    v.state("running")
    assert background() == light and page.input_value("#theme") == "light"
    page.select_option("#theme", "")
    assert background() == dark
    page.emulate_media(color_scheme="light")
    assert background() == light
    v.until(lambda: "fin" in v.text("figure:nth-child(4) .legend"))

    # The mark under the pointer, on all charts at once, and its values.
    first, last = page.locator("figure").first, page.locator("figure").last
    v.until(lambda: v.text("figure:nth-child(1) .legend b") != "–" and page.evaluate("document.querySelector('.u-over').clientWidth") > 100)
    box = first.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 50)
    v.until(lambda: re.search(r" at \d\d:\d\d:\d\d$", last.locator("figcaption").inner_text()))
    assert re.fullmatch(r"per second [\d.]+k?", first.locator(".legend").inner_text().strip())
    page.mouse.move(2, 2)
    v.until(lambda: " at " not in first.locator("figcaption").inner_text())

    # A name switches its line off and on: its colour leaves the canvas.
    fin = page.locator("figure:nth-child(4) .legend button", has_text="fin")
    drawn = lambda: page.evaluate(COLOURED, 4)  # noqa: E731
    v.until(lambda: drawn() > 20)
    fin.click()
    assert fin.get_attribute("aria-pressed") == "false"
    v.until(lambda: drawn() == 0)
    fin.press("Enter")
    assert fin.get_attribute("aria-pressed") == "true"
    v.until(lambda: drawn() > 20)

    # Arrow keys read values out; Escape ends that.
    first.locator(".u-over").focus()
    page.keyboard.press("ArrowLeft")
    earlier = v.text("#said")
    assert re.match(r"Packets, |\d\d:\d\d:\d\d: per second ", earlier)

    def before():
        page.keyboard.press("ArrowLeft")
        return v.text("#said")[:8] < earlier[:8]

    v.until(before)
    page.keyboard.press("Escape")
    v.until(lambda: " at " not in first.locator("figcaption").inner_text())

    # Zoom by dragging; back by the button, and by a double click. It takes 2 s of samples to be worth it: before, nothing happens.
    def zoomed():
        box = first.locator(".u-over").bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60, steps=4)
        page.mouse.up()
        return page.is_visible("#unzoom")

    for back in (lambda: page.click("#unzoom"), lambda: first.locator(".u-over").dblclick()):
        v.until(zoomed)
        back()
        page.wait_for_selector("#unzoom", state="hidden")

    for seconds in ("60", "900", "3600", "300"):
        page.select_option("#window", seconds)

    # Paused, the figures stand still and the page says so.
    page.click("#pause")
    assert v.text("#state") == "paused" and page.get_attribute("#pause", "aria-pressed") == "true"
    still, asked = v.text("#s-packets"), len(v.requests)
    wait_for(lambda: value(run.scrape(), "joyfuljay_packets_total") > v.number("#s-packets") + 5000)
    page.wait_for_timeout(1500)  # longer than it takes to ask again
    assert v.text("#s-packets") == still and len(v.requests) <= asked + 1
    page.click("#pause")
    v.state("running")
    v.until(lambda: v.text("#s-packets") != still)

    with page.expect_navigation():
        page.click("footer a")
    assert "joyfuljay_packets_total" in page.inner_text("body")


def test_contrast_and_width_in_both_schemes_and_on_a_phone(paced_run, visit, tmp_path):
    run = paced_run("-o", tmp_path / "rows.csv", rate=5000)
    v = visit(run.url)
    v.until(lambda: v.number("#t-flows") > 0)

    def looks(state):
        for scheme in ("light", "dark"):
            v.page.emulate_media(color_scheme=scheme)
            assert v.page.evaluate(FAINT) == [], f"{state}, {scheme}"
        for viewport in (PHONE, {"width": 820, "height": 900}, {"width": 1280, "height": 900}):
            v.page.set_viewport_size(viewport)
            # The charts follow their boxes in a later frame.
            v.until(lambda: v.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"])  # noqa: B023
            v.until(lambda: v.page.evaluate(CUT) == [])

    looks("running")
    run.finish()
    v.state("finished")
    looks("finished")
    v.may_fail = True
    run.kill()
    v.state("no connection")
    looks("lost")


def test_a_lost_connection_is_said_and_found_again(paced_run, visit, tmp_path):
    run = paced_run("-o", tmp_path / "rows.csv", rate=20_000)
    v = visit(run.url)
    v.until(lambda: v.number("#s-packets") > 30_000 and v.number("#t-packets") > 0)
    v.may_fail = True
    run.kill()
    v.state("no connection")
    assert v.text("#run-title") == "Connection lost" and "nothing answers there" in v.text("#run-text")
    assert v.number("#s-packets") > 30_000  # what was known stays
    port = run.address.rsplit(":", 1)[1]
    again = paced_run("-o", tmp_path / "rows.csv", rate=2000, port=port)
    v.state("running")
    v.may_fail = False
    # Another process: its own totals, and no rate across the two.
    v.until(lambda: 0 < v.number("#t-packets") < 15_000)
    assert v.number("#s-packets") <= again.packets
    again.finish()
    v.state("finished")
    assert v.number("#s-packets") == again.packets


def test_runs_of_a_python_process_one_after_another_and_at_once(visit, captures, tmp_path):
    if importlib.util.find_spec("joyfuljay") is None:
        pytest.skip("the Python package is not installed: pip install .")
    from joyfuljay import Config, Pipeline
    from joyfuljay.monitoring import PrometheusMetrics, start_prometheus_server
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry=registry)
    capture = captures(1)[0].read_bytes()

    def run(path):
        for _ in Pipeline(Config(features=["timing"]), metrics=metrics).iter_features(str(path)):
            pass

    def held(name):
        """A run over a pipe that has half of a capture, and its other half once asked for."""
        path = tmp_path / name
        os.mkfifo(path)
        thread = threading.Thread(target=run, args=(path,))
        thread.start()
        pipe = open(path, "wb")
        pipe.write(capture[: len(capture) // 2])
        pipe.flush()

        def finish():
            with pipe:
                pipe.write(capture[len(capture) // 2 :])
            thread.join(PATIENCE)

        return finish

    with start_prometheus_server(0, "127.0.0.1", registry=registry) as server:
        v = visit(server.url.removesuffix("/metrics").rstrip("/"))
        v.state("idle")
        assert v.text("#run-title") == "No run yet"
        run(captures(1)[0])
        v.state("finished")
        assert v.number("#s-packets") == 100_000
        second = held("second")
        v.state("running: pcap")
        v.until(lambda: re.match(r"2\d.\d MB of captures read, of an input whose size is not known", v.text("#run-text")))
        assert "1 run has ended before" in v.text("#run-note")
        third = held("third")
        v.state("running: 2 × pcap")
        assert v.text("#run-title") == "2 runs at once: 2 × pcap" and not v.page.is_visible("#progress")
        second()
        third()
        v.state("finished")
        assert v.text("#run-title") == "Finished: all 3 runs ended well" and v.number("#s-packets") == 300_000
        v.close()


@pytest.mark.skipif(not SCREENSHOT, reason="JJ_SCREENSHOT=docs/images/live-page.png makes the picture of the documentation")
def test_screenshot(file_run, visit, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="the picture is made small by Pillow: pip install pillow")
    run = file_run(900, pace=None, output=tmp_path / "flows.parquet")
    v = visit(run.url, viewport={"width": 1280, "height": 800})
    v.until(lambda: float(v.page.get_attribute("#progress", "value") or 0) > 0.62)
    assert v.text("#state") == "running: pcap", "the run was too quick for a picture"
    to = pathlib.Path(SCREENSHOT)
    v.page.screenshot(path=to, full_page=True)
    image.open(to).quantize(256, dither=image.Dither.NONE).save(to, optimize=True)
    assert to.stat().st_size < 200_000, "too big for the repository"
