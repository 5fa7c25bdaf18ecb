import { fileURLToPath } from "node:url";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { expect, test } from "vitest";

/** In a process of its own: there, nobody else collects what is forced to be collected. */
const script = `
  import { PerformanceObserver } from "node:perf_hooks";
  import { noteStreamed } from ${JSON.stringify(fileURLToPath(new URL("./garbage.ts", import.meta.url)))};
  let forced = 0;
  const count = (entries) => { forced += entries.filter(({ detail }) => (detail.flags & 4) !== 0).length; };
  const observer = new PerformanceObserver((list) => count(list.getEntries()));
  observer.observe({ entryTypes: ["gc"] });
  for (let call = 0; call < 7; call++) noteStreamed(1024 * 1024);
  await new Promise((done) => setTimeout(done, 20));
  const early = forced;
  noteStreamed(1024 * 1024);
  await new Promise((done) => setTimeout(done, 20));
  count(observer.takeRecords());
  console.log(JSON.stringify({ early, forced, exposed: typeof gc }));
`;

async function run(...options: string[]): Promise<unknown> {
  return runScript(script, options);
}

async function runScript(text: string, options: readonly string[]): Promise<unknown> {
  const { stdout } = await runChecked(
    process.execPath,
    [...options, "--input-type=module-typescript", "--eval", text],
    { env: {} },
  );
  return JSON.parse(stdout);
}

test("what has streamed through is collected once it is worth it, and nobody else gets to see the collector", async () => {
  expect(await run()).toEqual({ early: 0, forced: 1, exposed: "undefined" });
});

test.each([
  ["are exposed already", ["--expose-gc"], { forced: 1, exposed: "function" }],
  ["cannot be changed any more", ["--freeze-flags-after-init"], { forced: 0, exposed: "undefined" }],
  ["belong to a process with few rights", ["--permission", "--allow-fs-read=*"], { forced: 1, exposed: "undefined" }],
])("where V8's flags %s, streaming goes on", async (_where, options, expected) => {
  expect(await run(...options)).toMatchObject(expected);
});

/** What lives for a while passes through, over and over. Bytes that the young generation holds then. */
const passThrough = (prepare: string): string => `
  import { getHeapSpaceStatistics } from "node:v8";
  import { keepYoungGeneration } from ${JSON.stringify(fileURLToPath(new URL("./garbage.ts", import.meta.url)))};
  ${prepare}
  const living = [];
  for (let at = 0; at < 2_000_000; at++) living[at % 20_000] = { at, more: [at] };
  console.log(getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space").space_size);
`;

test("the young generation stays as it is where that was asked for, and grows where it was not", async () => {
  const [grown, kept] = await Promise.all(
    ["", "keepYoungGeneration();"].map(async (prepare) => Number(await runScript(passThrough(prepare), []))),
  );
  expect(kept).toBeLessThan((grown as number) / 2);
});

test("where V8's flags cannot be changed any more, that is no error", async () => {
  expect(await runScript(passThrough("keepYoungGeneration();"), ["--freeze-flags-after-init"])).toBeGreaterThan(0);
});
