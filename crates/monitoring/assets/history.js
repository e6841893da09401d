// What the charts show: one sample per scrape, counters as rates per second. A value that is not known is absent, so a chart has a
// gap there: the first scrape, a pause, a lost connection, a process that started anew.

const KEEP = 3600; // samples: an hour
const SMOOTH = 5; // samples in "now": batches come in bursts
const GAUGES = ["active", "memory"];

/** Totals of the counters that are drawn. */
function counters(v) {
  const out = {
    packets: v.sum("packets_total"), bytes: v.sum("bytes_total"), flows: v.sum("flows_total"),
    "error:skipped": v.sum("packets_skipped_total"), "error:dropped": v.sum("capture_drops_total"),
  };
  for (const [reason, n] of v.by("flows_total", "reason")) out["flow:" + reason] = n;
  for (const [stage, n] of v.by("errors_total", "stage")) out["error:" + stage] = n;
  for (const [stage, n] of v.by("batch_duration_seconds_sum", "stage")) out["stage:" + stage] = n;
  for (const [worker, n] of v.by("worker_busy_seconds_total", "worker")) out["worker:" + worker] = n;
  if (v.has("output_records_total")) out.rows = v.sum("output_records_total");
  const cpu = v.process("cpu_seconds_total");
  if (cpu !== undefined) out.cpu = cpu;
  return out;
}

export class History {
  constructor() {
    this.samples = []; // { at: Unix seconds of this browser, span: seconds since the sample before, key: value }
    this.before = null;
    this.running = false;
  }

  /** A scrape; `at` in Unix seconds for the axis, `t` in seconds of a clock that never jumps for the rates. */
  push(v, at, t) {
    const now = { t, counters: counters(v), started: v.process("start_time_seconds"), prefix: v.prefix };
    const { before } = this;
    const sample = { at, active: v.sum("active_flows"), memory: v.process("resident_memory_bytes") };
    // A counter that fell, or another start, is another process: no rate across the two.
    const same = before && before.prefix === now.prefix && before.started === now.started && now.counters.packets >= before.counters.packets;
    if (same && t > before.t) {
      sample.span = t - before.t;
      for (const [key, n] of Object.entries(now.counters)) {
        const rate = (n - (before.counters[key] ?? 0)) / (t - before.t);
        if (rate >= 0) sample[key] = rate;
      }
    }
    this.before = now;
    this.running = v.sum("active_runs") > 0;
    this.add(sample);
  }

  /** No answer, or a pause: a gap. */
  gap(at) {
    this.before = null;
    if (this.samples.length && Object.keys(this.samples.at(-1)).length > 1) this.add({ at });
  }

  add(sample) {
    // The axis only goes forward, even when the machine's clock is set back.
    const last = this.samples.at(-1);
    if (last && sample.at <= last.at) sample.at = last.at + 0.001;
    this.samples.push(sample);
    if (this.samples.length > KEEP) this.samples.shift();
  }

  /** The rate over the last few seconds without a gap up to a sample; null where nothing is known. */
  rate(key, upTo) {
    let [total, span] = [0, 0];
    // By time: on a busy machine one answer may come late and the next at once.
    for (let i = upTo; i >= 0 && i > upTo - SMOOTH; i--) {
      const s = this.samples[i];
      if (s[key] === undefined || s.span === undefined) break;
      total += s[key] * s.span;
      span += s.span;
    }
    return span > 0 ? total / span : null;
  }

  /** The rate now, and 0 at once when no run goes on. */
  recent(key) {
    if (!this.running && this.samples.at(-1)?.[key] === 0) return 0;
    return this.rate(key, this.samples.length - 1);
  }

  /** What is drawn of a key, as the tiles have it: rates over a few seconds, as batches come in bursts; numbers of now as they are. */
  line(key) {
    const line = this.samples.map((s, i) => (GAUGES.includes(key) ? s[key] ?? null : this.rate(key, i)));
    if (line.length && !GAUGES.includes(key)) line[line.length - 1] = this.recent(key);
    return line;
  }

  /** The time of the newest sample; where no run goes on, some seconds after the last one in which something was counted. */
  end() {
    const still = (s) => !(s.packets > 0 || s.flows > 0 || s.rows > 0);
    const last = this.running ? -1 : this.samples.findLastIndex((s) => !still(s));
    return this.samples.at(last < 0 ? -1 : Math.min(last + SMOOTH, this.samples.length - 1))?.at;
  }

  /** Keys with a prefix that were ever above 0. */
  seen(prefix) {
    const keys = new Set();
    for (const s of this.samples) for (const k in s) if (k.startsWith(prefix) && s[k] > 0) keys.add(k);
    return keys;
  }
}
