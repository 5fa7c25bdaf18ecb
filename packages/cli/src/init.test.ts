import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { buildImage, pushBuilt } from "@goldenpath/registry-client/testing";
import { startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runMain } from "../../../test/support/cli.ts";

// Each call of main listens for an interrupt; a process has one call, and this file has many.
process.setMaxListeners(100);

let folder: string;
let target: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldenpath-init-"));
  target = join(folder, "platform");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const digestOf = (digit: string): string => `sha256:${digit.repeat(64)}`;
const commit = "1f0c2d3e4b5a69788796a5b4c3d2e1f00f1e2d3c";
const good: Readonly<Record<string, string>> = {
  organisation: "acme",
  quarantine: "registry.acme.example/quarantine",
  vetted: "registry.acme.example/vetted",
  languages: "nodejs,java",
  owners: "@acme/platform @acme/security",
  goldenpath: `goldenpath-ci/goldenpath@${commit}`,
  base: `registry.acme.example/bases/run@${digestOf("1")}`,
  builder: `registry.acme.example/builders/all@${digestOf("2")}`,
  "owner-id": "4321",
};

async function makeKeys(): Promise<string> {
  const keys = join(folder, "keys");
  expect((await runMain("keys", "new", keys, "build", "base", "scan", "promote", "golden-base", "policy")).code).toBe(
    0,
  );
  return keys;
}

