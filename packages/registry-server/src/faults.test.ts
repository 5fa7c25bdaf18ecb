import { describe, expect, it } from "vitest";
import { createFaultSelector, type Fault, matchesFault } from "./faults.ts";

const get = (path: string, query = "") => ({ method: "GET", path, query });
const action = { kind: "reset" } as const;

describe("matchesFault", () => {
  it.each<[Omit<Fault, "action">, string, boolean]>([
    [{ method: "PUT" }, "/v2/", false],
    [{ method: ["PUT", "POST"] }, "/v2/", false],
    [{ path: "/manifests/" }, "/v2/", false],
    [{ path: "/manifests/v1$" }, "/v2/a/manifests/v11", false],
    [{}, "/v2/", true],
    [{ method: "GET" }, "/v2/", true],
    [{ method: ["HEAD", "GET"], path: /MANIFESTS/i }, "/v2/a/manifests/v1", true],
  ])("%j against GET %s: %s", (matcher, path, expected) =>
    expect(matchesFault({ ...matcher, action }, get(path))).toBe(expected),
  );

  it("sees the query", () => {
    const fault = { path: "/uploads/\\?.*mount=", action };
    expect(matchesFault(fault, get("/v2/a/blobs/uploads/"))).toBe(false);
    expect(matchesFault(fault, get("/v2/a/blobs/uploads/", "from=b&mount=c"))).toBe(true);
  });
});

describe("createFaultSelector", () => {
  const hits = (selector: ReturnType<typeof createFaultSelector>, count: number) =>
    Array.from({ length: count }, () => selector.select(get("/"))?.action.kind);

  it("hits every request unless told how many", () => {
    expect(hits(createFaultSelector([{ action }]), 3)).toEqual(["reset", "reset", "reset"]);
  });

  it("lets `after` requests pass and hits `times`", () => {
    expect(hits(createFaultSelector([{ action, after: 1, times: 2 }]), 5)).toEqual([
      undefined,
      "reset",
      "reset",
      undefined,
      undefined,
    ]);
  });

  it("counts only requests that match", () => {
    const selector = createFaultSelector([{ action, path: "^/a", times: 1 }]);
    expect(selector.select(get("/b"))).toBeUndefined();
    expect(selector.select(get("/a"))).toBeDefined();
    expect(selector.select(get("/a"))).toBeUndefined();
  });

  it("plays faults one after another", () => {
    const selector = createFaultSelector([
      { action: { kind: "status", status: 503 }, times: 2 },
      { action, times: 1 },
    ]);
    expect(hits(selector, 4)).toEqual(["status", "status", "reset", undefined]);
  });

  it("starts again with a new object, and goes on with the same", () => {
    const fault: Fault = { action, times: 1 };
    const selector = createFaultSelector([fault]);
    expect(hits(selector, 2)).toEqual(["reset", undefined]);
    selector.faults = [fault];
    expect(hits(selector, 1)).toEqual([undefined]);
    selector.faults = [{ ...fault }];
    expect(hits(selector, 1)).toEqual(["reset"]);
  });

  it("leaves the faults plain data", () => {
    const fault: Fault = { action, times: 1 };
    createFaultSelector([fault]).select(get("/"));
    expect(fault).toEqual({ action, times: 1 });
  });
});
