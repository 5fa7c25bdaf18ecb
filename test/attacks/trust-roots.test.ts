import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { fetchTufTarget } from "@goldenpath/core/signing/trust-roots/tuf";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { useCleanups } from "@goldenpath/testing/servers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { constructSigstore } from "../support/constructed-sigstore.ts";
import { expectRefused, passed } from "../support/gate-answers.ts";
import { judge, readPolicy, useKeylessWorld } from "../support/keyless-world.ts";
import { renderWorkflowPolicy } from "../support/published-bundle.ts";
import { openTufRepository, type Publication, type TufRepository } from "../support/tuf-repository.ts";

// Whom a policy trusts, where it is not in the policy: in a file beside it, or in a repository by The Update Framework
// which somebody else has in their hands, or which is away. What is refused first, each beside what is taken.

useCleanups();
useKeylessWorld();

const trustedRoot = (await constructSigstore()).trustedRoot;
const other = (await constructSigstore()).trustedRoot;
const targets = { "trusted_root.json": trustedRoot };
const yesterday = new Date(Date.now() - 86_400_000);

let root: string;
let repository: TufRepository;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "trust-roots-"));
  await mkdir(join(root, "policy"));
  repository = await openTufRepository();
  repository.publish(targets);
  return async () => {
    vi.useRealTimers();
    await rm(root, { recursive: true });
  };
});

const render = (sigstore: string): string =>
  renderWorkflowPolicy(sigstore, {
    workflow: "https://github.com/acme/platform/.github/workflows/stage-base.yml",
    at: "c".repeat(40),
    ownerId: "4321",
    repositories: "https://github.com/acme/*",
  });

/** The trusted root that a policy in a file comes to, and what is said on the way. */
async function load(section: string, cache = "cache") {
  const file = join(root, "policy", "policy.yaml");
  await writeFile(file, render(section));
  const warnings: string[] = [];
  const ports = silentPorts();
  ports.log.warning = (message) => void warnings.push(message);
  const env = { GOLDENPATH_TOOL_CACHE: join(root, cache) };
  const context = { ports, env, signal: new AbortController().signal, workingDirectory: join(root, "policy") };
  const { policy } = await loadPolicy(file, context);
  const signer = policy.signers["base"] as { instance?: { trustedRoot: string } } | undefined;
  return { trustedRoot: signer?.instance?.trustedRoot, warnings };
}

const tuf = (more = ""): string =>
  `tuf: { mirror: "${repository.url}", root: { digest: "${repository.rootDigest}"${more} } }`;
const loadTuf = (cache?: string) => load(tuf(), cache);

const taken = { trustedRoot, warnings: [] };
const refused = (code: string, says: RegExp) => ({ code, message: expect.stringMatching(says) });

