import { delimiter, dirname } from "node:path";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { attachEvidence, pushImage, type TestImage } from "@goldenpath/testing/chain";
import { contextIn, openStand, type Stand } from "@goldenpath/testing/promotion";
import { makeKey, renderSigners, type StageKey } from "@goldenpath/testing/signers";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { exampleDatabase } from "../support/scan-world.ts";
import { useTools } from "../support/tools.ts";

// From an exception that was granted to the same digest promoted: no build, no other serial, and only the stage that
// refused runs again, by real syft and grype. The seconds are counted.

const tools = useTools("syft", "grype");
/** Of machine time, from the grant on. Seconds. */
const most = 120;

let stand: Stand;
let security: StageKey;
let image: TestImage;
beforeAll(async () => {
  security = await makeKey();
  stand = await openStand({
    policy: async (from, client) => ({
      // What every image of the chain stands on.
      base: (
        await pushTinyImage(client, parseRepository(`${from}-bases/golden`), [
          await tinyLayer({ "etc/base": "the base of all" }),
        ])
      ).digest,
      signers: renderSigners({ security: security.publicKeyPem }),
      scan: "  databaseMaxAge: unlimited\n  allowBlindSpots: [system-without-packages, unknown-distribution]\n",
      more: `signedExceptions:\n  repository: ${from}-exceptions\n  signers: [{ signer: security }]\n`,
    }),
  });
  image = await pushImage(stand.client, `${stand.from}/shop`, "shop");
  // Of lodash 4.17.20 a vulnerability of severity high is known.
  const component = { type: "library", name: "lodash", version: "4.17.20", purl: "pkg:npm/lodash@4.17.20" };
  const properties = [
    { name: "syft:package:type", value: "npm" },
    { name: "syft:package:language", value: "javascript" },
  ];
  const sbom = {
    ...{ bomFormat: "CycloneDX", specVersion: "1.6" },
    metadata: {
      timestamp: new Date().toISOString(),
      component: { type: "container", name: "shop", version: image.digest },
    },
    components: [{ ...component, "bom-ref": "lodash", properties }],
  };
  const { client, policy, keys } = stand;
  const falsehoods = { sbom: { predicate: sbom }, scan: false, scanVerdict: false } as const;
  await attachEvidence({ client, image, policy, keys, falsehoods });
}, 120_000);
afterAll(() => stand?.close());

async function run(verb: Verb<never>, inputs: Record<string, string>) {
  const { directory, policy } = stand;
  const path = [...Object.values(tools).map((tool) => dirname(tool ?? "")), process.env["PATH"]].join(delimiter);
  return executeVerb(
    verb as unknown as Verb,
    { image: image.reference, policy: policy.file, ...inputs },
    {
      ...contextIn(directory),
      ...{ env: { PATH: path, HOME: directory }, temporaryRoot: directory, defaultResultDirectory: directory },
    },
  );
}

/** The stage, and its signed result. */
async function scan() {
  const { outcome, resultFile } = await run(scanVerb as never, { database: exampleDatabase });
  const signed = await run(signVerb as never, { results: resultFile ?? "", key: stand.keys.scan.file });
  expect(signed.outcome.result.error).toBeUndefined();
  return outcome;
}

const grant = (repository: string) =>
  runMain(
    ...["exception", "grant", "--policy", stand.policy.file, "--repository", repository, "--rule", "scan.severity"],
    ...["--vulnerability", "GHSA-35jh-r3h4-6jhm", "--reason", "not reached", "--owner", "team-shop"],
    ...["--expires", new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10)],
    `--key=${security.privateKeyPem}`,
  );

test("an image that its scan refuses is promoted with the same digest once an exception is granted, and not by one for another repository", async () => {
  const refused = await scan();
  expect([refused.verdict, new Set(refused.result.violations.map(({ rule }) => rule))]).toEqual([
    ...["fail", new Set(["scan.severity"])],
  ]);
  expect((await stand.promote(image)).outcome.verdict).toBe("fail");
  expect(await grant(`${stand.from}/other`)).toMatchObject({ code: 0 });
  expect((await scan()).verdict).toBe("fail");
  expect((await stand.promote(image)).outcome.verdict).toBe("fail");

  const before = stand.quarantine.requests.length;
  const start = performance.now();
  expect(await grant(`${stand.from}/shop`)).toMatchObject({ code: 0, err: "" });
  const passed = await scan();
  const promoted = await stand.promote(image);
  const seconds = (performance.now() - start) / 1000;

  expect(passed.verdict).toBe("pass");
  expect(passed.result.violations.map(({ exception }) => exception?.repository)).toEqual([`${stand.from}/shop`]);
  // The same policy, byte for byte, and the same image: what the other stages have signed counts on.
  expect(passed.result.policy).toEqual(refused.result.policy);
  expect(promoted.outcome.verdict).toBe("pass");
  expect(promoted.outcome.outputs["digest"]).toBe(image.digest);
  const written = stand.quarantine.requests
    .slice(before)
    .filter(({ method, path }) => method === "PUT" && path.startsWith("/v2/quarantine/shop/manifests/"));
  // Nothing was pushed there but what scan has signed: two statements.
  expect(written).toHaveLength(2);
  expect(seconds).toBeLessThan(most);
}, 300_000);
