import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { keptTag } from "@goldenpath/core/base/kept-tag";
import { planFleetRollout, rebaseStep } from "@goldenpath/core/fleet/rollout/execute";
import { describeRollout } from "@goldenpath/core/fleet/rollout/facts";
import { loadPolicy } from "@goldenpath/core/policy/load";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { rebaseImages, rebaseInputs } from "@goldenpath/core/verbs/rebase-images";
import { parseInputs } from "@goldenpath/core/verbs/verb";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { silentPorts } from "@goldenpath/foundation/ports";
import { blobsOf } from "@goldenpath/registry-client/copy";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { type PathPolicy, passed, tell } from "../support/path-world.ts";
import { openRolloutWorld, type RolloutWorld } from "../support/rollout-world.ts";
import { useTools } from "../support/tools.ts";
import { projectRoot } from "../support/workflows.ts";

// `goldenpath fleet rebase`: real registry, images, scanner and signatures, from what stands in vetted on an older version
// of its base to what stands there on the newer one.

const tools = useTools("syft", "grype");
let world: RolloutWorld;
let first: PathPolicy;
let next: PathPolicy;
/** HOST/vetted/NAME@DIGEST, by name. */
const shipped: Record<string, string> = {};

beforeAll(async () => {
  world = await openRolloutWorld(tools);
  first = await world.enact({ versions: 1 });
  for (const name of ["try", "cart", "shop"]) shipped[name] = await world.ship(first, name, { tags: "1.0.0\nprod" });
  const canaries = `["${world.server.host}/vetted/try"]`;
  next = await world.enact({ versions: 2, rollout: `{ canaries: ${canaries}, wave: 1, pause: 1h }` });
}, 180_000);
afterAll(() => world?.close());

const where = (name: string): string => `${world.server.host}/vetted/${name}`;
const digestIn = (text: string | undefined): Digest => (text ?? "").split("@")[1] as Digest;

interface Told {
  due: { image: string; onto: string; quarantine: string; tag: string; vetted: string; tags: string }[];
  rollouts: {
    due?: string;
    until?: string;
    stopped?: string;
    done: number;
    waves: { name: string; images: string[] }[];
  }[];
  left: { image: string; problem: string }[];
  failures: { what: string; problem: string }[];
  done?: { from: string; image?: string; problem?: string }[];
}
async function plan(...more: string[]): Promise<Told & { code: number; err: string }> {
  const { code, out, err } = await runMain("fleet", "rebase", ...world.inForce, "--json", ...more);
  return { code, err, ...(out === "" ? {} : JSON.parse(out)) };
}
const readPolicy = () =>
  loadPolicy(
    `oci://${where("goldenpath-policy")}:in-force`,
    { ports: silentPorts(), env: {}, signal: new AbortController().signal, workingDirectory: world.root },
    world.keys.platform.publicKey,
  );
/** The policy with another limit for rebases. */
function limit(policy: LoadedPolicy, more: { most?: number; buildMaxAge?: number } = {}): LoadedPolicy {
  const { build } = policy.policy;
  const builders = build.builders.map((each) => (each.kind === "rebase" ? { ...each, ...more } : each));
  return { ...policy, policy: { ...policy.policy, build: { ...build, builders } } };
}
/** The same some hours from now. */
async function planIn(
  hours: number,
  { change = (same) => same, ...more }: { leave?: string[]; tags?: string[]; change?: typeof limit } = {},
): Promise<Told> {
  const now = new Date(Date.now() + hours * 3_600_000);
  const repositories = ["try", "cart", "shop"].map((name) => parseRepository(where(name)));
  const { client } = world;
  const request = { environment: "production", tags: [], leave: [], ...more };
  const { signal } = new AbortController();
  return describeRollout(
    await planFleetRollout({ client, policy: change(await readPolicy()), now }, repositories, request, signal),
  ) as unknown as Told;
}

describe("refused", () => {
  test.each<[what: string, args: () => string[], says: string]>([
    ["a repository of no environment", () => [`${world.server.host}/quarantine/try`], "is of no environment"],
    ["another environment", () => ["--environment", "staging"], "'staging'"],
    ["a quarantine that is vetted", () => ["--quarantine", `${world.server.host}/vetted/q`], "must not push there"],
  ])("%s", async (_what, args, says) => {
    const { code, err } = await runMain("fleet", "rebase", ...world.inForce, ...args());
    expect(code).toBeGreaterThan(0);
    expect(err).toContain(says);
  });

  test("nothing goes where a canary could not be looked at; one of the others is told, and hinders none", async () => {
    const show = () => {
      world.server.faults = [];
    };
    const hide = (name: string) => {
      world.server.faults = [{ path: `/${name}/manifests/prod$`, action: { kind: "status", status: 403 } }];
    };
    hide("try");
    const blind = await plan("--run");
    show();
    expect(blind).toMatchObject({ code: 2, due: [], done: [], failures: [{ what: where("try") }] });
    expect(blind.rollouts[0]?.stopped).toContain("could not be looked at");
    hide("shop");
    const told = await plan();
    show();
    expect(told).toMatchObject({
      code: 2,
      due: [{ vetted: where("try") }],
      failures: [{ what: where("shop") }],
    });
  });
});

