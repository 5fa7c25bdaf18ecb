import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { z } from "zod";
import type { VerifiedStatement } from "../signing/types.ts";
import type { Problem, StageScope } from "./facts.ts";
import { wayToRunAgain } from "./problems.ts";

const findingSchema = z.looseObject({
  children: z.array(z.looseObject({ digest: z.string(), layers: z.array(z.string()).optional() })),
});

/**
 * The base stage has read every layer of the image: its finding names, for each child, what the layers unpack to, and
 * these are exactly the ones that the config of now has. Nothing is downloaded for it. A finding without them is of a
 * stage that looked at less.
 */
export function judgeFindingLayers(scope: StageScope, finding: VerifiedStatement): Problem[] {
  const { image } = scope.facts;
  const children = scope.digest === image.digest ? image.children : [scope.digest];
  const found = findingSchema.safeParse(finding.statement.predicate);
  const told = (child: Digest): (string[] | undefined)[] =>
    found.success ? found.data.children.filter(({ digest }) => digest === child).map(({ layers }) => layers) : [];
  const wrong = children.find((child) => {
    const expected = image.layers.get(child);
    const each = told(child);
    return expected === undefined || each.length === 0 || !each.every((layers) => isSameList(layers, expected));
  });
  if (wrong === undefined) return [];
  const problem = `what ${scope.stage} found does not name exactly the layers that ${wrong} has, so not all of them were read`;
  return [{ rule: "gate.layers", problem, wayOut: wayToRunAgain(scope) }];
}

function isSameList(a: readonly string[] | undefined, b: readonly string[]): boolean {
  return a !== undefined && a.length === b.length && a.every((each, index) => each === b[index]);
}
