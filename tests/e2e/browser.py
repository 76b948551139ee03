"""Real Chromium and a real app, for the tests that look at the screen."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Error, expect, sync_playwright

from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from playwright.sync_api import Page

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: A page may take long to draw on a busy machine; every wait ends as soon as it can.
PATIENCE_MS = 45_000


def free_port() -> int:
    """A port that nobody listens on, of those that the system gives nobody unasked."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def running_app(
    command: Sequence[str], *, port: int, lake: Path, cwd: Path, log: Path, **extra: str
) -> Generator[str]:
    """Serve the app while the block runs; its base URL."""
    environ: Mapping[str, str] = {**os.environ, "TRACELAKE_DIR": str(lake), **extra}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=environ, stdout=output, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"

    def serves() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        eventually(serves, timeout_s=90)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


@contextmanager
def open_browser(**context: Any) -> Generator[Page]:
    """One page of a fresh Chromium; reports every request that leaves the machine."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        options: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, **context}
        page = browser.new_context(accept_downloads=True, **options).new_page()
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        heard = _listen(page)
        open_pages[page] = heard
        try:
            yield page
        except Exception:
            last_looks.append(look_at(page))
            raise
        finally:
            del open_pages[page]
            browser.close()


#: Pages of running tests, with what their consoles said.
open_pages: dict[Page, list[str]] = {}
#: What pages looked like that were left by an error.
last_looks: list[str] = []
_LOOK_MS = 5000
_LOOK = """() => {
  const now = window.trackedFrames ??= { from: performance.now(), frames: 0, started: false };
  if (!now.started) {
    now.started = true;
    const count = () => { now.frames += 1; requestAnimationFrame(count); };
    requestAnimationFrame(count);
  }
  const ms = performance.now() - now.from;
  if (ms < 1000) return null;
  const live = window.tracelakeGraph?.live;
  const graph = live && {
    trace: live.trace, state: live.state, status: live.status, chosen: live.current,
    connected: live.root.isConnected, nodes: live.view.cy.nodes().length,
    followed: live.view.follow, opened: live.view.stacks.opened,
    collapsed: [...live.view.collapse.ids],
    found: live.walk.hits.map((node) => `${node.id()} ${node.classes().join(" ")}`).slice(0, 9),
    pending: live.view.painter.cull.dirty.size,
  };
  return `${now.frames} frames in ${Math.round(ms)} ms, ${document.visibilityState}, ` +
    `graph ${JSON.stringify(graph ?? null)}`;
}"""


def look_at(page: Page) -> str:
    """What a page shows and said, for the report of a test that failed on it."""
    lines = [page.url, *open_pages[page][-20:]]
    try:
        # by time, not by frames: there may be none
        seen = page.wait_for_function(_LOOK, polling=200, timeout=_LOOK_MS)
        lines.append(seen.json_value())
        lines.append(page.locator("body").inner_text(timeout=_LOOK_MS)[:2000])
    except Error as error:
        lines.append(f"the page does not answer: {error.message}")
    return "\n".join(lines)


def _listen(page: Page) -> list[str]:
    heard: list[str] = []
    page.on("console", lambda said: heard.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: heard.append(f"uncaught: {error.message}\n{error.stack}"))
    page.on("crash", lambda _: heard.append("the page crashed"))
    return heard


#: Where a node of the live graph stands on the screen, in CSS pixels; null while it is not there.
NODE_ON_SCREEN = """(wanted) => {
  const live = window.tracelakeGraph?.live;
  const node = live?.view.cy.nodes().filter((n) => n.data("type") === wanted).last();
  if (!node || !node.length) return null;
  live.view.cy.stop();
  live.view.cy.center(node);
  const box = live.view.cy.container().getBoundingClientRect();
  const at = node.renderedPosition();
  return { x: box.left + at.x, y: box.top + at.y };
}"""
COUNT_NODES = "() => window.tracelakeGraph?.live.view.cy.nodes().length ?? 0"
MOUNTS = "() => window.tracelakeGraph?.mounts ?? 0"
