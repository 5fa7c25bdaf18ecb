import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import {
  formatReference,
  formatRepository,
  parseRepository,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import type { Builder } from "../build/strategies/strategy.ts";
import { lookAtTag } from "../evidence/gather-record.ts";
import type { KeySigner } from "../signing/schemes/key/sign.ts";
import { fetchPolicyArtifact } from "./artifact.ts";
import { parsePolicy } from "./parse.ts";
import { fetchPointer } from "./pointer-artifact.ts";
import type { PolicyPointer } from "./pointer-facts.ts";
import type { Policy } from "./schema.ts";
import { planWithdrawal, type WithdrawalRequest } from "./withdrawals.ts";
import { writePointer } from "./write-pointer.ts";

/** Tags that are looked at at the same time. */
const concurrency = 6;

export interface WithdrawRequest extends Omit<WithdrawalRequest, "children"> {
  signer: KeySigner;
  /** Where an image is looked up: what runs of an index goes with it. */
  imageRepository?: Repository;
  /**
   * Takes the word of whoever asks that there is such a thing: an image that no registry has any more, a base that has
   * left the policy.
   */
  isUnseen?: boolean;
  isDryRun?: boolean;
}

/**
 * Withdraws something, or lifts that, in the pointer to the policy in force: the platform's signer signs it, and no
 * promotion can do without reading it. What is not there is withdrawn by a typing error alone, and that would protect
 * nobody.
 * @returns the pointer as it is now, or would be, and whether that is new
 * @throws UserError `withdrawal-unknown`, `withdrawals-full`, `arguments-invalid`, `image-not-found`; PolicyViolation
 *   `policy.pointer-missing`, `policy.pointer-invalid`; InfrastructureError `tag-moved`; the client's others
 */
export async function withdraw(
  client: RegistryClient,
  repository: Repository,
  request: WithdrawRequest,
): Promise<{ pointer: PolicyPointer; isNew: boolean }> {
  const { thing, signer, isUnseen = false, imageRepository } = request;
  const { pointer, manifest } = await fetchPointer(client, repository, [signer.material.key]);
  const assertThere = chooseAssertion(request);
  if (assertThere !== undefined) {
    const pinned = { ...repository, digest: pointer.artifact };
    await assertThere(
      parsePolicy(await fetchPolicyArtifact(client, pinned), `oci://${formatReference(pinned)}`),
      client,
    );
  }
  const children =
    thing.kind === "image" && imageRepository !== undefined && !isUnseen
      ? await listChildren(client, imageRepository, thing.digest)
      : [];
  const withdrawals = planWithdrawal(pointer.withdrawals ?? [], { ...request, children });
  if (withdrawals === undefined) return { pointer, isNew: false };
  const next: PolicyPointer = { ...pointer, withdrawals };
  if (request.isDryRun !== true) await writePointer(client, repository, next, signer, manifest);
  return { pointer: next, isNew: true };
}

type Assertion = (policy: Policy, client: RegistryClient) => void | Promise<void>;

/** What the policy in force has to say of a thing before it is withdrawn; undefined: nothing. */
function chooseAssertion({ thing, isUndo, isUnseen, imageRepository }: WithdrawRequest): Assertion | undefined {
  if (isUndo) return undefined;
  switch (thing.kind) {
    case "signer":
      return (policy) => assertSigner(policy, thing.name);
    case "base":
      return isUnseen ? undefined : (policy, client) => assertBase(client, policy, thing.digest);
    case "image":
      return isUnseen || imageRepository === undefined
        ? undefined
        : (policy) => assertNoBase(policy, imageRepository, thing.digest);
  }
}

/** @throws UserError `image-not-found` */
async function listChildren(client: RegistryClient, repository: Repository, digest: Digest): Promise<Digest[]> {
  try {
    const { children } = await fetchImageFacts(client, { ...repository, digest });
    return children.map((child) => child.digest).filter((child) => child !== digest);
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== "image-not-found") throw error;
    throw new UserError(error.message, {
      code: error.code,
      cause: error,
      wayOut: "Name it where it is. One that is nowhere any more is withdrawn with --unseen, by its digest alone.",
    });
  }
}

function assertSigner({ signers, activators }: Policy, name: string): void {
  if (activators.includes(name)) {
    throw new UserError(`'${name}' puts policies in force, and what it signed for that is not withdrawn`, {
      code: "withdrawal-unknown",
      wayOut: "Activate a policy that names another in its activators: goldenpath policy activate --previous-signer.",
    });
  }
  if (Object.hasOwn(signers, name)) return;
  throw new UserError(`'${name}' is no signer of the policy in force (there is: ${Object.keys(signers).join(", ")})`, {
    code: "withdrawal-unknown",
    wayOut: "Name a signer as the policy does.",
  });
}

/** Findings name a base as the policy does, by its index where it has one; provenance names all that builders are. */
async function assertBase(client: RegistryClient, { bases, build }: Policy, digest: Digest): Promise<void> {
  const known = bases.flatMap(({ name, digests }) => digests.map((each) => ({ name, digest: each })));
  if (known.some((each) => each.digest === digest) || JSON.stringify(build.builders).includes(digest)) return;
  const unlisted = bases.filter(({ approval, digests }) => approval !== undefined && digests.length === 0);
  for (const { image } of unlisted) if (await isVersion(client, parseRepository(image), digest)) return;
  const there = [
    ...known.map((each) => `${each.name} ${each.digest}`),
    ...unlisted.map(({ name, image }) => `${name}, what the tags of ${image} point at`),
  ];
  throw new UserError(
    `${digest} is no base of the policy in force, and no image of its builders (bases there are: ${there.join(", ") || "none"})`,
    {
      code: "withdrawal-unknown",
      wayOut:
        "Name it by a digest that the policy has: the index, not one of its platforms. What has left the policy is withdrawn with --unseen.",
    },
  );
}

/** As an image it would count for nothing itself, and what stands on it, or was built in it, as before. */
function assertNoBase({ bases, build }: Policy, repository: Repository, digest: Digest): void {
  const name = formatRepository(repository);
  const base = bases.find(({ image }) => image === name);
  const builder = build.builders.find((each: Builder) => each.image === name);
  if (base === undefined && builder === undefined) return;
  const what = base === undefined ? `builder '${builder?.name}'` : `base '${base.name}'`;
  throw new UserError(`${name} is where ${what} is kept, and what was made with it would go on counting`, {
    code: "withdrawal-unknown",
    wayOut: `Withdraw it as that, by the digest that the policy has or a tag points at: --base ${digest}. What has left the policy is withdrawn with --unseen.`,
  });
}

/** Of a base that counts by signed approvals a version is what a tag points at, as a finding names it. */
async function isVersion(client: RegistryClient, repository: Repository, digest: Digest): Promise<boolean> {
  const tags = await client.listTags(repository);
  const found = await mapConcurrently(concurrency, tags, (tag) => lookAtTag(client, repository, tag));
  return found.includes(digest);
}
