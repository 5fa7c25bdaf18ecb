import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Manifest } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { isRetryStatus, retryDelay } from "@goldenpath/registry-client/retry";
import type { TransportOptions } from "@goldenpath/registry-client/transport";
import { describeAnswer } from "./answer.ts";
import { openProductApi, type ProductApi } from "./api.ts";
import { isStagingTag } from "./plan.ts";
import { findProduct } from "./products/find.ts";
import type { ProductAnswer, ServerSidePlan } from "./products/product.ts";

export interface ServerSideContext {
  client: Pick<RegistryClient, "resolve" | "setTag" | "listTags">;
  /** How the product's API is spoken to: as registries are. */
  http: TransportOptions;
}

export interface ServerSideOutcome {
  /**
   * `present`: it is at the destination, brought by somebody else. `nothing`: the product said yes, and the image is
   * not there under the staging tag.
   */
  did: "promoted" | "present" | "nothing";
  /** For the result of the promotion. */
  notes: string[];
}

/**
 * Has the product promote the image to a staging tag at the destination. No release tag is set, and nothing of what it
 * did is believed: the digest behind the tag is looked up, and the ordinary promotion then copies whatever is missing
 * (of an index's children and the evidence nothing is known) and verifies all of it. Whatever is against it is thrown
 * before that. It can be stopped anywhere and run again: where the image is at the destination, the product is not
 * asked.
 * @param image the manifest that was gated, as the source served it
 * @throws UserError `server-side-unauthorized`, `server-side-plain-http`; InfrastructureError `server-side-failed`,
 *   `server-side-unanswered`, `server-side-ambiguous`, `server-side-not-found`, `server-side-mismatch` (something else
 *   is behind the staging tag), `server-side-carried-more`, and what the client throws
 */
export async function runServerSide(
  plan: ServerSidePlan,
  image: Manifest,
  context: ServerSideContext,
): Promise<ServerSideOutcome> {
  const { client } = context;
  const title = findProduct(plan.product).title;
  if (await isThere(plan, context)) {
    return { did: "present", notes: [`the image is at the destination already: ${title} was not asked`] };
  }
  await assertStaged(plan, context, false);
  const api = await openProductApi(plan, context.http);
  try {
    await stage(plan, image, context);
    const before = await lookAround(plan, context);
    const notes: string[] = [];
    const answer = await promote(api, plan, context, notes);
    await assertNothingElse(plan, context, before, answer);
    if (await assertStaged(plan, context, true)) {
      return {
        did: "promoted",
        notes: [
          ...notes,
          `${title} ${plan.moves ? "moved" : "copied"} the image from ${plan.fromKey} to ${plan.toKey}`,
        ],
      };
    }
    if (await isThere(plan, context))
      return { did: "present", notes: [...notes, "the image came to the destination meanwhile"] };
    if ((await client.resolve({ ...plan.from, digest: plan.digest }, { wasThere: true })) === undefined) {
      throw failed(
        plan,
        "says that it promoted the image, which is now at neither place",
        "Look for it in the product's own view; build it again if it is gone.",
      );
    }
    return {
      did: "nothing",
      notes: [
        ...notes,
        `${title} said that it promoted the image, and it was not at the destination: all of it is copied`,
      ],
    };
  } finally {
    await api.close();
  }
}

async function isThere(plan: ServerSidePlan, { client }: ServerSideContext): Promise<boolean> {
  return (await client.resolve({ ...plan.to, digest: plan.digest })) !== undefined;
}

/**
 * True where the staging tag is at the destination. @throws InfrastructureError `server-side-mismatch` where it is
 * another image's
 */
async function assertStaged(plan: ServerSidePlan, { client }: ServerSideContext, isAfter: boolean): Promise<boolean> {
  const found = await client.resolve({ ...plan.to, tag: plan.stagingTag });
  if (found === undefined || found === plan.digest) return found !== undefined;
  const what = `${formatRepository(plan.to)}:${plan.stagingTag} is ${found}, not ${plan.digest}`;
  throw new InfrastructureError(
    isAfter ? `${findProduct(plan.product).title} promoted something else: ${what}; no release tag was set` : what,
    {
      code: "server-side-mismatch",
      safeToRetry: false,
      wayOut: `See who sets tags of that name; remove ${plan.stagingTag} from ${formatRepository(plan.to)}, and run the promotion again.`,
    },
  );
}

