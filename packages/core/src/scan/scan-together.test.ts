import { InfrastructureError } from "@goldenpath/foundation/errors";
import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import { describe, expect, test } from "vitest";
import { scanTogether } from "./scan-together.ts";
import type { Scanner, ScannerRun } from "./scanners/scanner.ts";

const context = { ports: silentPorts() } as unknown as Context;
const database = { directory: "/db", update: false };
const run = (file: string): ScannerRun => ({
  ...{ findings: [], database: {}, parameters: [], notes: [file], report: {} },
  tool: { name: "shelf", version: "1", digest: "sha256:0" } as unknown as ScannerRun["tool"],
});
const failed = (what: string): InfrastructureError => new InfrastructureError(what, { code: "scanner-failed" });

/** A scanner that writes down its runs, and fails on files called `bad`. */
function shelf(together: boolean, fault?: unknown): { scanner: Scanner; runs: string[][] } {
  const runs: string[][] = [];
  const scanMany = async (files: readonly string[]): Promise<ScannerRun[]> => {
    runs.push([...files]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (fault !== undefined && files.length > 1) throw fault;
    if (files.includes("bad")) throw failed(`bad among ${files.length}`);
    return files.map(run);
  };
  const scanner = {
    name: "shelf",
    tools: [],
    scan: async (file: string) => (await scanMany([file]))[0] ?? run(""),
    ...(together ? { scanTogether: scanMany } : {}),
    knowsSystem: async ({ name }: { name: string }) => {
      runs.push([name]);
      if (name === "unreadable") throw failed("no answer");
      return name === "debian";
    },
  };
  return { scanner: scanner as unknown as Scanner, runs };
}

function prepare(scanner: Scanner): (file: string) => Promise<string> {
  const [prepared] = scanTogether([{ scanner, database }]);
  return async (file) => (await prepared?.scanner.scan(file, database, context))?.notes[0] ?? "";
}

describe("what fails fails alone", () => {
  test("one that can't be scanned is its own error, and the others are scanned", async () => {
    const { scanner } = shelf(true);
    const answers = await Promise.allSettled(["a", "bad", "b"].map(prepare(scanner)));
    expect(answers).toEqual([
      { status: "fulfilled", value: "a" },
      { status: "rejected", reason: expect.objectContaining({ message: "bad among 1" }) },
      { status: "fulfilled", value: "b" },
    ]);
  });

  test("what is too long for one text together is scanned one by one", async () => {
    const { scanner, runs } = shelf(true, new RangeError("Invalid string length"));
    expect(await Promise.all(["a", "b"].map(prepare(scanner)))).toEqual(["a", "b"]);
    expect(runs).toEqual([["a", "b"], ["a"], ["b"]]);
  });

  test("a mistake of this program is told as it is, and nothing is tried again", async () => {
    const { scanner, runs } = shelf(true, new TypeError("undefined is not a run"));
    const answers = await Promise.allSettled(["a", "b"].map(prepare(scanner)));
    expect(answers.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(runs).toEqual([["a", "b"]]);
  });

  test("fewer answers than questions are none", async () => {
    const { scanner } = shelf(true);
    scanner.scanTogether = async () => [run("a")];
    const answers = await Promise.allSettled(["a", "b"].map(prepare(scanner)));
    expect(answers.at(1)).toEqual({ status: "rejected", reason: expect.objectContaining({ name: "TypeError" }) });
  });
});

describe("one run", () => {
  test("of all that wait, and the next of all that came meanwhile", async () => {
    const { scanner, runs } = shelf(true);
    const scan = prepare(scanner);
    const first = ["a", "b", "c"].map(scan);
    await new Promise((resolve) => setTimeout(resolve, 2));
    expect(await Promise.all([...first, scan("d"), scan("e")])).toEqual(["a", "b", "c", "d", "e"]);
    expect(runs).toEqual([
      ["a", "b", "c"],
      ["d", "e"],
    ]);
    expect(await scan("f")).toBe("f");
    expect(runs.at(-1)).toEqual(["f"]);
  });

  test("at most 40 in one", async () => {
    const { scanner, runs } = shelf(true);
    const files = Array.from({ length: 90 }, (_, index) => `${index}`);
    expect(await Promise.all(files.map(prepare(scanner)))).toEqual(files);
    expect(runs.map(({ length }) => length)).toEqual([40, 40, 10]);
  });

  test("a scanner that can't take several has one after the other", async () => {
    const { scanner, runs } = shelf(false);
    expect(await Promise.all(["a", "b"].map(prepare(scanner)))).toEqual(["a", "b"]);
    expect(runs).toEqual([["a"], ["b"]]);
  });
});

test("a system is asked for once; where there was no answer, again", async () => {
  const { scanner, runs } = shelf(true);
  const [prepared] = scanTogether([{ scanner, database }]);
  const ask = (name: string) => prepared?.scanner.knowsSystem({ name, version: "12" }, database, context);
  expect(await Promise.all([ask("debian"), ask("debian"), ask("plan9")])).toEqual([true, true, false]);
  await expect(ask("unreadable")).rejects.toThrow("no answer");
  await expect(ask("unreadable")).rejects.toThrow("no answer");
  expect(runs).toEqual([["debian"], ["plan9"], ["unreadable"], ["unreadable"]]);
});
