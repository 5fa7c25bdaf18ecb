import { kindOf } from "../build/strategies/find.ts";
import { type ImageBuilder, image } from "../build/strategies/image.ts";
import { type RebaseBuilder, rebase } from "../build/strategies/rebase.ts";
import type { Builder } from "../build/strategies/strategy.ts";
import { kindOf as schemeKindOf, schemeOf } from "../signing/schemes/find.ts";
import { key } from "../signing/schemes/key.ts";
import { checkRules } from "./custom-rules/consistency.ts";
import { checkOutsider, type Inconsistency, unknown } from "./inconsistency.ts";
import { listPinned } from "./pinned.ts";
import { checkScanSection } from "./scan-consistency.ts";
import type { Policy, PolicyBase, PolicyEnvironment } from "./schema.ts";
import { checkSignedExceptions } from "./signed-exceptions/consistency.ts";

/** What is wrong between the fields of a policy of which each by itself is right: names that nobody has, above all. */
export function checkConsistency(policy: Policy): Inconsistency[] {
  return [
    ...checkBuilders(policy),
    ...checkApprovals(policy),
    ...checkForbiddenBases(policy),
    ...checkSharedVersions(policy),
    ...Object.entries(policy.environments).flatMap(([name, each]) => checkEnvironment(policy, name, each)),
    ...checkActivators(policy),
    ...checkAccepted(policy),
    ...checkSigners(policy),
    ...checkScanSection(policy),
    ...checkEnvironmentImages(policy),
    ...checkRules(policy),
    ...checkSignedExceptions(policy),
  ];
}

function checkBuilders(policy: Policy): Inconsistency[] {
  const { bases, build } = policy;
  const found: Inconsistency[] = [];
  const names = [...new Set(bases.map(({ name }) => name))];
  if (names.length !== bases.length) found.push({ path: ["bases"], message: "two bases have the same name" });
  if (new Set(build.builders.map(({ name }) => name)).size !== build.builders.length)
    found.push({ path: ["build", "builders"], message: "two builders have the same name" });
  build.strategies.forEach((strategy, index) => {
    if (build.builders.some((builder) => kindOf(builder) === strategy)) return;
    found.push({ path: ["build", "strategies", index], message: `'${strategy}' has no builder of its kind` });
  });
  const baseImages = new Set(listPinned(bases));
  build.builders.forEach((builder: Builder, index) => {
    const stray = builder.digests?.findIndex((digest) => baseImages.has(`${builder.image}@${digest}`)) ?? -1;
    if (stray !== -1) {
      const message = "is a base as well, and no application stands on an image to build in";
      found.push({ path: ["build", "builders", index, "digests", stray], message });
    }
    const path = ["build", "builders", index];
    const { runImage, bases: choosable = [] } = builder;
    if (build.builderMaxAge !== undefined && isPinned(builder) && builder.approved === undefined)
      found.push({ path, message: "has no `approved`, from which `builderMaxAge` counts" });
    found.push(...checkOrigins(builder, policy, path), ...checkRebasers(builder, policy, path));
    if (runImage !== undefined && !names.includes(runImage))
      found.push(unknown([...path, "runImage"], runImage, "base", names));
    choosable.forEach((base, position) => {
      if (!names.includes(base)) found.push(unknown([...path, "bases", position], base, "base", names));
    });
  });
  return found;
}

/** By what a base counts, and that whoever approves it, or a builder, speaks for no stage: it would judge by its own word. */
function checkApprovals(policy: Policy): Inconsistency[] {
  const { bases, build } = policy;
  const ofBases = bases.flatMap(({ image, digests, approval }, index): Inconsistency[] => {
    const path = ["bases", index];
    if (approval === undefined)
      return digests.length > 0 ? [] : [{ path, message: "has neither `digests` nor `approval`: no version counts" }];
    const { tag } = approval;
    const other = bases.slice(0, index).find((each) => each.image === image && each.approval?.tag === tag);
    if (tag !== undefined && other !== undefined)
      return [{ path: [...path, "approval", "tag"], message: `'${tag}' of ${image} is that of base '${other.name}'` }];
    return checkApprovers(approval.signers, policy, path);
  });
  const ofBuilders = build.builders.flatMap(({ approval }: Builder, index) =>
    checkApprovers(approval?.signers ?? [], policy, ["build", "builders", index]),
  );
  return [...ofBases, ...ofBuilders];
}

/** A version that is approved and forbidden as well would be either, by who asks. */
function checkForbiddenBases({ bases, forbiddenBases }: Policy): Inconsistency[] {
  const approved = new Map(bases.flatMap((base) => listPinned([base]).map((pinned) => [pinned, base.name] as const)));
  return forbiddenBases.flatMap(({ name, image, digests = [] }, index): Inconsistency[] => {
    const path = ["forbiddenBases", index];
    const isTaken = forbiddenBases.findIndex((each) => each.name === name) < index;
    return [
      ...(isTaken ? [{ path, message: `two forbidden bases have the same name: '${name}'` }] : []),
      ...digests.flatMap((digest, position): Inconsistency[] => {
        const base = approved.get(`${image}@${digest}`);
        if (base === undefined) return [];
        return [
          { path: [...path, "digests", position], message: `is a version of base '${base}', which may be stood on` },
        ];
      }),
    ];
  });
}

