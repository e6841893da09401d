// The tables: every figure that /metrics has about the run, those that are 0 too, as a 0 is an answer.

import { bytes, clock, count, duration, percent, short, utc } from "./format.js";

const $ = (id) => document.getElementById(id);
const bar = (share, bad = false) => ({ share, bad });

/** Fills a table, and touches it only where something changed: a selection in it stays. The card is hidden without rows. */
function table(id, head, rows) {
  const at = $(id);
  at.closest(".card").hidden = !rows.length;
  const text = JSON.stringify([head, rows]);
  if (at.dataset.is === text) return;
  at.dataset.is = text;
  const line = (cells, scope) => {
    const tr = document.createElement("tr");
    if (cells.at(-1) === "0") tr.className = "zero";
    cells.forEach((cell, i) => {
      const el = document.createElement(scope === "col" || i === 0 ? "th" : "td");
      if (el.tagName === "TH") el.scope = scope;
      if (cell && cell.share !== undefined) {
        el.className = cell.bad ? "bar bad" : "bar";
        const [track, part] = [document.createElement("span"), document.createElement("i")];
        part.style.width = `${100 * Math.max(0, Math.min(1, cell.share || 0))}%`;
        track.append(part);
        el.append(track);
      } else {
        el.textContent = cell;
        if (i === 0) el.title = cell;
      }
      tr.append(el);
    });
    return tr;
  };
  const [thead, tbody] = [document.createElement("thead"), document.createElement("tbody")];
  if (head) thead.append(line(head, "col"));
  tbody.append(...rows.map((r) => line(r, "row")));
  at.replaceChildren(...(head ? [thead] : []), tbody);
}

function shares(pairs, bad = false) {
  const total = pairs.reduce((a, p) => a + p[1], 0);
  return [...pairs].sort((a, b) => b[1] - a[1]).map(([name, n]) => [name, bar(total ? n / total : 0, bad), count(n)]);
}

function runs(v) {
  const took = Object.fromEntries(v.histogram("processing_duration_seconds", "mode").map((d) => [d.key, d]));
  const modes = new Set([...v.by("runs_total", "mode").filter(([, n]) => n > 0).map(([m]) => m), ...Object.keys(took)]);
  return [...modes].map((mode) => {
    const of = (name, more = () => true) => v.sum(name, (l) => l.mode === mode && more(l));
    const last = v.has("last_run_duration_seconds") ? of("last_run_duration_seconds") : null;
    const ended = (result) => count(of("runs_total", (l) => l.result === result));
    return [mode, ended("success"), ended("failure"), ended("cancelled"), duration(last), duration(took[mode]?.mean ?? null)];
  });
}

function workers(v, history) {
  const rows = v.by("worker_busy_seconds_total", "worker").sort((a, b) => a[0].localeCompare(b[0], "en", { numeric: true })).map(([name]) => {
    const busy = history.recent("worker:" + name);
    return [/^\d+$/.test(name) ? `worker ${name}` : name, bar(busy ?? 0), percent(busy === null ? null : Math.min(1, busy))];
  });
  const room = new Map(v.by("queue_capacity", "queue"));
  for (const [name, depth] of v.by("queue_depth", "queue")) {
    const of = room.get(name) ?? 0;
    rows.push([`queue ${name}`, bar(of ? depth / of : 0), of ? `${count(depth)} of ${count(of)}` : count(depth)]);
  }
  return rows;
}

function groups(v) {
  const flows = new Map(v.by("extractor_flows_total", "extractor"));
  const seconds = v.by("extractor_seconds_total", "extractor");
  const all = seconds.reduce((a, [, s]) => a + s, 0);
  return seconds.map(([name, s]) => [name, bar(all ? s / all : 0), duration(s), duration(flows.get(name) ? s / flows.get(name) : null)]);
}

function output(v) {
  return v.by("output_records_total", "sink").map(([sink, n]) => {
    const of = (name) => v.sum(name, (l) => l.sink === sink);
    return [sink, count(n), bytes(of("output_bytes_total")), count(of("output_errors_total")),
      clock(of("output_last_success_timestamp_seconds"))];
  });
}

