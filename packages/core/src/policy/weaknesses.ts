import { imageSourcePrefix } from "../origin/read-import.ts";
import { listInstances, readTrust } from "../signing/sigstore-instance.ts";
import { rowOfStage, type Stage, stages } from "../stages.ts";
import { listDays } from "./own-days.ts";
import type { LoadedPolicy, Policy } from "./schema.ts";

/** The stages without which an image's way is not the whole one. */
const wholePath: readonly string[] = stages.filter((stage) => stage !== "promote");

/**
 * What a policy allows, as it may, and its owners may not have meant: one sentence each, with the field to change.
 * Nothing of this refuses anything. With `environmentName`, what concerns that environment alone.
 */
export function describeWeaknesses({ policy }: Pick<LoadedPolicy, "policy">, environmentName?: string): string[] {
  const weaknesses: string[] = [];
  for (const [name, environment] of Object.entries(policy.environments)) {
    if (environmentName !== undefined && name !== environmentName) continue;
    const at = `environments.${name}`;
    const required = new Map(environment.requires.map((requirement) => [requirement.stage as string, requirement]));
    const forgotten = required.has("promote") ? [] : wholePath.filter((stage) => !required.has(stage));
    if (forgotten.length > 0)
      weaknesses.push(
        `${at}.requires: ${forgotten.join(" and ")} ${forgotten.length === 1 ? "is" : "are"} not required`,
      );
    for (const [index, { stage, maxAge, signers, environment: before }] of environment.requires.entries()) {
      const field = `${at}.requires[${index}]`;
      const section = rowOfStage(stage).needs.find((each) => policy.absent?.includes(each) === true);
      if (section !== undefined)
        weaknesses.push(
          `${field}: the policy has no section ${section}, without which ${stage} does not run: nothing gets here`,
        );
      if (maxAge === undefined)
        weaknesses.push(`${field}: ${stage} has no maxAge, so its evidence counts for as long as the policy does`);
      if (stage === "promote" && before === undefined)
        weaknesses.push(`${field}: promote names no environment, so a promotion into any of them counts`);
      if (stage !== "promote" && signers.includes(environment.promoter))
        weaknesses.push(`${field}: ${environment.promoter} signs promotions, and speaks for ${stage} as well`);
      for (const signer of signers) {
        const before = stages
          .slice(0, stages.indexOf(stage))
          .find((earlier) => required.get(earlier)?.signers.includes(signer) === true);
        if (before !== undefined)
          weaknesses.push(`${field}: ${signer} speaks for ${before} and ${stage}: ${describeShared(before, stage)}`);
      }
    }
  }
  if (environmentName !== undefined) return weaknesses;
  for (const [waiting, from] of listDays(policy))
    weaknesses.push(`enforceFrom.${waiting}: only warns until it refuses from ${from} on`);
  weaknesses.push(...describeSources(policy), ...describeSharedDestinations(policy), ...describeUnsaid(policy));
  for (const [host, settings] of Object.entries(policy.registries.hosts)) {
    if (settings.skipVerify)
      weaknesses.push(`registries.hosts.${host}.skipVerify: whoever is on the way to it can read the logins`);
  }
  return [...weaknesses, ...describeTrust(policy)];
}

/** Who says whom a Sigstore trusts, where this policy does not; and one of which nothing can count. */
function describeTrust({ sigstore }: Policy): string[] {
  const changing = Object.entries(sigstore).flatMap(([name, { tuf, embedded }]) => [
    ...(tuf === undefined
      ? []
      : [`sigstore.${name}.tuf: whoever keeps ${tuf.mirror} says whom it trusts, without a change of this policy`]),
    ...(embedded === undefined
      ? []
      : [`sigstore.${name}.embedded: whom it trusts comes with goldenpath's version, without a change of this policy`]),
  ]);
  const withoutLog = Object.entries(listInstances(sigstore)).flatMap(([name, instance]) =>
    instance.proof === "log" && readTrust(instance).tlogs.length === 0
      ? [`sigstore.${name}: its trusted root has no log, and \`proof: log\` asks for an entry in one: nothing counts`]
      : [],
  );
  return [...changing, ...withoutLog];
}

/** What it costs that one signer speaks for both, the earlier stage first. */
function describeShared(before: Stage, after: Stage): string {
  return before === "build" && after === "scan"
    ? "whoever breaks its scanner speaks for the build"
    : "who can sign for one can for both";
}

/** Where what nobody says is let pass. */
function describeUnsaid({ scan, environments }: Policy): string[] {
  const passing = (gates: Policy["scan"]["refuse"], at: string): string[] =>
    (gates ?? []).flatMap(({ name, missing }, index) =>
      missing === "pass"
        ? [`${at}[${index}].missing: ${name} lets pass what its data says nothing about, whatever that is`]
        : [],
    );
  return [
    ...passing(scan.refuse, "scan.refuse"),
    ...Object.entries(environments).flatMap(([name, { refuse }]) => passing(refuse, `environments.${name}.refuse`)),
    ...(scan.licenses?.unknown === "pass"
      ? ["scan.licenses.unknown: a package whose licence nobody says may be under one that is refused"]
      : []),
    ...(scan.vex?.unmatched === "tell"
      ? ["scan.vex.unmatched: a VEX statement with a typing error closes nothing, and is only noted"]
      : []),
  ];
}

/** What any branch, or any of several teams, may bring. */
function describeSources({ build }: Policy): string[] {
  return build.sources.flatMap((source, index) => {
    const field = `build.sources[${index}]`;
    const { repository, refs, workflows, to } = typeof source === "string" ? { repository: source } : source;
    const isOfImages = repository.startsWith(imageSourcePrefix);
    const open = [
      ...(!isOfImages && refs === undefined ? ["no refs: any branch and tag counts"] : []),
      ...(!isOfImages && workflows === undefined ? ["no workflows: any that has the build's key attests"] : []),
      ...(to === undefined ? ["no to: it can become any image of an environment"] : []),
    ];
    return open.length === 0 ? [] : [`${field}: ${repository} has ${open.join("; ")}`];
  });
}

/** An image is in vetted by the environment that asks for least of those that promote there. */
function describeSharedDestinations({ environments }: Policy): string[] {
  const names = Object.keys(environments);
  return names.flatMap((name, index) =>
    names.slice(index + 1).flatMap((other) => {
      const shared = environments[name]?.to.find((to) =>
        environments[other]?.to.some((also) => isUnder(to, also) || isUnder(also, to)),
      );
      const problem = `the cluster tells their images apart by promote's statement alone`;
      return shared === undefined
        ? []
        : [`environments.${name}.to and environments.${other}.to share ${shared}: ${problem}`];
    }),
  );
}

function isUnder(prefix: string, parent: string): boolean {
  return prefix === parent || prefix.startsWith(`${parent.replace(/\/$/, "")}/`);
}
