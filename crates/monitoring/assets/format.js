// Numbers as people read them; what is not known is a dash, and NaN is never shown.

const SI = ["", "k", "M", "G", "T", "P"];
const known = (x) => x !== null && x !== undefined && Number.isFinite(x);

/** 12345 → "12.3k"; with `round`, 75000 → "75k" rather than "75.0k". */
export function short(x, unit = "", round = false) {
  if (!known(x)) return "–";
  let i = 0;
  while (Math.abs(x) >= 999.5 && i < SI.length - 1) { x /= 1000; i++; }
  const digits = i === 0 ? (Number.isInteger(x) || x >= 100 ? 0 : 1) : x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2;
  const space = unit ? "\u00a0" : "";
  return (round ? String(Number(x.toPrecision(3))) : x.toFixed(digits)) + space + SI[i] + unit;
}

export const bytes = (x) => short(x, "B");
export const count = (x) => (known(x) ? Math.round(x).toLocaleString("en") : "–");

export function percent(x) {
  if (!known(x)) return "–";
  return (x === 0 ? "0" : x < 0.0001 ? "< 0.01" : x < 0.01 ? (100 * x).toFixed(2) : (100 * x).toFixed(1)) + "\u00a0%";
}

export function duration(s) {
  if (!known(s)) return "–";
  if (s === 0) return "0\u00a0s";
  if (s < 0.0009995) return (s * 1e6).toPrecision(3) + "\u00a0µs";
  if (s < 0.9995) return (s * 1e3).toPrecision(3) + "\u00a0ms";
  if (s < 59.95) return s.toPrecision(3) + "\u00a0s";
  const whole = Math.round(s);
  if (whole < 3600) return `${Math.floor(whole / 60)}\u00a0min ${whole % 60}\u00a0s`;
  const minutes = Math.round(s / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}\u00a0h ${minutes % 60}\u00a0min`;
  return `${Math.floor(minutes / 1440)}\u00a0d ${Math.floor((minutes % 1440) / 60)}\u00a0h`;
}

/** A span that grows before the reader's eyes: whole seconds. */
export const elapsed = (s) => (known(s) && s < 60 ? `${Math.max(0, Math.floor(s))}\u00a0s` : duration(s));

/** Unix seconds as the reader's time of day, with the date where it is not today. */
export function clock(at) {
  if (!known(at) || at <= 0) return "–";
  const date = new Date(at * 1000);
  const day = date.toDateString() === new Date().toDateString() ? "" : date.toLocaleDateString("sv") + " ";
  return day + date.toLocaleTimeString("sv");
}

/** Unix seconds as UTC, the way captures are talked about. */
export function utc(at) {
  const date = new Date(at * 1000);
  return Number.isNaN(date.getTime()) ? "–" : date.toISOString().slice(0, 19).replace("T", " ");
}
