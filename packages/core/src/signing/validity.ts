import type { ValidityWindow } from "./schemes/scheme.ts";

/** Why a signature does not hold at a time; undefined where it does. */
export function explainOutside(holds: ValidityWindow | undefined, now: Date): string | undefined {
  if (holds?.from !== undefined && now < holds.from) return `its signature holds from ${holds.from.toISOString()} on`;
  if (holds?.until !== undefined && now > holds.until) return `its signature held until ${holds.until.toISOString()}`;
  return undefined;
}
