import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import {
  debianRelease,
  dpkgStanza,
  libcVersions,
  pushImage,
  registry,
  root,
  scan,
  tell,
  useScanWorld,
} from "../support/scan-world.ts";

// What somebody gets who has an image and nothing else yet.

useScanWorld();

const imageWith = async (lodash: string): Promise<string> => {
  const { reference } = await pushImage([
    {
      "etc/os-release": debianRelease,
      "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.mended, "glibc"),
    },
    {
      "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version: lodash, license: "MIT" }),
    },
  ]);
  return reference;
};
/** Of the examples' vulnerability data. */
const dataFrom = new Date("2026-11-01T00:00:00Z");
const later = (days: number): Date => new Date(dataFrom.getTime() + days * 86_400_000);

describe("a scan without a policy", () => {
  test("refuses severity high and above, old data, and what nothing can be seen in", async () => {
    const vulnerable = await scan(await imageWith("4.17.20"), { noPolicy: true, now: later(1) });
    expect(vulnerable.verdict).toBe("fail");
    expect(new Set(vulnerable.result.violations.map(({ rule }) => rule))).toEqual(new Set(["scan.severity"]));
    const old = await scan(await imageWith("4.17.21"), { noPolicy: true, now: later(6) });
    expect(tell(old).found).toEqual([expect.stringMatching(/^scan.database/)]);
    const { reference: blind } = await pushImage([{ "etc/os-release": debianRelease }]);
    const nothing = await scan(blind, { noPolicy: true, now: later(1) });
    expect(tell(nothing).found).toContainEqual(expect.stringMatching(/^scan.blind-spot/));
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ["given as empty, as by a variable that is not set", { policy: "" }, /input 'policy' is required/],
    ["given as blanks", { policy: "  " }, /input 'policy' is required/],
    ["whose signer alone is given", { "policy-signer": "platform.pub" }, /'policy' does not say which/],
  ])("is no scan with one %s", async (_what, inputs, problem) => {
    const { verdict, result } = await scan(await imageWith("4.17.21"), {
      inputs,
      noPolicy: !("policy" in inputs),
      now: later(1),
    });
    expect({ verdict, code: result.error?.code }).toEqual({ verdict: "error", code: "input-invalid" });
    expect(result.error?.message).toMatch(problem);
  });

  test("passes what has nothing of that, and its result names no policy, so that nobody signs it", async () => {
    const passed = await scan(await imageWith("4.17.21"), { noPolicy: true, now: later(1) });
    expect(tell(passed)).toEqual({ verdict: "pass", found: [] });
    expect(passed.result.policy).toBeUndefined();
    expect((await scan(await imageWith("4.17.21"), { now: later(1) })).result.policy).toMatchObject({ serial: 7 });
  });
});

describe("a policy with no more than a verb works by", () => {
  const head = "version: 1\nname: small\nserial: 1\n";
  const bases = `bases: [{ name: golden, image: registry.example/bases/golden, digests: ['sha256:${"a".repeat(64)}'] }]\n`;
  const writePolicy = async (name: string, sections: string): Promise<string> => {
    const file = join(root, name);
    await writeFile(file, head + sections);
    return file;
  };
  const errorOf = async (...args: string[]): Promise<{ code?: string; message?: string }> => {
    const { out } = await runMain(...args, "--result-dir", join(root, "results"), "--json");
    return JSON.parse(out).result.error ?? {};
  };

  test.each<[string, string, string[], string]>([
    ["scan", bases, [], "'scan'"],
    ["enforce", "scan: { failOn: high }\n", [], "'bases'"],
    ["build", bases, ["--tags", "localhost:1/a:1"], "'build' and 'environments'"],
    ["verify", bases, ["--environment", "production"], "'signers' and 'environments'"],
    ["attest", bases, ["--key", "none.key"], "'build'"],
    ["report", bases, [], "'signers' and 'environments'"],
  ])("%s says which section it misses, before it asks anybody", async (command, sections, more, named) => {
    const before = registry.requests.length;
    const subject = command === "build" ? root : `${registry.host}/quarantine/shop:1`;
    const error = await errorOf(command, subject, "--policy", await writePolicy(`${command}.yaml`, sections), ...more);
    expect(error).toMatchObject({
      code: "policy-incomplete",
      message: expect.stringContaining(`has no ${named}, which`),
    });
    expect(registry.requests.length).toBe(before);
  });

  test("their twins go on to the image", async () => {
    const twins: [string, string][] = [
      ["scan", "scan: { failOn: high }\n"],
      ["enforce", bases],
    ];
    for (const [command, sections] of twins) {
      const error = await errorOf(
        command,
        `${registry.host}/quarantine/none:1`,
        "--policy",
        await writePolicy("twin.yaml", sections),
      );
      expect(error.code, command).toBe("image-not-found");
    }
  });
});