const init = (more: Readonly<Record<string, string | undefined>> = {}, ...words: string[]) =>
  runMain(
    "init",
    target,
    "--offline",
    ...words,
    ...Object.entries({ ...good, ...more }).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}=${value}`],
    ),
  );

const listWritten = async (): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(folder.length + 1))
    .filter((name) => !name.startsWith("keys/"))
    .toSorted();

const tree = [
  "platform/.github/CODEOWNERS",
  "platform/.github/workflows/golden-base.yml",
  "platform/.github/workflows/golden-path.yml",
  "platform/.github/workflows/policy.yml",
  "platform/README.md",
  "platform/application/.github/workflows/golden-path.yml",
  "platform/bases/golden/Dockerfile",
  "platform/bases/golden/about",
  "platform/bases/golden/test.sh",
  "platform/bases/policy.yaml",
  "platform/policy.cases.yaml",
  "platform/policy.yaml",
];

const servers = ["https://github.com", "https://github.widgets.example"];
const combinations = servers.flatMap((server) =>
  ["production", "test,production", "dev test production"].flatMap((environments) =>
    (server === servers[0] ? ["keyless", "keys"] : ["keys"]).flatMap((signing) =>
      ["nodejs", "nodejs java static"].map((written) => ({ server, environments, signing, languages: written })),
    ),
  ),
);

describe.each(combinations)("$server, $environments, $signing, $languages", (answers) => {
  test("passes its own checks, and names nothing of the example's", async () => {
    const runner = answers.server === servers[0] ? "ubuntu-24.04" : "linux";
    const all = { ...answers, runner, organisation: "widgets", owners: "@widgets/platform", keys: await makeKeys() };
    const places = { quarantine: "ghcr.io/widgets/quarantine", vetted: "registry.widgets.example:5000/vetted" };
    const images = { base: `ghcr.io/widgets/run@${digestOf("1")}`, builder: `ghcr.io/widgets/all@${digestOf("2")}` };
    expect(await init({ ...all, ...places, ...images })).toMatchObject({ code: 0 });
    const policy = join(target, "policy.yaml");
    expect(await runMain("policy", "check", policy)).toMatchObject({ code: 0, err: "" });
    const ofBases = await runMain("policy", "check", join(target, "bases/policy.yaml"));
    expect(ofBases).toMatchObject({ code: 0, err: "" });
    const tested = await runMain("policy", "test", policy);
    expect(tested).toMatchObject({ code: 0, err: "", out: expect.stringContaining("9 of 9 expectations") });
    expect(await listWritten()).toEqual(tree);
    for (const file of tree) {
      const text = await readFile(join(folder, file), "utf8");
      expect(text).not.toMatch(/acme[./]|registry\.acme|vX\.Y\.Z|fill-in|exampleexample|undefined/);
    }
  });
});

test("what is taken out of the policy is missed by its own tests", async () => {
  await init({ keys: await makeKeys() });
  const policy = join(target, "policy.yaml");
  const text = await readFile(policy, "utf8");
  for (const [rule, instead] of [
    ["failOn: critical", "failOn: none"],
    ["kev: true", "severity: critical"],
    ["onlyFixed: true", "onlyFixed: false"],
    ["refs/heads/main", "refs/heads/*"],
  ] as const) {
    expect(text).toContain(rule);
    await writeFile(policy, text.replaceAll(rule, instead));
    expect((await runMain("policy", "test", policy)).code, rule).not.toBe(0);
  }
});

test.each<[string, Record<string, string | undefined>, RegExp]>([
  ["no answers", { organisation: undefined, owners: undefined }, /not answered: --organisation .*; --owners/],
  ["a line break", { organisation: "acme\nevil: true" }, /--organisation is 'acme.*evil: true'/],
  ["an expression", { organisation: `$${"{{ secrets.X }}"}` }, /--organisation is '\$\{\{ secrets\.X \}\}'/],
  ["YAML in a list", { environments: "production,{a:b}" }, /--environments is '\{a:b\}'/],
  ["an environment twice", { environments: "a,a" }, /--environments is 'a,a': expected each once/],
  ["a look-alike", { quarantine: "registry.аcme.example/quarantine" }, /characters other than those of ASCII/],
  ["a way out of the repository", { vetted: "registry.acme.example/../x" }, /--vetted is .*HOST\/NAME/],
  ["a tag", { vetted: "registry.acme.example/vetted:1" }, /must name a repository alone/],
  ["a port that is none", { vetted: "registry.acme.example:99999/vetted" }, /is not a host/],
  ["vetted in quarantine", { vetted: "registry.acme.example/quarantine/vetted" }, /the one is in the other/],
  ["one place for both", { vetted: good["quarantine"] }, /the one is in the other/],
  ["bases in vetted", { bases: "registry.acme.example/vetted/bases" }, /--bases is .*the one is in the other/],
  [
    "a language with a slip",
    { languages: "nodejs,pythn" },
    /--languages is 'pythn': expected one of the languages, such as 'python'/,
  ],
  ["an owner without @", { owners: "acme/platform" }, /--owners is 'acme\/platform': expected @USER/],
  ["a runner in an expression", { runner: `$${"{{ inputs.x }}"}` }, /--runner is .*expected one runner's label/],
  ["keyless on a server", { server: "https://git.acme.example", signing: "keyless", runner: "linux" }, /public Fulcio/],
  ["GitHub's runners on a server", { server: "https://git.acme.example" }, /which are GitHub's own/],
  ["a server with a path", { server: "https://git.acme.example/x" }, /--server is .*without a path/],
  ["a server without TLS", { server: "http://git.acme.example" }, /--server is 'http:/],
  ["a branch of goldenpath", { goldenpath: "goldenpath-ci/goldenpath@main" }, /all 40 hexadecimal digits/],
  ["a number that is none", { "owner-id": "4321x" }, /--owner-id is '4321x'/],
  ["keys that are nowhere", { keys: "/nowhere" }, /keys new \/nowhere policy makes the pair/],
])("%s is refused, and nothing is written", async (_, more, message) => {
  const { code, err } = await init(more);
  expect(code).toBe(2);
  expect(err.replaceAll("\n", " ")).toMatch(message);
  expect(await listWritten()).toEqual([]);
});

test("what nobody looked up is refused by the check, by name and with its command", async () => {
  const unknown = { base: "registry.acme.example/run:1", builder: "registry.acme.example/all", "owner-id": undefined };
  const { code, err, out } = await init(unknown);
  expect(code).toBe(0);
  expect(err).toContain("the number of acme is not known");
  expect(out).toContain("What remains");
  const checked = await runMain("policy", "check", join(target, "policy.yaml"));
  expect(checked.code).toBe(2);
  expect(checked.err).toMatch(/fill-in-base-digest: crane digest registry\.acme\.example\/run:1/);
  expect(checked.err).toMatch(/fill-in-builder-digest: crane digest registry\.acme\.example\/all:latest/);
  expect(checked.err.match(/fill-in-owner-id: gh api users\/acme --jq \.id/g)).toHaveLength(5);
  expect(checked.err).toMatch(/fill-in-policy-key: npx goldenpath keys new/);
});

test("again it changes nothing, and what somebody changed is left alone until --force", async () => {
  expect((await init()).code).toBe(0);
  const again = await init();
  expect(again.code).toBe(0);
  expect(again.out.match(/^same /gm)).toHaveLength(tree.length);
  const policy = join(target, "policy.yaml");
  const written = await readFile(policy, "utf8");
  await writeFile(policy, `${written}# ours\n`);
  await rm(join(target, "README.md"));
  const refused = await init();
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("nothing is written") });
  expect(refused.out).toContain("change  policy.yaml (0 lines more, 1 fewer)");
  expect(await listWritten()).not.toContain("platform/README.md");
  expect(await readFile(policy, "utf8")).toContain("# ours");
  expect((await init({}, "--force")).code).toBe(0);
  expect(await readFile(policy, "utf8")).toBe(written);
  expect(await listWritten()).toEqual(tree);
});

