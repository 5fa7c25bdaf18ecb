import { findSite } from "./site.mjs";

export function detect(place) {
  findSite(place);
}