/** Which of two bases a version of both is would rest on their order, which a team's policy may change. */
function checkSharedVersions({ bases }: Policy): Inconsistency[] {
  return bases.flatMap((base, index): Inconsistency[] => {
    const other = bases.slice(0, index).find((each) => haveOneVersion(each, base) && !mayChangeAlike(each, base));
    if (other === undefined) return [];
    const message = `its \`mayChange\` is not that of base '${other.name}', and both have a version that is the same image`;
    return [{ path: ["bases", index], message }];
  });
}

function haveOneVersion(a: PolicyBase, b: PolicyBase): boolean {
  // By its approvals alone a version is whatever the repository's tags point at; without them there is none.
  if (a.digests.length === 0 || b.digests.length === 0) return a.image === b.image && hasVersions(a) && hasVersions(b);
  return a.digests.some((digest) => b.digests.includes(digest));
}

const hasVersions = ({ digests, approval }: PolicyBase): boolean => digests.length > 0 || approval !== undefined;

function mayChangeAlike({ mayChange = [] }: PolicyBase, { mayChange: others = [] }: PolicyBase): boolean {
  return mayChange.every((each) => others.includes(each)) && others.every((each) => mayChange.includes(each));
}

function checkApprovers(named: readonly string[], policy: Policy, path: readonly PropertyKey[]): Inconsistency[] {
  return named.flatMap((signer, position) => checkOutsider(signer, [...path, "approval", "signers", position], policy));
}

/** Whoever says where images come from, and speaks for a stage as well, would attest his own word. */
function checkOrigins(builder: Builder, policy: Policy, path: PropertyKey[]): Inconsistency[] {
  if (!isImageBuilder(builder)) return [];
  const { provenance, import: imported } = builder;
  const outsiders = (signers: readonly string[], at: PropertyKey[]): Inconsistency[] =>
    signers.flatMap((signer, position) => checkOutsider(signer, [...at, "signers", position], policy));
  const level = [...path, "provenance", "level"];
  const { builders = [], level: { builders: leveled = [], verifiers = [] } = {} } = provenance ?? {};
  const strangers = leveled.flatMap(({ builder: named }, index): Inconsistency[] => {
    if (builders.includes(named)) return [];
    const message = `'${named}' is none of the entry's \`builders\` (${builders.join(", ")})`;
    return [{ path: [...level, "builders", index, "builder"], message }];
  });
  return [
    ...outsiders(provenance?.signers ?? [], [...path, "provenance"]),
    ...strangers,
    ...verifiers.flatMap(({ signers }, index) => outsiders(signers, [...level, "verifiers", index])),
    ...outsiders(imported?.signers ?? [], [...path, "import"]),
  ];
}

/** Whoever attests a rebase attests what the gate asks of a build, so the gate has to hear them. */
function checkRebasers(builder: Builder, { signers, environments }: Policy, path: PropertyKey[]): Inconsistency[] {
  if (!isRebaseBuilder(builder)) return [];
  const builds = Object.values(environments).flatMap(({ requires }) =>
    requires.filter(({ stage }) => stage === "build"),
  );
  const places = Object.values(environments).flatMap(({ to }) => to);
  const astray = (builder.rollout?.canaries ?? []).flatMap((canary, position): Inconsistency[] => {
    // It may be no repository yet, of which its own place tells.
    if (places.some((prefix) => canary === prefix || canary.startsWith(`${prefix}/`))) return [];
    const message = `no environment promotes to '${canary}' (they promote to ${places.join(", ") || "nothing"})`;
    return [{ path: [...path, "rollout", "canaries", position], message }];
  });
  const unheard = builder.signers.flatMap((signer, position): Inconsistency[] => {
    const at = [...path, "signers", position];
    if (!Object.hasOwn(signers, signer)) return [unknown(at, signer, "signer", Object.keys(signers))];
    return builds.length === 0 || builds.some((each) => each.signers.includes(signer))
      ? []
      : [{ path: at, message: `'${signer}' does not speak for build in any environment` }];
  });
  return [...unheard, ...astray];
}

/** Whether something of it grows old: images of its own, which were approved at some time. */
function isPinned({ digests, buildpacks }: Builder): boolean {
  return digests !== undefined || buildpacks !== undefined;
}

function isRebaseBuilder(builder: Builder): builder is RebaseBuilder {
  return kindOf(builder) === rebase.name;
}

