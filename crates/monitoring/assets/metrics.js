// Reads the text of /metrics, as label values of it come from the network: whatever is in there becomes a string or a number,
// never markup.

/** Text format to { name: [{ labels, value }] }; samples that are no number are left out. */
export function parse(text) {
  const families = {};
  for (const line of text.split("\n")) {
    const m = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!m) continue;
    const value = m[3] === "+Inf" ? Infinity : Number(m[3]);
    if (Number.isNaN(value)) continue;
    const labels = {};
    for (const l of (m[2] || "").matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g)) {
      labels[l[1]] = l[2].replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    }
    (families[m[1]] ||= []).push({ labels, value });
  }
  return families;
}

/** The prefixes under which a set of our families is exposed, most often "joyfuljay_" alone. */
export function namespaces(families) {
  return Object.keys(families)
    .filter((n) => n.endsWith("packets_total") && families[n.slice(0, -"packets_total".length) + "active_flows"])
    .map((n) => n.slice(0, -"packets_total".length));
}

/** The families of one namespace. */
export class View {
  constructor(families, prefix) {
    Object.assign(this, { families, prefix });
  }

  all(name) {
    return this.families[this.prefix + name] || [];
  }

  has(name) {
    return this.all(name).length > 0;
  }

  sum(name, keep = () => true) {
    return this.all(name).filter((s) => keep(s.labels)).reduce((a, s) => a + s.value, 0);
  }

  /** [label value, sum], in the order of the exposition. */
  by(name, label) {
    const out = new Map();
    for (const s of this.all(name)) {
      const key = s.labels[label] || "";
      out.set(key, (out.get(key) || 0) + s.value);
    }
    return [...out];
  }

  /** Of each label value of a histogram that has observations: their number, sum and mean, and a p99 as Prometheus estimates it. */
  histogram(name, label) {
    return this.by(name + "_count", label).filter(([, n]) => n > 0).map(([key, n]) => {
      const total = this.sum(name + "_sum", (l) => l[label] === key);
      const buckets = this.all(name + "_bucket").filter((s) => s.labels[label] === key)
        .map((s) => ({ le: s.labels.le === "+Inf" ? Infinity : Number(s.labels.le), count: s.value }));
      return { key, count: n, sum: total, mean: total / n, p99: quantile(0.99, buckets) };
    });
  }

  /** A family of the process, which has no namespace; undefined where the system does not tell. */
  process(name) {
    return this.families["process_" + name]?.[0]?.value;
  }
}

/** As histogram_quantile(): linear within the bucket; where that is the last one, its lower bound. */
function quantile(q, buckets) {
  buckets.sort((a, b) => a.le - b.le);
  const wanted = q * (buckets.at(-1)?.count ?? 0);
  let [from, below] = [0, 0];
  for (const { le, count } of buckets) {
    if (count >= wanted && count > below) return le === Infinity ? from : from + ((le - from) * (wanted - below)) / (count - below);
    [from, below] = [le, count];
  }
  return null;
}