test("a dry run writes nothing, and a link is in the way", async () => {
  expect((await init({}, "--dry-run")).out).toContain("dry run: nothing is written");
  expect(await listWritten()).toEqual([]);
  expect((await init()).code).toBe(0);
  await rm(join(target, ".github"), { recursive: true });
  await symlink(folder, join(target, ".github"));
  expect(await init({}, "--force")).toMatchObject({ code: 2, err: expect.stringContaining("is in the way") });
});

test("the README counts what it lists", async () => {
  const { out } = await init({ signing: "keys", environments: "test,production", keys: await makeKeys() });
  const readme = await readFile(join(target, "README.md"), "utf8");
  const [, edits, secrets, clicks] = /(\d+) edits, (\d+) secrets, (\d+) clicks\./.exec(readme) ?? [];
  expect(out).toContain(`${edits} edits, ${secrets} secrets, ${clicks} clicks.`);
  expect(readme.match(/^- \[ \] /gm)).toHaveLength(Number(edits) + Number(secrets) + Number(clicks));
  expect([edits, secrets, clicks]).toEqual(["3", "19", "9"]);
});

test("the project's README says how much remains", async () => {
  const { out } = await init({ keys: await makeKeys() });
  const [counted = ""] = /\d+ edits, \d+ secrets, \d+ clicks/.exec(out) ?? [];
  const text = await readFile(join(import.meta.dirname, "../../../README.md"), "utf8");
  expect(text.replaceAll(/\s+/g, " ")).toContain(`**${counted.replace(/, (?=\d+ clicks)/, " and ")}**`);
});

test("of a registry that answers the digests are written, and of one that does not a note says so", async () => {
  const registry = await startRegistry();
  try {
    const client = createRegistryClient({ ports: silentPorts(), env: {} });
    const repository = { registry: registry.host, name: "bases/run" };
    await pushBuilt(client, repository, buildImage(), "1");
    const digest = await client.resolve({ ...repository, tag: "1" });
    await client.close();
    expect(digest).toMatch(/^sha256:/);
    const asked = { base: `${registry.host}/bases/run:1`, builder: `${registry.host}/bases/none:1` };
    const flags = Object.entries({ ...good, ...asked }).map(([name, value]) => `--${name}=${value}`);
    const places = [`--quarantine=${registry.host}/quarantine`, `--vetted=${registry.host}/vetted`];
    const { code, err } = await runMain("init", target, ...flags, ...places);
    expect(code).toBe(0);
    expect(err).toContain(`${asked.builder} is not there`);
    expect(err).toMatch(/quarantine: referrers/i);
    const policy = await readFile(join(target, "policy.yaml"), "utf8");
    expect(policy).toContain(`- ${digest}\n`);
    expect(policy).toContain(`fill-in-builder-digest # crane digest ${asked.builder}`);
  } finally {
    await registry.close();
  }
});
