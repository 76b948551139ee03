"""Which program made a connection."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys

import pytest

from tracelake.ingest.client import ClientWatch
from tracelake.ingest.peer import PeerResolver, is_alive, read_program

CLIENT = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(connection.getsockname()[1], flush=True)
sys.stdin.read()
"""

linux_only = pytest.mark.skipif(
    not PeerResolver(0).is_supported, reason="needs /proc/net/tcp, which is Linux only"
)


@linux_only
def test_the_program_behind_a_connection_is_found_and_its_end_is_noticed() -> None:
    """A client of the relay is named by its pid, and is reported once when it has ended."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay_port = server.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(relay_port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            assert client.stdout
            assert client.stdin
            port = int(client.stdout.readline())
            watch = ClientWatch(relay_port)
            found = watch.identify({"host": "127.0.0.1", "port": port})
            assert found["pid"] == client.pid
            assert found["ppid"] == os.getpid()
            assert found["ancestors"][:2] == [os.getpid(), os.getppid()][: 1 + (os.getppid() > 1)]
            assert found["cwd"] == os.getcwd()  # noqa: PTH109 - as the system spells it
            assert watch.ended() == []
            client.stdin.close()
            client.wait()
        assert watch.ended() == [], "its last calls may still be on their way"
        assert watch.ended() == [found]
        assert watch.ended() == []


@linux_only
def test_a_reused_pid_is_another_program() -> None:
    """Alive means the same start time too, so that a reused id never keeps a run open."""
    own = read_program(os.getpid())
    assert own
    assert is_alive(own.pid, own.started)
    assert not is_alive(own.pid, own.started + 1)


def test_an_unknown_port_names_nobody() -> None:
    """A connection that is gone, or another machine's, stays unnamed and costs no error."""
    assert PeerResolver(1).resolve(1) is None


@linux_only
def test_a_port_that_another_program_took_over_is_that_programs() -> None:
    """Ports of ended programs are given out again within seconds."""
    connect = (  # from an address of its own, whose ports no program beside takes
        "import socket, sys; s = socket.socket();"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1);"
        "s.bind(('127.9.8.7', int(sys.argv[2]))); s.connect(('127.0.0.1', int(sys.argv[1])));"
        "sys.stdin.read()"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay_port, port = server.getsockname()[1], 0
        watch = ClientWatch(relay_port)
        for _ in range(2):
            command = [sys.executable, "-c", connect, str(relay_port), str(port)]
            with subprocess.Popen(command, stdin=subprocess.PIPE) as program:
                connection, (_, port) = server.accept()
                assert watch.identify({"port": port})["pid"] == program.pid
                # a reset leaves no trace of the connection that would keep its port
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.close()
            assert watch.identify({"port": port})["pid"] == program.pid
