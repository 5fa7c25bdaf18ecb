import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import {
  debianRelease,
  dpkgStanza,
  libcVersions,
  policyText,
  pushImage,
  registry,
  root,
  scan,
  tell,
  useScanWorld,
  type WorldPolicy,
} from "../support/scan-world.ts";

// What a scan by real syft and grype refuses, set aside by a signed exception, and refused by rules of the policy's own.
useScanWorld();

let security: StageKey;
let reference: string;
beforeAll(async () => {
  security = await makeKey();
  reference = await push("quarantine/shop");
});

const push = async (name: string): Promise<string> =>
  (
    await pushImage(
      [
        {
          "etc/os-release": debianRelease,
          "var/lib/dpkg/status": dpkgStanza("libc6", libcVersions.vulnerable, "glibc"),
        },
      ],
      { name },
    )
  ).reference;

const refused = `scan.severity: CVE-2023-4911 in libc6 ${libcVersions.vulnerable}`;

test("an exception signed beside the policy lets the refused stage pass, in its repository and its package alone", async () => {
  const policy: WorldPolicy = {
    signers: { security: security.publicKeyPem },
    more: `signedExceptions:\n  repository: ${registry.host}/platform/exceptions\n  signers: [{ signer: security }]\n`,
  };
  const before = await scan(reference, { policy });
  expect(tell(before)).toEqual({ verdict: "fail", found: [refused] });
  const file = join(root, "policy.yaml");
  await writeFile(file, policyText(policy));
  const grant = (within: string) =>
    runMain(
      ...["exception", "grant", "--policy", file, "--repository", `${registry.host}/quarantine/shop`],
      ...["--rule", "scan.severity", "--vulnerability", "CVE-2023-4911", "--package", within, "--reason", "no setuid"],
      ...["--owner", "team-shop", "--expires", new Date(Date.now() + 864e5).toISOString().slice(0, 10)],
      `--key=${security.privateKeyPem}`,
    );
  expect(await grant("zlib1g")).toMatchObject({ code: 0, err: "" });
  expect(tell(await scan(reference, { policy })).verdict).toBe("fail");
  expect(await grant("libc6")).toMatchObject({ code: 0, err: "" });
  const after = await scan(reference, { policy });
  expect(after.verdict).toBe("pass");
  // The other stages' evidence, under this policy and serial, counts on.
  expect(after.result.policy).toMatchObject({
    digest: before.result.policy?.digest,
    serial: before.result.policy?.serial,
  });
  expect(after.result.violations.map(({ exception }) => exception?.repository)).toEqual([
    `${registry.host}/quarantine/shop`,
  ]);
  // The same bytes, in another repository.
  expect(tell(await scan(await push("quarantine/other"), { policy })).verdict).toBe("fail");
});

describe("rules of stage scan", () => {
  const withRule = (expression: string): WorldPolicy => ({
    scan: "failOn: critical, databaseMaxAge: unlimited",
    more: `rules:\n  - { name: own, stage: scan, expression: '${expression}', message: it is wrong, remedy: put it right }\n`,
  });

  test.each<[what: string, refuses: string, passes: string]>([
    [
      "by what was found",
      'findings.all(f, !("CVE-2023-4911" in f.names))',
      'findings.exists(f, f.packageName == "libc6")',
    ],
    ["by the SBOM's packages", 'components.all(c, c.name != "libc6")', 'components.exists(c, c.name == "libc6")'],
  ])("%s", async (_what, refuses, passes) => {
    const { verdict, result } = await scan(reference, { policy: withRule(refuses) });
    expect({ verdict, rules: result.violations.map(({ rule, problem }) => `${rule}: ${problem}`) }).toEqual({
      ...{ verdict: "fail", rules: ["scan.rule: rule 'own': it is wrong"] },
    });
    expect((await scan(reference, { policy: withRule(passes) })).verdict).toBe("pass");
  });
});
