import { findOwnDay, nameWaiting, type OwnDay } from "./enforcement.ts";
import { nameThing } from "./images-section.ts";
import { nameForbidden } from "./scan-section.ts";
import type { Policy } from "./schema.ts";

/** What tells an environment's gate from those of others. */
export const nameGate = (environment: string, gate: string): string => `${environment}/${gate}`;

/** Every day of a policy from which on something refuses, by the rule, or by rule and entry as verdicts call it. */
export function listDays(policy: Policy): Map<string, string> {
  const days = new Map(Object.entries(policy.enforceFrom));
  for (const { rule, own } of listOwnDays(policy)) {
    const name = nameWaiting(rule, own.entry);
    const other = days.get(name);
    // Of two that can't be told apart the earlier.
    if (other === undefined || own.from < other) days.set(name, own.from);
  }
  return days;
}

/** The entries that say themselves from when on they refuse. */
function listOwnDays({ rules, scan, images, bases, environments }: Policy): { rule: string; own: OwnDay }[] {
  const of = (rule: string, own: OwnDay | undefined) => (own === undefined ? [] : [{ rule, own }]);
  return [
    ...rules.flatMap((rule) => of(`${rule.stage}.rule`, findOwnDay(rule.name, rule))),
    ...(scan.refuse ?? []).flatMap((gate) => of("scan.gate", findOwnDay(gate.name, gate))),
    ...(scan.packages ?? []).flatMap((each) => of("scan.package", findOwnDay(nameForbidden(each), each))),
    ...of("scan.sbom", scan.sbom === undefined ? undefined : findOwnDay("quality", scan.sbom)),
    ...images.mustHave.flatMap((thing) => of("base.missing", findOwnDay(nameThing(thing), thing))),
    ...bases.flatMap(({ name, approval }) =>
      ["base.expired", "base.behind", "base.approval"].flatMap((rule) =>
        of(rule, approval === undefined ? undefined : findOwnDay(name, approval)),
      ),
    ),
    ...Object.entries(environments).flatMap(([environment, { refuse = [] }]) =>
      refuse.flatMap((gate) => of("gate.finding", findOwnDay(nameGate(environment, gate.name), gate))),
    ),
  ];
}