test("the plan has the canaries first, says where each goes, and writes nothing", async () => {
  world.server.requests.length = 0;
  const { code, rollouts, due, left, failures } = await plan();
  expect({ code, left, failures }).toEqual({ code: 0, left: [], failures: [] });
  expect(rollouts).toMatchObject([
    {
      ...{ done: 0, due: "canaries" },
      waves: [
        { name: "canaries", images: [shipped["try"]] },
        { name: "wave 1", images: [shipped["cart"]] },
        { name: "wave 2", images: [shipped["shop"]] },
      ],
    },
  ]);
  const [old, onto] = [digestIn(shipped["try"]), digestIn(world.versions[1])];
  const tag = `rebased-${old.slice(7, 19)}-${onto.slice(7, 19)}`;
  expect(due).toEqual([
    {
      ...{ name: "try", image: shipped["try"], onto, tag },
      ...{ quarantine: `${world.server.host}/quarantine/try`, vetted: where("try"), tags: "1.0.0\nprod" },
      ...{ source: "https://github.com/acme/shop", commit: "c".repeat(40) },
    },
  ]);
  expect(world.server.requests.filter(({ method }) => method !== "GET" && method !== "HEAD")).toEqual([]);
  // The action's own door, as a runner opens it.
  const [output, summary] = ["output", "summary"].map((each) => join(world.root, each));
  for (const file of [output, summary]) await writeFile(file ?? "", "");
  const [, policy = "", , signer = ""] = world.inForce;
  const entry = join(projectRoot, "actions/rebase/src/index.ts");
  const env = {
    ...{ PATH: process.env["PATH"], HOME: world.root, RUNNER_TEMP: world.root },
    ...{ GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: summary },
    ...{ INPUT_POLICY: policy, "INPUT_POLICY-SIGNER": signer, INPUT_ENVIRONMENT: "production" },
  };
  const ended = await runProcess(process.execPath, ["--conditions=goldenpath-source", entry], { env, cwd: world.root });
  expect({ exitCode: ended.exitCode, log: ended.exitCode === 0 ? "" : ended.stdout }).toEqual({ exitCode: 0, log: "" });
  const written = await readFile(output ?? "", "utf8");
  expect(JSON.parse(/^due<<(.+)\n(.*)\n\1$/m.exec(written)?.[2] ?? "")).toEqual(due);
  expect(written).toMatch(/^against<<(.+)\n0\n\1$/m);
  expect(await readFile(summary ?? "", "utf8")).toContain("canaries, due: 1");

  const { out } = await runMain("fleet", "rebase", ...world.inForce);
  expect(out).toContain("canaries, due: 1");
  // Of one tag alone, and but for what is to be left.
  const some = await planIn(0, { tags: ["prod"], leave: [where("shop")] });
  expect(some.due[0]?.tags).toBe("prod");
  expect(some.left).toMatchObject([{ image: shipped["shop"], problem: expect.stringContaining("to be left") }]);
  expect((await planIn(0, { tags: ["staging"] })).rollouts).toEqual([]);
});

