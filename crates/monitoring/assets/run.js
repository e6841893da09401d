// What is said of the run: that it goes on, how far it is and how long it will take, or how it ended.

import { bytes, clock, count, duration, elapsed, percent, short } from "./format.js";

const WHAT = { pcap: "Reading captures", live: "Capturing live traffic", remote: "Receiving from remote sensors" };
const PACE = 20; // scrapes that the time left is estimated from

export class Run {
  constructor() {
    this.readings = [];
  }

  /** After a gap the pace is measured anew. */
  forget() {
    this.readings = [];
  }

  /** { kind, pill, title, text, note, part } for the page; `part` of the input is null where it is not known. */
  state(v, history, now, t) {
    const modes = v.by("active_runs", "mode").filter(([, n]) => n > 0);
    const active = modes.reduce((a, [, n]) => a + n, 0);
    if (active === 0) return this.ended(v, history);
    const names = modes.map(([mode, n]) => (n > 1 ? `${n} × ` : "") + mode).join(", ");
    const pace = short(history.recent("packets"));
    const state = { kind: "running", pill: `running: ${names}`, title: active > 1 ? `${count(active)} runs at once: ${names}` : WHAT[modes[0][0]] || `Running: ${names}` };
    if (active > 1) {
      this.forget();
      return { ...state, text: `${pace} packets/s and ${bytes(v.sum("input_read_bytes"))} of captures read together`, note: "How far each one is cannot be told while several runs share these metrics." };
    }
    const began = v.sum("last_run_start_timestamp_seconds", (l) => l.mode === modes[0][0]);
    const since = began > 0 ? `${elapsed(Math.max(0, now - began))} so far` : "";
    const [read, size] = [v.sum("input_read_bytes"), v.sum("input_size_bytes")];
    const words = [since];
    if (size > 0 && read <= size) {
      words.unshift(percent(read / size), `${bytes(read)} of ${bytes(size)} of captures read`);
      words.push(read < size ? this.left(read, size, t) : "all of it is read, the last rows are on their way");
      state.part = read / size;
    } else if (modes[0][0] === "pcap" && v.has("input_read_bytes")) {
      words.unshift(`${bytes(read)} of captures read, of an input whose size is not known`);
      state.part = null;
    }
    const ended = v.sum("runs_total");
    return { ...state, text: words.filter(Boolean).join("\u00a0· "), note: ended ? `${count(ended)} ${ended === 1 ? "run has" : "runs have"} ended before, and the totals below include them.` : "" };
  }

  ended(v, history) {
    this.forget();
    const of = (result) => v.sum("runs_total", (l) => l.result === result);
    const [well, failed, stopped] = [of("success"), of("failure"), of("cancelled")];
    const ended = well + failed + stopped;
    const packets = v.sum("packets_total");
    if (ended === 0 && packets + v.sum("flows_total") > 0) {
      // A program that counts by itself (observe_packet) has no runs.
      const busy = history.recent("packets") > 0;
      return {
        kind: busy ? "running" : "idle", pill: busy ? "counting" : "idle", title: "Counted by the program itself",
        text: `${count(packets)} packets and ${count(v.sum("flows_total"))} flows, outside of a run`,
      };
    }
    if (ended === 0) {
      return { kind: "idle", pill: "idle", title: "No run yet", text: "The metrics are served, and no run has begun." };
    }
    const seconds = v.sum("processing_duration_seconds_sum");
    const pace = seconds > 0 ? `, ${short(packets / seconds)} packets/s` : "";
    const text = `${count(packets)} packets, ${count(v.sum("flows_total"))} flows and ${count(v.sum("output_records_total"))} rows in ${duration(seconds)}${pace}`;
    const at = Math.max(0, ...v.all("last_run_success_timestamp_seconds").map((s) => s.value));
    const when = at > 0 ? `The last success was at ${clock(at)}.` : "";
    if (ended === 1 && stopped) {
      return { kind: "idle", pill: "stopped", title: "The run was stopped", text, note: "By whoever began it; the totals below are those up to then." };
    }
    if (ended === 1) {
      return failed
        ? { kind: "failed", pill: "failed", title: "The run failed", text, note: "Its output says why; the totals below are those up to then." }
        : { kind: "finished", pill: "finished", title: "Finished", text, note: `The run ended well at ${clock(at)}. The totals below are final.`, part: 1 };
    }
    const kind = well === 0 && failed ? "failed" : "finished";
    const others = [failed && `${count(failed)} failed`, stopped && `${count(stopped)} were stopped`].filter(Boolean);
    const title = others.length ? `No run goes on: ${[`${count(well)} ended well`, ...others].join(", ")}` : `Finished: all ${count(well)} runs ended well`;
    return { kind, pill: kind === "failed" ? "failed" : others.length ? "idle" : "finished", title, text: text + " of run time", note: when };
  }

  /** Time left, from the pace of the last seconds. */
  left(read, size, t) {
    if (this.readings.length && read < this.readings.at(-1).read) this.forget();
    this.readings.push({ t, read });
    if (this.readings.length > PACE) this.readings.shift();
    const first = this.readings[0];
    const pace = (read - first.read) / (t - first.t);
    return pace > 0 ? `about ${elapsed((size - read) / pace)} left` : "";
  }
}
