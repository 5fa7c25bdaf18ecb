import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import {
  checkRatio,
  createBudget,
  type LayerLimits,
  layerLimits,
  requireDisk,
  spendBytes,
  spendEntry,
} from "./budget.ts";

const limits: LayerLimits = { bytes: 100, entries: 2, ratio: 10, ratioFrom: 50, diskReserve: 0 };

describe("a layer's budget", () => {
  test("ends with the first byte and the first entry too many, of all layers together", () => {
    const budget = createBudget(limits);
    spendBytes(budget, 60, "the first");
    spendBytes(budget, 40, "the second");
    expect(() => spendBytes(budget, 1, "the third")).toThrow(expect.objectContaining({ code: "layers-too-large" }));
    spendEntry(budget, "x");
    spendEntry(budget, "x");
    expect(() => spendEntry(budget, "x")).toThrow(expect.objectContaining({ code: "layers-too-many-entries" }));
  });

  test("minds the ratio of what is large only", () => {
    const budget = createBudget(limits);
    checkRatio(budget, 1, 50, "x");
    checkRatio(budget, 10, 100, "x");
    expect(() => checkRatio(budget, 9, 100, "x")).toThrow(expect.objectContaining({ code: "layers-too-dense" }));
  });

  test("keeps a part of the disk free, and says so before anything is written", async () => {
    await requireDisk(tmpdir(), 1, layerLimits);
    await expect(requireDisk(tmpdir(), 1, { ...limits, diskReserve: 2 ** 52 })).rejects.toMatchObject({
      code: "disk-too-small",
    });
    await expect(requireDisk(tmpdir(), 2 ** 52, limits)).rejects.toMatchObject({
      code: "disk-too-small",
      wayOut: expect.any(String),
    });
  });
});
