// The live page: reads /metrics once a second and draws what a person looks for. Values are only ever set as text, as label
// values come from the network.
"use strict";

const KEEP = 900; // samples: 15 minutes
const history = []; // { t, packets, bytes, active, flows, errors }, rates per second, flows and errors per minute; null where unknown
let before = null; // totals of the last scrape
let paused = false;
let failures = 0;
const $ = (id) => document.getElementById(id);

/** Text format to { name: [{ labels, value }] }. */
function parse(text) {
  const families = {};
  for (const line of text.split("\n")) {
    const m = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!m) continue;
    const labels = {};
    for (const l of (m[2] || "").matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g)) {
      labels[l[1]] = l[2].replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    }
    (families[m[1]] ||= []).push({ labels, value: m[3] === "+Inf" ? Infinity : Number(m[3]) });
  }
  return families;
}

/** Access to the families of one namespace. */
function view(families) {
  const packets = Object.keys(families).find((n) => /(^|_)packets_total$/.test(n) && families[n.replace(/packets_total$/, "active_flows")]);
  const prefix = packets ? packets.slice(0, -"packets_total".length) : "joyfuljay_";
  const all = (name) => families[prefix + name] || [];
  const sum = (name, keep = () => true) => all(name).filter((s) => keep(s.labels)).reduce((a, s) => a + s.value, 0);
  const by = (name, label) => {
    const out = new Map();
    for (const s of all(name)) out.set(s.labels[label] || "", (out.get(s.labels[label] || "") || 0) + s.value);
    return [...out].sort((a, b) => b[1] - a[1]);
  };
  return { all, sum, by, has: (name) => all(name).length > 0, process: (name) => families["process_" + name]?.[0]?.value };
}

const SI = ["", "k", "M", "G", "T", "P"];
/** 12345 → "12.3k"; with `round`, 75000 → "75k" rather than "75.0k". */
function short(x, unit = "", round = false) {
  if (x === null || !Number.isFinite(x)) return "–";
  let i = 0;
  while (Math.abs(x) >= 999.5 && i < SI.length - 1) { x /= 1000; i++; }
  const digits = i === 0 ? (Number.isInteger(x) || x >= 100 ? 0 : 1) : x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2;
  const space = unit ? "\u00a0" : "";
  return (round ? String(Number(x.toFixed(digits))) : x.toFixed(digits)) + space + SI[i] + unit;
}
const bytes = (x) => short(x, "B");
const axis = (x) => short(x, "", true);
const perSecond = (x) => bytes(x) + (x === null ? "" : "/s");
const count = (x) => Math.round(x).toLocaleString("en");
function duration(s) {
  if (!Number.isFinite(s)) return "–";
  if (s < 0.001) return (s * 1e6).toFixed(0) + "\u00a0µs";
  if (s < 1) return (s * 1e3).toPrecision(3) + "\u00a0ms";
  if (s < 60) return s.toPrecision(3) + "\u00a0s";
  if (s < 3600) return Math.floor(s / 60) + "\u00a0min " + Math.round(s % 60) + "\u00a0s";
  return Math.floor(s / 3600) + "\u00a0h " + Math.round((s % 3600) / 60) + "\u00a0min";
}

