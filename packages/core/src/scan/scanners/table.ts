import { UserError } from "@goldenpath/foundation/errors";
import { grype } from "./grype.ts";
import { osvScanner } from "./osv-scanner.ts";
import type { Scanner } from "./scanner.ts";
import { trivy } from "./trivy.ts";

/** Where a policy names none, the first one is what `auto` takes. */
export const scanners: readonly Scanner[] = [grype, osvScanner, trivy];

/**
 * Which scanners are asked, each once, in the order in which they are named: the first one names findings.
 * @param choice the input: `auto` (those that the policy asks for), or names with commas between them
 * @param required those that the policy asks for; undefined without a policy, and then none is
 * @throws UserError `input-invalid`: there is no such scanner, or one that the policy asks for is left out
 */
export function chooseScanners(
  choice: string,
  required: readonly string[] | undefined,
  table: readonly Scanner[],
): readonly [Scanner, ...Scanner[]] {
  const names = choice.split(",").map((name) => name.trim());
  const isAuto = names.length === 1 && names[0] === "auto";
  const wanted = isAuto ? (required ?? table.slice(0, 1).map(({ name }) => name)) : names;
  const [first, ...others] = [...new Set(wanted)].map((name) => findScanner(name, isAuto, choice, table));
  const missing = (required ?? []).filter((name) => !wanted.includes(name));
  if (missing.length > 0) {
    throw new UserError(`input 'scanner' is '${choice}': the policy asks for ${missing.join(", ")} as well`, {
      code: "input-invalid",
      wayOut: `Leave the input out, or name ${[...wanted, ...missing].join(",")}. Which scanners are asked is the policy's to say (scan.scanners).`,
    });
  }
  if (first === undefined) throw noScanner(choice, "", table);
  return [first, ...others];
}

function findScanner(name: string, isPolicys: boolean, choice: string, table: readonly Scanner[]): Scanner {
  const found = table.find((scanner) => scanner.name === name);
  if (found !== undefined) return found;
  if (!isPolicys) throw noScanner(choice, name, table);
  throw new UserError(
    `the policy's scan.scanners names '${name}', which this version does not have: it has ${table.map((each) => each.name).join(", ")}`,
    {
      code: "input-invalid",
      wayOut: "Use a version of goldenpath that has it, or have the policy's owners name another.",
    },
  );
}

function noScanner(choice: string, name: string, table: readonly Scanner[]): UserError {
  const which = choice === name || name === "" ? "" : `, and there is no '${name}'`;
  return new UserError(
    `input 'scanner' is '${choice}'${which}: expected auto, or one or several of ${table.map((each) => each.name).join(", ")} with commas`,
    { code: "input-invalid" },
  );
}
