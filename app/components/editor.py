"""The editors of a call: system prompt, messages, tools, parameters.

What is typed goes into the workbench at once; what is no JSON is said beside its editor and keeps
the last good value.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from app.components import draft_note, text
from app.components.text_editor import after_edits, render_text_editor, reserve_heights
from tracelake.playground.draft import MAX_TOKENS_KEY, PLAIN_PARAMETERS
from tracelake.playground.fields import ROLES, as_list, dump, role_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.workbench import Workbench
    from tracelake.playground.fields import Field

#: Beyond so many messages the earlier ones are folded away.
_OPEN_MESSAGES = 4
#: More variables than these are a template shown, not a prompt to fill in.
_VARIABLES_MAX, _VARIABLES_A_ROW = 12, 3
_SYSTEM_ROLES = frozenset({"system", "developer"})


def render_system(bench: Workbench) -> None:
    """The system prompt."""
    with st.container(key="edit-system", gap="xsmall"):
        title = st.container()
        _render_system_text(bench)
        with title:
            _title(bench, "System prompt", "system")


@st.fragment
def _render_system_text(bench: Workbench) -> None:
    _render_editor(
        bench,
        "System prompt",
        bench.draft.system,
        key="system",
        take=bench.edit_system,
        placeholder="Who the model is and how it should work",
    )


def render_messages(bench: Workbench) -> None:
    """Every message, each with its role, its place and its pieces."""
    title = st.container()
    messages = as_list(bench.draft.api, bench.draft.messages)
    first = _leading_instructions(bench, messages)
    folded = max(first, len(messages) - _OPEN_MESSAGES)
    if folded > first:
        with st.expander(text.plural(folded - first, "earlier message")):
            for index in range(first, folded):
                _render_message(bench, index, messages[index], len(messages))
    for index in range(folded, len(messages)):
        _render_message(bench, index, messages[index], len(messages))
    st.button(
        "Add message",
        icon=":material/add:",
        type="tertiary",
        on_click=after_edits(bench.add_message),
        key="add-message",
    )
    with title:
        _title(bench, "Messages", "messages")


def reserve_places(bench: Workbench) -> None:
    """Keep the place of the editors until they are there, so that nothing jumps then."""
    texts = {"system": bench.draft.system}
    for index in range(len(as_list(bench.draft.api, bench.draft.messages))):
        for number, piece in enumerate(bench.pieces(index)):
            texts[f"piece-{index}-{number}"] = piece.value
    reserve_heights(texts)


def render_tools(bench: Workbench) -> None:
    """The tool definitions, as JSON."""
    count = len(bench.draft.tools or [])
    with st.expander(f"Tools · {text.plural(count, 'definition')}", key="edit-tools"):
        title = st.container()
        _render_json(bench, "Tools", bench.draft.tools or [], bench.edit_tools)
        with title:
            _title(bench, "Definitions as sent", "tools")


def render_parameters(bench: Workbench) -> None:
    """Parameters without a control of their own, as JSON."""
    rest = {key: v for key, v in bench.draft.parameters.items() if key not in PLAIN_PARAMETERS}
    with st.expander(f"Other parameters · {len(rest)}", key="edit-parameters"):
        _render_json(bench, "Other parameters", rest, bench.edit_other_parameters)


def render_settings(bench: Workbench) -> None:
    """Model, length, temperature and streaming, in one row."""
    draft, revision = bench.draft, bench.stamp
    limit = next((k for k in ("max_tokens", *MAX_TOKENS_KEY.values()) if k in draft.parameters),
                 MAX_TOKENS_KEY[draft.api])  # fmt: skip
    model, tokens, warmth, top, stream = st.columns(
        [2.2, 1.1, 1, 1, 0.9], vertical_alignment="bottom"
    )
    chosen = model.text_input("Model", draft.model, key=f"model-{revision}")
    _set(bench, "model", chosen.strip() or None)
    _set(
        bench,
        limit,
        tokens.number_input(
            "Max tokens",
            min_value=1,
            value=draft.parameters.get(limit),
            key=f"limit-{revision}",
            placeholder="default",
        ),
    )
    for column, name, label in ((warmth, "temperature", "Temperature"), (top, "top_p", "Top p")):
        value = draft.parameters.get(name)
        _set(
            bench,
            name,
            column.number_input(
                label,
                min_value=0.0,
                value=None if value is None else float(value),
                step=0.1,
                key=f"{name}-{revision}",
                placeholder="default",
            ),
        )
    streamed = stream.toggle("Stream", draft.is_streamed, key=f"stream-{revision}")
    if streamed != draft.is_streamed:
        _set(bench, "stream", streamed or None)


def render_variables(bench: Workbench) -> None:
    """A field for each `{{variable}}` of the prompt; one left empty is sent as it is written."""
    names = bench.variables[:_VARIABLES_MAX]
    if not names:
        return
    st.caption("Variables, filled in when the prompt is sent; left empty they are sent as written.")
    columns = st.columns(min(len(names), _VARIABLES_A_ROW))
    for number, name in enumerate(names):
        bench.values[name] = columns[number % len(columns)].text_input(
            f"{{{{{name}}}}}", bench.values.get(name, ""), key=f"variable-{bench.stamp}-{name}"
        )


def _set(bench: Workbench, name: str, value: Any) -> None:
    # 1 and 1.0 are the same number; writing the recorded form back keeps the body as it was
    if value != bench.draft.parameters.get(name):
        bench.draft = bench.draft.with_parameter(name, value)


def _render_message(bench: Workbench, index: int, message: Any, count: int) -> None:
    stamp = f"{bench.stamp}-{index}"
    with st.container(border=True, key=f"message-{index}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            _render_role(bench, index, message, stamp)
            st.space("stretch")
            if bench.is_message_edited(index):
                st.button(
                    "Take the edits of this message back",
                    icon=":material/undo:",
                    type="tertiary",
                    help="Take the edits of this message back",
                    key=f"undo-message-{stamp}",
                    on_click=after_edits(bench.reset_message),
                    args=(index,),
                )
            for icon, tip, by in (
                ("arrow_upward", "Move up", -1),
                ("arrow_downward", "Move down", 1),
            ):
                st.button(
                    tip,
                    icon=f":material/{icon}:",
                    type="tertiary",
                    help=tip,
                    key=f"move-{by}-{stamp}",
                    disabled=not 0 <= index + by < count,
                    on_click=after_edits(bench.move_message),
                    args=(index, by),
                )
            st.button(
                "Remove this message",
                icon=":material/delete:",
                type="tertiary",
                help="Remove this message",
                key=f"remove-{stamp}",
                on_click=after_edits(bench.remove_message),
                args=(index,),
            )
        for number, piece in enumerate(bench.pieces(index)):
            _render_piece(bench, index, piece, f"{index}-{number}")


def _render_role(bench: Workbench, index: int, message: Any, stamp: str) -> None:
    role = role_of(message)
    roles = ROLES[bench.draft.api]
    if not (isinstance(message, dict) and "role" in message):
        st.markdown(f":violet-badge[{role.replace('_', ' ')}]")
        return
    options = roles if role in roles else (*roles, role)
    chosen = st.selectbox(
        "Role",
        options,
        index=options.index(role),
        key=f"role-{stamp}",
        label_visibility="collapsed",
        width=130,
    )
    if chosen != role:
        bench.set_role(index, chosen)
        st.rerun()


@st.fragment
def _render_piece(bench: Workbench, index: int, piece: Field, place: str) -> None:
    if piece.label != "text":
        st.caption(piece.label)
    _render_editor(
        bench,
        f"Message {index + 1} {piece.label}",
        piece.value,
        key=f"piece-{place}",
        take=partial(bench.edit_field, index, piece),
        language="json" if piece.kind == "json" else "markdown",
    )


@st.fragment
def _render_json(bench: Workbench, label: str, value: Any, take: Callable[[str], object]) -> None:
    key = label.lower().replace(" ", "-")
    _render_editor(bench, label, dump(value), key=key, take=take, language="json")


def _render_editor(
    bench: Workbench,
    label: str,
    value: str,
    *,
    key: str,
    take: Callable[[str], object],
    language: Literal["markdown", "json"] = "markdown",
    placeholder: str = "",
) -> None:
    """An editor of what may be refused; what is refused is said beside it.

    Args:
        bench: Of the call.
        label: Name of the editor.
        value: What it shows at first.
        key: Of the editor.
        take: Takes a text; raises ValueError where it cannot.
        language: For highlighting.
        placeholder: Shown while it is empty.
    """
    stamp = bench.stamp
    text = render_text_editor(
        label,
        value,
        key=key,
        revision=stamp,
        # keys from before the editors must show other values are no edit of those
        on_text=lambda typed: _try(take, typed) if bench.stamp == stamp else "",
        on_submit=bench.submit,
        language=language,
        placeholder=placeholder,
    )
    if text != value and (problem := _try(take, text)):
        st.error(f"{problem[:1].upper()}{problem[1:]}. The last valid value is kept.")
    _settle(bench)


def _try(take: Callable[[str], object], text: str) -> str:
    """Take an edit; gives why it cannot be taken, empty where it was."""
    try:
        take(text)
    except ValueError as error:
        return str(error)
    return ""


def _settle(bench: Workbench) -> None:
    """Keep the edits, and draw the page again where it would show something else than it does.

    What is typed into one editor is taken in by that alone, so that typing is not held up.
    """
    draft_note.keep(bench)
    if bench.is_outdated:
        st.rerun(scope="app")


def _title(bench: Workbench, title: str, part: str) -> None:
    row = st.container(
        horizontal=True, vertical_alignment="center", gap="small", key=f"title-{part}"
    )
    with row:
        st.markdown(f"**{title}**")
        if part in bench.edits:
            st.markdown(":orange-badge[edited]")
            st.button(
                "Reset",
                icon=":material/undo:",
                type="tertiary",
                key=f"reset-{part}",
                on_click=after_edits(bench.reset_part),
                args=(part,),
            )


def _leading_instructions(bench: Workbench, messages: list[Any]) -> int:
    """How many opening messages the system prompt's own editor shows already."""
    if bench.draft.api == "messages" or not bench.draft.system:
        return 0
    if bench.base.parameters.get("instructions"):
        return 0
    count = 0
    while count < len(messages) and role_of(messages[count]) in _SYSTEM_ROLES:
        count += 1
    return count
