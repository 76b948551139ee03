"""Where a prompt goes, as a call of which model, and the button that sends it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from app import state, targets, workbench
from app.components import editor, text
from tracelake.errors import TraceLakeError

if TYPE_CHECKING:
    from tracelake.playground.draft import DraftApi

#: What stands in the control and in the URL, for each wire format.
FORMATS: dict[str, DraftApi] = {"Messages": "messages", "Chat": "chat", "Responses": "responses"}
_TITLES = {
    "Messages": "Anthropic Messages",
    "Chat": "OpenAI Chat",
    "Responses": "OpenAI Responses",
}


def scratch_format() -> DraftApi:
    """The format that the URL names for a call from scratch."""
    return FORMATS.get(state.param(state.Param.FORMAT) or "", "messages")


def name_format(bench: workbench.Workbench) -> None:
    """Have the URL name the format of a call from scratch."""
    if bench.draft.api != scratch_format():
        state.set_params(
            format=next(name for name, api in FORMATS.items() if api == bench.draft.api)
        )


def render_send(bench: workbench.Workbench) -> bool:
    """Draw it all; gives whether a test was sent just now."""
    with st.container(border=True, key="send", gap="small"):
        kind, where, count = st.columns([1.25, 1.5, 0.8], vertical_alignment="bottom")
        with kind:
            _render_format(bench)
        options = targets.choices(bench.draft.api, bench.span)
        names = [option.name for option in options]
        chosen = where.selectbox(
            "Send to",
            names,
            format_func=lambda name: options[names.index(name)].label,
            key=f"target-{bench.draft.api}-{bool(bench.span)}",
        )
        choice = options[names.index(chosen)]
        variants = count.number_input(
            "Variants", min_value=1, max_value=workbench.VARIANTS_MAX, value=1, key="variants"
        )
        base_url, api_key = _render_access(bench, choice)
        _render_conversion(bench)
        editor.render_settings(bench)
        editor.render_variables(bench)
        submitted, bench.is_submitted = bench.is_submitted, False
        _render_button(bench)
        for name, value in bench.headers_to_send.items():
            st.caption(f"Sent again as recorded: {text.plain(f'{name}: {value}')}")
        if submitted and not bench.is_running:
            return _send(bench, choice, base_url=base_url, api_key=api_key, variants=variants)
    return False


def _render_format(bench: workbench.Workbench) -> None:
    # the format is the bench's; another revision may show another one
    chosen = st.selectbox(
        "Format",
        list(FORMATS),
        index=list(FORMATS.values()).index(bench.draft.api),
        format_func=lambda name: _title(bench, name),
        key=f"format-{bench.stamp}",
    )
    if FORMATS[chosen] != bench.draft.api:
        bench.switch(FORMATS[chosen])
        if bench.span is None:
            name_format(bench)
        st.rerun()


def _title(bench: workbench.Workbench, name: str) -> str:
    is_recorded = bench.span is not None and FORMATS[name] == bench.original.api
    return f"{_TITLES[name]} · recorded" if is_recorded else _TITLES[name]


def _render_conversion(bench: workbench.Workbench) -> None:
    """What a change of format left behind, and what it changed."""
    if not bench.trail or (bench.span is None and not bench.lost):
        return
    source = next(name for name, api in FORMATS.items() if api == bench.original.api)
    said = "".join(
        f"<div><b>{title}:</b> {escape('; '.join(told))}.</div>"
        for title, told in (("Not carried over", bench.lost), ("Changed", bench.changed))
        if told
    )
    st.html(
        f'<div class="tl-note" role="note">{said or "<div>Everything was carried over.</div>"}'
        f"<div>Choosing {escape(_TITLES[source])} again brings all of it back.</div></div>"
    )


def _render_access(bench: workbench.Workbench, choice: targets.Choice) -> tuple[str, str]:
    """Base URL and key where the choice needs them; both stay in this session's memory."""
    base_url = api_key = ""
    if choice.name == targets.OTHER:
        base_url = st.text_input(
            "Base URL, as the SDK wants it", key="base-url", placeholder="http://localhost:11434/v1"
        )
    if choice.needs_key:
        api_key = st.text_input(
            "API key, for this session only",
            type="password",
            key=f"key-{choice.name}",
            placeholder=targets.key_hint(choice, bench.draft.api),
            autocomplete="off",
        )
    return base_url, api_key


def _render_button(bench: workbench.Workbench) -> None:
    if bench.is_running:
        st.button(
            "Cancel",
            icon=":material/stop_circle:",
            on_click=bench.cancel,
            width="stretch",
            key="cancel",
        )
        return
    st.button(
        "Test Prompt",
        type="primary",
        icon=":material/play_arrow:",
        shortcut="Mod+Enter",
        width="stretch",
        key="test",
        # a press that comes with the last keys may be told in a run that does not draw it
        on_click=bench.submit,
    )


def _send(
    bench: workbench.Workbench,
    choice: targets.Choice,
    *,
    base_url: str,
    api_key: str,
    variants: int,
) -> bool:
    try:
        target = targets.target(choice, bench.draft.api, base_url=base_url, api_key=api_key)
    except TraceLakeError as error:
        st.error(str(error))
        return False
    if not target.base_url:
        st.error("Say which base URL to send to.")
        return False
    if bench.base.model and not bench.draft.model:
        st.error("Say which model to ask.")
        return False
    try:
        bench.test(target, variants)
    except TraceLakeError as error:
        st.error(str(error))
        return False
    return True
