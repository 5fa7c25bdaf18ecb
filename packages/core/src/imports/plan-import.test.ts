import { sampleLoadedPolicy } from "@goldenpath/testing/policy";
import { expect, test } from "vitest";
import type { SignerMaterial } from "../signing/material.ts";
import { planImport } from "./plan-import.ts";

const now = new Date("2026-11-28T00:00:00Z");
const plan = (until: string) =>
  planImport(
    sampleLoadedPolicy().policy,
    {
      source: { registry: "vendor.test", name: "redis", tag: "8" },
      ...{ to: ["registry.test:5000/quarantine/redis:8"], reason: "a cache", owner: "team-shop", until },
    },
    {} as SignerMaterial,
    now,
  );

test.each(["2027-02-30", "2027-02-29", "2027-04-31", "2027-13-01", "2027-2-3", "soon", ""])(
  "'%s' is no day until which an image may be used, and no gate would read it as one",
  (until) => {
    expect(() => plan(until)).toThrow(
      expect.objectContaining({ code: "import-incomplete", message: expect.stringContaining("is to be a day") }),
    );
    // A day is none of its objections: the next is that this is nobody who imports.
    for (const day of ["2027-02-28", "2028-02-29"])
      expect(() => plan(day)).toThrow(expect.objectContaining({ code: "import-signer" }));
  },
);
