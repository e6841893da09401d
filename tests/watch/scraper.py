"""A real Prometheus on a free port of the loopback, and what the tests ask it."""

import json
import math
import pathlib
import re
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

import yaml
from paced import ROOT
from scrapes import PATIENCE, kill, wait_for

SCRIPT = ROOT / "scripts" / "prometheus"
UNAVAILABLE = 3
SCRAPE_INTERVAL = "500ms"
# As Grafana computes it: four scrape intervals at least; here with room for a machine that is busy.
RATE_INTERVAL = "4s"


class Prometheus:
    """Scrapes `targets` twice a second by the configuration that `jj` exports, evaluates the rules as often."""

    def __init__(self, jj, folder, targets, rules=None):
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "prometheus.yml"
        rules = rules or export(jj, "alerts", self.folder / "joyfuljay-alerts.yml")
        names = [argument for target in targets for argument in ("--target", target)]
        export(jj, "prometheus-config", self.config, *names, "--scrape-interval", SCRAPE_INTERVAL, "--rule-file", rules.name)
        # How often rules are evaluated is a matter of the Prometheus, not of what it scrapes: a minute, if nobody says else.
        config = yaml.safe_load(self.config.read_text())
        config["global"]["evaluation_interval"] = SCRAPE_INTERVAL
        self.config.write_text(yaml.safe_dump(config))
        self.log = []
        self.child = subprocess.Popen(
            [SCRIPT, "run", self.config, self.folder / "data", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.url = self._announced()
        threading.Thread(target=lambda: self.log.extend(self.child.stderr), daemon=True).start()
        try:
            wait_for(self._ready)
        except BaseException:
            self.close()
            raise

    def _announced(self):
        for line in self.child.stderr:
            self.log.append(line)
            if found := re.search(r'"Listening on" address=(\S+)', line):
                return f"http://{found[1]}"
        raise AssertionError(f"prometheus ended with {self.child.wait()}: {''.join(self.log[-5:])}")

    def _ready(self):
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=PATIENCE) as answer:
                return answer.status == 200
        except urllib.error.URLError:
            assert self.child.poll() is None, "".join(self.log[-5:])
            return False

    def api(self, path, **parameters):
        """The `data` of an answer; anything but success is a failure of the test."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                answer = json.load(answer)
        except urllib.error.HTTPError as error:
            answer = json.load(error)
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]

    def query(self, expr, at=None):
        """[(labels, value)] now, or as it was at that time (seconds)."""
        data = self.api("query", query=expr, **({"time": at} if at else {}))
        assert data["resultType"] == "vector", expr
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]

    def query_range(self, expr, start, end, step=0.5):
        """[(labels, [value])]."""
        data = self.api("query_range", query=expr, start=start, end=end, step=step)
        return [(series["metric"], [float(v) for _, v in series["values"]]) for series in data["result"]]

    def one(self, expr, at=None):
        """The value of an expression that has exactly one, or None where there is none."""
        found = self.query(expr, at)
        assert len(found) < 2, f"{expr}: {found}"
        return found[0][1] if found else None

    def now(self):
        """Prometheus' own clock; every scrape and evaluation before this call lies before it."""
        return self.one("vector(time())")

    def alerts(self):
        """{alert: [annotations]} of what fires."""
        found = {}
        for alert in self.api("alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append({**alert["labels"], **alert["annotations"]})
        return found

    def close(self):
        self.child.terminate()
        try:
            self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            kill(self.child)


def export(jj, what, path, *arguments):
    """`jj export-WHAT -o PATH …`, from the folder of the path."""
    subprocess.run([jj, f"export-{what}", "-o", path, *map(str, arguments)], check=True, cwd=path.parent)
    return path


def panels(dashboard):
    """[(title, expr)] of a dashboard's queries, with its variables as Grafana fills them in."""
    found = []
    for panel in dashboard["panels"]:
        found += [(panel["title"], interpolated(dashboard, target["expr"])) for target in panel.get("targets", [])]
        found += panels({**dashboard, "panels": panel.get("panels", [])})
    return found


def interpolated(dashboard, text, **chosen):
    """Variables at "All" unless chosen: a value is then escaped for a regular expression in a string, as Grafana does."""
    values = {"__rate_interval": RATE_INTERVAL, "__range": "1h", "__range_s": "3600", "__interval": "2s", "__interval_ms": "2000"}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            values[variable["name"]] = re.escape(chosen[variable["name"]]).replace("\\", r"\\") if variable["name"] in chosen else variable["allValue"]
    for name in sorted(values, key=len, reverse=True):
        text = re.sub(rf"\$(?:{name}\b|\{{{name}(?::\w+)?\}})", lambda _, v=values[name]: v, text)
    assert "$" not in text, text
    return text


def finite(found):
    return all(math.isfinite(v) for _, v in found)
