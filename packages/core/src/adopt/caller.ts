import { UserError } from "@goldenpath/foundation/errors";
import { z } from "zod";
import { readStrictYaml } from "../policy/yaml.ts";

const workflow = z.looseObject({
  jobs: z.record(z.string(), z.looseObject({ uses: z.string().optional(), steps: z.unknown().optional() })),
});
const pinned = /^[\w.-]+\/[\w.-]+\/\.github\/workflows\/[\w.-]+\.ya?ml@([0-9a-f]{40}(?:[0-9a-f]{24})?)$/;

/**
 * Whether a workflow may be proposed to every repository: its jobs do nothing but call reusable workflows, each at a full
 * commit that was filled in.
 * @throws UserError `input-invalid`
 */
export function checkCaller(text: string, where: string): void {
  const wrong = (why: string): UserError =>
    new UserError(`${where} is no caller: ${why}`, {
      code: "input-invalid",
      wayOut:
        "goldenpath init writes one: application/.github/workflows/golden-path.yml, with the platform repository's commit to fill in.",
    });
  const read = readStrictYaml(text);
  if ("problems" in read) throw wrong(`it can't be read: ${read.problems[0]?.message ?? "no YAML"}`);
  const parsed = workflow.safeParse(read.yaml.value);
  if (!parsed.success) throw wrong("it has no jobs");
  const jobs = Object.entries(parsed.data.jobs);
  if (jobs.length === 0) throw wrong("it has no jobs");
  for (const [name, { uses, steps }] of jobs) {
    if (uses === undefined || steps !== undefined) throw wrong(`its job '${name}' calls no reusable workflow`);
    const commit = pinned.exec(uses)?.[1];
    if (commit === undefined) throw wrong(`its job '${name}' uses '${uses}', which is no workflow at a full commit`);
    if (/^0+$/.test(commit)) throw wrong(`its job '${name}' uses '${uses}': the commit has to be filled in`);
  }
}
