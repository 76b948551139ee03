"""What a fork shows beyond what the relay saw."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.unit.wire.exchanges import CHAT, exchange
from tracelake import Lake
from tracelake.config import SETTINGS_FILE
from tracelake.replay.shown import edited_request, tell

if TYPE_CHECKING:
    from pathlib import Path


def test_an_edited_request_is_redacted(tmp_path: Path) -> None:
    """What a pattern matches is not written where a request was sent edited, either."""
    lake = Lake(tmp_path)
    lake.hot.mkdir()
    (lake.hot / SETTINGS_FILE).write_text(json.dumps({"redact": ["hunter[0-9]"]}))
    body = {"model": "m", "messages": [{"role": "user", "content": "it is hunter7"}]}
    event = edited_request("trace", "span", exchange(CHAT, body))
    assert event is not None
    tell(lake, event)
    (row,) = lake.spans().collect().to_dicts()
    assert json.loads(row["messages"]) == [{"role": "user", "content": "it is [redacted]"}]
    assert (row["trace_id"], row["span_id"]) == ("trace", "span")
