import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { ownPolicy } from "../build/strategies/find.ts";
import { image as strategy } from "../build/strategies/image.ts";
import { type Import, readImport } from "../origin/read-import.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { collectEvidence } from "../signing/collect.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import type { UpstreamFacts } from "./propose.ts";

/** Tags and repositories that are asked for at the same time. */
const concurrency = 4;

/**
 * What was imported into these repositories, by a signer whose import counts, and what there is now where it was taken
 * from: one entry for each of those.
 * @throws the client's errors: what can't be asked for is not "nothing new"
 */
export async function gatherUpstream(
  client: RegistryClient,
  repositories: readonly Repository[],
  policy: LoadedPolicy,
  now: Date,
): Promise<UpstreamFacts[]> {
  const found = await mapConcurrently(1, repositories, (repository) => listImports(client, repository, policy, now));
  const bySource = Map.groupBy(found.flat(), ({ uri }) => uri);
  return mapConcurrently(concurrency, [...bySource], async ([uri, imports]): Promise<UpstreamFacts> => {
    const repository = imports[0]?.repository;
    if (repository === undefined) throw new TypeError("a group of none");
    const known = [...new Set(imports.flatMap(({ tag }) => tag ?? []))];
    const current = new Map<string, Digest>();
    await mapConcurrently(concurrency, known, async (tag) => {
      const digest = await client.resolve({ ...repository, tag });
      if (digest !== undefined) current.set(tag, digest);
    });
    return { uri, imports, tags: await client.listTags(repository), current };
  });
}

/** By what the repository's tags point at: what has none any more is of no interest. */
async function listImports(
  client: RegistryClient,
  repository: Repository,
  { policy }: LoadedPolicy,
  now: Date,
): Promise<UpstreamImport[]> {
  const importers = new Set(ownPolicy(policy, strategy).builders.flatMap((builder) => builder.import?.signers ?? []));
  const tags = (await client.listTags(repository)).filter((tag) => !/^sha(?:256|512)-[0-9a-f]+/.test(tag));
  const digests = await mapConcurrently(concurrency, tags, (tag) => client.resolve({ ...repository, tag }));
  const collected = await mapConcurrently(concurrency, [...new Set(digests)], async (digest) =>
    digest === undefined
      ? []
      : readImports(await collectEvidence(client, repository, digest, policy.signers, { now }), importers),
  );
  return collected.flat();
}

type UpstreamImport = Import & { isLapsed: boolean };

/**
 * The imports of one image. Those out of their signer's time let nothing in any more, and that is what has to be
 * proposed: without them, such an image would look like one that nobody has imported, and nothing would be said.
 */
export function readImports(
  { statements, lapsed }: Pick<CollectedEvidence, "statements" | "lapsed">,
  importers: ReadonlySet<string>,
): UpstreamImport[] {
  const read = (from: readonly VerifiedStatement[], isLapsed: boolean): UpstreamImport[] =>
    from.flatMap(({ statement, signers, subject }) => {
      if (statement.predicateType !== predicateTypes.import || !signers.some((name) => importers.has(name))) return [];
      const found = readImport(statement.predicate);
      return "problem" in found || found.digest !== subject ? [] : [{ ...found, isLapsed }];
    });
  return [...read(statements, false), ...read(lapsed, true)];
}
