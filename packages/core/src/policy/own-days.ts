import type { Rule } from "@goldenpath/foundation/rules";
import { nameWaiting } from "./enforcement.ts";
import { nameThing } from "./images-section.ts";
import { nameForbidden } from "./scan-section.ts";
import type { Policy } from "./schema.ts";

/** What tells an environment's gate from those of others. */
export const nameGate = (environment: string, gate: string): string => `${environment}/${gate}`;

/** Every day of a policy from which on something refuses, by the rule, or by rule and entry as verdicts call it. */
export function listDays(policy: Policy): Map<string, string> {
  return new Map([
    ...Object.entries(policy.enforceFrom),
    ...[...listEntries(policy)].flatMap(([name, { from }]): [string, string][] =>
      from === undefined ? [] : [[name, from]],
    ),
  ]);
}

/** An entry that may have a day of its own. */
interface DatedEntry {
  rule: Rule;
  from: string | undefined;
}

/** The entries that may say themselves from when on they refuse, by what verdicts call them. */
export function listEntries({
  rules,
  scan,
  images,
  bases,
  forbiddenBases,
  environments,
}: Partial<Policy>): Map<string, DatedEntry> {
  const entries = new Map<string, DatedEntry>();
  const add = (rule: Rule, entry: string, { enforceFrom: from }: { enforceFrom?: string | undefined }): void => {
    const name = nameWaiting(rule, entry);
    const other = entries.get(name)?.from;
    // Of two that can't be told apart the earlier.
    if (other === undefined || (from !== undefined && from < other)) entries.set(name, { rule, from });
  };
  for (const rule of rules ?? []) add(`${rule.stage}.rule`, rule.name, rule);
  for (const gate of scan?.refuse ?? []) add("scan.gate", gate.name, gate);
  for (const each of scan?.packages ?? []) add("scan.package", nameForbidden(each), each);
  if (scan?.sbom !== undefined) add("scan.sbom", "quality", scan.sbom);
  for (const thing of images?.mustHave ?? []) add("base.missing", nameThing(thing), thing);
  for (const each of forbiddenBases ?? []) add("base.forbidden", each.name, each);
  for (const { name, approval } of bases ?? []) {
    for (const rule of ["base.expired", "base.behind", "base.approval"] as const)
      if (approval !== undefined) add(rule, name, approval);
  }
  for (const [environment, { refuse = [] }] of Object.entries(environments ?? {}))
    for (const gate of refuse) add("gate.finding", nameGate(environment, gate.name), gate);
  return entries;
}
