// `npm run live -- --owner OWNER`: the path on github.com in two throwaway repositories, for whoever has an account.
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
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
GOLDENPATH_LIVE_TOKEN: a token with the scope write:packages and no other, for ghcr.io.
GOLDENPATH_LIVE_PULL_TOKEN: one with the scope read:packages and no other, for the job that builds.
Both become secrets of the throwaway application's repository. gh (cli.github.com) has to be logged in, with the scope
workflow.
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
  // What is run from here gets neither token: the registry's client reads its login from a folder.
  const { GOLDENPATH_LIVE_TOKEN: token = "", GOLDENPATH_LIVE_PULL_TOKEN: pullToken = "", ...env } = process.env;
  const github = await openGithub({ env, say, isDry: values["dry-run"] });
  const places = { directory, temporary: tmpdir(), registry: "ghcr.io" };
  return runLive(
    { owner, commit, goldenpath, token, pullToken, clean, ...places },
    {
      ...{ github, ports, say, env },
      buildImages: () => buildPlatformImages({ directory, ports, env }),
      createClient: (given) => createRegistryClient({ ports, env: given }),
    },
  );
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`\n${describeError(error)}`);
  if (!isKnownError(error) && error instanceof Error) console.error(error.stack);
  process.exitCode = 2;
}
