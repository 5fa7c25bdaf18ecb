import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import type { MirroredData } from "./data-statement.ts";

/** A clock may be behind that of the machine that mirrored. Milliseconds. */
const clockSkew = 5 * 60_000;

export interface DataFacts {
  data: MirroredData;
  /** The scanner that wants it. */
  scanner: string;
  /** How long ago it may have been seen that the data is the newest. Milliseconds. */
  maxAge: number;
  now: Date;
}

export interface DataObjection {
  code: Extract<ErrorCode, "data-untrusted" | "data-outdated" | "data-rolled-back">;
  problem: string;
}

/**
 * Why signed data is not taken; undefined where it is. When it was put together is judged after the scan, as for data
 * from anywhere; this is about the mirror: a registry that goes on to show what was the newest once would hide all that
 * came after, and is found out when nobody has said again that it still is.
 */
export function judgeData({ data, scanner, maxAge, now }: DataFacts): DataObjection | undefined {
  if (data.scanner !== scanner)
    return { code: "data-untrusted", problem: `it is the data of ${data.scanner}, and not of ${scanner}` };
  const age = now.getTime() - data.mirroredAt.getTime();
  if (age < -clockSkew)
    return { code: "data-outdated", problem: `it says that it was mirrored in the future, on ${iso(data.mirroredAt)}` };
  if (data.built.getTime() > data.mirroredAt.getTime() + clockSkew)
    return { code: "data-untrusted", problem: `it says that it was made after it was mirrored, on ${iso(data.built)}` };
  if (age > maxAge) {
    const hours = (milliseconds: number): number => Math.floor(milliseconds / 3_600_000);
    const problem = `that it is the newest was last seen on ${iso(data.mirroredAt)}, ${hours(age)} hours ago; the policy accepts ${hours(maxAge)}`;
    return { code: "data-outdated", problem };
  }
  return undefined;
}

/**
 * Why data is older than what is known to have been there; undefined where it is not.
 * @param earlier when the data of an earlier scan of the same image was made, as that scan has signed it
 */
export function judgeRollback(
  { scanner, built }: Pick<MirroredData, "scanner" | "built">,
  earlier: ReadonlyMap<string, Date>,
): DataObjection | undefined {
  const before = earlier.get(scanner);
  if (before === undefined || built.getTime() >= before.getTime()) return undefined;
  return {
    code: "data-rolled-back",
    problem: `it was made on ${iso(built)}, and an earlier scan of the image was by data of ${iso(before)}`,
  };
}

const iso = (date: Date): string => date.toISOString();
