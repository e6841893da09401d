"""A visit of the live page in a real Chromium that notes whatever a page must not do: errors, what the content security policy
blocked, a request to another host."""

import math
import re
import time

from playwright.sync_api import Error
from scrapes import PATIENCE

LAUNCH = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
NO_PAST = '{"now": 0, "series": [], "samples": []}'
DESKTOP = {"width": 1280, "height": 900}


class Visit:
    def __init__(self, browser, url, answer=None, **context):
        """`answer()` gives the text of /metrics in the server's place."""
        self.url = url
        self.complaints, self.requests = [], []
        self.closed = False
        self.may_fail = False  # while the server is down, a request that fails is no fault of the page
        self.context = browser.new_context(**{"viewport": DESKTOP, "color_scheme": "light"} | context)
        self.page = page = self.context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.expose_function("complain", lambda text: self.complaints.append(text))
        page.add_init_script("addEventListener('securitypolicyviolation', (e) => complain(`policy: ${e.violatedDirective} ${e.blockedURI}`))")
        if answer:
            # The server's own past is that of another run.
            page.route("**/history", lambda route: route.fulfill(status=200, content_type="application/json", body=NO_PAST))
            page.route("**/metrics", lambda route: route.fulfill(status=200, content_type="text/plain; version=0.0.4", body=answer()))
        page.goto(url + "/")

    def _console(self, message):
        if message.type == "error" and not (self.may_fail and "Failed to load resource" in message.text):
            self.complaints.append(message.text)

    def text(self, selector):
        return self.page.inner_text(selector).replace("\u00a0", " ").strip()

    def number(self, selector):
        """12,345 in all → 12345; 4.92k → 4920; a dash, which says that it is not known yet, → NaN, neither less nor more than any."""
        found = re.search(r"([\d.,]+)\s*([kMGTP]?)", self.text(selector))
        if not found:
            return math.nan
        return float(found[1].replace(",", "")) * 1000 ** " kMGTP".index(found[2] or " ")

    def rows(self, table):
        """A table's cells by the name of the row."""
        cells = self.page.evaluate("(id) => [...document.querySelectorAll(`#${id} tbody tr`)].map((r) => [...r.cells].map((c) => c.textContent))", table)
        return {name: [cell.replace("\u00a0", " ") for cell in rest] for name, *rest in cells}

    def until(self, what, seconds=PATIENCE):
        """The first true answer of `what`; the page is looked at again and again, as it changes by itself."""
        end = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < end, f"it did not happen; the page says: {self.text('header')} / {self.text('#run')}"
            self.page.wait_for_timeout(100)
        return found

    def state(self, text, seconds=PATIENCE):
        self.until(lambda: text in self.text("#state"), seconds)

    def figures(self):
        """Whether every figure is one: no NaN, nothing undefined, nothing blank where a number belongs."""
        text = self.text("body")
        assert not re.search(r"NaN|undefined|null|Infinity|\[object", text), text
        for tile in self.page.locator(".tile p").all():
            assert tile.inner_text().strip()

    def close(self):
        """What every visit promises, whatever it was about. To be closed before the server ends, which would be an error to it."""
        if self.closed:
            return
        self.closed = True
        try:
            self.figures()
            assert not self.complaints, self.complaints
            foreign = [r for r in self.requests if not r.startswith(self.url + "/")]
            assert not foreign, foreign
        finally:
            self.context.close()


def started(playwright, path):
    try:
        return playwright.chromium.launch(executable_path=path, args=LAUNCH, chromium_sandbox=False)
    except Error as error:
        raise AssertionError(f"{path} does not start: {error}") from error
