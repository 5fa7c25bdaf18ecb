import { offerSite } from "../lib/plan.mjs";
import { readApplication } from "./application.mjs";

export function detect(place) {
  readApplication(place);
  offerSite(place);
}
