"""Port, providers, redaction and retention of the lake, in one form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from app import data, service, state
from app.components import press, text
from tracelake.config import ANTHROPIC_BACKEND, OPENAI_BACKEND
from tracelake.errors import TraceLakeError
from tracelake.ingest.settings import LARGEST_PORT, LONGEST_KEEP_DAYS, Settings, parse_upstreams
from tracelake.query.traces import TraceFilter

_SAVED = "_settings_saved"


def render_settings() -> None:
    """Draw the form; what was typed stays when it cannot be used."""
    try:
        known = service.read_settings()
    except TraceLakeError as error:
        st.error(str(error))
        return
    with st.form("collector-settings", border=True):
        port = st.number_input(
            "Port",
            min_value=1,
            max_value=LARGEST_PORT,
            value=known.port,
            help="Where programs reach the relay on this machine. Another program that has it "
            "keeps it: Trace Lake listens elsewhere then, and says so.",
        )
        anthropic = st.text_input(
            "Anthropic base URL",
            known.anthropic_backend,
            placeholder=ANTHROPIC_BACKEND,
            help="Where calls to Anthropic go: the base URL as its SDK takes it.",
        )
        openai = st.text_input(
            "OpenAI base URL",
            known.openai_backend,
            placeholder=OPENAI_BACKEND,
            help="Where calls to OpenAI go: the base URL as its SDK takes it, with /v1.",
        )
        upstreams = st.text_area(
            "Further providers",
            "\n".join(f"{name}={url}" for name, url in known.upstreams.items()),
            placeholder="ollama=http://127.0.0.1:11434/v1\ngroq=https://api.groq.com/openai/v1",
            help="NAME=URL, one a line. A client reaches one under /u/NAME/ of the relay.",
            height=92,
        )
        redact = st.text_area(
            "Remove from what is recorded",
            "\n".join(known.redact),
            placeholder="customer-[0-9]{6}\n[\\w.]+@example\\.com",
            help="Regular expressions, one a line. Matches in prompts, answers and headers are "
            "replaced before they reach the disk. API keys are never written in any case.",
            height=92,
        )
        days = st.number_input(
            "Keep traces for (days)",
            min_value=1,
            max_value=LONGEST_KEEP_DAYS,
            value=known.keep_days,
            placeholder="for good",
            help="Older traces are deleted for good, within the hour. Empty keeps everything.",
        )
        said = st.container()  # above the button, where it is in sight
        if st.form_submit_button("Save", icon=":material/save:"):
            with said:
                _save(upstreams, redact, port=port, anthropic=anthropic, openai=openai, days=days)
    _render_pending()


def _save(
    upstreams: str, redact: str, *, port: int, anthropic: str, openai: str, days: int | None
) -> None:
    try:
        changed = Settings(
            anthropic_backend=anthropic.strip() or ANTHROPIC_BACKEND,
            openai_backend=openai.strip() or OPENAI_BACKEND,
            upstreams=parse_upstreams(upstreams),
            redact=tuple(line.strip() for line in redact.splitlines() if line.strip()),
            port=port,
            keep_days=days,
        )
        service.write_settings(changed)
    except TraceLakeError as error:
        st.error(str(error))
        return
    state.put(_SAVED, changed)


def _render_pending() -> None:
    """What a saved change waits for."""
    saved: Settings | None = state.get(_SAVED)
    if saved is None:
        return
    if before := saved.delete_before(datetime.now(UTC)):
        older = TraceFilter(until=before.date() - timedelta(days=1))
        count = data.list_traces(older, page_size=1).total
        if count:
            st.warning(
                f"{text.plural(count, 'trace')} from before {before:%d %B %Y} (UTC) will be "
                "deleted within the hour."
            )
    if not service.owns_collector():
        st.success("Saved. The next `tracelake collect` of this lake works with it.")
        return
    st.success("Saved. The collector works with it once it is started again.")
    if press.button("Restart the collector", icon=":material/restart_alt:", key="restart"):
        with st.spinner("Calls in flight may end first…"):
            try:
                service.restart_collector()
            except TraceLakeError as error:
                st.error(str(error))
                return
        state.drop(_SAVED)
        st.rerun()
