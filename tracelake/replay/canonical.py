"""One call in the forms that replay compares: exact, semantic, volatile, and lines for fuzzy.

Each form is computed when first asked for: a recording whose calls all match exactly never pays
for more than a hash of its bodies. The first call that is not exact costs a glance at each
recording (`Glance`); only those that look alike are read whole. Texts repeat in every call of a
conversation, so what is derived from a text is kept by text.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from tracelake.replay.volatile import mask, without_reminders
from tracelake.wire import read_request
from tracelake.wire.conversation import atoms_of, read_turns
from tracelake.wire.decode import decode_body
from tracelake.wire.endpoint import api_of
from tracelake.wire.lenient import array, dump, parse_object
from tracelake.wire.request import tool_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracelake.model import Exchange
    from tracelake.wire import Atom, Request

#: Of a system prompt this much decides which agent is speaking; further down stand file listings
#: and the state of the repository.
IDENTITY_CHARS = 3000
_INSTRUCTING = frozenset({"system", "developer"})
#: What else of a request decides its answer, beside model, system, tools and messages.
_DECIDING = ("response_format", "text", "output_config", "output_format", "n", "input_type")


#: Where a format keeps its messages, if not under `messages`.
_MESSAGES_OF = {
    "responses": "input",
    "embeddings": "input",
    "completions": "prompt",
    "ollama_generate": "prompt",
}


@dataclass(frozen=True, slots=True)
class Glance:
    """What is seen of a call without reading its whole history.

    Attributes:
        ends: Equal for calls that are equal on any level but fuzzy: the first and the last thing
            said, each by its last line, masked.
        identity: Equal for calls of one agent: endpoint, model, streamed or not, system, tools.
        messages: How many messages were sent.
    """

    ends: bytes
    identity: bytes
    messages: int


def digest(*parts: str | bytes) -> bytes:
    """16 bytes that stand for a sequence of texts."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return hashed.digest()


class TextForms:
    """Masked forms of texts, kept by text: one a recording, so that histories cost once."""

    def __init__(self) -> None:
        self._masked: dict[str, str] = {}
        self._lines: dict[str, tuple[int, ...]] = {}
        #: What is derived from other pieces of a call that repeat, by what they are.
        self.kept: dict[object, object] = {}

    def masked(self, text: str) -> str:
        """The text without reminders, volatile places masked, blanks at line ends removed."""
        found = self._masked.get(text)
        if found is None:
            plain = mask(without_reminders(text))
            found = "\n".join(line.strip() for line in plain.splitlines()).strip()
            self._masked[text] = found
        return found

    def lines(self, text: str) -> tuple[int, ...]:
        """Hashes of the non-empty lines of the masked text; escaped line breaks count too."""
        found = self._lines.get(text)
        if found is None:
            lines = self.masked(text).replace("\\n", "\n").splitlines()
            found = tuple(hash(stripped) for line in lines if (stripped := line.strip()))
            self._lines[text] = found
        return found


