// The live page: asks for /metrics once a second and shows what a person looks for. See metrics.js for reading it, run.js for what is
// said of the run, charts.js and cards.js for the rest.

import { Board, KINDS } from "./charts.js";
import { cards } from "./cards.js";
import { bytes, clock, count, elapsed, percent, short } from "./format.js";
import { History } from "./history.js";
import { View, namespaces, parse } from "./metrics.js";
import { Run } from "./run.js";

const $ = (id) => document.getElementById(id);
const history = new History();
const run = new Run();
const board = new Board($("charts"), KINDS, history, (zoomed) => { $("unzoom").hidden = !zoomed; });
let paused = false;
let lost = null; // { since, tries } while nothing answers
let answered = null; // Unix seconds of the last answer

function put(id, text) {
  const at = $(id);
  if (at.textContent !== text) at.textContent = text;
}

/** Pill, title of the tab and the section on the run. */
function say({ kind, pill, title, text = "", note = "", part }) {
  $("state").className = "pill " + kind;
  put("state", pill);
  document.body.className = kind;
  put("run-title", title);
  put("run-text", text);
  put("run-note", note);
  const progress = $("progress");
  progress.hidden = part === undefined;
  // Without a value it moves to and fro: reading, and no telling how much is left.
  if (part === null) progress.removeAttribute("value");
  else if (part !== undefined) progress.value = part;
  document.title = `${pill} · JoyfulJay`;
}

function tiles(v) {
  const now = (key) => history.recent(key);
  const total = (name) => v.sum(name);
  put("t-packets", short(now("packets")));
  put("s-packets", count(total("packets_total")) + " in all");
  put("t-bytes", bytes(now("bytes")));
  put("s-bytes", bytes(total("bytes_total")) + " in all");
  const [active, room] = [total("active_flows"), total("flow_table_capacity_flows")];
  put("t-active", short(active));
  put("s-active", room > 0 ? `${percent(active / room)} of ${short(room, "", true)}` : bytes(total("flow_table_bytes")) + " held");
  put("t-flows", short(now("flows")));
  put("s-flows", count(total("flows_total")) + " in all");
  const errors = total("errors_total");
  put("t-errors", short(errors));
  put("s-errors", errors ? `${percent(errors / Math.max(errors, total("frames_total") || total("packets_total") + errors))} of frames` : "none");
  $("tile-errors").classList.toggle("bad", errors > 0);
  const drops = total("capture_drops_total");
  put("t-drops", short(drops));
  put("s-drops", v.has("capture_drops_total") ? "before they were read" : "no live capture");
  $("tile-drops").classList.toggle("bad", drops > 0);
  put("t-rows", short(total("output_records_total")));
  put("s-rows", bytes(total("output_bytes_total")) + " of output");
  const memory = v.process("resident_memory_bytes");
  put("t-memory", bytes(memory));
  const cpu = now("cpu");
  put("s-memory", cpu === null ? "" : `CPU ${percent(cpu)}`);
}

/** The namespace to show; a choice where there are several. */
function namespace(families) {
  const found = namespaces(families);
  const select = $("namespace");
  if (found.join() !== select.dataset.of) {
    select.dataset.of = found.join();
    const chosen = select.value;
    select.replaceChildren(...found.map((n) => new Option(n.replace(/_$/, "") || "(no prefix)", n)));
    if (found.includes(chosen)) select.value = chosen;
    $("namespace-label").hidden = found.length < 2;
  }
  return select.value;
}

function show(text, serverNow) {
  const families = parse(text);
  const v = new View(families, namespace(families));
  const [at, t] = [Date.now() / 1000, performance.now() / 1000];
  history.push(v, at, t);
  const build = v.all("build_info")[0]?.labels.version;
  const start = v.process("start_time_seconds");
  put("build", [build && "version " + build, start && "up " + elapsed(Math.max(0, serverNow - start))].filter(Boolean).join(" · "));
  say(run.state(v, history, serverNow, t));
  tiles(v);
  cards(v, history, text.length);
  board.draw();
}

function noAnswer(error) {
  const now = Date.now() / 1000;
  lost ||= { since: answered ?? now, tries: 0 };
  lost.tries++;
  history.gap(now);
  run.forget();
  const why = error.name === "TimeoutError" ? "no answer within 5 s" : error.status ? error.message : "nothing answers there";
  say({
    kind: "lost",
    pill: error.status ? `/metrics says ${error.status}` : "no connection",
    title: error.status ? "The server answers, but not with metrics" : "Connection lost",
    text: answered === null ? `${why}; ${lost.tries} ${lost.tries === 1 ? "try" : "tries"}` : `since ${clock(lost.since)}, ${elapsed(now - lost.since)} ago: ${why}`,
    note: answered === null ? "Tried again every second."
      : "What is shown is from then. The process may have ended: it serves this page only while it runs. Tried again every second.",
  });
  board.draw();
}

/** What the server remembers of the time before this page was opened, as if it had been asked then. */
async function restore() {
  const reply = await fetch("history", { cache: "no-store", signal: AbortSignal.timeout(5000) });
  if (!reply.ok) return;
  const { now: made, series, samples } = await reply.json();
  const now = made + Number(reply.headers.get("x-age"));
  const [at, t] = [Date.now() / 1000, performance.now() / 1000];
  for (const [then, ...values] of samples) {
    const families = parse(values.map((x, i) => (x === null ? "" : `${series[i]} ${x}`)).join("\n"));
    history.push(new View(families, namespace(families)), at - (now - then), t - (now - then));
  }
}

async function tick() {
  const begun = performance.now();
  if (!paused) {
    try {
      const reply = await fetch("metrics", { cache: "no-store", signal: AbortSignal.timeout(5000), headers: { Accept: "text/plain" } });
      if (!reply.ok) throw Object.assign(new Error(`/metrics says ${reply.status}`), { status: reply.status });
      const text = await reply.text();
      lost = null;
      answered = Date.now() / 1000;
      const date = Date.parse(reply.headers.get("date"));
      // The server's clock, to the second; the reader's where it is the same, as far as that can be told.
      if (!paused) show(text, Math.abs(date / 1000 - answered) > 2 ? date / 1000 : answered);
    } catch (e) {
      if (!paused) noAnswer(e);
      if (!(e instanceof DOMException || e instanceof TypeError || e.status)) console.error(e);
    }
  }
  setTimeout(tick, Math.max(100, 1000 - (performance.now() - begun)));
}

$("window").addEventListener("change", () => {
  board.window = Number($("window").value);
  board.setZoom(null);
});
$("unzoom").addEventListener("click", () => board.setZoom(null));
$("namespace").addEventListener("change", () => {
  history.samples.length = 0;
  run.forget();
});
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  put("pause", paused ? "Go on" : "Pause");
  if (!paused) return;
  history.gap(Date.now() / 1000);
  run.forget();
  say({ kind: "paused", pill: "paused", title: "Paused", text: `What is shown is from ${clock(answered)}; the run itself goes on.` });
});

/** "" follows the system; a choice is remembered where the browser lets us. */
function theme(wanted) {
  document.documentElement.dataset.theme = wanted;
  board.restyle();
}
$("theme").addEventListener("change", () => {
  theme($("theme").value);
  try {
    localStorage.setItem("joyfuljay-theme", $("theme").value);
  } catch { /* not remembered, then */ }
});
try {
  $("theme").value = localStorage.getItem("joyfuljay-theme") || "";
} catch { /* storage is switched off */ }
if ($("theme").value) theme($("theme").value);
// Without it the charts begin now.
restore().catch(() => {}).finally(tick);
