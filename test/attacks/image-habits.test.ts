import { gzipLayer, type LayerStand, startLayerStand, type TestLayer } from "@goldenpath/testing/layered-image";
import { type TarOptions, tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { baseEntries, directory, file, link, statusOf, whiteout } from "../support/changed-base.ts";

/** What an image must not have on top of its base, and what it must have: each beside the twin that is let through. */

let stand: LayerStand;
const images = `images:
  refuse: [root-user, secrets, credentials, package-caches, committed]
  mustHave:
    - file: /opt/agent/bin/agent
    - package: libssl3
    - { label: com.acme.owner }
    - { label: com.acme.tier, value: gold }
`;
const goodLabels = { "com.acme.owner": "team-shop", "com.acme.tier": "gold" };
const agent = [directory("opt"), directory("opt/agent"), directory("opt/agent/bin"), file("opt/agent/bin/agent", "a")];
const base = gzipLayer(
  tarOf(
    ...[
      ...baseEntries.filter(({ name }) => name !== "var/lib/dpkg/status"),
      file("var/lib/dpkg/status", statusOf({ libssl3: "3.0.11-1" })),
      ...agent,
      // What the platform team let into the base is theirs.
      directory("root"),
      file("root/.netrc", "machine a login b password c"),
      file("opt/agent/token", `glpat-${"Zq3Ty7Lm9Kx2Wv5Rn8Bc"}`),
      directory("var/lib/apt"),
      directory("var/lib/apt/lists"),
      file("var/lib/apt/lists/deb_Packages", "Package: x"),
    ],
  ),
);

beforeAll(async () => {
  stand = await startLayerStand();
  await stand.approve([base], [], images);
});
afterAll(() => stand.stop());

interface Looks {
  layers?: TarOptions[][];
  config?: Record<string, unknown>;
  history?: Record<string, string>[];
}

const good = { User: "1000:1000", Labels: goodLabels };

async function judge({ layers = [[file("srv/app", "app")]], config = good, history = [] }: Looks) {
  const image = await stand.push([base, ...layers.map((entries) => gzipLayer(tarOf(...entries)))], "quarantine/shop", {
    config,
    history,
  });
  const { verdict, rules, problems, code } = await stand.enforce(image);
  expect(code).toBeUndefined();
  return { verdict, rules, problems };
}

const npmrc = "//registry.npmjs.org/:_authToken=npm_planted";
const netrc = "machine git.acme.test\nlogin robot\npassword planted";
// Of pieces, so that this file has nothing that looks like one.
const filling = "Zq3Ty7Lm9Kx2Wv5Rn8Bc";
const gitlab = `glpat-${filling}`;
const signingKey = `${"-----BEGIN "}PRIVATE KEY-----\n${filling.repeat(3)}\n${"-----END "}PRIVATE KEY-----\n`;
const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nplanted\n-----END OPENSSH PRIVATE KEY-----\n";

/** [what, the image, its rule, a part of the sentence, the twin] */
const cases: [string, Looks, string, string, Looks][] = [
  ["root by no word", { config: { Labels: goodLabels } }, "base.root-user", "names no user", {}],
  [
    "root by number",
    { config: { ...good, User: "00:5" } },
    "base.root-user",
    "'00:5'",
    { config: { ...good, User: "5:0" } },
  ],
  [
    "a name that nobody knows",
    { config: { ...good, User: "shop" } },
    "base.root-user",
    "nobody can tell",
    { config: { ...good, User: "daemon" } },
  ],
  [
    "npm's login",
    { layers: [[file("home/app/.npmrc", npmrc)]] },
    "base.secret",
    "layer 2 has a login of npm at /home/app/.npmrc",
    { layers: [[file("home/app/.npmrc", `//registry.npmjs.org/:_authToken=$\{NPM_TOKEN}\n`)]] },
  ],
  [
    "a login that a later layer removes",
    { layers: [[file("srv/.netrc", netrc)], [whiteout("srv/.netrc")]] },
    "base.secret",
    "layer 2 has a login (netrc)",
    { layers: [[file("srv/.netrc", "machine a")], [whiteout("srv/.netrc")]] },
  ],
  [
    "a private key",
    { layers: [[file("home/app/.ssh/deploy", key, 0o600)]] },
    "base.secret",
    "a private key of SSH at /home/app/.ssh/deploy",
    { layers: [[file("home/app/.ssh/deploy.pub", "ssh-ed25519 AAAA")]] },
  ],
  [
    "a registry's login",
    { layers: [[file("home/.docker/config.json", '{"auths":{"r":{"auth":"cGxhbnRlZA=="}}}')]] },
    "base.secret",
    "a login of a registry",
    { layers: [[file("home/.docker/config.json", '{"auths":{"r":{}},"credsStore":"pass"}')]] },
  ],
  [
    "a secret in a variable",
    { config: { ...good, Env: ["PATH=/bin", "NPM_TOKEN=planted"] } },
    "base.secret",
    "environment variable NPM_TOKEN",
    { config: { ...good, Env: ["PATH=/bin", "NPM_TOKEN_FILE=/run/secrets/npm"] } },
  ],
  [
    "a secret in the history",
    { history: [{ created_by: "|1 NPM_TOKEN=planted /bin/sh -c npm ci" }] },
    "base.secret",
    "argument NPM_TOKEN",
    { history: [{ created_by: "|1 NODE=24 /bin/sh -c npm ci" }] },
  ],
  [
    "a token in a file of the application",
    { layers: [[file("srv/app/config.js", `// 1\nexport const token = "${gitlab}";\n`)]] },
    "base.credential",
    "layer 2 has at /srv/app/config.js: a token of GitLab in line 2 (sha256 ",
    { layers: [[file("srv/app/config.js", "export const token = process.env.GITLAB_TOKEN; // glpat-…")]] },
  ],
  [
    "a key that a later layer removes with its folder",
    { layers: [[directory("srv/keys"), file("srv/keys/sign.pem", signingKey)], [whiteout("srv/keys")]] },
    "base.credential",
    "layer 2 has at /srv/keys/sign.pem: a private key in line 1",
    { layers: [[directory("srv/keys"), file("srv/keys/sign.pem", signingKey.replaceAll("PRIVATE", "PUBLIC"))]] },
  ],
  [
    "apt's lists",
    { layers: [[file("var/lib/apt/lists/deb.debian.org_debian_dists_bookworm_InRelease", "x".repeat(200_000))]] },
    "base.package-cache",
    "apt's lists at /var/lib/apt/lists, 0.2 MB",
    { layers: [[file("var/lib/apt/lists/lock", "")]] },
  ],
  [
    "pip's cache in a home",
    { layers: [[file("home/app/.cache/pip/http/a", "wheel")]] },
    "base.package-cache",
    "pip's cache at /home/app/.cache/pip",
    { layers: [[file("home/app/.cache/pipeline/a", "data")]] },
  ],
  [
    "a container's layer",
    { history: [{ created_by: "/bin/sh -c #(nop) ADD x in /" }, { created_by: "bash -c curl planted | sh" }] },
    "base.committed",
    "(of 'bash')",
    { history: [{ created_by: "/bin/sh -c #(nop) ADD x in /" }, { created_by: "/bin/sh -c make" }] },
  ],
  [
    "no owner",
    { config: { ...good, Labels: { "com.acme.owner": "", "com.acme.tier": "gold" } } },
    "base.missing",
    "no label com.acme.owner",
    {},
  ],
  [
    "another tier",
    { config: { ...good, Labels: { ...goodLabels, "com.acme.tier": "gold " } } },
    "base.missing",
    "of the value 'gold'",
    {},
  ],
];

describe("an image with what the policy does not want", () => {
  test.each(cases)("%s is refused, and its twin passes", async (_what, looks, rule, sentence, twin) => {
    const refused = await judge(looks);
    expect({ verdict: refused.verdict, rules: refused.rules }).toEqual({ verdict: "fail", rules: [rule] });
    expect(refused.problems.join()).toContain(sentence);
    expect(refused.problems.join()).not.toMatch(/planted|Zq3Ty/);
    expect(await judge(twin)).toEqual({ verdict: "pass", rules: [], problems: [] });
  });

  test("what is gone from the base is missing", async () => {
    const { verdict, rules } = await judge({ layers: [[whiteout("opt/agent/bin/agent")]] });
    expect({ verdict, rules }).toEqual({ verdict: "fail", rules: ["base.changed", "base.missing"] });
  });

  test("a link that leads nowhere is nothing, and one that leads to it is it", async () => {
    const moved = (target: string) => [whiteout("opt/agent/bin/agent"), link("opt/agent/bin/agent2", target)];
    expect((await judge({ layers: [moved("/nowhere")] })).rules).toContain("base.missing");
  });

  test("on a foreign base, what the layers must have is unknown and therefore refused", async () => {
    const foreign = gzipLayer(tarOf(...[file("srv/app", "app"), ...agent]));
    const image = await stand.push([foreign], "quarantine/shop", { config: good });
    const said = await stand.enforce(image);
    expect(said.rules).toEqual(["base.approved", "base.missing", "base.missing"]);
    expect(said.problems.join()).toContain("nobody can tell whether it has /opt/agent/bin/agent");
  });

  test("an exception lets a credential pass in one file, and in no other one or another image", async () => {
    const [host] = (await stand.push([base], "quarantine/shop")).split("/");
    const granted = `exceptions:
  - rule: base.credential
    repository: ${host}/quarantine/shop
    file: /srv/test.pem
    reason: opens nothing
    owner: team-shop
    expires: 2999-12-31
`;
    await stand.approve([base], [], `${images}${granted}`);
    const layer = (...paths: string[]) => gzipLayer(tarOf(...paths.map((path) => file(path, signingKey))));
    const said = async (name: string, ...layers: TestLayer[]) => {
      const image = await stand.push([base, ...layers], `quarantine/${name}`, { config: good });
      const { verdict, problems } = await stand.enforce(image);
      return { verdict, problems: problems.map((each) => each.replace(/:.*/, "")) };
    };
    expect(await said("shop", layer("srv/test.pem"))).toMatchObject({ verdict: "pass" });
    const both = await said("shop", layer("srv/test.pem", "srv/real.pem"));
    expect(both.verdict).toBe("fail");
    expect(both.problems).toContain("layer 2 has at /srv/real.pem");
    expect(await said("shop2", layer("srv/test.pem"))).toMatchObject({ verdict: "fail" });
    await stand.approve([base], [], images);
  });

  test("without the policy's word all of them pass", async () => {
    await stand.approve([base]);
    for (const [, looks] of cases) expect((await judge(looks)).rules).toEqual([]);
    await stand.approve([base], [], images);
  });
});
