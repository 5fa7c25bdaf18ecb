// `npm run live -- --owner OWNER`: the path on github.com in two throwaway repositories, for whoever has an account.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeError, isKnownError, UserError } from "@goldenpath/foundation/errors";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { createTerminalPorts } from "../../packages/cli/src/ports.ts";
import { buildPlatformImages } from "../golden-platform/platform.ts";
import { openGithub } from "./github.ts";
import { runLive } from "./live.ts";

const usage = `npm run live -- --owner OWNER --commit SHA [OPTIONS]
  --owner OWNER      your account, or an organisation in which you may make repositories
  --commit SHA       the commit of goldenpath that runs, 40 hex digits; it has to be on github.com
  --goldenpath O/R   where that commit is (default: goldenpath-ci/goldenpath)
  --dry-run          say what would be done, and do nothing
  --clean            delete both repositories afterwards, however it ends
GOLDENPATH_LIVE_TOKEN: a token with the scope write:packages and no other, for ghcr.io. It becomes a secret of the
throwaway application's repository. gh (cli.github.com) has to be logged in, with the scope workflow.
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      owner: { type: "string" },
      commit: { type: "string" },
      goldenpath: { type: "string", default: "goldenpath-ci/goldenpath" },
      "dry-run": { type: "boolean", default: false },
      clean: { type: "boolean", default: false },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    console.log(usage);
    return 0;
  }
  const { owner, commit, goldenpath, clean } = values;
  if (owner === undefined || commit === undefined)
    throw new UserError(`expected --owner and --commit\n${usage}`, { code: "arguments-invalid" });
  const directory = join(import.meta.dirname, "../../.goldenpath/live");
  await mkdir(directory, { recursive: true });
  const ports = createTerminalPorts({ out: process.stderr });
  const say = (line: string): void => console.log(line);
  const github = await openGithub({ env: process.env, say, isDry: values["dry-run"] });
  const token = process.env["GOLDENPATH_LIVE_TOKEN"] ?? "";
  const given = { owner, commit, goldenpath, token, clean, directory, registry: "ghcr.io" };
  return runLive(given, {
    ...{ github, ports, say, env: process.env },
    buildImages: () => buildPlatformImages({ directory, ports, env: process.env }),
    createClient: (env) => createRegistryClient({ ports, env }),
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`\n${describeError(error)}`);
  if (!isKnownError(error) && error instanceof Error) console.error(error.stack);
  process.exitCode = 2;
}
