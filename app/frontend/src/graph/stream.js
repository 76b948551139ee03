// The live connection: a snapshot, then deltas in sequence, resumed after a break.

import { parseExact } from "../shared/exact.js";

/** How a span's own document begins, which is read with all its digits. */
const DOCUMENT = '{"type":"document"';
const FIRST_RETRY_MS = 400;
const LAST_RETRY_MS = 10_000;
/** Failures in a row before the page is asked to poll instead. */
const GIVE_UP_AFTER = 3;

/** Whether the page itself can reach the app. */
function answers() {
  const page = document.querySelector("[data-test-connection-state]");
  return !page || page.dataset.testConnectionState === "CONNECTED";
}

/**
 * Follows one trace.
 *
 * States told to `onState`: connecting, live, reconnecting, then unreachable or, where the page
 * reaches nothing either, offline (it keeps trying).
 */
export class Stream {
  constructor({ onMessage, onDocument, onState }) {
    this.onMessage = onMessage;
    this.onDocument = onDocument;
    this.onState = onState;
    this.target = null;
    this.epoch = null;
    this.seq = 0;
    this.failures = 0;
  }

  /** Follow the trace at `path`; a new token alone only matters for the next connection. */
  follow(path, token) {
    if (this.target?.path === path) {
      const renewed = this.target.token !== token;
      this.target.token = token;
      if (renewed && !this.socket) this.connect();
      return;
    }
    this.close();
    Object.assign(this, { target: { path, token }, epoch: null, seq: 0, failures: 0 });
    this.connect();
  }

  /** Ask for another layout or for a span; false without a connection. */
  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  close() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    this.target = null;
    socket?.close();
  }

  connect() {
    clearTimeout(this.timer);
    const url = new URL(this.target.path, location.origin);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("token", this.target.token);
    if (this.epoch) {
      url.searchParams.set("epoch", this.epoch);
      url.searchParams.set("since", String(this.seq));
    }
    if (!this.failures) this.onState("connecting");
    const socket = (this.socket = new WebSocket(url));
    socket.onmessage = (event) => {
      if (this.socket !== socket) return;
      const arrived = performance.now();
      const message = event.data.startsWith(DOCUMENT) ? parseExact(event.data) : JSON.parse(event.data);
      // for measurements: how long a whole graph takes from here to the screen
      if (message.type === "snapshot") performance.mark("tracelake:snapshot", { startTime: arrived });
      this.receive(message);
    };
    socket.onclose = (event) => this.socket === socket && this.lost(event.code);
  }

  receive(message) {
    this.failures = 0;
    if (message.type === "document") return this.onDocument(message);
    if (message.type === "delta" && message.prev !== this.seq) {
      this.socket.close(); // a gap: come back and resume from what we have
      return;
    }
    this.epoch = message.epoch;
    this.seq = message.seq;
    this.onState("live");
    this.onMessage(message);
  }

  lost(code) {
    this.socket = null;
    this.failures += 1;
    if (code === 4404) return this.onState("missing");
    const isGone = this.failures >= GIVE_UP_AFTER;
    this.onState(!isGone ? "reconnecting" : answers() ? "unreachable" : "offline");
    const wait = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.failures - 1));
    this.timer = setTimeout(() => this.connect(), wait * (0.75 + Math.random() / 2));
  }
}
