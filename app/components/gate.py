"""The door of an app that is open to other machines."""

from __future__ import annotations

import streamlit as st

from app import state
from app.routes import guard


def require_access() -> None:
    """Stop the run with a prompt unless this session may see the lake.

    Without an access token only this machine is served and everyone there may.
    """
    if guard.access_token() is None or state.get("_unlocked"):
        return
    if guard.verify_token(state.param(state.Param.TOKEN)):
        state.set_params(**{state.Param.TOKEN: None})
        state.put("_unlocked", value=True)
        return
    _, middle, _ = st.columns([1, 1.2, 1])
    with middle, st.form("access"):
        st.markdown("#### This lake is private")
        token = st.text_input("Access token", type="password", autocomplete="current-password")
        if st.form_submit_button("Open", type="primary"):
            if guard.verify_token(token):
                state.put("_unlocked", value=True)
                st.rerun()
            st.error("That is not the access token of this lake.")
    st.stop()