/** A chart of one or two series on a canvas, with a scale, a time axis and a reading under the pointer. */
class Chart {
  constructor(id, series, format, axis = format) {
    Object.assign(this, { canvas: $(id), series, format, axis, at: null });
    this.name = this.canvas.previousElementSibling.textContent;
    this.canvas.addEventListener("pointermove", (e) => { this.at = e.offsetX; this.draw(); });
    this.canvas.addEventListener("pointerleave", () => { this.at = null; this.draw(); });
    this.canvas.addEventListener("keydown", (e) => {
      const step = { ArrowLeft: -8, ArrowRight: 8 }[e.key];
      if (e.key === "Escape") this.at = null;
      else if (step) this.at = Math.max(0, Math.min(this.canvas.clientWidth, (this.at ?? this.canvas.clientWidth) + step));
      else return;
      e.preventDefault();
      this.draw();
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    if (!w || !h) return;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
    }
    const css = getComputedStyle(document.documentElement);
    const color = (name) => css.getPropertyValue("--" + name).trim();
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    g.font = "11px system-ui, sans-serif";
    const now = history.length ? history[history.length - 1].t : 0;
    // A run that has just begun fills the width; the window chosen is the most that is shown.
    const [longest, age] = [Number($("window").value), now - (history[0]?.t ?? now)];
    const span = [60, 300, 900].find((n) => n >= age || n === longest);
    const points = history.filter((p) => p.t >= now - span - 1);
    const [left, right, top, bottom] = [52, w - 8, this.series.length > 1 ? 20 : 8, h - 20];
    const most = Math.max(0, ...points.flatMap((p) => this.series.map((s) => p[s.key] ?? 0)));
    const max = nice(most);
    const x = (t) => right - ((now - t) / span) * (right - left);
    const y = (v) => bottom - (v / max) * (bottom - top);

    g.textBaseline = "middle";
    g.lineWidth = 1;
    for (let i = 0; i <= 4; i++) {
      const v = (max / 4) * i;
      g.strokeStyle = color("grid");
      g.beginPath();
      g.moveTo(left, Math.round(y(v)) + 0.5);
      g.lineTo(right, Math.round(y(v)) + 0.5);
      g.stroke();
      g.fillStyle = color("muted");
      g.textAlign = "right";
      g.fillText(this.axis(v), left - 6, y(v));
    }
    g.textBaseline = "alphabetic";
    for (const part of [1, 0.5, 0]) {
      g.textAlign = part === 1 ? "left" : part === 0 ? "right" : "center";
      const ago = span * part;
      g.fillText(part === 0 ? "now" : ago < 60 ? `−${ago} s` : `−${ago / 60} min`, x(now - ago), h - 4);
    }
    this.series.forEach((s, n) => {
      this.line(g, points, s, x, y, bottom, color(s.color));
      if (this.series.length > 1) {
        g.fillStyle = color(s.color);
        g.fillRect(left + n * 110, 5, 10, 3);
        g.fillStyle = color("muted");
        g.textAlign = "left";
        g.fillText(s.label, left + n * 110 + 15, 11);
      }
    });
    if (this.at !== null && points.length) this.reading(g, points, x, y, top, bottom, left, right, color);
    const last = points[points.length - 1];
    const words = this.series.map((s) => `${s.label} ${this.format(last ? last[s.key] : null)}`).join(", ");
    canvas.setAttribute("aria-label", `${this.name}, now: ${words}; most shown: ${this.format(most)}`);
  }

  line(g, points, s, x, y, bottom, color) {
    let run = [];
    const flush = () => {
      if (run.length) {
        g.beginPath();
        run.forEach((p, i) => (i ? g.lineTo(x(p.t), y(p[s.key])) : g.moveTo(x(p.t), y(p[s.key]))));
        g.strokeStyle = color;
        g.lineWidth = 2;
        g.lineJoin = "round";
        g.stroke();
        g.lineTo(x(run[run.length - 1].t), bottom);
        g.lineTo(x(run[0].t), bottom);
        g.globalAlpha = 0.12;
        g.fillStyle = color;
        g.fill();
        g.globalAlpha = 1;
      }
      run = [];
    };
    g.save();
    g.beginPath();
    g.rect(52, 0, g.canvas.clientWidth, g.canvas.clientHeight);
    g.clip();
    for (const p of points) {
      if (p[s.key] === null) flush();
      else run.push(p);
    }
    flush();
    g.restore();
  }

  reading(g, points, x, y, top, bottom, left, right, color) {
    const p = points.reduce((a, b) => (Math.abs(x(b.t) - this.at) < Math.abs(x(a.t) - this.at) ? b : a));
    const at = Math.max(left, x(p.t));
    g.strokeStyle = color("muted");
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(at, top);
    g.lineTo(at, bottom);
    g.stroke();
    const text = new Date(p.at).toLocaleTimeString() + "   " + this.series.map((s) => (this.series.length > 1 ? s.label + " " : "") + this.format(p[s.key])).join("   ");
    const width = g.measureText(text).width + 16;
    const from = Math.min(Math.max(left, at - width / 2), right - width);
    g.fillStyle = color("text");
    g.fillRect(from, top, width, 22);
    g.fillStyle = color("card");
    g.textAlign = "left";
    g.fillText(text, from + 8, top + 15);
    for (const s of this.series) {
      if (p[s.key] === null) continue;
      g.fillStyle = color(s.color);
      g.beginPath();
      g.arc(at, y(p[s.key]), 4, 0, 7);
      g.fill();
    }
  }
}

/** A round number at or above x, whose quarters are round too. */
function nice(x) {
  if (!(x > 0)) return 4;
  const power = 10 ** Math.floor(Math.log10(x));
  return [1, 2, 4, 6, 8, 10].map((m) => m * power).find((m) => m >= x) || 10 * power;
}

/** Fills a table with rows [name, text, share or undefined]. */
function list(id, rows, empty, bad = false) {
  const table = $(id);
  table.className = bad ? "bars-bad" : "";
  const cells = rows.length ? rows : [[empty]];
  table.replaceChildren(...cells.map(([name, text, share]) => {
    const tr = document.createElement("tr");
    const th = document.createElement("th");
    th.scope = "row";
    th.textContent = th.title = name;
    tr.append(th);
    if (!rows.length) tr.className = "none";
    if (share !== undefined) {
      const td = document.createElement("td");
      td.className = "bar";
      const [track, bar] = [document.createElement("span"), document.createElement("i")];
      bar.style.width = `${100 * Math.min(1, share || 0)}%`;
      track.append(bar);
      td.append(track);
      tr.append(td);
    }
    if (text !== undefined) {
      const td = document.createElement("td");
      td.textContent = text;
      tr.append(td);
    }
    return tr;
  }));
}

function shares(pairs) {
  const total = pairs.reduce((a, p) => a + p[1], 0);
  return pairs.filter((p) => p[1] > 0).map(([name, n]) => [name, count(n), n / total]);
}

/** Number and mean by label, from a histogram. */
function durations(v, name, label) {
  return v.all(name + "_count").filter((s) => s.value > 0).map((s) => {
    const seconds = v.sum(name + "_sum", (l) => l[label] === s.labels[label]);
    return { name: s.labels[label], runs: s.value, mean: seconds / s.value };
  });
}

function show(v, text) {
  const t = performance.now() / 1000;
  const now = {
    t, packets: v.sum("packets_total"), bytes: v.sum("bytes_total"), flows: v.sum("flows_total"), errors: v.sum("errors_total"),
    drops: v.sum("capture_drops_total"),
  };
  const active = v.sum("active_flows");
  // A counter that fell belongs to a process that started anew: no rate for that second.
  const rate = (key) => (before && now[key] >= before[key] ? (now[key] - before[key]) / (t - before.t) : null);
  const r = { t, at: Date.now(), packets: rate("packets"), bytes: rate("bytes"), active, flows: rate("flows"), errors: rate("errors") };
  for (const key of ["flows", "errors"]) if (r[key] !== null) r[key] *= 60;
  history.push(r);
  if (history.length > KEEP) history.shift();
  before = now;

  $("t-packets").textContent = short(r.packets);
  $("s-packets").textContent = count(now.packets) + " in all";
  $("t-bytes").textContent = bytes(r.bytes);
  $("s-bytes").textContent = bytes(now.bytes) + " in all";
  $("t-active").textContent = short(active);
  const capacity = v.sum("flow_table_capacity_flows");
  $("s-active").textContent = capacity > 0 ? `${(100 * active / capacity).toFixed(1)} % of ${short(capacity)}` : bytes(v.sum("flow_table_bytes")) + " held";
  $("t-flows").textContent = short(r.flows === null ? null : Math.round(r.flows));
  $("s-flows").textContent = count(now.flows) + " in all";
  $("t-errors").textContent = short(now.errors);
  const frames = v.sum("frames_total") || now.packets + now.errors;
  $("s-errors").textContent = now.errors ? `${(100 * now.errors / Math.max(frames, 1)).toPrecision(2)} % of frames` : "none so far";
  $("tile-errors").classList.toggle("bad", now.errors > 0);
  $("t-drops").textContent = v.has("capture_drops_total") ? short(now.drops) : "–";
  $("s-drops").textContent = v.has("capture_drops_total") ? "before they were read" : "no live capture";
  $("tile-drops").classList.toggle("bad", now.drops > 0);

  const modes = v.all("active_runs").filter((s) => s.value > 0).map((s) => (s.value > 1 ? `${s.value} × ` : "") + s.labels.mode);
  state(modes.length ? "running" : "", modes.length ? "running: " + modes.join(", ") : "idle");
  const build = v.all("build_info")[0]?.labels.version;
  const start = v.process("start_time_seconds");
  $("build").textContent = [build && "version " + build, start && "up " + duration(Date.now() / 1000 - start)].filter(Boolean).join(" · ");

  const [read, size] = [v.sum("input_read_bytes"), v.sum("input_size_bytes")];
  $("run").hidden = !v.has("input_read_bytes") || (!modes.length && read < size);
  $("progress").hidden = !size;
  $("progress").value = size ? Math.min(1, read / size) : 0;
  const done = size ? `${(100 * Math.min(1, read / size)).toFixed(1)} % · ${bytes(read)} of ${bytes(size)}` : bytes(read);
  $("progress-text").textContent = done + eta(read, size, t);

  list("l-flows", shares(v.by("flows_total", "reason")), "No flow has ended yet.");
  list("l-errors", shares(v.by("errors_total", "stage")), "No errors.", true);
  list("l-skipped", shares(v.by("packets_skipped_total", "reason")), "No frame was skipped.");
  list("l-runs", durations(v, "processing_duration_seconds", "mode")
    .map((d) => [`${d.name}, ${count(d.runs)} ${d.runs === 1 ? "run" : "runs"}`, `${duration(v.sum("last_run_duration_seconds", (l) => l.mode === d.name))} last, ${duration(d.mean)} mean`]), "No run has ended yet.");
  const batches = durations(v, "batch_duration_seconds", "stage");
  const slowest = Math.max(...batches.map((d) => d.mean));
  list("l-batches", batches.map((d) => [d.name, duration(d.mean), d.mean / slowest]), "No batch yet.");
  const rows = v.by("output_records_total", "sink").map(([sink, n]) => [`${sink} rows`, count(n)]);
  const memory = v.process("resident_memory_bytes");
  if (memory) rows.push(["memory", bytes(memory)]);
  const cpu = v.process("cpu_seconds_total");
  if (cpu !== undefined) rows.push(["processor time", duration(cpu)]);
  rows.push(["size of /metrics", bytes(text.length)]);
  list("l-output", rows, "");
  charts.forEach((c) => c.draw());
}

let readings = [];
/** Time left, from the pace of the last 20 seconds. */
function eta(read, size, t) {
  if (readings.length && read < readings[readings.length - 1].read) readings = [];
  readings.push({ t, read });
  if (readings.length > 20) readings.shift();
  const first = readings[0];
  const pace = (read - first.read) / (t - first.t);
  return size > read && pace > 0 ? ` · ${duration((size - read) / pace)} left` : "";
}

function state(kind, text) {
  const pill = $("state");
  pill.className = "pill " + kind;
  if (pill.textContent !== text) pill.textContent = text;
}

async function tick() {
  const begun = performance.now();
  if (!paused) {
    try {
      const reply = await fetch("metrics", { cache: "no-store", signal: AbortSignal.timeout(5000), headers: { Accept: "text/plain" } });
      if (!reply.ok) throw new Error(`/metrics says ${reply.status}`);
      const text = await reply.text();
      failures = 0;
      show(view(parse(text)), text);
    } catch (e) {
      failures++;
      before = null;
      state("lost", failures > 1 ? `no answer for ${failures} tries; still trying` : "no answer");
      if (history.length) history.push({ ...history[history.length - 1], t: performance.now() / 1000, at: Date.now(), packets: null, bytes: null, active: null, flows: null, errors: null });
      charts.forEach((c) => c.draw());
    }
  }
  setTimeout(tick, Math.max(100, 1000 - (performance.now() - begun)));
}

const charts = [
  new Chart("c-packets", [{ key: "packets", label: "packets/s", color: "c1" }], (x) => short(x), axis),
  new Chart("c-bytes", [{ key: "bytes", label: "bytes/s", color: "c2" }], perSecond, (x) => short(x, "B", true)),
  new Chart("c-active", [{ key: "active", label: "flows", color: "c3" }], (x) => short(x), axis),
  new Chart("c-flows", [{ key: "flows", label: "flows/min", color: "c4" }, { key: "errors", label: "errors/min", color: "bad" }], (x) => short(x), axis),
];
$("window").addEventListener("change", () => charts.forEach((c) => c.draw()));
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  before = null;
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((c) => c.draw()));
tick();
