import type { RegistryClient } from "@goldenpath/registry-client/client";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { collectEvidence } from "../../signing/collect.ts";
import type { Policy } from "../schema.ts";
import { type ChosenExceptions, chooseExceptions } from "./choose.ts";
import { buildAnchor } from "./document.ts";

/**
 * What is signed beside a policy for images of a repository; undefined where the policy names nobody who may sign it.
 * @throws as `collectEvidence`: that the registry can't be asked is an error
 */
export async function gatherSignedExceptions(
  client: RegistryClient,
  { name, signedExceptions: rules, signers }: Policy,
  images: Repository,
  now: Date,
): Promise<ChosenExceptions | undefined> {
  if (rules === undefined) return undefined;
  const { descriptor } = buildAnchor(name, images);
  const granters = Object.fromEntries(
    rules.signers.flatMap(({ signer }) => {
      const known = Object.hasOwn(signers, signer) ? signers[signer] : undefined;
      return known === undefined ? [] : [[signer, known]];
    }),
  );
  const evidence = await collectEvidence(client, parseRepository(rules.repository), descriptor.digest, granters, {
    now,
  });
  return chooseExceptions({ ...{ policyName: name, rules, images, evidence, now } });
}

/**
 * The policy as it is for images of a repository, with what is signed beside it; and what is told of those that count for
 * nothing. Its digest and serial stay what they are.
 * @throws as {@link gatherSignedExceptions}
 */
export async function withSignedExceptions<T extends { policy: Policy }>(
  client: RegistryClient,
  loaded: T,
  images: Repository,
  now: Date,
): Promise<{ loaded: T; notes: string[] }> {
  const chosen = await gatherSignedExceptions(client, loaded.policy, images, now);
  if (chosen === undefined) return { loaded, notes: [] };
  const policy = { ...loaded.policy, exceptions: [...loaded.policy.exceptions, ...chosen.exceptions] };
  const notes = chosen.told.flatMap(({ grant, signers, problem }) =>
    problem === undefined
      ? []
      : [
          `the exception of ${grant.rule} that '${signers.join("', '")}' signed (${grant.id}) does not count: ${problem}`,
        ],
  );
  return {
    loaded: { ...loaded, policy },
    notes: [...notes, ...(chosen.unreadable === undefined ? [] : [chosen.unreadable])],
  };
}
