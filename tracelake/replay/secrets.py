"""What of a run's command, environment and changes is never written down. Pure.

Beside what looks like a credential, everything that the user's own patterns (`TRACELAKE_REDACT`)
match.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tracelake.redaction import VARIABLE, parse_patterns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WITHHELD = "[withheld]"
_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|AUTH|COOKIE|SESSION|PRIVATE|DSN|_URL$|_URI$",
    re.IGNORECASE,
)
#: Shapes of keys that providers and hosts give out, and addresses with a password.
_VALUE = re.compile(
    r"\bsk-[\w-]{16,}|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bxox[abprs]-[\w-]{10,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\beyJ[\w-]{10,}\.[\w-]{10,}\."
    r"|://[^/\s:@]+:[^/\s@]+@"
)
_OPTION = re.compile(
    r"(--?[\w-]*(?:api[-_]?key|access[-_]?key|secret[-_]?key|token|secret|password|passwd))(=.*)?",
    re.IGNORECASE | re.DOTALL,
)


class Secrets:
    """Tells what must not be written.

    Args:
        environ: Environment, for `TRACELAKE_REDACT`.

    Raises:
        ConfigError: A line of it is not a regular expression.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._patterns = parse_patterns(environ.get(VARIABLE))

    def is_secret(self, text: str) -> bool:
        """Whether a text holds something secret."""
        return _VALUE.search(text) is not None or self.is_redacted(text)

    def is_redacted(self, text: str) -> bool:
        """Whether one of the user's patterns matches."""
        data = text.encode("utf-8", "surrogateescape")
        return self._patterns.sub(data) != data

    def is_secret_variable(self, name: str, value: str) -> bool:
        """Whether a variable of the environment is secret, by its name or its value."""
        return _NAME.search(name) is not None or self.is_secret(value)

    def command(self, words: Sequence[str]) -> tuple[str, ...]:
        """A command line with each secret word, or value of a telling option, withheld."""
        kept: list[str] = []
        is_value = False
        for word in words:
            option = _OPTION.fullmatch(word)
            if is_value or (option is None and self.is_secret(word)):
                kept.append(WITHHELD)
            elif option is not None and option[2]:
                kept.append(f"{option[1]}={WITHHELD}")
            else:
                kept.append(word)
            is_value = not is_value and option is not None and not option[2]
        return tuple(kept)