describe("a repository by The Update Framework", () => {
  test("is believed as far as its root goes", async () => {
    await expect(loadTuf()).resolves.toEqual(taken);
    // Later its own keys are others, by the word of the root before.
    repository.rotateRoot();
    repository.publish({ "trusted_root.json": other });
    await expect(loadTuf()).resolves.toEqual({ trustedRoot: other, warnings: [] });
  });

  test.each<[string, Publication, RegExp]>([
    ["timestamp has expired", { expires: { timestamp: yesterday } }, /timestamp\.json is expired/],
    ["snapshot has expired", { expires: { snapshot: yesterday } }, /snapshot\.json is expired/],
    ["targets have expired", { expires: { targets: yesterday } }, /targets\.json is expired/],
  ])("whose %s is an error", async (_what, publication, says) => {
    repository.publish(targets, publication);
    await expect(loadTuf()).rejects.toMatchObject(refused("trusted-root-expired", says));
  });

  test("whose root has expired is an error, until a newer one is there", async () => {
    repository.rotateRoot({ expires: { root: yesterday } });
    repository.publish(targets);
    await expect(loadTuf()).rejects.toMatchObject(refused("trusted-root-expired", /root\.json is expired/));
    repository.rotateRoot();
    repository.publish(targets);
    await expect(loadTuf()).resolves.toEqual(taken);
  });

  test.each(["timestamp", "snapshot", "targets"] as const)(
    "whose %s somebody else has signed is an error",
    async (role) => {
      repository.publish(targets, { byStranger: [role] });
      await expect(loadTuf()).rejects.toMatchObject(refused("trusted-root-rejected", new RegExp(`${role}`)));
    },
  );

  test("whose newer root somebody else has signed is an error", async () => {
    repository.rotateRoot({ byStranger: ["root"] });
    repository.publish(targets);
    await expect(loadTuf()).rejects.toMatchObject(refused("trusted-root-rejected", /root was signed by 0\/1 keys/));
  });

  test("that goes back is an error to whoever has seen it ahead", async () => {
    const before = new Map(repository.files);
    repository.publish({ "trusted_root.json": other });
    await expect(loadTuf()).resolves.toMatchObject({ trustedRoot: other });
    repository.files.set("/timestamp.json", before.get("/timestamp.json") as Uint8Array);
    await expect(loadTuf()).rejects.toMatchObject(refused("trusted-root-rejected", /less than current version/));
    // Who has not seen it can't tell: that is what its dates are short for.
    await expect(loadTuf("another")).resolves.toEqual(taken);
  });

  test("that hides a newer root is an error to whoever has seen it", async () => {
    repository.publish({ "trusted_root.json": other }, { version: 9 });
    const before = new Map(repository.files);
    repository.rotateRoot();
    repository.publish(targets, { version: 10 });
    await expect(loadTuf()).resolves.toEqual(taken);
    // Of keys that the newer root took away.
    repository.files.clear();
    for (const [path, bytes] of before) repository.files.set(path, bytes);
    await expect(loadTuf()).rejects.toMatchObject(
      refused("trusted-root-rejected", /timestamp was signed by 0\/1 keys/),
    );
    await expect(loadTuf("another")).resolves.toMatchObject({ trustedRoot: other });
  });

  test("is the same by each way to write its mirror", async () => {
    const { port } = new URL(repository.url);
    const odd = `tuf: { mirror: "http://LOCALHOST:${port}//", root: { digest: "${repository.rootDigest}" } }`;
    await expect(load(odd)).resolves.toEqual(taken);
    repository.answer = (_path, response) => {
      response.destroy();
      return true;
    };
    await expect(load(odd)).resolves.toMatchObject({ trustedRoot, warnings: [expect.any(String)] });
  });

  test("that mixes states is an error", async () => {
    repository.publish({ "trusted_root.json": other }, { version: 5 });
    const [snapshot, listed] = ["/5.snapshot.json", "/5.targets.json"].map((path) => repository.files.get(path));
    repository.publish(targets, { version: 5 });
    const whole = new Map(repository.files);
    repository.files.set("/5.snapshot.json", snapshot as Uint8Array);
    await expect(loadTuf("one")).rejects.toMatchObject(refused("trusted-root-rejected", /hash|length|larger/i));
    repository.files.set("/5.snapshot.json", whole.get("/5.snapshot.json") as Uint8Array);
    repository.files.set("/5.targets.json", listed as Uint8Array);
    await expect(loadTuf("two")).rejects.toMatchObject(refused("trusted-root-rejected", /hash|length|larger/i));
    repository.files.set("/5.targets.json", whole.get("/5.targets.json") as Uint8Array);
    await expect(loadTuf("three")).resolves.toEqual(taken);
  });

  test("that gives another trusted root than its targets say is an error", async () => {
    const path = [...repository.files.keys()].find((each) => each.startsWith("/targets/")) as string;
    repository.files.set(path, Buffer.from(other));
    await expect(loadTuf()).rejects.toMatchObject(refused("trusted-root-rejected", /hash|length|larger/i));
  });

  test("that does not end is an error, for metadata and targets", async () => {
    for (const part of ["/timestamp.json", "/1.snapshot.json", "/targets/"]) {
      repository.answer = (path, response) => path.startsWith(part) && pour(response);
      await expect(loadTuf()).rejects.toMatchObject(refused("trusted-root-rejected", /is larger than the \d+ bytes/));
    }
    repository.answer = undefined;
    await expect(loadTuf()).resolves.toEqual(taken);
  });

  test("with another root than the policy names is an error", async () => {
    const stranger = await openTufRepository();
    stranger.publish(targets);
    const section = `tuf: { mirror: "${stranger.url}", root: { digest: "${repository.rootDigest}" } }`;
    await expect(load(section)).rejects.toMatchObject(
      refused("trusted-root-mismatch", /1\.root\.json of http\S+ is sha256:[0-9a-f]{64}, and the policy names sha256:/),
    );
    // Its root may lie with the policy, and then no mirror is asked for it.
    await writeFile(join(root, "policy", "root.json"), repository.root);
    repository.files.delete("/1.root.json");
    await expect(load(tuf(", path: root.json"))).resolves.toEqual(taken);
    repository.files.clear();
    for (const [path, bytes] of stranger.files) repository.files.set(path, bytes);
    await expect(load(tuf(", path: root.json"), "fresh")).rejects.toMatchObject({ code: "trusted-root-rejected" });
  });

  test("without the target that the policy names is an error", async () => {
    repository.publish({ "other.json": trustedRoot });
    await expect(loadTuf()).rejects.toMatchObject(
      refused("trusted-root-missing", /has no target 'trusted_root\.json'/),
    );
  });

  test("whose trusted root is none is an error", async () => {
    repository.publish({ "trusted_root.json": "{}" });
    await expect(loadTuf()).rejects.toMatchObject(
      refused("trusted-root-invalid", /sigstore\.own .* is no trusted root/),
    );
  });
});

