import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseStageResult } from "@goldenpath/core/result";
import type { Execution } from "@goldenpath/core/verbs/execute";
import type { TestImage } from "@goldenpath/testing/chain";
import {
  openStand,
  promotionsAmong,
  readStatements,
  type Stand,
  type StandOptions,
} from "@goldenpath/testing/promotion";
import { afterEach, expect, test } from "vitest";

let stand: Stand;
afterEach(() => stand.close());

interface Entry {
  image: string;
  to: string;
  tags: string[];
  verdict: string;
  result: string;
  plan?: string;
}

const promoteMany = (lines: readonly string[], inputs: Readonly<Record<string, string>> = {}): Promise<Execution> =>
  stand.promote("", { image: "", to: "", tags: "", images: lines.join("\n"), ...inputs });
const entriesOf = async ({ outcome }: Execution): Promise<Entry[]> =>
  JSON.parse(await readFile(outcome.outputs["results"] ?? "", "utf8"));
const resultOf = async ({ result }: Entry) => parseStageResult(await readFile(result, "utf8"), result);

test("each is gated by itself, one that is refused or broken stops no other, and the worst verdict is the run's", async () => {
  stand = await openStand();
  const good = await stand.stageImage(undefined, "good");
  const bad = await stand.stageImage({ scanVerdict: false }, "bad");
  const last = await stand.stageImage(undefined, "last");
  const to = `${stand.to}/shop`;
  const missing = `${stand.from}/shop@sha256:${"0".repeat(64)}`;
  const refused = await promoteMany([`${good.reference} ${to} 1.0.0 stable`, `${bad.reference} ${to} 2.0.0`]);
  expect(refused.error).toBeUndefined();
  expect(refused.outcome.verdict).toBe("fail");
  expect(refused.outcome.result.subject?.digest).toBe(bad.digest);
  expect((await entriesOf(refused)).map(({ verdict }) => verdict)).toEqual(["pass", "fail"]);

  const broken = await promoteMany([
    `${bad.reference} ${to} 2.0.0`,
    `${missing} ${to} 3.0.0`,
    `${last.reference} ${to}-last 4.0.0`,
  ]);
  expect(broken.outcome.verdict).toBe("error");
  expect(broken.outcome.result.error?.code).toBe("image-not-found");
  const entries = await entriesOf(broken);
  expect(entries.map(({ image, to: where, tags, verdict }) => [image, where, tags, verdict])).toEqual([
    [bad.reference, to, ["2.0.0"], "fail"],
    [missing, to, ["3.0.0"], "error"],
    [last.reference, `${to}-last`, ["4.0.0"], "pass"],
  ]);
  const results = await Promise.all(entries.map(resultOf));
  expect(results.map(({ verdict, stage }) => `${stage} ${verdict}`)).toEqual([
    "promote fail",
    "promote error",
    "promote pass",
  ]);
  expect(results[2]?.subject).toMatchObject({ repository: `${to}-last`, digest: last.digest });
  expect(JSON.parse(await readFile(entries[2]?.plan ?? "", "utf8"))).toMatchObject({
    digest: last.digest,
    to: `${to}-last`,
  });
  expect(entries[0]?.plan).toBeUndefined();
  for (const text of ["1 passed, 1 refused, 1 in error", bad.digest, "0".repeat(64), "gate.missing"])
    expect(broken.outcome.summary).toContain(text);

  const state = await stand.vettedState();
  expect(state["vetted/shop"]?.tags).toEqual({
    "0.9.0": expect.any(String),
    "1.0.0": good.digest,
    stable: good.digest,
  });
  expect(state["vetted/shop-last"]?.tags).toEqual({ "4.0.0": last.digest });
});

test.each<[string, StandOptions]>([
  ["within one registry", {}],
  ["between two registries", { apart: true }],
  ["without a referrers API", { registry: { referrers: false } }],
])("twenty images %s, some of them twice, each with its own evidence", async (_where, options) => {
  stand = await openStand(options);
  const images: TestImage[] = [];
  for (let at = 0; at < 10; at++) images.push(await stand.stageImage(undefined, `image ${at}`));
  const lines = images.flatMap(({ reference }, at) => [
    `${reference} ${stand.to}/shop v${at}`,
    `${reference} ${stand.to}/copy v${at} latest-${at}`,
  ]);
  const execution = await promoteMany(lines);
  expect(execution.outcome.verdict).toBe("pass");
  expect(new Set((await entriesOf(execution)).map(({ result }) => result)).size).toBe(20);
  const state = await stand.vettedState();
  for (const [at, image] of images.entries()) {
    expect(state["vetted/shop"]?.tags[`v${at}`]).toBe(image.digest);
    expect(state["vetted/copy"]?.tags).toMatchObject({ [`v${at}`]: image.digest, [`latest-${at}`]: image.digest });
    for (const name of ["shop", "copy"]) {
      const statements = await readStatements(stand, `${stand.to}/${name}`, image.digest);
      expect(promotionsAmong(statements)).toHaveLength(1);
      expect(statements).toHaveLength(7);
    }
  }
  // What two promotions of one image share was read once.
  const reads = stand.quarantine.requests.filter(
    ({ method, path }) => method === "GET" && path.startsWith("/v2/quarantine/shop/manifests/sha256:"),
  );
  expect(reads.filter(({ path }) => path.endsWith(images[0]?.digest ?? ""))).toHaveLength(1);
});

test("a dry run of several writes nothing, and leaves the plan of each", async () => {
  stand = await openStand();
  const images = [await stand.stageImage(undefined, "one"), await stand.stageImage(undefined, "two")];
  stand.vetted.requests.length = 0;
  const execution = await promoteMany(
    images.map(({ reference }, at) => `${reference} ${stand.to}/shop ${at}`),
    { "dry-run": "true", key: "" },
  );
  expect(execution.outcome.verdict).toBe("pass");
  expect(stand.vettedWrites()).toEqual([]);
  const files = await readdir(join(stand.directory, "results", "promotions"));
  expect(files.filter((file) => file.endsWith("-plan.json"))).toHaveLength(2);
});

test("lines that get into each other's way are refused before anything is asked of a registry", async () => {
  stand = await openStand();
  const images = [await stand.stageImage(undefined, "one"), await stand.stageImage(undefined, "two")];
  stand.vetted.requests.length = 0;
  const { outcome } = await promoteMany(images.map(({ reference }) => `${reference} ${stand.to}/shop latest`));
  expect(outcome.result.error?.code).toBe("input-invalid");
  expect(stand.vetted.requests).toEqual([]);
});
