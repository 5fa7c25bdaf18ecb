import { parsePolicy } from "@goldenpath/core/policy/parse";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { putInForce } from "@goldenpath/testing/chain-policy";
import { expect, test } from "vitest";
import { type Ended, useDockerfileWorld } from "../support/dockerfile-world.ts";
import { exampleDatabase } from "../support/scan-world.ts";

const world = useDockerfileWorld("syft", "grype", "kaniko");

const tell = ({ outcome: { verdict, result } }: Ended) => ({
  verdict,
  rules: result.violations.map(({ rule }) => rule),
  ...(result.error === undefined ? {} : { error: result.error.code, message: result.error.message }),
});
const passed = { verdict: "pass", rules: [] };
const policy = () => world.writePolicy({ strategy: "kaniko", cache: "unverified" });

test("a Dockerfile goes the whole way by kaniko, on the base's own layers", async () => {
  const rules = await policy();
  const app = await world.writeApp({
    Dockerfile: `ARG TOOLS\nFROM $TOOLS AS build\nCOPY a.txt /a.txt\nRUN cat /a.txt >/out.txt && id\nFROM ${world.base}\nCOPY --from=build /out.txt /srv/out.txt\nRUN cat /srv/out.txt\n`,
    "a.txt": "hello\n",
  });
  const built = await world.build(rules, app, { strategy: "kaniko", "build-args": `TOOLS=${world.compiler}` });
  expect(tell(built)).toEqual(passed);
  expect(built.log).toMatch(/^\| hello$/m);
  const image = built.outcome.outputs["image"] ?? "";
  const [child] = (await fetchImageFacts(world.client, parseReference(image))).children;
  const [base] = (await fetchImageFacts(world.client, parseReference(`${world.base}:latest`))).children;
  expect(child?.manifest.layers[0]?.digest).toBe(base?.manifest.layers[0]?.digest);
  const run = (verb: unknown, given: Record<string, string>) => world.run(verb, rules, { image, ...given });
  const environment = { "build-environment": "host" };
  expect(tell(await run(attestVerb, { key: world.keys.build.file, ...environment }))).toEqual(passed);
  for (const [stage, verb, given] of [
    ["base", enforceVerb, {}],
    ["scan", scanVerb, { database: exampleDatabase }],
  ] as const) {
    const judged = await run(verb, given);
    expect(tell(judged), stage).toEqual(passed);
    expect(tell(await run(signVerb, { results: judged.resultFile, key: world.keys[stage].file }))).toEqual(passed);
  }
  expect(tell(await run(verifyVerb, { environment: "production" }))).toEqual(passed);
  const loaded = { policy: parsePolicy(Buffer.from(rules.text), rules.file), digest: digestOf(rules.text) };
  await putInForce(world.client, `${world.host}/vetted`, { ...rules, ...loaded, uri: rules.file }, world);
  const promoted = await run(promoteVerb, {
    ...{ to: `${world.host}/vetted/app`, tags: "1.0.0", environment: "production" },
    ...{ key: world.keys.promote.file, "policy-signer": world.keys.platform.publicKeyFile },
  });
  expect(tell(promoted)).toEqual(passed);
});

test("a step that fails is told at its line, and reaches nothing of the machine", async () => {
  const steps = `FROM ${world.base}\nRUN curl --silent --max-time 5 http://169.254.169.254/ -o /dev/null -w '%{http_code}'\nRUN echo it is broken; exit 3\n`;
  const ended = await world.build(await policy(), await world.writeApp({ Dockerfile: steps }), {
    strategy: "kaniko",
  });
  expect(tell(ended)).toMatchObject({ verdict: "error", error: "dockerfile-build-failed" });
  expect(ended.outcome.result.error?.message).toMatch(
    /^app-\d+\/Dockerfile:3: error building image: .*\nit is broken$/s,
  );
  expect(ended.log).toMatch(/^\| 403/m);
});

test("an image that the policy does not allow is refused, and one that nobody saw kaniko does not get", async () => {
  const rules = await policy();
  const build = async (dockerfile: string, inputs: Record<string, string> = {}) =>
    world.build(rules, await world.writeApp({ Dockerfile: dockerfile }), { strategy: "kaniko", ...inputs });
  const refused = await build(`FROM ${world.stranger}\n`);
  expect(tell(refused)).toMatchObject({ verdict: "fail", rules: ["base.approved"] });
  const secrets = await build(`FROM ${world.base}\n`, { secrets: "a=b" });
  expect(tell(secrets)).toMatchObject({ error: "input-invalid" });
  const cached = await build(`FROM ${world.base}\n`, { cache: "read" });
  expect(tell(cached)).toMatchObject({
    error: "input-invalid",
    message: expect.stringContaining("the strategy kaniko builds without a cache"),
  });
  const fetching = `FROM ${world.base}\nARG URL=https://a.example/x\nADD $URL /x\n`;
  const fetched = await build(fetching);
  expect(tell(fetched)).toMatchObject({ error: "dockerfile-build-failed" });
});
