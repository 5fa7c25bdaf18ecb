import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { BenchImages } from "./world.ts";

/**
 * How much is moved: into another repository of the registry, into another registry, or nothing because it is all
 * there.
 */
export type Move = "mount" | "stream" | "nothing";

export interface Least {
  requests: number;
  counted: string;
}

/**
 * The least number of requests that bring images (and what refers to them) to a repository of which nothing is known,
 * by the distribution specification; without logging in and without asking a registry what it serves more than once.
 */
export function leastForCopy(
  { images, blobs, referrers, registry }: BenchImages,
  move: Move,
  carriesReferrers: boolean,
): Least {
  const count = images.length;
  const each = carriesReferrers ? referrers : 0;
  // The statements' bundles, and the empty config that all of them have.
  const evidenceBlobs = each === 0 ? 0 : each * count + 1;
  const perBlob = { mount: 1, stream: 4, nothing: 0 }[move];
  const total = [
    { each: "a look at each tag at the destination", requests: count },
    { each: "a list of referrers at the source per image", requests: each === 0 ? 0 : count },
    {
      each: "a list at the destination where the image is there",
      requests: each > 0 && move === "nothing" ? count : 0,
    },
    { each: "GET and PUT per manifest", requests: move === "nothing" ? 0 : 2 * count * (1 + each) },
    {
      each: move === "mount" ? "a mount per distinct blob" : "HEAD, GET, POST and PUT per distinct blob",
      requests: perBlob * (blobs + evidenceBlobs),
    },
    // Fallback tags: the first answer of each repository is that there is no API; and what others wrote to a list must
    // not be lost, which takes a look before and one after the write in a registry that does not compare (CNCF
    // distribution ignores If-Match).
    {
      each: "without a referrers API: its first 404 at each end; GET, PUT and a second GET per list at the destination",
      requests: each === 0 || registry.api ? 0 : move === "nothing" ? 2 : 2 + 3 * count,
    },
  ].filter(({ requests }) => requests > 0);
  return {
    requests: total.reduce((sum, { requests }) => sum + requests, 0),
    counted: total.map(({ each: what, requests }) => `${what}: ${requests}`).join("; "),
  };
}

/**
 * The least of promotions, by the plans that they left in `results` (core/promote/requests.ts says what is in it). A
 * registry without a referrers API takes more than the plan counts, so this is for one with it. Undefined where the
 * plans have no count.
 */
export async function leastForPromotion(results: string): Promise<Least | undefined> {
  const names = await readdir(results, { recursive: true });
  let requests = 0;
  for (const name of names.filter((each) => /(?:^|[/-])plan\.json$/.test(each))) {
    const plan = JSON.parse(await readFile(join(results, name), "utf8")) as {
      requests?: { spent: number; ahead: number };
    };
    if (plan.requests === undefined) return undefined;
    requests += plan.requests.spent + plan.requests.ahead;
  }
  return requests === 0 ? undefined : { requests, counted: "the promotion's own plan: spent and ahead" };
}
