import { InfrastructureError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import { printable } from "@goldenpath/registry-client/answers";
import { z } from "zod";
import { describeAnswer } from "../answer.ts";
import type { SendCall, ServerSidePlan } from "./product.ts";

/** As the search API has it; what else is in an item is of no concern. */
const pageSchema = z.looseObject({
  items: z.array(
    z.looseObject({ repository: z.string(), format: z.string(), name: z.string(), version: z.string().nullish() }),
  ),
  continuationToken: z.string().nullish(),
});
type Component = z.infer<typeof pageSchema>["items"][number];

const movedSchema = z.looseObject({
  data: z.looseObject({
    "components moved": z.array(z.looseObject({ name: z.string(), version: z.string().nullish() })),
  }),
});

/** A search for one tag of one image has one page. */
const maxPages = 20;

/**
 * What the search finds, all pages of it, is what the move would move: it has to be the one image. False where it finds
 * nothing (yet: the search is an index of its own, which may be behind the repository).
 * @throws InfrastructureError `server-side-ambiguous` (more than the image, or a list without an end),
 *   `server-side-failed` (an answer that is no list)
 */
export async function findStaged(send: SendCall, plan: ServerSidePlan): Promise<boolean> {
  const { search } = plan;
  if (search === undefined) return true;
  const ambiguous = (what: string): InfrastructureError =>
    new InfrastructureError(
      `Nexus' search for ${plan.image}:${plan.stagingTag} in ${plan.fromKey} ${what}, and a move would take all of it`,
      {
        code: "server-side-ambiguous",
        safeToRetry: false,
        wayOut:
          "Look at what the search finds, or take serverSide out of the policy's environment: the image is then copied.",
      },
    );
  const found: Component[] = [];
  const tokens = new Set<string>();
  for (let token: string | null | undefined; ; ) {
    const page = await fetchPage(
      send,
      plan,
      token === undefined ? search.url : `${search.url}&${new URLSearchParams({ continuationToken: token ?? "" })}`,
    );
    found.push(...page.items);
    const other = found.find((component) => !isStaged(component, plan));
    if (other !== undefined)
      throw ambiguous(`finds ${printable(`${other.name}:${other.version ?? ""} of ${other.repository}`)} as well`);
    if (found.length > 1) throw ambiguous(`finds it ${found.length} times`);
    token = page.continuationToken;
    if (token === undefined || token === null) return found.length === 1;
    if (tokens.has(token) || tokens.size >= maxPages) throw ambiguous("has no end");
    tokens.add(token);
  }
}

function isStaged(component: Component, plan: ServerSidePlan): boolean {
  return (
    component.repository === plan.fromKey &&
    component.format === "docker" &&
    component.name === plan.image &&
    component.version === plan.stagingTag
  );
}

async function fetchPage(send: SendCall, plan: ServerSidePlan, url: string): Promise<z.infer<typeof pageSchema>> {
  const answer = await send({ method: "GET", url });
  const failed = (why: string, cause?: unknown): InfrastructureError =>
    new InfrastructureError(`Nexus at ${plan.url} can't be searched: ${why} ${describeAnswer(answer)}`, {
      code: "server-side-failed",
      cause,
      wayOut: "Check serverSide.url and serverSide.from.key in the policy, and that the login may search.",
    });
  if (answer.status !== 200) throw failed("its answer is not a list");
  try {
    return pageSchema.parse(parseJson(answer.text));
  } catch (error) {
    throw failed("its answer is not a list of components", error);
  }
}

/**
 * What the answer to a move says was moved and is not the image; nothing where it does not say, since the destination
 * is looked at in any case.
 */
export function findOthersMoved(text: string, plan: ServerSidePlan): string[] {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch {
    return [];
  }
  const parsed = movedSchema.safeParse(json);
  if (!parsed.success) return [];
  return parsed.data.data["components moved"]
    .filter(({ name, version }) => name !== plan.image || version !== plan.stagingTag)
    .map(({ name, version }) => printable(`${name}:${version ?? ""}`));
}
