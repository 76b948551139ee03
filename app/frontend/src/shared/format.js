// Numbers as people read them. Unknown stays a dash, never zero.

const DASH = "—";

/** 950 ms, 3.4 s, 2 m 05 s */
export function duration(ms) {
  if (ms === null || ms === undefined) return DASH;
  if (ms < 1) return "<1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${pad(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${pad(Math.floor(seconds / 60) % 60)} m`;
}

/** How long a span took; of a tool seen only on the wire it is known how long at most. */
export function took(data) {
  const text = duration(data.duration_ms);
  return data.type === "tool" && data.inferred && text !== DASH ? `≤ ${text}` : text;
}

/** 14:03:07, UTC as everywhere */
export function clock(ms) {
  const at = new Date(ms);
  return [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].map(pad).join(":");
}

/** 86, 1.2k, 34k, 1.3M */
export function count(value) {
  if (value === null || value === undefined) return DASH;
  if (value < 1000) return String(value);
  if (value < 999_500) return `${trim(value / 1000, value < 9_950 ? 1 : 0)}k`;
  return `${trim(value / 1_000_000, value < 9_950_000 ? 1 : 0)}M`;
}

/** $0.0042, $0.12, $3.40 */
export function money(usd) {
  if (usd === null || usd === undefined) return DASH;
  if (usd === 0) return "$0";
  if (usd < 0.0001) return "<$0.0001";
  if (usd < 0.1) return `$${trim(usd, 4)}`;
  return `$${usd.toFixed(2)}`;
}

function trim(value, digits) {
  const text = value.toFixed(digits);
  return digits ? text.replace(/\.?0+$/, "") : text;
}

function pad(value) {
  return String(value).padStart(2, "0");
}
