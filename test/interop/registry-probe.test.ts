import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { probeRegistry } from "@goldenpath/registry-client/probe/probe";
import { type ProbeReport, renderProbe, verdictOf } from "@goldenpath/registry-client/probe/probe-report";
import { parseProbeTarget } from "@goldenpath/registry-client/probe/target";
import { startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { startDistribution, startOlareg, type TestServer } from "../support/servers.ts";
import { requireCommand, requireTool } from "../support/tools.ts";

let server: TestServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

function probe(host: string): Promise<ProbeReport> {
  const load = { clients: 4, duration: 60_000, maxRequests: 200, maxBytes: 64 * 1024 * 1024 };
  return probeRegistry({
    target: parseProbeTarget(`${host}/team`),
    write: true,
    load,
    ports: silentPorts(),
    env: {},
    now: () => new Date(),
  });
}

const answers = (report: ProbeReport) => Object.fromEntries(report.checks.map(({ id, answer }) => [id, answer]));

/** What every registry that is tried here serves. */
const common = {
  version: "yes",
  login: "no",
  upload: "yes",
  "upload-chunks": "yes",
  "upload-resume": "yes",
  "upload-cancel": "yes",
  "blob-digest": "yes",
  mount: "yes",
  range: "yes",
  redirect: "no",
  "manifest-oci-image": "yes",
  "manifest-oci-index": "yes",
  "manifest-oci-artifact": "yes",
  "manifest-docker-image": "yes",
  "manifest-docker-list": "yes",
  "manifest-4mib": "yes",
  "manifest-digest": "yes",
  "manifest-blobs": "yes",
  tags: "yes",
  "immutable-tags": "no",
  "if-match": "no",
  "if-none-match": "no",
  "delete-manifest": "yes",
};

function expectLoad(report: ProbeReport): void {
  const { load } = report;
  expect(load).toMatchObject({ clients: 4, endedBy: "requests", errors: {}, throttled: { count: 0 } });
  expect(load?.successes).toBe(load?.requests);
  expect(load?.wireRequests).toBeLessThanOrEqual(200);
  expect(load?.kinds.map(({ kind }) => kind)).toEqual([
    "GET blob",
    "GET manifest",
    "HEAD manifest",
    "POST upload",
    "PUT blob",
    "PUT manifest",
  ]);
}

describe("what real registries serve", () => {
  test("distribution 2.8: no referrers API, whole lists, no sha512 manifests", async () => {
    server = await startDistribution(await requireCommand("docker-registry"));
    const report = await probe(server.host);
    expect(answers(report)).toEqual({
      ...common,
      "upload-single": "no",
      sha512: "no",
      "conditional-get": "yes",
      "referrers-api": "no",
      "oci-subject": "no",
      "referrers-listed": "no",
      "referrers-filter": "no",
      "tags-pages": "no",
      "delete-tag": "no",
      "delete-blob": "yes",
    });
    expectLoad(report);
    expect({ verdict: verdictOf(report), left: report.left }).toEqual({ verdict: "pass", left: [] });
  });

  test("olareg: all of it but conditions and the deletion of blobs, which are left for its own cleaning", async () => {
    server = await startOlareg(await requireTool("olareg"));
    const report = await probe(server.host);
    expect(answers(report)).toEqual({
      ...common,
      "upload-single": "yes",
      sha512: "yes",
      "conditional-get": "no",
      "referrers-api": "yes",
      "oci-subject": "yes",
      "referrers-listed": "yes",
      "referrers-filter": "yes",
      "tags-pages": "yes",
      "delete-tag": "yes",
      "delete-blob": "no",
    });
    expectLoad(report);
    expect(verdictOf(report)).toBe("pass");
    expect(new Set(report.left.map(({ kind }) => kind))).toEqual(new Set(["blob"]));
    expect(renderProbe(report)).toMatch(/\d+ blobs in team\/goldenpath-probe-/);
  });
});

test("Ctrl-C ends it: it cleans up, and exits 2", async () => {
  let reads = 0;
  let onLoad = (): void => undefined;
  const loaded = new Promise<void>((resolve) => {
    onLoad = resolve;
  });
  const registry = await startRegistry({
    log: (line) => {
      if (/^PUT .*\/manifests\/sha256/.test(line) && ++reads > 40) onLoad();
    },
  });
  try {
    const program = join(import.meta.dirname, "../../packages/cli/bin/goldenpath.mjs");
    const child = spawn(
      process.execPath,
      ["--conditions=goldenpath-source", program, "registry", "probe", registry.host, "--write", "--duration", "5m"],
      {
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const ended = once(child, "exit");
    await Promise.race([loaded, ended]);
    child.kill("SIGINT");
    const [code] = await ended;
    expect({ code, said }).toEqual({ code: 2, said: expect.stringContaining("error: ") });
    const contents = Object.values(await registry.snapshot()).flatMap((each) =>
      Object.values(each).flatMap((part) => Object.keys(part ?? {})),
    );
    expect(contents).toEqual([]);
  } finally {
    await registry.close();
  }
});
