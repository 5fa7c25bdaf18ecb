import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { judgeAdded } from "../bench/build.ts";
import { fromSources } from "../bench/command-line.ts";
import { parseBenchArguments, runBench } from "../bench/main.ts";
import { renderReport } from "../bench/render.ts";
import { judgeAim, judgeTime, spreadOf, withRatios } from "../bench/shape.ts";
import { requireCommand, useTools } from "../support/tools.ts";

useTools("olareg", "cosign", "crane", "regctl", "regsync", "oras", "syft", "grype");

/** Each way that something is copied, once; test/slow runs every line. */
const lines = ["one", "one-fallback", "many", "many-evidence", "again", "stream"];
const sizes = { rounds: 1, many: 3, streamLayers: 2, streamLayerBytes: 2 ** 20, bigLayerBytes: 2 ** 21 };

test("the benchmark of promotion measures everybody on every line, and counts alike", async () => {
  await requireCommand("docker-registry");
  await requireCommand("python3");
  await requireCommand("skopeo");
  const report = await runBench("promote", { sizes, only: lines, say: () => undefined });
  expect(report).toMatchObject({ version: 1, bench: "promote", rounds: 1 });
  expect(report.peers.map(({ name }) => name)).toEqual(["crane", "regctl", "regsync", "oras", "skopeo"]);
  expect(report.peers.filter((peer) => "missing" in peer)).toEqual([]);
  expect(report.lines.map(({ id }) => id)).toEqual(lines);
  for (const line of report.lines) {
    const failed = line.rows
      .filter((row) => row.failed !== undefined)
      .map(({ name, failed }) => `${line.id} ${name}: ${failed}`);
    expect(failed).toEqual([]);
    const isMany = line.id.startsWith("many");
    expect(line.rows.map(({ name }) => name)).toEqual([
      "copy",
      ...(line.id === "many" ? [] : ["promote"]),
      ...[
        "crane copy",
        ...(isMany ? ["crane --all-tags"] : []),
        "regctl copy",
        ...(isMany ? ["regsync"] : []),
        "oras cp",
        "skopeo copy",
      ],
      ...(isMany ? ["skopeo sync"] : []),
    ]);
    for (const { name, seconds, counts, peakMegabytes } of line.rows) {
      expect([name, (seconds?.median ?? 0) > 0, (peakMegabytes ?? 0) > 1]).toEqual([name, true, true]);
      expect(counts?.requests).toBe(Object.values(counts?.byKind ?? {}).reduce((sum, each) => sum + each, 0));
    }
    // Whoever does the same job with fewer requests than the least shows that the least is counted wrongly.
    const copy = line.rows.find(({ name }) => name === "copy")?.counts;
    expect([line.id, (copy?.requests ?? 0) >= (line.least?.requests ?? Number.POSITIVE_INFINITY)]).toEqual([
      line.id,
      true,
    ]);
  }
  const stream = report.lines.find(({ id }) => id === "stream");
  for (const { name, counts } of stream?.rows ?? []) {
    const layers = sizes.streamLayers * sizes.streamLayerBytes;
    expect([name, (counts?.bytesSent ?? 0) >= layers && (counts?.bytesReceived ?? 0) >= layers]).toEqual([name, true]);
  }
  // Within one registry nothing of an image passes through us.
  for (const id of ["one", "one-fallback", "many"]) {
    const copy = report.lines.find((line) => line.id === id)?.rows.find(({ name }) => name === "copy");
    expect([id, (copy?.counts?.byKind["GET blobs"] ?? 0) + (copy?.counts?.byKind["PUT blobs/uploads"] ?? 0)]).toEqual([
      id,
      0,
    ]);
  }
  const again = report.lines.find(({ id }) => id === "again")?.rows.find(({ name }) => name === "copy")?.counts;
  expect(Object.keys(again?.byKind ?? {}).filter((kind) => !/^(?:GET|HEAD) /.test(kind))).toEqual([]);
  const text = renderReport(report);
  for (const { id } of report.lines) expect(text).toContain(`■ ${id}: `);
  expect(text).toMatch(/(?:✔ holds|✘ does not hold): copy: requests within 10 % of the least possible/);
});

test("the benchmark of signing counts what a gate asks", async () => {
  await requireCommand("python3");
  const report = await runBench("sign", { sizes, gates: 3, only: ["gates", "gates-far"], say: () => undefined });
  expect(report.lines.map(({ id, rows }) => [id, ...rows.map(({ name }) => name)])).toEqual([
    ["gates", "gates", "gates abreast"],
    ["gates-far", "gates", "gates abreast"],
  ]);
  const note = /^(?:one after the other|16 at a time): [1-9]\d*\.\d requests an image, \d+(?:\.\d)? images a second$/;
  for (const { rows } of report.lines) for (const row of rows) expect(row.note).toMatch(note);
});

test("the benchmark of what is waited for measures the command line and every bundle", async () => {
  const report = await runBench("start", { rounds: 1, say: () => undefined });
  expect(report.lines.map(({ id }) => id)).toEqual(["cli", "bundles"]);
  expect(report.lines[0]?.rows.map(({ name }) => name)).toEqual(["node", "help", "promote --help"]);
});

