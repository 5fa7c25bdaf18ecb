import { UserError } from "@goldenpath/foundation/errors";
import { grype } from "./grype.ts";
import type { Scanner } from "./scanner.ts";

/** The first one is what `auto` takes. */
export const scanners: readonly Scanner[] = [grype];

/** What the input `scanner` may be. */
export function listScannerChoices(table: readonly Scanner[]): ["auto", ...string[]] {
  return ["auto", ...table.map(({ name }) => name)];
}

/** @throws UserError `input-invalid`: there is no such scanner */
export function chooseScanner(choice: string, table: readonly Scanner[]): Scanner {
  const chosen = choice === "auto" ? table[0] : table.find(({ name }) => name === choice);
  if (chosen !== undefined) return chosen;
  throw new UserError(`input 'scanner' is '${choice}': expected one of ${listScannerChoices(table).join(", ")}`, {
    code: "input-invalid",
  });
}
