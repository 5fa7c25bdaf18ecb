import { existsSync, readFileSync, writeFileSync } from "node:fs";

/** What a buildpack that compiles leaves for one that serves files, by the build plan of the Buildpack specification. */
const site = "site";

/** In detection: there is such a site if another buildpack of the group wants it. */
export function offerSite({ env }) {
  write(env, `[[provides]]\nname = "${site}"\n\n[[or]]\n`);
}

/** In detection: another buildpack of the group has to leave the site, so that this one is not taken by itself. */
export function wantSite({ env }) {
  write(env, `[[requires]]\nname = "${site}"\n`);
}

function write({ CNB_BUILD_PLAN_PATH: path }, text) {
  if (path !== undefined) writeFileSync(path, text);
}

/** In the build of what offered it. */
export function isSiteWanted({ env: { CNB_BP_PLAN_PATH: path } }) {
  return path !== undefined && existsSync(path) && new RegExp(`name = "${site}"`).test(readFileSync(path, "utf8"));
}