/** The product only takes tags, and the image is a digest. */
async function stage(plan: ServerSidePlan, image: Manifest, { client }: ServerSideContext): Promise<void> {
  try {
    await client.setTag(plan.from, plan.stagingTag, image, undefined);
  } catch (error) {
    if (!isKnownError(error) || error.code !== "tag-moved") throw error;
    throw new InfrastructureError(
      `${formatRepository(plan.from)}:${plan.stagingTag} is another image than ${plan.digest}`,
      {
        code: "server-side-mismatch",
        cause: error,
        safeToRetry: false,
        wayOut: `See who sets tags of that name; remove ${plan.stagingTag} from ${formatRepository(plan.from)}, and run the promotion again.`,
      },
    );
  }
}

interface Surroundings {
  there: ReadonlySet<string>;
  here: ReadonlySet<string>;
}

async function lookAround(plan: ServerSidePlan, { client }: ServerSideContext): Promise<Surroundings> {
  const [there, here] = await Promise.all([client.listTags(plan.to), client.listTags(plan.from)]);
  return { there: new Set(there), here: new Set(here) };
}

/**
 * A product that took the image's whole repository along leaves the source's other tags at the destination, images that
 * nobody has judged. A promotion of another image at the same time can set a tag that the source has as well: it is
 * then named without fault, and the next run passes.
 * @throws InfrastructureError `server-side-carried-more`
 */
async function assertNothingElse(
  plan: ServerSidePlan,
  { client }: ServerSideContext,
  before: Surroundings,
  answer: ProductAnswer | undefined,
): Promise<void> {
  const tags = (await client.listTags(plan.to)).filter(
    (tag) => !before.there.has(tag) && before.here.has(tag) && !isStagingTag(tag),
  );
  const others = [
    ...tags.map((tag) => `${formatRepository(plan.to)}:${tag}`),
    ...(answer === undefined ? [] : (findProduct(plan.product).findOthers?.(answer.text, plan) ?? [])),
  ];
  if (others.length === 0) return;
  const named = `${others.slice(0, 5).join(", ")}${others.length > 5 ? ` and ${others.length - 5} more` : ""}`;
  throw new InfrastructureError(
    `${findProduct(plan.product).title} promoted more than the image: ${named}; no release tag was set`,
    {
      code: "server-side-carried-more",
      wayOut:
        "Remove them from the destination unless somebody else promoted them just now, and take serverSide out of the policy's environment.",
    },
  );
}

/**
 * Asks until the image is at the destination. Before it asks again, it looks: an answer that was lost does not say that
 * nothing was done. The answer, where there was one.
 */
async function promote(
  api: ProductApi,
  plan: ServerSidePlan,
  context: ServerSideContext,
  notes: string[],
): Promise<ProductAnswer | undefined> {
  for (let attempt = 1; ; attempt++) {
    let problem: unknown;
    let retryAfter: number | undefined;
    let isFinal = false;
    try {
      if ((await findProduct(plan.product).findStaged?.(api.send, plan)) !== false) {
        const answer = await api.send(plan.promote);
        if (answer.status >= 200 && answer.status < 300) return answer;
        problem = refused(plan, answer);
        retryAfter = answer.retryAfter;
        isFinal = !isRetryStatus(answer.status);
      } else problem = notFound(plan);
    } catch (error) {
      if (!isKnownError(error) || error.code !== "server-side-unanswered") throw error;
      problem = error;
    }
    if (await assertStaged(plan, context, true)) {
      notes.push(`${findProduct(plan.product).title} did not say that it promoted the image; it did`);
      return undefined;
    }
    // Another run of this promotion has ended by now, and taken the staging tag away.
    if (await isThere(plan, context)) return undefined;
    if (isFinal || attempt >= api.attempts) throw problem;
    await api.wait(retryDelay(attempt, retryAfter, Math.random()));
  }
}

function notFound(plan: ServerSidePlan): InfrastructureError {
  return new InfrastructureError(
    `${findProduct(plan.product).title}' search does not find ${plan.image}:${plan.stagingTag} in ${plan.fromKey}, where it has been pushed`,
    {
      code: "server-side-not-found",
      wayOut:
        "Check serverSide.from in the policy; if both are right, repair or rebuild the repository's search index.",
    },
  );
}

function refused(plan: ServerSidePlan, answer: ProductAnswer): InfrastructureError {
  const wayOut =
    answer.status === 404
      ? `Check serverSide.url and both keys in the policy, and that this edition of ${findProduct(plan.product).title} promotes.`
      : `See what ${findProduct(plan.product).title} logs about it, or take serverSide out of the policy's environment: the image is then copied.`;
  return failed(
    plan,
    `does not promote ${plan.image}:${plan.stagingTag} from ${plan.fromKey} to ${plan.toKey} ${describeAnswer(answer)}`,
    wayOut,
  );
}

function failed(plan: ServerSidePlan, what: string, wayOut: string): InfrastructureError {
  return new InfrastructureError(`${findProduct(plan.product).title} at ${plan.url} ${what}`, {
    code: "server-side-failed",
    wayOut,
  });
}
