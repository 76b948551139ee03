// What can be taken along: text, JSON, a call as Python or cURL, the link.

import { h } from "../../shared/dom.js";
import { digitsOf } from "../../shared/exact.js";

/** A button that copies what `make` gives and says so. */
export function copyButton(label, make, className = "tl-act") {
  const button = h("button", { class: className, type: "button", title: `Copy ${label}` }, label);
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    event.preventDefault();
    await write(make());
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1200);
  });
  return button;
}

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // no clipboard without a secure page: the old way
    const area = h("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** The call as a Python program with the provider's SDK. */
export function asPython({ body, endpoint }) {
  const literal = (value, indent) => python(value, indent);
  const given = Object.entries(body)
    .filter(([name]) => name !== "stream")
    .map(([name, value]) => `    ${name}=${literal(value, 1)},`)
    .join("\n");
  if (endpoint === "/v1/messages")
    return `import anthropic\n\nclient = anthropic.Anthropic()\nmessage = client.messages.create(\n${given}\n)\nprint(message.content)\n`;
  const call = endpoint === "/v1/responses" ? "responses" : "chat.completions";
  const answer = endpoint === "/v1/responses" ? "answer.output_text" : "answer.choices[0].message.content";
  return `import openai\n\nclient = openai.OpenAI()\nanswer = client.${call}.create(\n${given}\n)\nprint(${answer})\n`;
}

/** The call as a shell command; the key comes from the environment. */
export function asCurl({ body, endpoint }) {
  const anthropic = endpoint === "/v1/messages";
  const base = anthropic
    ? '"${ANTHROPIC_BASE_URL:-https://api.anthropic.com}'
    : '"${OPENAI_BASE_URL:-https://api.openai.com/v1}';
  const path = anthropic ? endpoint : endpoint.replace(/^\/v1/, "");
  const headers = anthropic
    ? ['-H "x-api-key: $ANTHROPIC_API_KEY"', "-H 'anthropic-version: 2023-06-01'"]
    : ['-H "Authorization: Bearer $OPENAI_API_KEY"'];
  const data = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return [`curl ${base}${path}"`, ...headers, "-H 'content-type: application/json'", `-d '${data}'`].join(" \\\n  ");
}

function python(value, depth) {
  const pad = "    ".repeat(depth + 1);
  const end = "    ".repeat(depth);
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value))
    return value.length ? `[\n${value.map((item) => `${pad}${python(item, depth + 1)},`).join("\n")}\n${end}]` : "[]";
  const digits = digitsOf(value);
  if (digits) return digits;
  if (typeof value === "object") {
    const items = Object.entries(value);
    return items.length
      ? `{\n${items.map(([key, item]) => `${pad}${JSON.stringify(key)}: ${python(item, depth + 1)},`).join("\n")}\n${end}}`
      : "{}";
  }
  return JSON.stringify(value);
}
