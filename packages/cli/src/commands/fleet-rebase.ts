import { parseArgs } from "node:util";
import { planFleetRollout, rebaseStep } from "@goldenpath/core/fleet/rollout/execute";
import { describeRollout, listDue, type RolloutReport } from "@goldenpath/core/fleet/rollout/facts";
import { renderRollout } from "@goldenpath/core/fleet/rollout/render";
import { findOnlyEnvironment } from "@goldenpath/core/gate/find-environment";
import { loadPolicy } from "@goldenpath/core/policy/load";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { withClient } from "@goldenpath/core/verbs/open";
import { describeError, isKnownError, PolicyViolation } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { fleetOptions, openFleet } from "./fleet-options.ts";

const options = {
  ...fleetOptions,
  base: { type: "string" },
  tag: { type: "string", multiple: true },
  leave: { type: "string", multiple: true },
  quarantine: { type: "string" },
  run: { type: "boolean" },
} as const;

/** One image of a wave that was carried out. */
interface CarriedOut {
  /** HOST/NAME@DIGEST in vetted. */
  from: string;
  /** HOST/NAME@DIGEST in quarantine; absent where something was against it. */
  image?: string;
  problem?: string;
}

/**
 * `goldenpath fleet rebase [HOST/NAME…] --policy POLICY [--environment NAME] [--run]`: the waves, and with `--run` what
 * is due is rebased into quarantine. Exits 1 where something is against it, 2 where something could not be looked at.
 */
export async function runFleetRebase(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const { context, policy, named, list } = await openFleet(values, positionals);
  const readPolicy = (): Promise<LoadedPolicy> => loadPolicy(values.policy ?? "", context, values["policy-signer"]);
  const { base, quarantine, tag: tags = [], leave = [] } = values;
  const request = { environment: values.environment ?? findOnlyEnvironment(policy), base, quarantine, tags, leave };
  const { report, done } = await withClient(context, policy, async (client) => {
    const source = { client, policy, now: new Date(), areNamed: named.length > 0 };
    const planned = await planFleetRollout(source, await list(client), request, context.signal);
    const isRun = values.run === true;
    return { report: planned, done: isRun ? await carryOut(client, readPolicy, planned, context.signal) : undefined };
  });
  if (values.json === true)
    output.out(`${stringifyJson({ ...describeRollout(report), ...(done === undefined ? {} : { done }) }, 2)}\n`);
  else output.out(`${renderRollout(report)}${renderDone(done)}`);
  if (report.failures.length > 0) return exitCodes.error;
  const isAgainst = done?.some(({ problem }) => problem !== undefined) === true;
  return isAgainst || report.rollouts.some(({ stopped }) => stopped !== undefined) ? exitCodes.fail : exitCodes.pass;
}

/** One after the other: a layer is read as a whole. What is against one of them keeps the others from beginning. */
async function carryOut(
  client: RegistryClient,
  readPolicy: () => Promise<LoadedPolicy>,
  report: RolloutReport,
  signal: AbortSignal,
): Promise<CarriedOut[]> {
  const done: CarriedOut[] = [];
  for (const { repository, digest, target, quarantine, tags } of listDue(report)) {
    const image = { ...repository, digest };
    const to = formatReference({ ...quarantine.repository, tag: quarantine.tag });
    const from = formatReference(image);
    try {
      const step = { image, onto: target.digest, to, tags };
      done.push({ from, image: await rebaseStep(client, readPolicy, step, { now: new Date(), signal }) });
    } catch (error) {
      if (!isKnownError(error) || error.code === "aborted") throw error;
      done.push({ from, problem: describeError(error) });
      if (error instanceof PolicyViolation) break;
    }
  }
  return done;
}

function renderDone(done: readonly CarriedOut[] | undefined): string {
  if (done === undefined || done.length === 0) return "";
  const lines = done.map(({ from, image, problem }) =>
    problem === undefined ? `  ${from} → ${image}` : `  not rebased: ${from}: ${problem}`,
  );
  return `\nIn quarantine, to be attested with --rebased-from, judged and promoted:\n${lines.join("\n")}\n`;
}