test("a wave goes past attest, both judges and promote; nothing else goes before that, and then not before the pause is over", async () => {
  const ran = await plan("--run");
  expect(ran.code).toBe(0);
  const [{ image: rebased = "" } = {}] = ran.done ?? [];
  expect(rebased).toContain(`${world.server.host}/quarantine/try@sha256:`);
  // Begun, and not in vetted: the same again is the same digest, and no other begins, however late it is.
  expect(await plan("--run")).toMatchObject({ code: 0, rollouts: [{ due: "canaries" }], done: [{ image: rebased }] });
  expect((await planIn(1000)).due).toMatchObject([{ vetted: where("try") }]);

  const unattested = await world.promote(next, rebased, "try", "1.0.0\nprod");
  expect(tell(unattested).verdict).toBe("fail");
  // The same again, as by each run of a schedule: nothing is signed anew.
  const attest = async () => {
    expect(tell(await world.attestRebased(next, rebased, shipped["try"] ?? ""))).toEqual(passed);
    const { registry, name, digest = "sha256:" } = parseReference(rebased);
    return (await world.client.listReferrers({ registry, name }, digest)).map((each) => each.digest);
  };
  const attested = await attest();
  expect(attested).toHaveLength(2);
  expect(await attest()).toEqual(attested);
  await world.judge(next, rebased);
  const promoted = await world.promote(next, rebased, "try", "1.0.0\nprod");
  expect(tell(promoted)).toEqual(passed);

  // The old image has to be found as long as the new one is there, and no tag of its own would be left.
  const [old, repository] = [digestIn(shipped["try"]), parseRepository(where("try"))];
  expect((await world.client.readTag(repository, "prod")).digest).toBe(digestIn(rebased));
  expect((await world.client.readTag(repository, keptTag("prod", old))).digest).toBe(old);

  const running = join(world.root, "running.txt");
  await writeFile(running, `${digestIn(rebased)}\n`);
  const prune = async () => {
    const few = ["--running", running, "--rollbacks", "1", "--evidence-years", "0", "--json"];
    const { code, out } = await runMain("fleet", "prune", ...world.inForce, ...few);
    const told = JSON.parse(out) as { kept: { image: string; keptFor: string[] }[]; failures: object[] };
    return { code, failures: told.failures, keptFor: told.kept.find(({ image }) => image === shipped["try"])?.keptFor };
  };
  expect(await prune()).toEqual({ code: 0, failures: [], keptFor: [expect.stringContaining("was rebased from it")] });
  const kept = await world.client.fetchManifest({ ...repository, digest: old });
  await fetch(`http://${world.server.host}/v2/vetted/try/manifests/${keptTag("prod", old)}`, { method: "DELETE" });
  const problem = expect.stringContaining("no tag that was looked at points at it");
  expect(await prune()).toEqual({ code: 2, failures: [{ what: shipped["try"], problem }], keptFor: undefined });
  await world.client.pushManifest(repository, kept.bytes, kept.mediaType, keptTag("prod", old));

  const waiting = await plan("--run");
  expect(waiting).toMatchObject({ code: 0, due: [], done: [], rollouts: [{ done: 1 }] });
  expect(waiting.rollouts[0]?.until).toBeDefined();
  expect(await planIn(2)).toMatchObject({ rollouts: [{ due: "wave 1" }], due: [{ image: shipped["cart"] }] });
}, 60_000);

