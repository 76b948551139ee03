"""Every table and column of the lake, declared once, as data.

Invariants:
- The schema only grows: a column is never renamed, retyped or removed; `VERSION` rises with it.
- JSON columns hold JSON text, so that any Parquet reader can use them.
- An unknown number is null, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

#: Version of the tables below, stored in each lake; a lake with a higher one is refused.
VERSION = 2

DType = Literal["string", "json", "timestamp", "date", "float", "int", "bool", "binary"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, type and meaning."""

    name: str
    dtype: DType
    doc: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: a Delta table under the lake, partitioned by `date`, sorted by `sort`.

    Attributes:
        wide: Columns of any length, which a question about one trace reads of that trace only.
        row_group_rows: Most rows of a row group: few where rows are looked up one by one.
    """

    name: str
    columns: tuple[Column, ...]
    sort: tuple[str, ...]
    wide: tuple[str, ...] = ()
    row_group_rows: int = 16_384

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)

    def dtype(self, name: str) -> DType:
        """The type of one column.

        Raises:
            KeyError: The table has no such column.
        """
        types: dict[str, DType] = {column.name: column.dtype for column in self.columns}
        return types[name]


def _columns(dtype: DType, **docs: str) -> tuple[Column, ...]:
    return tuple(Column(name, dtype, doc) for name, doc in docs.items())


SPANS = Table(
    "spans",
    (
        *_columns(
            "string",
            trace_id="Trace the span belongs to.",
            span_id="Unique in its trace.",
            parent_id="Span it hangs on; null for the root agent.",
            session_id="Conversation or session that several traces may share.",
            run_id="Recorded program run, when started through one.",
            kind="agent, llm, tool, chain, retriever, embedding or other.",
            role="For agents: orchestrator (the root) or agent.",
            name="Display name.",
            agent_name="Agent the span belongs to.",
        ),
        *_columns("timestamp", start_time="Start, UTC.", end_time="End, UTC."),
        *_columns(
            "float",
            duration_ms="End minus start, milliseconds.",
            ttft_ms="Time to first token, milliseconds.",
            held_ms="Time held at a breakpoint, milliseconds; not part of the latency.",
        ),
        *_columns(
            "string",
            status="running, ok, error, cancelled or lost.",
            error_type="Class of the error, as the provider or program named it.",
            error="Error text.",
            provider="anthropic, openai or another provider's name.",
            model="Model that answered, else the one asked for.",
        ),
        *_columns("json", request="Request parameters except system, messages and tools."),
        *_columns("string", system="System prompt as text."),
        *_columns(
            "json",
            messages="Messages as sent to the provider.",
            tools="Tool definitions as sent.",
        ),
        *_columns("string", response="Text of the answer."),
        *_columns("json", response_blocks="Content blocks of the answer."),
        *_columns("string", finish_reason="Why the model stopped, as the provider named it."),
        *_columns(
            "int",
            tokens_input="Input tokens, cached ones included.",
            tokens_output="Output tokens, reasoning included.",
            tokens_cache_read="Input tokens read from the prompt cache.",
            tokens_cache_write="Input tokens written to the prompt cache.",
            tokens_reasoning="Output tokens spent on reasoning.",
        ),
        *_columns("float", cost_usd="US dollars; null when the price is unknown."),
        *_columns(
            "string",
            cost_note="Why the cost is null, or how it was estimated.",
            tool_name="Tool that was called.",
            tool_call_id="Provider's id of the call.",
        ),
        *_columns("json", parameters="Arguments of the tool call."),
        *_columns(
            "string",
            result="What the tool returned.",
            source="sdk, proxy, otlp, import, playground or replay.",
            evidence="recorded or inferred.",
            evidence_source="What an inferred fact rests on.",
        ),
        *_columns("float", confidence="0 to 1, of an inferred fact."),
        *_columns("string", duplicate_of="Span that tells of the same call."),
        *_columns("bool", auxiliary="A side call (title, token count), not summed."),
        *_columns(
            "string",
            prompt_fingerprint="Hash of the system prompt, volatile parts masked.",
            tools_fingerprint="Hash of the tool definitions.",
            forked_from_trace_id="Trace this one was forked from.",
            original_span_id="Span of the original trace that this one repeats.",
            match="exact, semantic, volatile, fuzzy, edited or live.",
        ),
        *_columns("json", attributes="Everything else, a JSON object."),
        *_columns("int", revision="Higher wins when a later fact amended the span."),
        *_columns("date", date="UTC day of the start; partition."),
    ),
    ("trace_id", "start_time"),
    wide=(
        "error",
        "request",
        "system",
        "messages",
        "tools",
        "response",
        "response_blocks",
        "parameters",
        "result",
        "attributes",
    ),
)

TRACES = Table(
    "traces",
    (
        *_columns(
            "string",
            trace_id="Id.",
            session_id="Session.",
            run_id="Run.",
            name="Name of the root span.",
        ),
        *_columns("timestamp", start_time="First start, UTC.", end_time="Last end, UTC."),
        *_columns("float", duration_ms="Milliseconds from first start to last end."),
        *_columns("string", status="Status of the root."),
        *_columns("json", agents="Agent names, a JSON array.", models="Models, a JSON array."),
        *_columns(
            "int",
            span_count="Spans.",
            llm_calls="LLM calls.",
            tool_calls="Tool calls.",
            error_count="Spans in error.",
            tokens_input="Input tokens of the LLM spans.",
            tokens_output="Output tokens of the LLM spans.",
        ),
        *_columns("float", cost_usd="US dollars; null when no call has a known price."),
        *_columns(
            "string",
            final_output="Text of the last answer of the root agent.",
            forked_from_trace_id="Trace this one was forked from.",
        ),
        *_columns("date", date="UTC day of the start; partition."),
    ),
    ("trace_id", "start_time"),
    wide=("final_output",),
    row_group_rows=1024,
)

EXCHANGES = Table(
    "exchanges",
    (
        *_columns("string", span_id="Id.", trace_id="Trace.", run_id="Run."),
        *_columns(
            "timestamp",
            start_time="Request head read, UTC.",
            first_byte_time="First response byte, UTC.",
            end_time="Exchange over, UTC.",
        ),
        *_columns("string", method="HTTP method.", path="Path and query.", upstream="Upstream."),
        *_columns("json", request_headers="Pairs, credentials redacted."),
        *_columns("binary", request_body="Bytes on the wire."),
        *_columns("int", status="HTTP status."),
        *_columns("json", response_headers="Pairs."),
        *_columns("binary", response_body="Bytes on the wire."),
        *_columns(
            "string",
            outcome=(
                "ok, client_disconnected, upstream_unreachable, upstream_died, refused, or lost: "
                "the relay died before it ended."
            ),
        ),
        *_columns("json", client="Peer: host, port, and where known pid, command, cwd."),
        *_columns("date", date="UTC day of the start; partition."),
    ),
    ("trace_id", "start_time"),
    wide=("request_headers", "request_body", "response_headers", "response_body"),
)

RUNS = Table(
    "runs",
    (
        *_columns("string", run_id="Id.", name="Name given by the user."),
        *_columns("timestamp", start_time="Start, UTC.", end_time="End, UTC."),
        *_columns("json", command="argv, a JSON array."),
        *_columns("string", cwd="Working directory."),
        *_columns(
            "json",
            environment="Variables that differ from the login environment, secrets left out.",
            git="head, branch, dirty patch.",
            client="pid, user, host of the program.",
        ),
        *_columns("int", exit_code="Exit code."),
        *_columns("string", forked_from_run_id="Run that this one repeats."),
        *_columns(
            "json",
            fork="Of a fork: span, edit, working copy, outcome, changed files.",
        ),
        *_columns("binary", files="Zip of the files that git does not hold, before the run."),
        *_columns("date", date="UTC day of the start; partition."),
    ),
    ("start_time", "run_id"),
)

ANNOTATIONS = Table(
    "annotations",
    (
        *_columns("string", annotation_id="Id.", trace_id="Trace.", span_id="Span or null."),
        *_columns("timestamp", start_time="Written at, UTC."),
        *_columns("string", author="Who.", label="Short label.", text="Note."),
        *_columns("bool", deleted="True takes the note back."),
        *_columns("date", date="UTC day; partition."),
    ),
    ("trace_id", "start_time"),
)

CHECKPOINTS = Table(
    "checkpoints",
    (
        *_columns("string", checkpoint_id="Id.", trace_id="Trace.", span_id="Span.", name="Name."),
        *_columns("timestamp", start_time="Written at, UTC."),
        *_columns("json", edit="Edited request or response, or null."),
        *_columns("bool", deleted="True takes it back."),
        *_columns("date", date="UTC day; partition."),
    ),
    ("trace_id", "start_time"),
)

VIEWS = Table(
    "views",
    (
        *_columns("string", view_id="Id.", name="Name."),
        *_columns("timestamp", start_time="Written at, UTC."),
        *_columns("json", filters="Filters of the saved view."),
        *_columns("bool", deleted="True takes it back."),
        *_columns("date", date="UTC day; partition."),
    ),
    ("start_time", "view_id"),
)

TABLES: dict[str, Table] = {
    table.name: table for table in (SPANS, TRACES, EXCHANGES, RUNS, ANNOTATIONS, CHECKPOINTS, VIEWS)
}


def arrow_schema(table: Table) -> pa.Schema:
    """The table as an Arrow schema; every column nullable, times in microseconds UTC."""
    import pyarrow as pa

    types: dict[DType, pa.DataType] = {
        "string": pa.string(),
        "json": pa.string(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
        "float": pa.float64(),
        "int": pa.int64(),
        "bool": pa.bool_(),
        "binary": pa.binary(),
    }
    return pa.schema([pa.field(column.name, types[column.dtype]) for column in table.columns])


def polars_schema(table: Table) -> pl.Schema:
    """The table as a polars schema; times in microseconds UTC."""
    import polars as pl

    types: dict[str, pl.DataType | type[pl.DataType]] = {
        "string": pl.String,
        "json": pl.String,
        "timestamp": pl.Datetime("us", "UTC"),
        "date": pl.Date,
        "float": pl.Float64,
        "int": pl.Int64,
        "bool": pl.Boolean,
        "binary": pl.Binary,
    }
    return pl.Schema({column.name: types[column.dtype] for column in table.columns})
