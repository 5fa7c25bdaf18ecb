import { expect, test } from "vitest";
import { runWithdrawCommand } from "./commands/withdraw.ts";

const output = { out: () => undefined, err: () => undefined } as unknown as Parameters<typeof runWithdrawCommand>[1];
const from = (time: string) => runWithdrawCommand(["--signer", "scan", "--from", time], output);

test.each([
  ["2026-02-30T00:00:00Z", "2026-02-28T00:00:00Z"],
  ["2027-02-29T00:00:00Z", "2028-02-29T00:00:00Z"],
  ["2026-04-31T12:00:00Z", "2026-04-30T12:00:00.5Z"],
  ["2026-11-03T24:00:00Z", "2026-11-03T23:59:59Z"],
])("a signer is withdrawn from no day that there is not: %s is refused, and %s is not", async (time, twin) => {
  await expect(from(time)).rejects.toThrow("expected a time in UTC");
  // The next thing that is asked.
  await expect(from(twin)).rejects.toThrow("expected --to HOST/NAME");
});