function isImageBuilder(builder: Builder): builder is ImageBuilder {
  return kindOf(builder) === image.name;
}

function checkEnvironment(policy: Policy, name: string, environment: PolicyEnvironment): Inconsistency[] {
  const path = ["environments", name];
  const signers = Object.keys(policy.signers);
  const found: Inconsistency[] = [];
  if (!signers.includes(environment.promoter))
    found.push(unknown([...path, "promoter"], environment.promoter, "signer", signers));
  environment.requires.forEach((requirement, index) => {
    const at = [...path, "requires", index];
    requirement.signers.forEach((signer, position) => {
      if (!signers.includes(signer)) found.push(unknown([...at, "signers", position], signer, "signer", signers));
    });
    found.push(...checkEnvironmentBefore(policy, name, requirement, [...at, "environment"]));
  });
  const stages = environment.requires.map(({ stage }) => stage);
  if (new Set(stages).size !== stages.length)
    found.push({ path: [...path, "requires"], message: "a stage is required twice; list its signers in one entry" });
  return found;
}

function checkEnvironmentBefore(
  { environments }: Policy,
  own: string,
  { stage, environment: before }: PolicyEnvironment["requires"][number],
  path: PropertyKey[],
): Inconsistency[] {
  if (before === undefined) return [];
  if (stage !== "promote") return [{ path, message: "only stage promote has an environment" }];
  if (before === own) return [{ path, message: "is the environment itself, which nothing could then be promoted to" }];
  return Object.hasOwn(environments, before) ? [] : [unknown(path, before, "environment", Object.keys(environments))];
}

function checkActivators({ activators, signers, environments }: Policy): Inconsistency[] {
  return activators.flatMap((activator, index) => {
    const path = ["activators", index];
    const found: Inconsistency[] = [];
    const signer = Object.hasOwn(signers, activator) ? signers[activator] : undefined;
    if (signer === undefined) found.push(unknown(path, activator, "signer", Object.keys(signers)));
    // The platform's signer is a key, whatever stages sign with.
    else if (schemeKindOf(signer) !== key.kind) {
      const message = `'${activator}' is of kind ${schemeKindOf(signer)}, and which policy is in force is signed with a key`;
      found.push({ path, message });
    }
    for (const time of ["from", "until"] as const) {
      if (signer?.[time] === undefined) continue;
      // Nobody dates the pointer, and a policy can't say of itself until when it is in force.
      const message = `'${activator}' puts policies in force, and so has no \`${time}\`: another takes its place by the next policy's activators`;
      found.push({ path: ["signers", activator, time], message });
    }
    const speaks = Object.values(environments).some(
      ({ promoter, requires }) => promoter === activator || requires.some((each) => each.signers.includes(activator)),
    );
    // Whoever has a stage's key could otherwise choose the policy that it is judged by.
    if (speaks) found.push({ path, message: `'${activator}' speaks for a stage as well` });
    return found;
  });
}

function checkAccepted({ accepts, serial: own }: Policy): Inconsistency[] {
  const listed = typeof accepts === "number" ? [] : accepts;
  return listed.flatMap(({ serial }, index) =>
    serial < own ? [] : [{ path: ["accepts", index, "serial"], message: `must be below this policy's serial, ${own}` }],
  );
}

/** With one key, each would speak for the other's stages. */
function checkSigners({ signers, sigstore, trustStores }: Policy): Inconsistency[] {
  const found: Inconsistency[] = [];
  const known = new Map<string, string>();
  for (const [name, signer] of Object.entries(signers)) {
    if ("sigstore" in signer && !Object.hasOwn(sigstore, signer.sigstore))
      found.push(unknown(["signers", name, "sigstore"], signer.sigstore, "sigstore", Object.keys(sigstore)));
    const { from, until } = signer;
    if (from !== undefined && until !== undefined && from >= until)
      found.push({ path: ["signers", name, "until"], message: "is not after `from`: its word would never count" });
    if ("trustStore" in signer && !Object.hasOwn(trustStores, signer.trustStore))
      found.push(unknown(["signers", name, "trustStore"], signer.trustStore, "trust store", Object.keys(trustStores)));
    const { field, what, text: identity } = schemeOf(signer).identify(signer);
    const other = known.get(identity);
    if (other !== undefined) {
      const message = `is the ${what} of '${other}' as well; each signer has one of its own`;
      found.push({ path: ["signers", name, field], message });
    }
    known.set(identity, name);
  }
  return found;
}

/** Nothing would be signed that the environment could judge. */
function checkEnvironmentImages({ environments }: Policy): Inconsistency[] {
  return Object.entries(environments).flatMap(([name, { images, requires }]) =>
    images === undefined || requires.some(({ stage }) => stage === "base")
      ? []
      : [
          {
            path: ["environments", name, "images"],
            message: "the environment does not require stage base, which tells what images have",
          },
        ],
  );
}
