import { wantSite } from "../lib/plan.mjs";
import { findSite, isBuiltFirst } from "./site.mjs";

export function detect(place) {
  const root = findSite(place);
  if (!isBuiltFirst(place, root)) return;
  place.say(`${root === "" ? "The site" : root} has to be built first, by package.json's script "build"`);
  wantSite(place);
}