test("what the gate takes is what the repository says", async () => {
  let own = "";
  const text = (section: string): string => {
    let whole = "";
    readPolicy((from) => {
      own = /trustedRoot: '([^']+)'/.exec(from)?.[1] ?? "";
      whole = from.replace(`trustedRoot: '${own}'`, section);
      return from;
    });
    return whole;
  };
  const file = join(root, "policy", "policy.yaml");
  await writeFile(file, text(tuf()));
  const context = {
    ...{ ports: silentPorts(), env: { GOLDENPATH_TOOL_CACHE: join(root, "cache") } },
    ...{ signal: new AbortController().signal, workingDirectory: join(root, "policy") },
  };
  repository.publish({ "trusted_root.json": other });
  await expectRefused(judge({}, await loadPolicy(file, context)), /its certificate or its proof does not hold/);
  repository.publish({ "trusted_root.json": own });
  await expect(judge({}, await loadPolicy(file, context))).resolves.toEqual(passed);
});

describe("a mirror that is away", () => {
  const away = () => {
    repository.answer = (_path, response) => {
      response.destroy();
      return true;
    };
  };

  test("is an error to whoever has never seen it", async () => {
    away();
    await expect(load(tuf())).rejects.toMatchObject(refused("trusted-root-unavailable", /can't be had/));
    await writeFile(join(root, "policy", "root.json"), repository.root);
    await expect(load(tuf(", path: root.json"))).rejects.toMatchObject(
      refused("trusted-root-unavailable", /can't be asked .* nothing is kept of it that still holds/),
    );
  });

  test("is bridged by what was seen of it while that holds, and told", async () => {
    repository.publish(targets, { expires: { timestamp: new Date(Date.now() + 7 * 86_400_000) } });
    const section = tuf();
    await expect(load(section)).resolves.toEqual(taken);
    away();
    const warnings = [expect.stringMatching(/can't be asked whom to trust .* what it said before counts/)];
    await expect(load(section)).resolves.toEqual({ trustedRoot, warnings });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 8 * 86_400_000 });
    await expect(load(section)).rejects.toMatchObject(refused("trusted-root-unavailable", /nothing is kept of it/));
  });

  test("in parts is away as a whole: nothing is made of old and new", async () => {
    await writeFile(join(root, "policy", "root.json"), repository.root);
    const section = tuf(", path: root.json");
    await load(section);
    repository.publish({ "trusted_root.json": other });
    repository.answer = (path, response) => {
      if (!path.endsWith("root.json")) return false;
      response.destroy();
      return true;
    };
    await expect(load(section)).resolves.toMatchObject({ trustedRoot, warnings: [expect.any(String)] });
  });

  test("is believed nothing of what somebody has put where it is kept", async () => {
    await writeFile(join(root, "policy", "root.json"), repository.root);
    await load(tuf(", path: root.json"));
    const stranger = await openTufRepository();
    stranger.publish({ "trusted_root.json": other });
    const [kept = ""] = await readdir(join(root, "cache", "trust-roots"));
    const folder = join(root, "cache", "trust-roots", kept);
    for (const [path, bytes] of stranger.files) {
      const name = path
        .replace(/^\/\d+\.(snapshot|targets)\.json$/, "/$1.json")
        .replace(/^\/targets\/(\w+)\..*$/, "/target-$1");
      await writeFile(join(folder, name), bytes);
    }
    away();
    await expect(load(tuf(", path: root.json"))).rejects.toMatchObject({ code: "trusted-root-unavailable" });
    repository.answer = undefined;
    await expect(load(tuf(", path: root.json"))).resolves.toEqual(taken);
  });

  test("is one that only drips", async () => {
    repository.answer = (_path, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write("x"), 20);
      response.on("close", () => clearInterval(timer));
      return true;
    };
    const source = {
      mirror: repository.url,
      root: { digest: repository.rootDigest as `sha256:${string}`, version: 1 },
      target: "trusted_root.json",
    };
    const signal = new AbortController().signal;
    const context = { ports: silentPorts(), env: { HOME: root }, signal, workingDirectory: join(root, "policy") };
    const limits = { attempts: 1, stallTimeout: 5_000, wholeTimeout: 500 };
    const fetched = fetchTufTarget(source, repository.root, context, limits);
    await expect(fetched).rejects.toMatchObject(refused("trusted-root-unavailable", /it takes longer than 0\.5 s/));
  });

  test("leaves nothing in the application's folder", async () => {
    await expect(loadTuf(join("policy", "cache"))).resolves.toEqual(taken);
    expect(await readdir(join(root, "policy"))).toEqual(["policy.yaml"]);
  });
});

describe("a file that lies with the policy", () => {
  const file = (text = trustedRoot, path = "trust/own.json"): string =>
    `file: { path: ${path}, digest: "${digestOf(text)}" }`;
  const put = async (text: string): Promise<void> => {
    await mkdir(join(root, "policy", "trust"), { recursive: true });
    await writeFile(join(root, "policy", "trust", "own.json"), text);
  };

  test("is an error where it is not there, another, none or elsewhere", async () => {
    await expect(load(file())).rejects.toMatchObject(
      refused("trusted-root-missing", /trust\/own\.json does not lie with/),
    );
    await put(other);
    await expect(load(file())).rejects.toMatchObject(
      refused("trusted-root-mismatch", /trust\/own\.json, beside the policy, is sha256:/),
    );
    await put("[]");
    await expect(load(file("[]"))).rejects.toMatchObject(refused("trusted-root-invalid", /is no trusted root/));
    await writeFile(join(root, "own.json"), trustedRoot);
    for (const path of ["../own.json", "/etc/own.json", "trust/../../own.json"])
      await expect(load(file(trustedRoot, path))).rejects.toMatchObject(
        refused("policy-invalid", /sigstore\.own\.file\.path: expected a path below the policy's folder/),
      );
  });

  test("counts where it is the one that the policy names", async () => {
    await put(trustedRoot);
    await expect(load(file())).resolves.toEqual(taken);
  });
});

test.each([
  ["two of them", `embedded: github, trustedRoot: '${trustedRoot}'`, /embedded: is there beside trustedRoot/],
  ["none", "proof: log", /sigstore\.own: does not say whom it trusts: one of `trustedRoot`/],
  ["one that nobody has", "embedded: acme", /sigstore\.own\.embedded: expected one of public, github/],
  [
    "a mirror in the open",
    `tuf: { mirror: "http://tuf.example", root: { digest: "sha256:${"0".repeat(64)}" } }`,
    /https URL/,
  ],
])("a policy that names %s is refused", async (_what, section, says) => {
  await expect(load(section)).rejects.toMatchObject(refused("policy-invalid", says));
});

/** Without an end. */
function pour(response: ServerResponse): true {
  response.writeHead(200);
  const chunk = Buffer.alloc(64 * 1024, " ");
  const write = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on("drain", write);
  write();
  return true;
}
