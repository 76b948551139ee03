"""How each client is pointed at the relay: data for the Connect page.

A client is listed only when recording it works today.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to copy: what it is for, the code and its language."""

    text: str
    code: str
    language: str = "bash"


@dataclass(frozen=True, slots=True)
class Client:
    """A kind of program and the steps that record it.

    Attributes:
        steps: Their code holds `{anthropic}`, `{openai}`, `{relay}` and `{otlp}` for the real
            addresses.
        note: What to know beside them, Markdown.
    """

    name: str
    steps: tuple[Step, ...]
    note: str = ""

    def steps_for(self, addresses: Mapping[str, str]) -> tuple[Step, ...]:
        """The steps with the addresses of a running collector filled in.

        Args:
            addresses: `anthropic_base_url`, `openai_base_url`, `relay` and `otlp`.
        """
        names = {
            "{anthropic}": addresses["anthropic_base_url"],
            "{openai}": addresses["openai_base_url"],
            "{relay}": addresses["relay"],
            "{otlp}": addresses["otlp"],
        }
        return tuple(
            Step(step.text, _filled(step.code, names), step.language) for step in self.steps
        )


_EXPORTS = """export ANTHROPIC_BASE_URL={anthropic}
export OPENAI_BASE_URL={openai}"""

CLIENTS: tuple[Client, ...] = (
    Client(
        "Any command",
        (
            Step("Run it through Trace Lake; every known client in it is pointed at the relay:",
                 "tracelake run -- python my_agents.py"),
            Step("Or set the base URLs yourself, in the shell that starts it:", _EXPORTS),
        ),
        "The first form also records the command, so that a step can be run again from here.",
    ),
    Client(
        "Anthropic SDK",
        (
            Step("By environment:", "export ANTHROPIC_BASE_URL={anthropic}"),
            Step("Or in the program:",
                 'from anthropic import Anthropic\n\nclient = Anthropic(base_url="{anthropic}")',
                 "python"),
        ),
    ),
    Client(
        "OpenAI SDK",
        (
            Step("By environment:", "export OPENAI_BASE_URL={openai}"),
            Step("Or in the program:",
                 'from openai import OpenAI\n\nclient = OpenAI(base_url="{openai}")',
                 "python"),
        ),
        "Chat completions and responses are recorded, streamed or not.",
    ),
    Client(
        "Claude Code",
        (Step("Start it with the relay as its base URL:",
              "ANTHROPIC_BASE_URL={anthropic} claude"),),
        "Sub-agents, tool calls and side calls are told apart by themselves.",
    ),
    Client(
        "Codex",
        (
            Step("Codex ignores the environment; this sets its flags:", "tracelake run -- codex"),
            Step("Or add a provider to `~/.codex/config.toml`:",
                 'model_provider = "tracelake"\n\n'
                 "[model_providers.tracelake]\n"
                 'name = "OpenAI through Trace Lake"\n'
                 'base_url = "{openai}"\n'
                 'env_key = "OPENAI_API_KEY"\n'
                 'wire_api = "responses"\n'
                 "supports_websockets = false",
                 "toml"),
        ),
    ),
    Client(
        "Anton",
        (Step("In the shell that runs the task:",
              _EXPORTS + '\nanton task . "Add retry to the client"'),),
        "Its task id becomes the trace; agents are told apart by their prompts.",
    ),
    Client(
        "LangChain, LangGraph",
        (
            Step("By environment:", _EXPORTS + "\nexport OPENAI_API_BASE={openai}"),
            Step("Or in the program:",
                 "from langchain_anthropic import ChatAnthropic\n"
                 "from langchain_openai import ChatOpenAI\n\n"
                 'ChatOpenAI(model="gpt-5-mini", base_url="{openai}")\n'
                 'ChatAnthropic(model="claude-sonnet-4-5", base_url="{anthropic}")',
                 "python"),
        ),
    ),
    Client(
        "OpenTelemetry",
        (
            Step("Any program that exports traces over HTTP; both SDKs and agents read these:",
                 "export OTEL_EXPORTER_OTLP_ENDPOINT={otlp}\n"
                 "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n"
                 "export OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=span_only\n"
                 "export OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental"),
            Step("OpenInference:",
                 "from openinference.instrumentation import TracerProvider\n"
                 "from openinference.instrumentation.openai import OpenAIInstrumentor\n"
                 "from opentelemetry.exporter.otlp.proto.http.trace_exporter "
                 "import OTLPSpanExporter\n"
                 "from opentelemetry.sdk.trace.export import BatchSpanProcessor\n\n"
                 "provider = TracerProvider()\n"
                 'exporter = OTLPSpanExporter("{otlp}/v1/traces")\n'
                 "provider.add_span_processor(BatchSpanProcessor(exporter))\n"
                 "OpenAIInstrumentor().instrument(tracer_provider=provider)",
                 "python"),
            Step("traceloop (OpenLLMetry):",
                 "from traceloop.sdk import Traceloop\n\n"
                 'Traceloop.init(app_name="my-agents", api_endpoint="{otlp}")',
                 "python"),
        ),
        "GenAI conventions, OpenInference, traceloop, Langfuse and Logfire are understood. "
        "Spans come when they end; the relay shows calls while they run. The third and fourth "
        "line ask the official instrumentations for prompts and answers.",
    ),
    Client(
        "In process",
        (
            Step("Without a relay: every call of the SDKs in a Python program, by one line:",
                 "import tracelake\n\ntracelake.instrument()",
                 "python"),
            Step("With agents and tools as you name them:",
                 "import tracelake\n\n"
                 "with tracelake.Tracer(tracelake.Lake()) as tracer:\n"
                 '    with tracer.agent("orchestrator", task="…"):\n'
                 '        with tracer.llm(provider="openai", model="gpt-5-mini") as call:\n'
                 '            call.finish(response="…")',
                 "python"),
        ),
    ),
)  # fmt: skip


def _filled(code: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        code = code.replace(name, value)
    return code
