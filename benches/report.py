"""The tables of the benches: printed as they grow, held to their bounds, put into docs/benchmarks.md."""
import os

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "benchmarks.md")


def put(begin, end, text):
    """Replaces what stands between two marker lines of the page."""
    with open(PAGE, encoding="utf-8") as f:
        before, rest = f.read().split(begin)
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")


def bounds(parts, markers=None):
    """Prints rows of (what, measured, bound, whether it holds) as they come; `markers` put them into the page, too.

    The exit code: 1 where a bound is passed.
    """
    lines, good = ["| what | measured | bound | |", "|---|---:|---:|---|"], True
    print("\n".join(lines), flush=True)
    for part in parts:
        for what, measured, bound, held in part:
            good &= held
            lines.append(f"| {what} | {measured} | {bound} | {'ok' if held else 'NOT MET'} |")
            print(lines[-1], flush=True)
    if markers:
        put(*markers, "\n".join(lines))
    return 0 if good else 1
