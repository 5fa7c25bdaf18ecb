import { expect, test } from "vitest";
import { runBench } from "../bench/main.ts";
import { fullSizes } from "../bench/promote.ts";
import { requireCommand, useTools } from "../support/tools.ts";

useTools("olareg", "cosign");

/**
 * Those that no load of the machine changes. How long it takes is for `npm run bench` to say, and for nobody to assert.
 */
const steady = /requests within|peak memory/;

test("promotion at its full sizes takes no more requests and memory than it aims to", async () => {
  await requireCommand("docker-registry");
  await requireCommand("python3");
  const report = await runBench("promote", {
    sizes: { ...fullSizes, rounds: 1 },
    say: (message) => console.warn(message),
  });
  const aims = report.lines.flatMap((line) =>
    line.aims
      .filter(({ aim }) => steady.test(aim))
      .map(({ aim, ours, against, holds }) => ({ what: `${line.id}: ${aim}`, ours, against, holds })),
  );
  expect(aims.length).toBeGreaterThan(10);
  expect(aims.filter(({ holds }) => !holds)).toEqual([]);
});

test("the benchmark of builds measures everybody on every line, and each builds", async () => {
  for (const name of ["python3", "mvn", "dockerd", "docker"]) await requireCommand(name);
  const report = await runBench("build", { rounds: 1, say: (message) => console.warn(message) });
  const expected: [id: string, names: string[]][] = [
    ["pack", ["pack build", "build --engine pack", "build --engine lifecycle"]],
    ["spring-boot", ["mvn spring-boot:build-image", "build"]],
    ["jib", ["mvn jib:build", "build"]],
    ["dockerfile", ["docker buildx build", "buildctl build", "buildkitd and buildctl", "build"]],
    ["pack-again", ["pack build --cache", "build --engine lifecycle"]],
    ["pack-changed", ["pack build --cache", "build --engine lifecycle"]],
    ["dockerfile-again", ["docker buildx build", "buildkitd and buildctl", "build"]],
    ["dockerfile-changed", ["docker buildx build", "buildkitd and buildctl", "build"]],
    ["dockerfile-new", ["docker buildx build", "build"]],
  ];
  // Each beside the registry, and with that further away.
  expect(report.lines.map(({ id, rows }) => [id, rows.map(({ name }) => name)])).toEqual(
    expected.flatMap(([id, names]) => [
      [id, names],
      [`${id}-far`, names],
    ]),
  );
  const failed = report.lines.flatMap(({ id, rows }) =>
    rows.flatMap((row) => row.failed ?? []).map((why) => [id, why]),
  );
  expect(failed).toEqual([]);
  // The engines of pack are two of ours.
  expect(report.lines.map(({ aims }) => aims.length)).toEqual(
    expected.flatMap(([id]) => (id === "pack" ? [2, 2] : [1, 1])),
  );
  for (const { rows } of report.lines) for (const { counts } of rows) expect(counts?.requests).toBeGreaterThan(0);
});

test("the benchmark of signing measures us and cosign", async () => {
  await requireCommand("python3");
  const only = ["sign", "sign-far", "verify", "verify-far"];
  const report = await runBench("sign", { rounds: 1, gates: 3, only, say: () => undefined });
  const names = { sign: "cosign attest", verify: "cosign verify-attestation" };
  expect(report.lines.map(({ id, rows }) => [id, ...rows.map(({ name }) => name)])).toEqual(
    only.map((id) => [id, id.startsWith("sign") ? ["sign", names.sign] : ["verify", names.verify], "start"].flat()),
  );
  expect(report.lines.flatMap(({ rows }) => rows).every(({ seconds }) => (seconds?.median ?? 0) > 0)).toBe(true);
  expect(report.lines.map(({ aims }) => aims.length)).toEqual([1, 1, 1, 1]);
  for (const { rows } of report.lines) {
    const [ours, theirs] = rows.map(({ counts }) => counts?.requests ?? Number.NaN);
    expect(ours).toBeLessThan((theirs ?? Number.NaN) / 2);
  }
});
