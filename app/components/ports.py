"""That the relay listens at another port than programs were told, and the way back."""

from __future__ import annotations

import streamlit as st

from app import service
from app.components import press
from tracelake.errors import TraceLakeError

LOOK_S = 3.0


def render_displaced() -> None:
    """Say it while it is so, and offer the port as soon as it is free; nothing otherwise."""
    found = service.displaced()
    if found is None:
        return
    if not found.is_free:
        st.warning(
            f"Another program has port {found.wanted}, so Trace Lake records at port {found.used}: "
            "use that address, end the other program, or choose another port in Settings.",
            icon=":material/lan:",
        )
        return
    st.info(
        f"Trace Lake records at port {found.used}, since another program had port {found.wanted}. "
        "That is free now.",
        icon=":material/lan:",
    )
    if press.button(f"Record at port {found.wanted}", key="to-wanted-port"):
        with st.spinner("Calls in flight may end first…"):
            try:
                service.restart_collector(at_wanted_port=True)
            except TraceLakeError as error:
                st.error(str(error))
                return
        st.rerun()
