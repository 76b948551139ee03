"""Tables on object storage, against a local S3 server: several sealers, none lost."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow.fs import FileSelector

from tests.support import eventually
from tracelake import Lake
from tracelake.config import Location
from tracelake.schema import SPANS
from tracelake.storage.compactor import Compactor
from tracelake.storage.options import file_system, storage_options, write_object
from tracelake.storage.table import scan_uris

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("moto.server", reason="moto[server] is not installed: no S3 server to test on")

T0 = datetime(2025, 11, 22, 10, tzinfo=UTC)

#: Object storage answers a conditional put at once; this server looks first and puts then, so that
#: two may find the same place empty: one at a time.
SERVER = """
import sys, threading
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer
one, put = threading.Lock(), S3Response.put_object
def put_object(self):
    with one:
        return put(self)
S3Response.put_object = put_object
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket on a server of its own; the environment points at it."""
    from pyarrow.fs import S3FileSystem

    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        settings = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            files = S3FileSystem(
                access_key="test", secret_key="test", region="us-east-1",
                endpoint_override=f"http://127.0.0.1:{port}", allow_bucket_creation=True,
            )  # fmt: skip
            files.create_dir("lake")
            yield "s3://lake"
        server.kill()


def _append(lake: Lake, trace_id: str, span_id: str, seconds: float, **data: Any) -> None:
    lake.append(
        {
            "event_type": "llm_call",
            "trace_id": trace_id,
            "span_id": span_id,
            "timestamp": T0 + timedelta(seconds=seconds),
            "data": data,
        }
    )


@pytest.mark.filterwarnings("ignore")
def test_a_lake_on_object_storage(bucket: str, tmp_path: Path) -> None:
    """Seal, amend, compact, vacuum, delete and read work as on a local disk."""
    lake = Lake(Location(f"{bucket}/one", tmp_path / "hot"))
    for number in range(4):
        _append(lake, f"t{number % 2}", f"s{number}", number)
        _append(lake, "t0", "open", 0, status="running")
        lake.seal()
    _append(lake, "t1", "s1", 60, error_type="Late")
    before = lake.spans().sort("trace_id", "span_id").collect()
    assert before.height == 5
    lake.seal()
    lake.compact(today=date(2026, 1, 1))
    after = lake.spans().sort("trace_id", "span_id").collect()
    assert after.drop("revision").equals(before.drop("revision"))
    assert len(lake.files()) == 2  # one for each trace: their ranges do not overlap
    assert lake.trace("t1").height == 2
    assert lake.traces().collect().height == 2
    assert len(_objects(bucket)) > len(lake.files())
    assert Compactor(lake.location, vacuum_grace_s=3600).vacuum() == 0
    assert Compactor(lake.location, vacuum_grace_s=-60).vacuum() > 0
    assert _objects(bucket) == sorted(lake.files())
    assert lake.spans().sort("trace_id", "span_id").collect().equals(after)
    lake.delete("t1")
    lake.seal()
    assert set(Lake(lake.location).spans().collect()["trace_id"]) == {"t0"}


def _objects(bucket: str) -> list[str]:
    """Every Parquet object of `spans`, by its URI."""
    files, root = file_system(f"{bucket}/one/spans", storage_options(Location(bucket, Path())))
    found = files.get_file_info(FileSelector(root, recursive=True))
    return sorted(f"s3://{i.path}" for i in found if i.extension == "parquet")


@pytest.mark.filterwarnings("ignore")
def test_damage_on_object_storage_is_named_and_moved(bucket: str, tmp_path: Path) -> None:
    """A truncated object costs its own rows: the others answer, and it can be taken out."""
    lake = Lake(Location(f"{bucket}/ruin", tmp_path / "hot"))
    for trace_id in ("t0", "t1"):
        _append(lake, trace_id, "s", 0, response="x" * 1000)
        lake.seal()
    assert lake.verify().is_clean
    bad = next(uri for uri in lake.files() if _holds(lake, uri, "t1"))
    options = storage_options(lake.location)
    system, path = file_system(bad, options)
    with system.open_input_file(path) as whole:
        content = whole.read()
    write_object(bad, content[:-100], options or {})
    system, path = file_system(f"{bucket}/ruin/spans/date=2025-11-22/alien.parquet", options)
    write_object(f"s3://{path}", b"PAR1", options or {})
    fresh = Lake(lake.location)
    found = fresh.answer(lambda: fresh.spans().collect())
    assert found["trace_id"].to_list() == ["t0"]
    report = fresh.verify()
    assert sorted(problem.kind for problem in report.problems) == ["alien", "damaged"]
    assert sorted(uri.rpartition("/")[2] for uri in fresh.quarantine(report)) == sorted(
        ["alien.parquet", bad.rpartition("/")[2]]
    )
    assert Lake(lake.location).verify().is_clean
    assert Lake(lake.location).spans().collect()["trace_id"].to_list() == ["t0"]


def _holds(lake: Lake, uri: str, trace_id: str) -> bool:
    rows = scan_uris(SPANS, [uri], storage_options(lake.location))
    return rows.select("trace_id").collect()["trace_id"].to_list() == [trace_id]


SEALING = """
import sys
from pathlib import Path
from tracelake import Lake
from tracelake.config import Location
name, root, folder = sys.argv[1:]
lake = Lake(Location(root, Path(folder) / name))
for number in range(4):
    lake.append({"event_type": "llm_call", "trace_id": f"{name}-{number}", "span_id": "s",
                 "timestamp": "2025-11-22T10:00:00Z", "data": {"duration_ms": 1.0}})
    while True:
        try:
            lake.seal()
            break
        except Exception as error:
            print(repr(error)[:200], file=sys.stderr)
"""


@pytest.mark.filterwarnings("ignore")
def test_sealers_of_several_hosts_lose_nothing(bucket: str, tmp_path: Path) -> None:
    """Three hosts commit to the same tables at once; each row is there, once."""
    root = f"{bucket}/many"
    hosts = [
        subprocess.Popen([sys.executable, "-c", SEALING, f"h{n}", root, str(tmp_path)])
        for n in range(3)
    ]
    for host in hosts:
        eventually(lambda one=host: one.poll() is not None, timeout_s=120)
    assert [host.returncode for host in hosts] == [0, 0, 0]
    lake = Lake(Location(root, tmp_path / "h0"))
    assert os.environ["AWS_ENDPOINT_URL"]
    found = lake.spans().collect()
    assert sorted(found["trace_id"]) == sorted(f"h{n}-{k}" for n in range(3) for k in range(4))
    assert lake.traces().collect().height == 12
