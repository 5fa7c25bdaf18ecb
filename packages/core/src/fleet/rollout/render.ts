import { cleanLine } from "@goldenpath/foundation/text/clean";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { nameImage } from "../facts.ts";
import { listDue, type Rollout, type RolloutImage, type RolloutReport } from "./facts.ts";

/** Images of one wave that are named one by one. */
const maxNamed = 50;

/** Which waves there are, which is due, and what is left as it is, for a terminal. */
export function renderRollout(report: RolloutReport): string {
  const { environment, rollouts, left, failures } = report;
  const due = listDue(report).length;
  const lines = rollouts.flatMap(renderOne);
  return `${[
    rollouts.length === 0
      ? `Nothing in ${environment} stands on a base of the policy that could be looked at.`
      : `${due} of the images in ${environment} are due.`,
    ...lines,
    ...(left.length === 0 ? [] : ["", "Left as they are:"]),
    ...left.map(({ image, problem }) => `  ${cleanLine(image)}: ${cleanLine(problem)}`),
    ...(failures.length === 0 ? [] : ["", "Not known of:"]),
    ...failures.map(({ what, problem }) => `  ${cleanLine(what)}: ${cleanLine(problem)}`),
  ].join("\n")}\n`;
}

function renderOne({ target, done, waves, due, until, stopped }: Rollout): string[] {
  const { base, image, digest } = target;
  const lines = ["", cleanLine(`${base}: ${image}@${digest}, on which ${done} stand already`)];
  if (stopped !== undefined) lines.push(cleanLine(`  stopped: ${stopped}`));
  if (until !== undefined) lines.push(`  the next wave begins at ${until.toISOString()}`);
  for (const wave of waves) {
    lines.push(`  ${wave.name}${wave === due ? ", due" : ""}: ${wave.images.length}`);
    lines.push(...wave.images.slice(0, maxNamed).map((each) => `    ${renderImage(each)}`));
    if (wave.images.length > maxNamed)
      lines.push(`    and ${wave.images.length - maxNamed} more (--json has them all)`);
  }
  return lines;
}

function renderImage(image: RolloutImage): string {
  return cleanLine(
    `${nameImage(image)} (${image.tags.join(", ")}) → ${formatRepository(image.quarantine.repository)}:${image.quarantine.tag}`,
  );
}
