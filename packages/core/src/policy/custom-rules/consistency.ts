import { type Inconsistency, unknown } from "../inconsistency.ts";
import type { Policy } from "../schema.ts";

/** What is wrong between the policy's own rules and the rest of it. */
export function checkRules({ rules, environments, exceptions }: Policy): Inconsistency[] {
  const known = Object.keys(environments);
  const ofRules = rules.flatMap((rule, index): Inconsistency[] => {
    const isTwice = rules.findIndex(({ name }) => name === rule.name) < index;
    return [
      ...(isTwice
        ? [{ path: ["rules", index, "name"], message: `'${rule.name}' is another rule's name as well` }]
        : []),
      ...(rule.environments ?? []).flatMap((environment, position) =>
        known.includes(environment)
          ? []
          : [unknown(["rules", index, "environments", position], environment, "environment", known)],
      ),
    ];
  });
  const ofExceptions = exceptions.flatMap(({ rule, gate }, index) => {
    if (gate === undefined || (rule !== "base.rule" && rule !== "scan.rule")) return [];
    const stage = rule === "base.rule" ? "base" : "scan";
    const names = rules.flatMap((each) => (each.stage === stage ? [each.name] : []));
    return names.includes(gate) ? [] : [unknown(["exceptions", index, "gate"], gate, `rule of stage ${stage}`, names)];
  });
  return [...ofRules, ...ofExceptions];
}
