// The charts: uPlot draws; this gives it colours of the theme, names that can be switched off, one time axis for all, and the keyboard.

import { clock, percent, short } from "./format.js";

const HEIGHT = 170;
const SPANS = [20, 60, 120, 300, 900, 3600];
const probe = document.createElement("i");
probe.hidden = true;
document.documentElement.append(probe);

/** A custom property as a colour that a canvas understands. */
function color(name, alpha = 1) {
  probe.style.color = `var(--${name})`;
  const rgb = getComputedStyle(probe).color;
  return alpha === 1 ? rgb : rgb.replace(/^rgba?\(([^)]*?)\)$/, (_, c) => `rgba(${c.split(",").slice(0, 3)}, ${alpha})`);
}

/** The charts under one time axis and one mark. */
export class Board {
  /** `kinds`: [{ name, format, axis, series(history) → [{ key, label, color }] }]. */
  constructor(parent, kinds, history, onZoom) {
    Object.assign(this, { history, onZoom, window: 300, zoom: null, charts: [] });
    this.charts = kinds.map((kind) => new Chart(parent, kind, this));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.restyle());
  }

  restyle() {
    for (const c of this.charts) c.make();
    this.draw();
  }

  draw() {
    for (const c of this.charts) c.draw();
  }

  setZoom(range) {
    this.zoom = range;
    this.onZoom(range !== null);
    this.draw();
  }

  /** What the axis shows. A run that has just begun fills the width; the window chosen is the most that is shown. After the end it
   * is the time up to then. */
  range() {
    if (this.zoom) return this.zoom;
    const { samples } = this.history;
    const last = this.history.end() ?? Date.now() / 1000;
    const age = last - (samples[0]?.at ?? last);
    const span = SPANS.find((n) => n >= age || n === this.window);
    return { min: last - span, max: last };
  }
}

class Chart {
  constructor(parent, kind, board) {
    Object.assign(this, { kind, board, caption: document.createElement("figcaption"), off: new Set(), shown: "" });
    this.figure = document.createElement("figure");
    this.caption.textContent = kind.name;
    this.legend = document.createElement("div");
    this.legend.className = "legend";
    this.plotAt = document.createElement("div");
    this.plotAt.className = "plot";
    const head = document.createElement("div");
    head.className = "head";
    head.append(this.caption, this.legend);
    this.figure.append(head, this.plotAt);
    parent.append(this.figure);
    this.make();
    new ResizeObserver(() => this.plot.setSize(this.size())).observe(this.plotAt);
  }

  /** (Re)builds the plot: for other series, or another theme. */
  make() {
    this.plot?.destroy();
    this.series = this.kind.series(this.board.history);
    this.shown = this.series.map((s) => s.key).join();
    this.legend.replaceChildren(...this.series.map((s, i) => this.button(s, i + 1)));
    this.plot = new uPlot(this.options(), [[], ...this.series.map(() => [])], this.plotAt);
    const { over } = this.plot;
    over.tabIndex = 0;
    over.setAttribute("role", "img");
    over.addEventListener("keydown", (e) => this.key(e));
    over.addEventListener("blur", () => this.mark(null));
  }

  /** The room there is: where a neighbour has more names, the plot is higher. */
  size() {
    return { width: this.plotAt.clientWidth || 400, height: this.plotAt.clientHeight || HEIGHT };
  }

  options() {
    const { kind, board } = this;
    const font = "11px system-ui, sans-serif";
    const line = { stroke: color("grid"), width: 1 };
    return {
      ...this.size(),
      padding: [8, 24, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: "live" },
        y: false,
        drag: { x: true, y: false, setScale: false },
        points: { size: 7 },
        bind: { dblclick: () => () => board.setZoom(null) },
      },
      scales: { x: { time: true }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
      axes: [
        { stroke: color("muted"), font, grid: line, ticks: { show: false }, size: 26, space: 72, values: (_, at) => at.map(clock) },
        { stroke: color("muted"), font, grid: line, ticks: { show: false }, size: 58, space: 34, values: (_, at) => at.map(kind.axis) },
      ],
      series: [{}, ...this.series.map((s) => ({
        label: s.label,
        show: !this.off.has(s.key),
        stroke: color(s.color),
        fill: this.series.length === 1 ? color(s.color, 0.13) : undefined,
        width: 2,
        points: { show: false },
      }))],
      hooks: {
        setCursor: [() => this.read()],
        setSelect: [(u) => {
          if (u.select.width < 4) return;
          const range = { min: u.posToVal(u.select.left, "x"), max: u.posToVal(u.select.left + u.select.width, "x") };
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          if (range.max - range.min >= 2) board.setZoom(range);
        }],
      },
    };
  }

