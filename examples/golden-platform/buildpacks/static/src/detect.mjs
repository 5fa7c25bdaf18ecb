import { wantSite } from "../lib/plan.mjs";
import { findSite, isBuiltFirst, openSite } from "./site.mjs";

export function detect(place) {
  const inner = openSite(place);
  const root = findSite(inner);
  if (!isBuiltFirst(inner, root)) return;
  place.say(`${root === "" ? "The site" : root} has to be built first, by package.json's script "build"`);
  wantSite(place);
}
