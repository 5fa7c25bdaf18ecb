import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { buildReferrer, pushBuilt } from "@goldenpath/registry-client/testing";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { openStand } from "@goldenpath/testing/promotion";
import { tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { useTools } from "../support/tools.ts";

// Text that strangers chose, in whatever a person or the runner reads: the log, annotations, outputs, the summary, the
// result file, SARIF, the terminal. Each attack is run through the shipped door of the action and through the command
// line, in processes of their own, beside the same with harmless text that must come through as it is.

const root = join(import.meta.dirname, "../..");
const database = join(root, "examples/vulnerability-data/grype-db");

/** A command after each of what somebody takes for the start of a line, and what makes text look like other text. */
const forged = [
  "\u0085::error::forged",
  "\n::error::forged",
  "\r::add-mask::linux",
  "\u2028::set-output name=image::evil",
  "\u00a0##[error]forged",
  "\u001b[2J\u001b]0;title\u0007",
  "\u202egnp.exe",
  "\u200b\u{e0041}",
  "\u009b31m",
].join("x");
const harmless = "ümläut ⚠️ 😀 日本 a|b";
/** For what has no half characters, such as an environment. */
const inJson = `${forged}\ud800\u0000`;

let directory: string;
let server: RegistryServer;
let client: RegistryClient;
const tools = useTools("syft", "grype");

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "goldenpath-forged-"));
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
});
afterEach(() => {
  server.faults = [];
});
afterAll(async () => {
  await client?.close();
  await server?.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Seen {
  /** By what it is: log, summary, outputs, terminal, json, and each file in the folder of results. */
  texts: Record<string, string>;
  /** The result, as JSON's reader has it. */
  result: string;
}

/** Runs an action and the command of the same name with the same inputs. */
async function runDoors(action: string, command: string, inputs: Record<string, string>): Promise<Seen> {
  const cwd = mkdtempSync(join(directory, "run-"));
  for (const name of ["temp", "home", "results-action", "results-cli"]) mkdirSync(join(cwd, name));
  for (const name of ["output", "summary"]) writeFileSync(join(cwd, name), "");
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
  const path = [dirname(tools.syft), dirname(tools.grype), process.env["PATH"]].join(delimiter);
  const common = { PATH: path, HOME: join(cwd, "home"), TMPDIR: join(cwd, "temp"), DOCKER_CONFIG: join(cwd, "home") };
  const start = (args: string[], env: Record<string, string>) =>
    runProcess(process.execPath, ["--conditions=goldenpath-source", ...args], {
      cwd,
      env: { ...common, ...env },
      timeoutMs: 120_000,
    });
  const asInputs = Object.entries({ ...inputs, "result-dir": join(cwd, "results-action") });
  const step = await start([join(root, "actions", action, "src/index.ts")], {
    ...Object.fromEntries(asInputs.map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
    RUNNER_TEMP: join(cwd, "temp"),
    RUNNER_DEBUG: "1",
    GITHUB_WORKSPACE: cwd,
    GITHUB_OUTPUT: join(cwd, "output"),
    GITHUB_STEP_SUMMARY: join(cwd, "summary"),
  });
  const bin = join(root, "packages/cli/bin/goldenpath.mjs");
  const args = [
    command,
    ...Object.entries({ ...inputs, "result-dir": join(cwd, "results-cli") }).map(
      ([name, value]) => `--${name}=${value}`,
    ),
  ];
  const terminal = await start([bin, ...args, "--verbose"], {});
  const json = await start([bin, ...args, "--json"], {});
  // A report fails nothing.
  expect(command === "report" ? [0] : [1, 2], terminal.stderr).toContain(terminal.exitCode);
  const written = ["results-action", "results-cli"].flatMap((folder) =>
    readdirSync(join(cwd, folder)).map((name): [string, string] => [
      `${folder}/${name}`,
      readFileSync(join(cwd, folder, name), "utf8"),
    ]),
  );
  return {
    texts: {
      log: step.stdout + step.stderr,
      summary: readFileSync(join(cwd, "summary"), "utf8"),
      outputs: readFileSync(join(cwd, "output"), "utf8"),
      terminal: terminal.stdout + terminal.stderr,
      json: json.stdout + json.stderr,
      ...Object.fromEntries(written),
    },
    result: JSON.stringify(JSON.parse(json.stdout).result),
  };
}

/** Files that lie in the working directory of a run. */
let files: Record<string, string> = {};

function expectHarmless({ texts }: Seen): void {
  for (const [what, text] of Object.entries(texts)) {
    const lines = text.split("\n");
    for (const line of lines) {
      expect(line, what).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      expect(line, what).not.toContain("##[");
      // A command is one of our own: an annotation of @actions/core, or a line for debugging.
      if (/^[\s\u0085\ufeff]*::/.test(line)) {
        expect(what, line.slice(0, 200)).toBe("log");
        expect(line).toMatch(
          /^::(?:error|warning|notice|debug|group|endgroup)(?: title=[^:,]*(?:,file=package-lock\.json(?:,line=\d+)?)?)?::/,
        );
        expect(line).not.toMatch(/^::\w+::(?:forged|linux|evil)/);
      }
    }
  }
  // The one value that an attack would have set, in the file that the runner reads.
  expect(texts["outputs"]).not.toMatch(/^(?:image|name)<</m);
}

/** The harmless text is there, as it was, in the log, in the terminal and in the result. */
function expectShown({ texts, result }: Seen, ...where: string[]): void {
  for (const name of where) expect(texts[name], name).toContain(harmless);
  expect(result).toContain(harmless);
}

async function pushImage(
  name: string,
  { labels = {}, file = "workspace/readme.txt", content = "hello", os = "linux" } = {},
): Promise<string> {
  const repository = { registry: server.host, name };
  const layer = await tinyLayer({
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    "var/lib/dpkg/status.d/libc6":
      "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9+deb12u13\nArchitecture: amd64\n",
    [file]: content,
  });
  const push = async (bytes: Uint8Array, mediaType: string) => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
    await client.pushBlob(repository, descriptor, () => bytes);
    return descriptor;
  };
  const config = {
    os,
    architecture: "amd64",
    config: { Labels: labels },
    rootfs: { type: "layers", diff_ids: [layer.diffId] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await push(Buffer.from(JSON.stringify(config)), mediaTypes.ociConfig),
    layers: [await push(gzipSync(layer.tar), mediaTypes.ociLayerTarGzip)],
  };
  const digest = await client.pushManifest(repository, Buffer.from(JSON.stringify(manifest)), mediaTypes.ociManifest);
  return `${server.host}/${name}@${digest}`;
}

function publicKey(): string {
  const pem = generateKeyPairSync("ec", { namedCurve: "P-256" })
    .publicKey.export({ type: "spki", format: "pem" })
    .toString();
  return pem.trimEnd().replaceAll("\n", "\n      ");
}

/** A policy whose base is an image here. */
async function policyText(): Promise<string> {
  const base = await pushImage("bases/run", { content: "the base" });
  return samplePolicyText
    .replaceAll(/-----BEGIN PUBLIC KEY-----[^-]*-----END PUBLIC KEY-----/g, publicKey)
    .replace("registry.test:5000/bases/run", `${server.host}/bases/run`)
    .replace(/sha256:a{64}/, base.slice(base.indexOf("sha256:")) as Digest)
    .replace("failOn: high", "failOn: high\n  databaseMaxAge: unlimited");
}

const both: [string, string, string][] = [
  ["forged", forged, inJson],
  ["harmless", harmless, harmless],
];

describe.each(both)("%s text", (kind, text, textInJson) => {
  const check = (seen: Seen, ...where: string[]): void => {
    expectHarmless(seen);
    if (kind === "harmless") expectShown(seen, ...where);
  };

  test("in a label of an image on a foreign base", async () => {
    files = { "policy.yaml": await policyText() };
    const image = await pushImage("quarantine/label", { labels: { "org.opencontainers.image.base.name": textInJson } });
    check(await runDoors("enforce-golden-base", "enforce", { policy: "policy.yaml", image }), "terminal", "log");
  });

  test("in a registry's error", async () => {
    files = { "policy.yaml": await policyText() };
    const image = await pushImage("quarantine/error");
    const body = JSON.stringify({ errors: [{ code: "DENIED", message: textInJson, detail: textInJson }] });
    server.faults = [{ path: "/manifests/", action: { kind: "status", status: 403, body } }];
    check(await runDoors("enforce-golden-base", "enforce", { policy: "policy.yaml", image }), "terminal", "log");
  });

  test("in a page for people in a manifest's place", async () => {
    files = { "policy.yaml": await policyText() };
    const image = await pushImage("quarantine/page");
    server.faults = [{ path: "/manifests/", action: { kind: "status", status: 418, body: `<html>${text}</html>` } }];
    expectHarmless(await runDoors("enforce-golden-base", "enforce", { policy: "policy.yaml", image }));
  });

  test("in a tag", async () => {
    files = { "policy.yaml": await policyText() };
    const image = `${server.host}/quarantine/tag:${text}`;
    expectHarmless(await runDoors("enforce-golden-base", "enforce", { policy: "policy.yaml", image }));
  });

  test("in the policy's text", async () => {
    const yaml = JSON.stringify(textInJson);
    files = { "policy.yaml": (await policyText()).replace("failOn: high", `failOn: ${yaml}\n  ${yaml}: 1`) };
    const image = await pushImage("quarantine/policy");
    check(await runDoors("enforce-golden-base", "enforce", { policy: "policy.yaml", image }), "terminal");
  });

  test("raw in the policy's text", async () => {
    files = { "policy.yaml": (await policyText()).replace("failOn: high", `failOn: ${text}`) };
    const image = await pushImage("quarantine/policy");
    expectHarmless(await runDoors("enforce-golden-base", "enforce", { policy: "policy.yaml", image }));
  });

  test("in the policy's name", async () => {
    files = {};
    const image = await pushImage("quarantine/name");
    check(await runDoors("enforce-golden-base", "enforce", { policy: `${text}.yaml`, image }), "terminal");
  });

  test("in a result file that another step left", async () => {
    const digest = `sha256:${"a".repeat(64)}`;
    const result = {
      schemaVersion: "1.0",
      stage: "scan",
      verdict: "fail",
      subject: {
        repository: textInJson,
        digest,
        mediaType: textInJson,
        children: [{ digest, mediaType: textInJson, verdict: "fail" }],
      },
      violations: [
        { rule: textInJson, thing: textInJson, problem: textInJson, wayOut: textInJson, platform: textInJson },
        {
          rule: "x",
          thing: textInJson,
          problem: "x",
          wayOut: "x",
          exception: { reason: textInJson, owner: textInJson, expires: textInJson },
        },
      ],
      predicateType: textInJson,
      predicate: { [textInJson]: [textInJson] },
      run: { builderId: textInJson },
      tools: [{ name: textInJson, version: textInJson }],
      notes: [textInJson],
      startedAt: "2026-01-01T00:00:00Z",
      finishedAt: "2026-01-01T00:00:00Z",
    };
    files = { "policy.yaml": await policyText(), "scan.json": JSON.stringify(result) };
    const cwdFiles = { policy: "policy.yaml", results: "scan.json" };
    check(await runDoors("report", "report", cwdFiles), "terminal");
  });

  test("in the name and content of a file that scanners read", async () => {
    files = { "policy.yaml": await policyText(), "package-lock.json": "{}" };
    const content = JSON.stringify({
      name: "lodash",
      version: "4.17.20",
      license: textInJson,
      author: textInJson,
      description: textInJson,
    });
    const image = await pushImage("quarantine/scanned", {
      file: `workspace/${text.replaceAll("/", "-")}/node_modules/lodash/package.json`,
      content,
      labels: { [textInJson]: textInJson },
    });
    const seen = await runDoors("scan", "scan", { policy: "policy.yaml", image, database });
    expectHarmless(seen);
    const sarif = Object.entries(seen.texts).filter(([name]) => name.endsWith(".sarif"));
    expect(sarif.length).toBeGreaterThanOrEqual(2);
    for (const [, json] of sarif) {
      // The finding is told all the same, at its place.
      expect(json).toContain("GHSA-35jh-r3h4-6jhm");
      if (kind === "harmless") expect(json).toContain(harmless);
    }
  });
});

test("a promotion's plan, notes and result tell of what refers to an image in text that is clean", async () => {
  const stand = await openStand();
  try {
    const image = await stand.stageImage();
    const subject = { mediaType: mediaTypes.ociManifest, digest: image.digest, size: 1 };
    const descriptor = await stand.client.fetchManifest({ ...image.repository, digest: image.digest });
    for (const text of [inJson, harmless]) {
      const referrer = buildReferrer({ ...subject, size: descriptor.bytes.byteLength }, `application/x${text}`, {
        [text]: text,
      });
      await pushBuilt(stand.client, image.repository, referrer);
    }
    const execution = await stand.promote(image, { "dry-run": "true" });
    const plan = readFileSync(execution.outcome.outputs["plan"] ?? "", "utf8");
    const texts = { plan, summary: execution.outcome.summary, result: readFileSync(execution.resultFile, "utf8") };
    expectHarmless({ texts: { ...texts, outputs: "" }, result: "" });
    expect(plan).toContain(harmless);
    // Nothing was lost of it: who parses the plan has the type as it is.
    expect(JSON.stringify(JSON.parse(plan))).toContain(JSON.stringify(`application/x${inJson}`).slice(1, -1));
  } finally {
    await stand.close();
  }
});
