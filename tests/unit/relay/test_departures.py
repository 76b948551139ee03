"""The table of connections, as Linux tells it."""

from __future__ import annotations

from tracelake.relay.departures import sending_ports

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0100007F:C350 0100007F:1F41 01 00000000:00000000 00:00000000 00000000     0        0 2
   2: 0100007F:C351 0100007F:1F41 04 00100000:00000000 01:00000014 00000000     0        0 0
   3: 0100007F:C352 0100007F:1F41 08 00000000:00000001 00:00000000 00000000     0        0 3
   torn line
"""


def test_only_programs_that_still_send_are_told() -> None:
    """A socket whose program has closed it (FIN_WAIT1) is not one that still sends."""
    assert sending_ports([TABLE, ""]) == {(50000, 8001), (50002, 8001)}
