import { join } from "node:path";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { type RunFacts, silentPorts } from "@goldenpath/foundation/ports";
import { formatRepository, parseReference } from "@goldenpath/registry-client/oci/reference";
import type { StageKey } from "@goldenpath/testing/signers";
import { expect } from "vitest";
import type { BuildRunAnswer } from "../integration/build-run.ts";

/**
 * The job that attests, after one that built: it pushes what that one left in a layout, and must pass.
 * @param given inputs instead of those that the build's outputs are
 * @returns its log
 */
export async function attestBuild(
  playground: string,
  { outputs }: BuildRunAnswer,
  { run, key, given = {} }: { run: Partial<RunFacts>; key: StageKey; given?: Readonly<Record<string, string>> },
): Promise<string> {
  const log: string[] = [];
  const say = (message: string): void => void log.push(message);
  const { image = "", digest, layout = "", cache = "" } = outputs;
  const { outcome, error } = await executeVerb(
    attestVerb as unknown as Verb,
    {
      ...{ policy: "policy.yaml", image: `${formatRepository(parseReference(image))}@${digest}`, layout, tags: "one" },
      ...{ cache, key: key.privateKeyPem, "build-environment": "host", ...given },
    },
    {
      ports: { ...silentPorts(), log: { debug: say, info: say, notice: say, warning: say, error: say } },
      run: {
        builderId: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
        ...run,
      },
      workingDirectory: playground,
      temporaryRoot: join(playground, "tmp"),
      defaultResultDirectory: join(playground, "attested"),
      env: { PATH: `${join(playground, "bin")}:/usr/bin:/bin`, HOME: playground },
      signal: new AbortController().signal,
    },
  );
  expect(outcome.verdict, `${error}`).toBe("pass");
  return log.join("\n");
}

/** Of a build that ran for the default branch: what it leaves is for everybody. */
export const runOnMain: Partial<RunFacts> = {
  sourceRepository: "https://github.com/acme/shop",
  sourceRef: "refs/heads/main",
  sourceCommit: "c".repeat(40),
  defaultBranch: "main",
  event: "push",
};
