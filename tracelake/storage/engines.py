"""The lake's tables on several query engines, as narwhals frames.

    scan(parts, engine, session=None) -> narwhals.LazyFrame

One small adapter per engine says how it reads Parquet files and takes in rows of this process; what
is excluded, replaced and added is the same narwhals code for all.

Invariant: every engine gives the rows that `polars` gives, with the columns of the table.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import polars as pl

from tracelake.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracelake.schema import DType, Table
    from tracelake.storage.parts import Parts

Engine = Literal["polars", "duckdb", "pyspark"]

_TOP = "_top"
_DUCKDB_TYPES: dict[DType, str] = {
    "string": "VARCHAR",
    "json": "VARCHAR",
    "timestamp": "TIMESTAMPTZ",
    "date": "DATE",
    "float": "DOUBLE",
    "int": "BIGINT",
    "bool": "BOOLEAN",
    "binary": "BLOB",
}
_SPARK_TYPES: dict[DType, str] = {
    "string": "string",
    "json": "string",
    "timestamp": "timestamp",
    "date": "date",
    "float": "double",
    "int": "bigint",
    "bool": "boolean",
    "binary": "binary",
}


def scan(parts: Parts, engine: Engine, session: Any = None) -> nw.LazyFrame[Any]:
    """A table on one engine.

    Args:
        parts: What the table consists of at this moment.
        engine: `polars`, `duckdb` or `pyspark`.
        session: A DuckDB connection or a Spark session to use; made when absent.

    Raises:
        QueryError: The engine is unknown or not installed.
    """
    if engine not in _ADAPTERS:
        raise QueryError(f"unknown engine {engine!r}: use {', '.join(_ADAPTERS)}")
    try:
        read, take = _ADAPTERS[engine](parts, session)
    except ImportError as error:
        extra = "spark" if engine == "pyspark" else engine
        raise QueryError(f"{engine} is not installed: pip install 'tracelake[{extra}]'") from error
    return _assemble(parts, read, take)


def _assemble(
    parts: Parts,
    read: Callable[[Sequence[str]], Any],
    take: Callable[[pl.DataFrame], Any],
) -> nw.LazyFrame[Any]:
    names = list(parts.table.names)
    frames: list[nw.LazyFrame[Any]] = []
    if parts.uris:
        rows = nw.from_native(read(parts.uris)).lazy().select(names)
        if parts.before is not None:
            rows = rows.filter(nw.col("start_time") >= nw.lit(parts.before))
        for day in parts.days:
            rows = rows.filter(~nw.col("trace_id").is_null() | (nw.col("date") != nw.lit(day)))
        if parts.without is not None and parts.without.height:
            hidden = nw.from_native(take(parts.without)).lazy()
            rows = rows.join(hidden, on="trace_id", how="anti")
        if parts.top is not None and parts.top.height:
            top = nw.from_native(take(parts.top)).lazy()
            rows = rows.join(top, on=["trace_id", "span_id"], how="left")
            newest = nw.col(_TOP).is_null() | (nw.col("revision") == nw.col(_TOP))
            rows = rows.filter(newest).select(names)
        frames.append(rows)
    if parts.hot.height or not frames:
        frames.append(nw.from_native(take(parts.hot.select(names))).lazy().select(names))
    return frames[0] if len(frames) == 1 else nw.concat(frames, how="vertical")


def _polars(parts: Parts, session: Any) -> tuple[Any, Any]:
    from tracelake.storage.table import scan_uris

    del session

    def read(uris: Sequence[str]) -> pl.LazyFrame:
        return scan_uris(parts.table, list(uris), parts.options)

    return read, pl.DataFrame.lazy


@lru_cache(maxsize=1)
def _shared_duckdb() -> Any:
    """One connection of this process: DuckDB joins frames of one connection only."""
    import duckdb

    return duckdb.connect()


def _duckdb(parts: Parts, session: Any) -> tuple[Any, Any]:
    connection = session or _shared_duckdb()
    connection.execute("SET TimeZone = 'UTC'")
    if parts.options:
        connection.execute("INSTALL httpfs; LOAD httpfs")

    def read(uris: Sequence[str]) -> Any:
        rows = connection.read_parquet(list(uris), hive_partitioning=True, union_by_name=True)
        there = set(rows.columns)
        columns = ", ".join(
            f"CAST({_quoted(c.name) if c.name in there else 'NULL'} AS {_DUCKDB_TYPES[c.dtype]})"
            f" AS {_quoted(c.name)}"
            for c in parts.table.columns
        )
        return rows.project(columns)

    def take(frame: pl.DataFrame) -> Any:
        return connection.from_arrow(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))

    return read, take


def _pyspark(parts: Parts, session: Any) -> tuple[Any, Any]:
    from pyspark.sql import SparkSession  # type: ignore[import-not-found]

    spark = session or SparkSession.getActiveSession()
    if spark is None:
        builder = SparkSession.builder.master("local[2]").appName("tracelake")
        spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")

    def read(uris: Sequence[str]) -> Any:
        reader = spark.read.option("basePath", parts.root).schema(_spark_schema(parts.table))
        return reader.parquet(*(uri.replace("s3://", "s3a://") for uri in uris))

    def take(frame: pl.DataFrame) -> Any:
        rows = spark.createDataFrame(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
        return rows.selectExpr(
            *(f"CAST(`{n}` AS {_spark_type(parts.table, n)}) AS `{n}`" for n in frame.columns)
        )

    return read, take


def _spark_schema(table: Table) -> str:
    return ", ".join(f"`{c.name}` {_SPARK_TYPES[c.dtype]}" for c in table.columns)


def _spark_type(table: Table, name: str) -> str:
    return "bigint" if name == _TOP else _SPARK_TYPES[table.dtype(name)]


def _quoted(name: str) -> str:
    return f'"{name}"'


_ADAPTERS: dict[str, Callable[[Parts, Any], tuple[Any, Any]]] = {
    "polars": _polars,
    "duckdb": _duckdb,
    "pyspark": _pyspark,
}
