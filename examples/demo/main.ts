// `npm run demo`: the whole path on this machine, with the bundles that a runner starts, then four images that are
// refused.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { paint } from "@goldenpath/core/report/terminal";
import { describeError, isKnownError } from "@goldenpath/foundation/errors";
import { showKept, showRunning } from "./look.ts";
import { checkMachine, openDemo } from "./machine.ts";
import { walkPath } from "./path.ts";
import { showRefusals } from "./refusals.ts";

const usage = `npm run demo [-- OPTIONS]
  --keep       leave the registry up, and print how to look at it with crane and cosign
  --run        start the promoted image with Docker and ask it for a page
  --verbose    show the log of every step
  --port N     port of the embedded registry (default: the one of the last run, or a free one)
  --fresh      forget earlier runs: new keys, new base, empty registry
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      keep: { type: "boolean" },
      run: { type: "boolean" },
      verbose: { type: "boolean" },
      fresh: { type: "boolean" },
      port: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    console.log(usage);
    return 0;
  }
  const started = Date.now();
  const directory = join(import.meta.dirname, "../../.goldenpath/demo");
  if (values.fresh === true) await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await checkMachine(process.env);
  const demo = await openDemo({
    directory,
    verbose: values.verbose === true,
    ...(values.port === undefined ? {} : { port: Number(values.port) }),
  });
  try {
    const promoted = await walkPath(demo);
    const refused = await showRefusals(demo, promoted);
    if (values.run === true) await showRunning(demo, promoted);
    demo.say(
      paint(
        demo.style,
        "bold",
        `\nDone in ${((Date.now() - started) / 1000).toFixed(0)} s: one image promoted, ${refused} refused.`,
      ),
    );
    demo.say(`Results, summaries and logs of every step: ${join(directory, "steps")}`);
    if (values.keep === true) await showKept(demo, promoted);
    else demo.say("npm run demo -- --keep leaves the registry up; --run starts the promoted image.");
    return 0;
  } finally {
    await demo.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`\n${describeError(error)}`);
  if (!isKnownError(error) && error instanceof Error) console.error(error.stack);
  process.exitCode = 2;
}
