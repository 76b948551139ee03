// Bundles every component of src/ into the folder given by --out (the wheel's build hook gives
// it), one `<name>.js` and `<name>.css` each.
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build, context } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: {
    out: { type: "string", default: join(here, "../../tracelake/_ui/frontend") },
    watch: { type: "boolean", default: false },
  },
});
const components = readdirSync(join(here, "src"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== "shared")
  .map((entry) => entry.name);
const options = {
  entryPoints: components.flatMap((name) => [
    { in: join(here, "src", name, "index.js"), out: name },
    { in: join(here, "src", name, "index.css"), out: name },
  ]),
  outdir: values.out,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: !values.watch,
  legalComments: "eof",
  logLevel: "warning",
};

if (values.watch) await (await context(options)).watch();
else await build(options);
