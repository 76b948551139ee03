"""The Trace Lake app: a Streamlit front end with its own HTTP and WebSocket routes."""
