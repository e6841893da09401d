"""Judges of a dashboard that others wrote: TypeScript with Grafana's own types, and Prometheus' own grammar, both from npm."""

import functools
import json
import pathlib
import re
import shutil
import subprocess

import pytest

PROJECT = pathlib.Path(__file__).parent / "grafana-schema"
# What npm says when there is no way to the registry, as opposed to a project that is wrong.
UNREACHABLE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET|E40[137]|E50\d|network")


@functools.cache
def installed():
    """The project's folder with its packages, in the versions of its lock; otherwise the reason why not."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None, "npm is not installed; on Debian: apt-get install npm"
    lock, marker = PROJECT / "package-lock.json", PROJECT / "node_modules" / ".joyfuljay-lock"
    if marker.exists() and marker.read_bytes() == lock.read_bytes():
        return PROJECT, None
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired:
        return None, "the npm registry did not answer within 300 s"
    if run.returncode == 0:
        shutil.copyfile(lock, marker)
        return PROJECT, None
    if UNREACHABLE.search(run.stderr):
        said = [line for line in run.stderr.splitlines() if line.startswith(("npm error", "npm ERR!"))]
        return None, f"the npm registry is not reachable: {'; '.join(said[:2])}"
    raise AssertionError(f"npm ci failed in {PROJECT}:\n{run.stderr}")


def require():
    project, reason = installed()
    if project is None:
        pytest.skip(reason)
    return project


def typescript(dashboard):
    """The dashboard as a program that compiles if, and only if, it is what Grafana's types say.

    TypeScript reads a JSON file's texts as `string`; written out in the program they keep their values, which the types
    name. Each panel is a statement of its own, so that a complaint names it.
    """
    lines = ['import type { Frame, Panels, Whole } from "./dashboard.ts";']
    frame = {key: value for key, value in dashboard.items() if key != "panels"}
    lines.append(f"export const frame = {json.dumps(frame)} satisfies Frame;")
    for panel in dashboard["panels"]:
        # One line for each, so that the number in tsc's complaint is the panel's.
        kind = json.dumps(panel.get("type"))
        lines.append(f"export const p{panel['id']} = {json.dumps(panel)} satisfies Panels[{kind}];")
    panels = ", ".join(f"p{panel['id']}" for panel in dashboard["panels"])
    lines.append(f"export const whole: Whole = {{ ...frame, panels: [{panels}] }};")
    return "\n".join(lines) + "\n"


def type_errors(dashboard, folder):
    """What tsc says against the dashboard, line by line; `folder` is for its files."""
    project = require()
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(project / "node_modules")
        for name in ("tsconfig.json", "dashboard.ts"):
            shutil.copyfile(project / name, folder / name)
    (folder / "check.ts").write_text(typescript(dashboard))
    tsc = [shutil.which("node"), "node_modules/typescript/bin/tsc", "--pretty", "false", "-p", "."]
    run = subprocess.run(tsc, cwd=folder, capture_output=True, text=True, timeout=600)
    found = [line for line in run.stdout.splitlines() if "error TS" in line]
    assert bool(found) == (run.returncode != 0), f"tsc: {run.returncode}\n{run.stdout}{run.stderr}"
    return found


def parse(expressions):
    """What Prometheus' grammar sees in each of the expressions; see promql.mjs."""
    project = require()
    given = json.dumps(expressions)
    run = subprocess.run(["node", "promql.mjs"], cwd=project, input=given, capture_output=True, text=True, timeout=600, check=True)
    return json.loads(run.stdout)