class Canonical:
    """One call, comparable.

    Args:
        exchange: Method, path, headers and body of the request.
        forms: Shared by all calls that are compared with each other.
    """

    def __init__(self, exchange: Exchange, forms: TextForms) -> None:
        self.exchange = exchange
        self._forms = forms

    @cached_property
    def body(self) -> bytes:
        """The request body without its content encoding."""
        encoding = self.exchange.header("content-encoding")
        return decode_body(self.exchange.request_body, encoding)

    @cached_property
    def request(self) -> Request | None:
        """The call as read off the wire; None when it is no model call."""
        return read_request(self.exchange)

    @property
    def endpoint(self) -> str:
        """Method and path without query."""
        return f"{self.exchange.method} {self.exchange.path.partition('?')[0].rstrip('/')}"

    @cached_property
    def raw(self) -> bytes:
        """Equal for equal bodies, byte by byte."""
        return digest(self.endpoint, self.body)

    @cached_property
    def exact(self) -> bytes:
        """Equal for equal JSON bodies, whatever the order of their keys."""
        document = parse_object(self.body)
        return self.raw if document is None else digest(self.endpoint, dump(document))

    @cached_property
    def semantic(self) -> bytes:
        """Equal for calls that say the same; session metadata, cache marks and thinking left out.

        A call without anything said (embeddings) is told by its input.
        """
        return self._key([_key_of(atom, atom.text, atom.arguments) for atom in self._spoken])

    @cached_property
    def volatile(self) -> bytes:
        """As `semantic`, with everything that varies from run to run masked."""
        keys = [_masked_key_of(atom, self._forms) for atom in self._spoken if not _is_lone(atom)]
        return self._key(keys, is_masked=True)

    @cached_property
    def glance(self) -> Glance:
        """What is seen without reading the whole history."""
        api = api_of(self.exchange.method, self.exchange.path)
        document = parse_object(self.body)
        if api is None or document is None:
            return Glance(self.raw, digest(self.endpoint), 0)
        key = _MESSAGES_OF.get(api, "messages")
        said = document.get(key)
        messages = array(said) if isinstance(said, list) else [said]
        if api == "embeddings":
            ends = [digest(dump(said))]
        else:
            first = (self._said(api, message)[0] for message in messages)
            last = (self._said(api, message)[1] for message in reversed(messages))
            ends = [next((one for one in end if one), b"") for end in (first, last)]
        tools = document.get("tools")
        names = tool_names(tools if isinstance(tools, list) else document.get("functions"))
        small = {name: document.get(name) for name in ("model", "stream", "system", "instructions")}
        head = _instructions(api, messages) if isinstance(said, list) else []
        identity = self._identity(dump({**small, key: head}), sorted(names))
        return Glance(digest(self.endpoint, *ends), identity, len(messages))

    def _said(self, api: str, message: object) -> tuple[bytes, bytes]:
        """Of the first and the last thing that a message adds to `core`; empty for none."""
        kept, key = self._forms.kept, (api, dump(message))
        if key not in kept:
            keys = [
                _edge_of(atom)
                for atom in atoms_of(read_turns(api, [message]))
                if atom.kind != "thinking" and atom.role not in _INSTRUCTING and not _is_lone(atom)
            ]
            kept[key] = (keys[0], keys[-1]) if keys else (b"", b"")
        return cast("tuple[bytes, bytes]", kept[key])

    def _identity(self, body: str, names: list[str]) -> bytes:
        kept, key = self._forms.kept, (self.endpoint, body, *names)
        if key not in kept:
            request = read_request(self._with_body(body.encode()))
            model, stream, system = (
                (request.model, request.stream, request.system) if request else (None, None, "")
            )
            system = self._forms.masked(system)[:IDENTITY_CHARS]
            kept[key] = digest(self.endpoint, str(model), str(stream), system, *names)
        return cast("bytes", kept[key])

    def _with_body(self, body: bytes) -> Exchange:
        headers = tuple(
            pair for pair in self.exchange.request_headers if pair[0].lower() != "content-encoding"
        )
        return replace(self.exchange, request_body=body, request_headers=headers)

    def with_body(self, body: bytes) -> Canonical:
        """The same call with another body, which has no content encoding."""
        return Canonical(self._with_body(body), self._forms)

    @cached_property
    def core(self) -> tuple[Atom, ...]:
        """What the two sides said: no instructions, no thinking, no lone reminders."""
        return tuple(
            atom for atom in self._spoken if atom.role not in _INSTRUCTING and not _is_lone(atom)
        )

    @cached_property
    def lines(self) -> Counter[int]:
        """How often each masked line occurs in what was said."""
        counted: Counter[int] = Counter()
        for atom in self._spoken:
            counted.update(self._forms.lines(atom.text))
            counted.update(self._forms.lines(atom.arguments or ""))
        return counted

    @cached_property
    def chain(self) -> tuple[bytes, ...]:
        """One digest for each prefix of `core`, masked: tells which call this one continues."""
        return tuple(chain_of(b"", self.core, self._forms))

    def extended(self, atoms: Iterable[Atom]) -> bytes:
        """The digest that the chain of a call would end with that says this and then `atoms`."""
        last = self.chain[-1] if self.chain else b""
        said = [atom for atom in atoms if atom.kind != "thinking"]
        return next(reversed(list(chain_of(last, said, self._forms))), last)

    @cached_property
    def _spoken(self) -> tuple[Atom, ...]:
        request = self.request
        return () if request is None else tuple(a for a in request.atoms if a.kind != "thinking")

    def _key(self, atoms: list[bytes], *, is_masked: bool = False) -> bytes:
        request = self.request
        if request is None:
            return self.exact
        system = self._forms.masked(request.system) if is_masked else request.system
        deciding = {key: request.parameters.get(key) for key in _DECIDING}
        if not self._spoken:
            deciding["messages"] = request.messages
        return digest(
            self.endpoint,
            str(request.model),
            str(request.stream),
            system,
            dump(deciding),
            dump(sorted(request.tool_names)),
            *atoms,
        )


def _instructions(api: str, messages: list[Any]) -> list[Any]:
    """The messages that open a conversation with instructions."""
    turns = ((at, read_turns(api, [message])) for at, message in enumerate(messages))
    end = next((at for at, said in turns if said and said[0].role not in _INSTRUCTING), None)
    return messages[:end]


def chain_of(start: bytes, atoms: Iterable[Atom], forms: TextForms) -> Iterable[bytes]:
    """The rolling digest after each atom."""
    last = start
    for atom in atoms:
        last = digest(last, _masked_key_of(atom, forms))
        yield last


def similarity(a: Counter[int], b: Counter[int], *, at_least: float = 0.0) -> float:
    """Jaccard index of two bags of lines; 0 where their sizes alone put it below `at_least`."""
    size_a, size_b = a.total(), b.total()
    if not size_a or not size_b:
        return 1.0 if size_a == size_b else 0.0
    if min(size_a, size_b) / max(size_a, size_b) < at_least:
        return 0.0
    small, large = (a, b) if len(a) <= len(b) else (b, a)
    common = sum(min(count, large[line]) for line, count in small.items() if line in large)
    return common / (size_a + size_b - common)


def _is_lone(atom: Atom) -> bool:
    """Whether a text holds nothing but reminders."""
    return atom.kind == "text" and not without_reminders(atom.text).strip()


def _masked_key_of(atom: Atom, forms: TextForms) -> bytes:
    # the text of media is a digest of their content, which a mask would make all alike
    text = atom.text if atom.kind == "media" else forms.masked(atom.text)
    return _key_of(atom, text, forms.masked(atom.arguments or ""))


def _edge_of(atom: Atom) -> bytes:
    """Equal for equal masked keys, at a fraction of the cost: only the last line is masked."""
    if atom.kind == "media":
        return digest(atom.role, atom.kind, atom.text)
    lines = without_reminders(atom.text).strip().splitlines()
    last = mask(lines[-1]).strip() if lines else ""
    return digest(atom.role, atom.kind, str(len(lines)), last)


def _key_of(atom: Atom, text: str, arguments: str | None) -> bytes:
    # ids are left out: a client may mint its own; what they tie together follows from the order
    failed = "1" if atom.is_error else ""
    return digest(atom.role, atom.kind, text, atom.name or "", arguments or "", failed)