describe("between the plan and its turn", () => {
  const signal = new AbortController().signal;
  const step = async (name: string, more: object = {}) => {
    const [due] = (await planIn(2)).due.filter(({ vetted }) => vetted === where(name));
    const image = parseReference(shipped[name] ?? "") as ReturnType<typeof parseReference> & { digest: Digest };
    const onto = digestIn(world.versions[1]);
    const to = due !== undefined ? `${due.quarantine}:${due.tag}` : `${world.server.host}/quarantine/${name}:rebased`;
    const asked = { image, onto, to, tags: ["1.0.0", "prod"], ...more };
    return rebaseStep(world.client, readPolicy, asked, { now: new Date(), signal });
  };

  test("a tag that was moved keeps the image from it, beside its twin", async () => {
    const { client } = world;
    const repository = parseRepository(where("cart"));
    const tagged = await client.fetchManifest({ ...repository, digest: digestIn(shipped["cart"]) });
    const foreign = await client.pushManifest(
      repository,
      Buffer.concat([tagged.bytes, Buffer.from("\n")]),
      tagged.mediaType,
      "prod",
    );
    await expect(step("cart")).rejects.toMatchObject({ code: "tag-moved", message: expect.stringContaining(foreign) });
    await client.pushManifest(repository, tagged.bytes, tagged.mediaType, "prod");
    expect(await step("cart")).toContain("/quarantine/cart@sha256:");
  });

  test("an entry that somebody else has written rebases what it may name, and gets nothing past attest", async () => {
    const { server, client, root } = world;
    const own = { ports: silentPorts(), env: {}, signal, workingDirectory: root, temporaryDirectory: root };
    const [policy = "", signer = ""] = [world.inForce[1], world.keys.platform.publicKey];
    const take = (given: Record<string, string>) =>
      rebaseImages(parseInputs(rebaseInputs, { policy, "policy-signer": signer, ...given }), {
        ...own,
        now: () => new Date(),
      });
    const cart = await client.fetchManifest(parseReference(shipped["cart"] ?? ""));
    const foreign = { registry: server.host, name: "strangers/cart" };
    for (const blob of blobsOf(cart)) await client.copyBlob(parseRepository(where("cart")), foreign, blob);
    const digest = await client.pushManifest(foreign, cart.bytes, cart.mediaType);
    const onto = digestIn(world.versions[1]);
    const entry = { image: `${server.host}/strangers/cart@${digest}`, onto, to: `${server.host}/quarantine/cart:x` };
    const taken = await take(entry);
    if (!("image" in taken)) throw new Error("no image");
    const refused = await world.attestRebased(next, taken.image, entry.image);
    expect(tell(refused)).toEqual({ verdict: "fail", rules: ["build.image"] });
    expect(refused.result.violations[0]?.problem).toContain("lies where no environment");
    for (const [false_, code] of [
      [{ ...entry, to: `${where("cart")}:prod` }, "build-not-in-quarantine"],
      [{ ...entry, onto: digestIn(world.versions[2]) }, "rebase-refused"],
      [{ ...entry, onto: "stable" }, "digest-invalid"],
      [{ ...entry, image: `${server.host}/strangers/cart:prod` }, "input-invalid"],
      [{ ...entry, environment: "production" }, "input-invalid"],
      [{ onto }, "input-invalid"],
    ] as const)
      await expect(take(false_)).rejects.toMatchObject({ code });
    expect(await take({ repositories: where("shop") })).toMatchObject({ report: { environment: "production" } });
  });

  test("what a run before has begun is next, and nothing new, as long as it is not in vetted", async () => {
    expect(await planIn(1000)).toMatchObject({
      rollouts: [{ due: "again", waves: [{ name: "again", images: [shipped["cart"]] }, { name: "wave 1" }] }],
      due: [{ image: shipped["cart"] }],
    });
  });

  test("a digest that is no version of the base, and an image that stands on none, are refused", async () => {
    await expect(step("cart", { onto: digestOf("no version") })).rejects.toMatchObject({ code: "rebase-refused" });
    await expect(step("cart", { to: `${where("cart")}:prod` })).rejects.toMatchObject({
      code: "build-not-in-quarantine",
    });
    const base = parseReference(world.versions[1] ?? "");
    await expect(step("cart", { image: base, tags: [] })).rejects.toMatchObject({ code: "rebase-refused" });
  });

  test("a later build that was promoted keeps its tag from what was rebased from an earlier one, and no other tag", async () => {
    const rebased = await step("shop");
    expect(tell(await world.attestRebased(next, rebased, shipped["shop"] ?? ""))).toEqual(passed);
    await world.judge(next, rebased);
    const later = await world.ship(next, "shop", { version: "2", tags: "prod" });
    const refused = await world.promote(next, rebased, "shop", "1.0.0\nprod");
    expect(tell(refused)).toEqual({ verdict: "fail", rules: ["promote.tag-moves-back"] });
    const repository = parseRepository(where("shop"));
    expect((await world.client.readTag(repository, "prod")).digest).toBe(digestIn(later));
    expect(tell(await world.promote(next, rebased, "shop", "1.0.0"))).toEqual(passed);
    // And a later build goes over what was rebased.
    expect(tell(await world.promote(next, later.replace("/vetted/", "/quarantine/"), "shop", "1.0.0"))).toEqual(passed);
  }, 60_000);

  test("a withdrawn version stops all, and what stands on it is put on the one before", async () => {
    const version = digestIn(world.versions[1]);
    const told = ["--reason", "it leaks", "--owner", "security"];
    const withdrawn = await runMain(
      ...["withdraw", "--base", version, "--to", where("goldenpath-policy"), ...told],
      ...["--key", world.keys.platform.file],
    );
    expect(withdrawn).toMatchObject({ code: 0, out: expect.stringContaining("1 images of 3 repositories stand on") });
    await expect(step("cart", { onto: version })).rejects.toMatchObject({
      code: "rebase-refused",
      rule: "gate.withdrawn",
    });
    const after = await planIn(1000);
    expect(after.rollouts).toMatchObject([{ target: { digest: digestIn(world.versions[0]) }, done: 2 }]);
    expect(after.due.map(({ vetted }) => vetted)).toEqual([where("try")]);
    // Nor is a wave begun with what can't count at its end: it was rebased once already, or built too long ago.
    for (const [more, says] of [
      [{ most: 1 }, "it was rebased 2 times since its build, and the policy takes 1"],
      [{ buildMaxAge: 3_600_000 }, "accepts 60 min"],
    ] as const) {
      const told = await planIn(1000, { change: (policy) => limit(policy, more) });
      expect(told).toMatchObject({ due: [], rollouts: [{ stopped: expect.stringContaining(where("try")) }] });
      expect(told.left).toMatchObject([{ image: expect.stringContaining(where("try")) }]);
      expect(told.left[0]?.problem).toContain(says);
    }
    expect((await planIn(1000, { change: (policy) => limit(policy, { most: 2 }) })).due).toHaveLength(1);
  });
});