  /** A name with its colour and value, which switches its line off and on. */
  button(s, n) {
    const button = document.createElement("button");
    const [swatch, value] = [document.createElement("i"), document.createElement("b")];
    button.type = "button";
    swatch.style.background = `var(--${s.color})`;
    button.append(swatch, s.label + " ", value);
    const pressed = () => button.setAttribute("aria-pressed", String(!this.off.has(s.key)));
    pressed();
    button.addEventListener("click", () => {
      if (!this.off.delete(s.key)) this.off.add(s.key);
      pressed();
      this.plot.setSeries(n, { show: !this.off.has(s.key) });
    });
    return button;
  }

  draw() {
    const { history } = this.board;
    if (this.kind.series(this.board.history).map((s) => s.key).join() !== this.shown) this.make();
    const data = [history.samples.map((s) => s.at), ...this.series.map(({ key }) => history.line(key))];
    this.plot.batch(() => {
      this.plot.setData(data, false);
      this.plot.setScale("x", this.board.range());
    });
    this.read();
  }

  /** Values under the mark, or the newest; the mark's time stands in the caption. */
  read() {
    const plot = this.plot;
    if (!plot?.data) return; // while it is being made
    const [times, ...columns] = plot.data;
    const at = plot.cursor.idx ?? times.length - 1;
    const values = columns.map((c) => this.kind.format(c[at] ?? null));
    [...this.legend.children].forEach((button, i) => { button.lastChild.textContent = values[i]; });
    this.caption.textContent = this.kind.name + (plot.cursor.idx == null ? "" : ` at ${clock(times[at])}`);
    const words = this.series.map((s, i) => `${s.label} ${values[i]}`).join(", ");
    plot.over.setAttribute("aria-label", `${this.kind.name}, ${clock(times[at])}: ${words}`);
    return `${clock(times[at])}: ${words}`;
  }

  key(e) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    const times = this.plot.data[0];
    if (e.key === "Escape") {
      this.mark(null);
      if (this.board.zoom) this.board.setZoom(null);
    } else if (step && times.length) {
      const idx = Math.max(0, Math.min(times.length - 1, (this.plot.cursor.idx ?? times.length - (step < 0 ? 0 : 1)) + step));
      this.mark(times[idx]);
      document.getElementById("said").textContent = this.read();
    } else return;
    e.preventDefault();
  }

  /** Puts the mark of all charts at a time, or takes it away. */
  mark(at) {
    for (const { plot } of this.board.charts) {
      plot.setCursor(at === null ? { left: -10, top: -10 } : { left: plot.valToPos(at, "x"), top: 0 });
    }
  }
}

const perSecond = (x) => short(x) + (x === null ? "" : "/s");
const keyed = (history, prefix, palette) => [...history.seen(prefix)].sort()
  .map((key, i) => ({ key, label: key.slice(prefix.length), color: palette[i % palette.length] }));
const COLORS = ["c1", "c2", "c4", "c3", "c5", "c6"];
/** A reason keeps its colour when another one appears. */
const REASONS = { fin: "c1", rst: "c2", timeout: "c4", completed: "c3", evicted: "c5", kafka: "c6" };

/** What is drawn. */
export const KINDS = [
  { name: "Packets", format: short, axis: (x) => short(x, "", true), series: () => [{ key: "packets", label: "per second", color: "c1" }] },
  { name: "IP bytes", format: (x) => short(x, "B"), axis: (x) => short(x, "B", true), series: () => [{ key: "bytes", label: "per second", color: "c2" }] },
  { name: "Active flows", format: (x) => short(x), axis: (x) => short(x, "", true), series: () => [{ key: "active", label: "now", color: "c3" }] },
  {
    name: "Flows ended",
    format: perSecond,
    axis: (x) => short(x, "", true),
    series: (history) => {
      const reasons = keyed(history, "flow:", COLORS).map((s) => ({ ...s, color: REASONS[s.label] ?? s.color }));
      return reasons.length ? reasons : [{ key: "flows", label: "flows", color: "c4" }];
    },
  },
  {
    name: "Errors, skips, drops",
    format: perSecond,
    axis: (x) => short(x, "", true),
    series: (history) => {
      const fixed = { "error:parsing": "bad", "error:extraction": "c3", "error:output": "c4", "error:skipped": "c1", "error:dropped": "c6" };
      const more = keyed(history, "error:", COLORS).filter((s) => !fixed[s.key]);
      return [...Object.entries(fixed).map(([key, c]) => ({ key, label: key.slice(6), color: c })), ...more];
    },
  },
  {
    name: "Time spent, by stage",
    format: percent,
    axis: (x) => `${Number((100 * x).toPrecision(2))}\u00a0%`,
    series: () => ["decode", "track", "extract", "output"].map((s, i) => ({ key: "stage:" + s, label: s, color: COLORS[i] })),
  },
];
