"""Routes served beside the pages: the HTTP API, the live stream and the guard in front of both."""