function sources(v) {
  const rows = [];
  for (const [interface_, n] of v.by("capture_packets_total", "interface")) rows.push([`${interface_}, delivered`, count(n)]);
  for (const s of v.all("capture_drops_total")) rows.push([`${s.labels.interface}, dropped: ${s.labels.where}`, count(s.value)]);
  for (const [source, at] of v.by("watermark_timestamp_seconds", "source")) rows.push([`${source}, newest packet (UTC)`, utc(at)]);
  for (const [source, s] of v.by("lag_seconds", "source")) rows.push([`${source}, behind the clock`, duration(s)]);
  for (const [outcome, n] of v.by("watch_captures_total", "outcome")) rows.push([`captures ${outcome}`, count(n)]);
  if (v.has("watch_captures_waiting")) rows.push(["captures waiting", count(v.sum("watch_captures_waiting"))]);
  if (v.has("remote_connections")) rows.push(["remote clients", count(v.sum("remote_connections"))]);
  for (const [way, n] of v.by("remote_messages_total", "direction")) rows.push([`remote messages ${way}`, count(n)]);
  if (v.has("remote_auth_failures_total")) rows.push(["remote clients turned away", count(v.sum("remote_auth_failures_total"))]);
  return rows;
}

function flowTable(v) {
  const rows = [["active", count(v.sum("active_flows"))]];
  const room = v.sum("flow_table_capacity_flows");
  rows.push(["room for", room > 0 ? count(room) : "no bound"], ["memory", bytes(v.sum("flow_table_bytes"))],
    ["begun", count(v.sum("flows_started_total"))], ["pushed out for want of room", count(v.sum("flow_evictions_total"))],
    ["datagrams reassembled", count(v.sum("datagrams_reassembled_total"))]);
  return rows;
}

function process(v, history, size) {
  const rows = [];
  const [memory, cpu, files, most, start] = ["resident_memory_bytes", "cpu_seconds_total", "open_fds", "max_fds", "start_time_seconds"].map((n) => v.process(n));
  if (memory !== undefined) rows.push(["memory", bytes(memory)]);
  if (cpu !== undefined) rows.push(["processor now", percent(history.recent("cpu"))], ["processor time", duration(cpu)]);
  if (files !== undefined) rows.push(["open files", most ? `${count(files)} of ${count(most)}` : count(files)]);
  if (start !== undefined) rows.push(["started", clock(start)]);
  const codes = v.by("scrapes_total", "code").filter(([code, n]) => n > 0 || code === "200");
  for (const [code, n] of codes) rows.push([code === "200" ? "scrapes of /metrics" : `scrapes refused (${code})`, count(n)]);
  rows.push(["size of /metrics", bytes(size)]);
  return rows;
}

/** All tables, of one scrape of `size` bytes. */
export function cards(v, history, size) {
  table("l-flows", null, shares(v.by("flows_total", "reason")));
  const failed = v.sum("runs_total", (l) => l.result === "failure");
  const more = [["failed runs", failed], ["failed writes", v.sum("output_errors_total")], ["writes tried again", v.sum("output_retries_total")],
    ["metrics refused", v.sum("sink_errors_total")],
    ["label values beyond the limit", v.sum("label_overflow_total")]].filter(([, n]) => n > 0);
  table("l-errors", null, [...shares(v.by("errors_total", "stage"), true), ...more.map(([name, n]) => [name, "", count(n)])]);
  table("l-skipped", null, shares(v.by("packets_skipped_total", "reason")));
  const batches = v.histogram("batch_duration_seconds", "stage");
  const busy = batches.reduce((a, b) => a + b.sum, 0);
  table("l-batches", ["stage", "share", "batches", "mean", "p99"],
    batches.map((b) => [b.key, bar(b.sum / busy), count(b.count), duration(b.mean), duration(b.p99)]));
  table("l-workers", null, workers(v, history));
  table("l-groups", ["group", "share", "time", "per flow"], groups(v));
  table("l-runs", ["kind", "well", "failed", "stopped", "last", "mean"], runs(v));
  table("l-output", ["sink", "rows", "bytes", "errors", "last write"], output(v));
  table("l-sources", null, sources(v));
  table("l-table", null, flowTable(v));
  table("l-process", null, process(v, history, size));
  for (const h of document.querySelectorAll("[data-family]")) h.title = v.prefix + h.dataset.family;
}
