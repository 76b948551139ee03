"""The whole product in one process: pages, live stream, HTTP API; `streamlit run app` starts it.

Streamlit finds `app` below by reading this file, and uvicorn serves it.
"""

import sys
from pathlib import Path

# `streamlit run app` puts only this folder on the path; `app` and `pages` are its siblings' names
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import streamlit as st

from app import service
from app.routes import api, live

service.refuse_open_binding()

app = st.App(
    Path(__file__).with_name("main.py"),
    routes=[*api.routes, *live.routes],
    lifespan=service.lifespan,
)
