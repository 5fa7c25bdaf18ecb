import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { rolloutImage as image } from "@goldenpath/testing/rollout-image";
import { describe, expect, test, vi } from "vitest";
import type { rebaseImage } from "../../base/rebase/execute.ts";
import type { LoadedPolicy } from "../../policy/schema.ts";
import { planFleetRollout } from "./execute.ts";
import type { RolloutImage } from "./facts.ts";

const refused = new Set<string>();
const foreseen = new Set<string>();
const broken = new Map<string, Error>();
const images: RolloutImage[] = [];
vi.mock("./gather.ts", () => ({ gatherRollout: async () => ({ images, left: [], failures: [] }) }));
vi.mock("./foresee.ts", () => ({
  foreseeRefusal: async (_source: unknown, { name }: RolloutImage) => {
    const error = broken.get(name);
    if (error !== undefined) throw error;
    return foreseen.has(name) ? "a rebase of it would not count" : undefined;
  },
}));
vi.mock("../../base/rebase/execute.ts", () => ({
  rebaseImage: async (...[, , { image }]: Parameters<typeof rebaseImage>) => ({
    ...{ from: "", children: [], remarks: [] },
    digest: digestOf(`${formatRepository(image)} again`),
    refused: refused.has(formatRepository(image)) ? [{ problem: "it has another release", wayOut: "Build it." }] : [],
  }),
}));

async function plan(canaries: readonly string[], ...all: (string | RolloutImage)[]) {
  images.splice(0, images.length, ...all.map((each) => (typeof each === "string" ? image(each) : each)));
  const rollout = { canaries, wave: 2, pause: 0 };
  const policy = { policy: { build: { builders: [{ kind: "rebase", rollout }] } } } as unknown as LoadedPolicy;
  const request = { environment: "production", base: "golden", tags: [], leave: [] };
  const source = { client: {} as RegistryClient, policy, now: new Date(1) };
  const { rollouts, left, failures } = await planFleetRollout(source, [], request, new AbortController().signal);
  return {
    ...(failures.length === 0 ? {} : { failures: failures.map(({ what }) => what.split("@")[0]) }),
    due: rollouts[0]?.due?.images.map(({ name }) => name),
    left: left.length,
    isStopped: rollouts[0]?.stopped !== undefined,
  };
}

test("a canary that can't be rebased stops all; who goes first for want of one that stands on this base is left", async () => {
  refused.add("registry.test/vetted/a").add("registry.test/vetted/try");
  const canaries = ["registry.test/vetted/try"];
  expect(await plan(canaries, "a", "b", "try")).toEqual({ due: undefined, left: 1, isStopped: true });
  for (const named of [[], canaries])
    expect(await plan(named, "a", "b", "c")).toEqual({ due: ["b"], left: 1, isStopped: false });
});

test("what would be again what it was rebased from is left, and no other waits for it", async () => {
  refused.clear();
  const back = { ...image("a"), ancestors: [digestOf("x"), digestOf("registry.test/vetted/a again")], isTried: true };
  expect(await plan([], back, "b")).toEqual({ due: ["b"], left: 1, isStopped: false });
  expect(await plan([], { ...back, ancestors: [digestOf("x")] }, "b")).toMatchObject({ due: ["a"], left: 0 });
});

test("what the gate will refuse whatever comes of it is left, also where it was begun, and the next takes its place", async () => {
  const tried = { ...image("a"), isTried: true };
  expect(await plan([], tried, "b", "c")).toEqual({ due: ["a"], left: 0, isStopped: false });
  foreseen.add("a").add("b");
  expect(await plan([], tried, "b", "c")).toEqual({ due: ["c"], left: 2, isStopped: false });
  expect(await plan(["registry.test/vetted/b"], "b", "c")).toEqual({ due: undefined, left: 1, isStopped: true });
});

describe("an image that could not be looked at", () => {
  const gone = new InfrastructureError("a blob of it is gone", { code: "blob-not-found" });
  test("is told, and the next takes its place; a canary stops all", async () => {
    foreseen.clear();
    broken.set("a", gone);
    const failures = ["registry.test/vetted/a"];
    expect(await plan([], "a", "b", "c")).toEqual({ due: ["b"], left: 0, isStopped: false, failures });
    expect(await plan(failures, "a", "b", "c")).toEqual({ due: undefined, left: 0, isStopped: true, failures });
  });

  test("and was begun keeps out what is new, as whatever has kept it out may", async () => {
    broken.clear();
    const tried = { ...image("a"), isTried: true };
    const onIt = { ...image("t"), isBehind: false };
    broken.set("a", gone);
    expect(await plan(["registry.test/vetted/t"], onIt, tried, "b")).toEqual({
      ...{ due: undefined, left: 0, isStopped: true, failures: ["registry.test/vetted/a"] },
    });
  });

  test("for want of a run that goes on, or by a fault of this program, ends the plan", async () => {
    for (const error of [new InfrastructureError("ended", { code: "aborted" }), new TypeError("a fault")]) {
      broken.clear();
      broken.set("a", error);
      await expect(plan([], "a", "b")).rejects.toBe(error);
    }
    broken.clear();
  });
});
