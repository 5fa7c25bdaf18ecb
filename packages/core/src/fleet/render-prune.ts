import { cleanLine } from "@goldenpath/foundation/text/clean";
import { nameImage } from "./facts.ts";
import type { PrunedImage, PrunePlan } from "./plan-prune.ts";

/** What may go, and what stays and why, for a terminal. */
export function renderPrune({ images, failures }: PrunePlan): string {
  const name = ({ image }: PrunedImage): string =>
    cleanLine(`${nameImage(image)}${image.tags.length === 0 ? "" : ` (${image.tags.join(", ")})`}`);
  const going = images.filter(({ keptFor }) => keptFor.length === 0);
  const kept = images.filter(({ keptFor }) => keptFor.length > 0);
  return [
    `${going.length} of ${images.length} images may go. Nothing was taken away; take one away with all that refers to it.`,
    ...going.map((each) => `  ${name(each)}`),
    ...(kept.length === 0 ? [] : ["", `${kept.length} stay:`]),
    ...kept.flatMap((each) => [`  ${name(each)}`, `    ${each.keptFor.join("; ")}`]),
    ...(failures.length === 0 ? [] : ["", "Not known of, and so to be left alone:"]),
    ...failures.map(({ what, problem }) => `  ${cleanLine(what)}: ${cleanLine(problem)}`),
    "",
  ].join("\n");
}
