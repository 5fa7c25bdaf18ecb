import { cleanLine } from "@goldenpath/foundation/text/clean";
import { nameImage } from "./facts.ts";
import type { PrunedImage, PrunePlan } from "./plan-prune.ts";

/** What may go, and what stays and why, for a terminal. */
export function renderPrune({ images, failures, elsewhere }: PrunePlan): string {
  const name = ({ image }: PrunedImage): string =>
    cleanLine(`${nameImage(image)}${image.tags.length === 0 ? "" : ` (${image.tags.join(", ")})`}`);
  const going = images.filter(({ keptFor }) => keptFor.length === 0);
  const kept = images.filter(({ keptFor }) => keptFor.length > 0);
  return [
    `${going.length} of ${images.length} images may go. Nothing was taken away; take one away with what refers to it, and nothing that one has which stays.`,
    ...going.map((each) => `  ${name(each)}`),
    ...(kept.length === 0 ? [] : ["", `${kept.length} stay:`]),
    ...kept.flatMap((each) => [`  ${name(each)}`, `    ${each.keptFor.join("; ")}`]),
    ...(failures.length === 0 ? [] : ["", "Not known of, and so to be left alone:"]),
    ...failures.map(({ what, problem }) => `  ${cleanLine(what)}: ${cleanLine(problem)}`),
    ...(elsewhere.size === 0 ? [] : ["", "Lines of the list that are of no repository of this policy, by registry:"]),
    ...[...elsewhere].map(([registry, lines]) => `  ${cleanLine(registry)}: ${lines}`),
    "",
  ].join("\n");
}