describe("what it is called with", () => {
  test.each([
    [
      ["promot"],
      /'promot' is not known; there are: promote, start, build, sign, policy, enforce, scan\. Did you mean 'promote'\?/,
    ],
    [[], /no name was given; there are: promote, start, build/],
    [["promote", "start"], /one name at a time/],
    [["promote", "--rounds", "0"], /option --rounds is '0'/],
    [["promote", "--line", "two"], /option --line is 'two'; bench promote has: one, /],
    [
      ["build", "--line", "kaniko"],
      /option --line is 'kaniko'; bench build has: pack, spring-boot, jib, dockerfile, pack-again, pack-changed, dockerfile-again, dockerfile-changed, dockerfile-new$/,
    ],
    [["promote", "--fast"], /--fast/],
  ])("%j is refused, and what there is is said", (args, message) => {
    expect(() => parseBenchArguments(args)).toThrow(message);
  });

  test("npm run bench with a name that is none ends with 2", async () => {
    const main = join(import.meta.dirname, "..", "bench", "main.ts");
    const run = promisify(execFile)(process.execPath, ["--conditions=goldenpath-source", main, "none"]);
    await expect(run).rejects.toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining("there are: promote, start"),
    });
  });
});

describe("what it makes of the measurements", () => {
  const row = (name: string, ours: boolean, median: number, compared = true) => ({
    name,
    ours,
    compared,
    note: "",
    seconds: { median, min: median, max: median },
  });

  test.each([
    [[3, 1, 2], { median: 2, min: 1, max: 3 }],
    [[4, 1, 2, 3], { median: 2.5, min: 1, max: 4 }],
    [[7], { median: 7, min: 7, max: 7 }],
  ])("the spread of %j", (values, spread) => {
    expect(spreadOf(values)).toEqual(spread);
  });

  test("a limit that is met holds, and one that is passed does not", () => {
    expect(judgeAim("x", 11, 10, "y", 1.1)).toMatchObject({ ratio: 1.1, holds: true });
    expect(judgeAim("x", 11.1, 10, "y", 1.1).holds).toBe(false);
    expect(judgeAim("x", Number.NaN, 10, "y", 1.1).holds).toBe(false);
  });

  test("a build may take 1 s or 5 % more than the one by hand that it is about, whichever is more", () => {
    const judge = (ours: number, ...others: number[]) =>
      judgeAdded([row("build", true, ours), ...others.map((each) => row(`by hand ${each}`, false, each))]);
    expect(judge(5.9, 5, 1)).toMatchObject([{ against: 5, whose: "by hand 5, s", holds: true }]);
    expect(judge(6.1, 5, 8)).toMatchObject([{ against: 5, holds: false }]);
    expect(judge(104, 100)).toMatchObject([{ holds: true }]);
    expect(judge(106, 100)).toMatchObject([{ holds: false }]);
    expect(judge(1)).toEqual([]);
  });

  test("a time is held against the fastest peer that does the whole of it", () => {
    const rows = [row("copy", true, 2), row("half", false, 1, false), row("slow", false, 8), row("fast", false, 4)];
    expect(judgeTime(rows, "copy", 0.5, "half")).toMatchObject([
      { ours: 2, against: 4, whose: "fast, s", holds: true },
    ]);
    expect(judgeTime(rows.slice(0, 2), "copy", 0.5, "half")).toEqual([]);
    expect(withRatios(rows).map(({ ratios }) => ratios)).toEqual([undefined, undefined, { copy: 0.25 }, { copy: 0.5 }]);
  });
});

test("the benchmark of bases asks two requests an image, and the peer's facts are the same", async () => {
  await requireCommand("python3");
  const report = await runBench("enforce", {
    ...{ sizes: { ...sizes, rounds: 1 }, images: 12, cli: fromSources, say: () => undefined },
  });
  const [line] = report.lines;
  // Ours are asked for the bases, too.
  const asked = line?.rows.map(({ name, counts }) => [
    name,
    counts?.byKind["GET manifests"],
    counts?.byKind["GET blobs"],
  ]);
  expect(asked).toEqual([
    ["base of", 24, 24],
    ["crane", 24, 12],
    ["base of, all", 48, 48],
  ]);
  expect(line?.aims[0]).toMatchObject({ ours: 24, against: 12, holds: true });
});

test("the benchmark of scanning reads no layer of an image again, and asks grype for all of it", async () => {
  const report = await runBench("scan", {
    ...{ sizes: { ...sizes, rounds: 1 }, images: 2, only: ["rescan"], cli: fromSources, say: () => undefined },
  });
  const [line] = report.lines;
  expect(line?.rows.map(({ name, failed }) => [name, failed])).toEqual([
    ["fleet scan", undefined],
    ["grype", undefined],
  ]);
  const [ours, theirs] = line?.rows ?? [];
  // grype fetches each image whole; ours evidence alone.
  expect((theirs?.counts?.bytesReceived ?? 0) / (ours?.counts?.bytesReceived ?? 0)).toBeGreaterThan(1.5);
  expect(line?.aims.find(({ aim }) => aim.includes("layers"))).toMatchObject({ ours: 0, against: 2, holds: true });
});
