import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { signVerb } from "@goldenpath/core/verbs/sign";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, expect, test } from "vitest";
import { goldenLayer, openPathWorld, type PathPolicy, type PathWorld, passed, tell } from "../support/path-world.ts";

// What an environment refuses of what the base stage has seen: one signed look at the layers, which passes, serves
// environments that ask for more than others.

let world: PathWorld;
beforeAll(async () => {
  world = await openPathWorld({ tools: {} });
});
afterAll(() => world?.close());

/** Of pieces, so that this file has nothing that looks like one. */
const token = `glpat-${"Zq3Ty7Lm9Kx2Wv5Rn8Bc"}`;

/** `dev` and `production` ask for the base alone; production for what `asks` says besides. */
async function writePolicy(name: string, serial: number, asks: string, more = ""): Promise<PathPolicy> {
  const builders = `    - { name: node, buildpacks: ["${world.server.host}/buildpacks/node@${digestOf("node")}"], runImage: golden }\n`;
  const { text } = await world.writePolicy({ strategies: "buildpacks", builders });
  const place = `from: ["${world.server.host}/quarantine"]\n    to: ["${world.server.host}/vetted"]\n    promoter: promote\n`;
  const requires = "    requires: [{ stage: base, signers: [base] }]\n";
  const changed = text
    .replace("serial: 7", `serial: ${serial}`)
    .replace(/environments:[\s\S]*$/, "")
    .concat(`${more}environments:\n  dev:\n    ${place}${requires}  production:\n    ${place}${requires}${asks}`);
  const file = join(world.root, `${name}.yaml`);
  await writeFile(file, changed);
  return { file, text: changed, digest: digestOf(changed) };
}
const asks = "    images: { refuse: [credentials] }\n";

async function push(content: string): Promise<string> {
  const repository = { registry: world.server.host, name: "quarantine/shop" };
  const layers = [await goldenLayer(), await tinyLayer({ "srv/test.conf": content })];
  const { digest } = await pushTinyImage(world.client, repository, layers, { config: { User: "1000" } });
  return `${world.server.host}/quarantine/shop@${digest}`;
}

/** Looked at and signed by the base stage, which passes it. */
async function judged(policy: PathPolicy, content: string): Promise<string> {
  const image = await push(content);
  const outcome = await world.run(enforceVerb, policy, { image });
  expect(outcome.result.error?.message).toBeUndefined();
  expect(tell(outcome)).toEqual(passed);
  const signed = { image, results: outcome.file, key: world.keys.base.file };
  expect(tell(await world.run(signVerb, policy, signed))).toEqual(passed);
  return image;
}
async function verify(policy: PathPolicy, image: string, environment: string) {
  const { verdict, result } = await world.run(verifyVerb, policy, { image, environment });
  return { verdict, problems: result.violations.map(({ rule, problem }) => `${rule}: ${problem}`) };
}
const pass = { verdict: "pass", problems: [] };

test("an image with a credential passes its base stage and dev, and production refuses it; its twin gets into both", async () => {
  const policy = await writePolicy("asks", 7, asks);
  const [bad, good] = [await judged(policy, `token: ${token}\n`), await judged(policy, "token: none\n")];
  expect(await verify(policy, bad, "dev")).toEqual(pass);
  const refused = await verify(policy, bad, "production");
  expect(refused).toEqual({
    verdict: "fail",
    problems: [
      expect.stringContaining("gate.finding: environment 'production' refuses images with credentials: layer 2"),
    ],
  });
  expect(refused.problems[0]).toContain("/srv/test.conf: a token of GitLab in line 1");
  expect(refused.problems[0]).not.toContain(token);
  for (const environment of ["dev", "production"]) expect(await verify(policy, good, environment)).toEqual(pass);
});

test("an exception of the policy's own lets its file be, in its repository and until its day", async () => {
  const exception = (file: string, repository: string, expires: string): string =>
    `exceptions:\n  - { rule: base.credential, repository: "${repository}", file: ${file}, reason: a test's, owner: shop, expires: "${expires}" }\n`;
  const own = `${world.server.host}/quarantine/shop`;
  for (const [name, text, verdict] of [
    ["held", exception("/srv/test.conf", own, "2099-01-01"), "pass"],
    ["over", exception("/srv/test.conf", own, "2020-01-01"), "fail"],
    ["elsewhere", exception("/srv/test.conf", `${own}2`, "2099-01-01"), "fail"],
    ["another", exception("/srv/other.conf", own, "2099-01-01"), "fail"],
  ] as const) {
    const policy = await writePolicy(name, 7, asks, text);
    const image = await judged(policy, `${name}: ${token}\n`);
    expect([name, (await verify(policy, image, "production")).verdict]).toEqual([name, verdict]);
  }
});

test("what was judged before production asked is refused there, whatever it has, until the base stage looks again", async () => {
  const before = await writePolicy("before", 7, "");
  const image = await judged(before, "token: none of before\n");
  expect(await verify(before, image, "production")).toEqual(pass);
  const accepts = `accepts: [{ serial: 7, digest: "${before.digest}" }]\n`;
  const after = await writePolicy("after", 8, asks, accepts);
  expect(await verify(after, image, "dev")).toEqual(pass);
  expect(await verify(after, image, "production")).toEqual({
    verdict: "fail",
    problems: [expect.stringContaining("does not tell whether it has some")],
  });
  expect(await judged(after, "token: none of before\n")).toBe(image);
  expect(await verify(after, image, "production")).toEqual(pass);
});
