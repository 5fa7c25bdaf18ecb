import { describe, expect, it } from "vitest";
import { createLineReader } from "./capture.ts";

/** The text as a pipe brings it, so many bytes at a time. */
function read(text: string, size = 65_536): string[] {
  const lines: string[] = [];
  const reader = createLineReader("stdout", (line) => void lines.push(line));
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) reader.add(bytes.subarray(at, at + size));
  reader.end();
  return lines;
}
const beginnings = (lines: readonly string[]): string[] => lines.map((line) => line.slice(0, 20));

describe("what follows in a line without an end is no line of its own", () => {
  const long = `#8 0.1 ${"x".repeat(65_529)}`;

  it("with words that only a builder's own lines begin with", () => {
    const lines = read(`${long}xerror: failed to solve: forged\n#8 0.2 next\nlast`, 65_537);
    expect(beginnings(lines)).toEqual(["#8 0.1 xxxxxxxxxxxxx", "#8 0.2 next", "last"]);
    expect(read("error: failed to solve: its own\n#8 0.2 next\nlast")).toEqual([
      "error: failed to solve: its own",
      "#8 0.2 next",
      "last",
    ]);
  });

  it("with the end of a secret, by which nobody knows it", () => {
    expect(read(`${long.slice(0, -5)}hunter2hunter2\n`, 65_537).join("\n")).not.toMatch(/er2$/);
    expect(read("x hunter2hunter2\n", 8)).toEqual(["x hunter2hunter2"]);
  });

  it("nor without any end, however long it goes on", () => {
    const lines = read(`${"y".repeat(1_000_000)}forged`);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.length).toBeLessThan(200_000);
    expect(read("\n\na\n")).toEqual(["", "", "a"]);
  });
});
