"""Every error Trace Lake raises on purpose.

    TraceLakeError
      ConfigError (ValueError)        a setting or command option is wrong
      InvalidEvent (ValueError)       an event that no reader could place in a trace
      LakeError                       the lake cannot do what was asked
        SchemaTooNew                  written by a newer Trace Lake
        LakeLocked                    another process holds the lock that is needed
        NotInLake (LookupError)       no such trace or span
      ImportFailed (ValueError)       a file that cannot be imported
      QueryError (ValueError)         a question the tables cannot answer
        UnknownColumn                 a needed column is absent
      UpstreamError                   a provider could not be reached or refused
      NoRecordedMatch                 a replayed call that the recording does not hold
      ToolNotReplayed                 a tool that must not run again, and no result to give

A class of its own exists only where a caller handles it differently. Messages are one lowercase
line: what happened and what to do. Only the command line, the relay's edge and the app turn errors
into exit codes, HTTP statuses and messages on the screen.
"""


class TraceLakeError(Exception):
    """Base of every error raised on purpose by this package."""


class ConfigError(TraceLakeError, ValueError):
    """A setting, environment variable or command option is wrong."""


class InvalidEvent(TraceLakeError, ValueError):  # noqa: N818 - reads as a sentence at the raise site
    """An event without a usable type, trace id, span id or timestamp."""


class LakeError(TraceLakeError):
    """The lake cannot do what was asked."""


class SchemaTooNew(LakeError):  # noqa: N818
    """The lake was written by a newer Trace Lake than this one.

    Attributes:
        found: Schema version of the lake.
        supported: Newest schema version this package reads.
    """

    def __init__(self, *, found: int, supported: int) -> None:
        super().__init__(
            f"the lake has schema version {found}, this tracelake reads up to {supported}: "
            "upgrade tracelake to open it"
        )
        self.found = found
        self.supported = supported


class LakeLocked(LakeError):  # noqa: N818
    """Another process holds the lock that is needed."""


class NotInLake(LakeError, LookupError):  # noqa: N818
    """No such trace or span in this lake."""


class ImportFailed(TraceLakeError, ValueError):  # noqa: N818 - reads as a sentence
    """A file that cannot be imported; the lake is as it was."""


class QueryError(TraceLakeError, ValueError):
    """A question that the tables cannot answer."""


class UnknownColumn(QueryError):  # noqa: N818
    """A needed column is absent from the frame."""


class UpstreamError(TraceLakeError):
    """A provider could not be reached or refused the call."""


class NoRecordedMatch(TraceLakeError):  # noqa: N818
    """A replayed call that the recording does not hold."""


class ToolNotReplayed(TraceLakeError):  # noqa: N818
    """A tool must not run again in a replay, and its recorded result is not to be had."""
