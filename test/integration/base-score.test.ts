import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generateKeyPair } from "@goldenpath/core/signing/keys";
import { gzipLayer, type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { type TarOptions, tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";

/** The card of `goldenpath base score`, over layers in a registry. */

let stand: LayerStand;
beforeAll(async () => {
  stand = await startLayerStand();
});
afterAll(() => stand.stop());

async function score(image: string, ...options: string[]) {
  const { code, out, err } = await runMain("base", "score", image, ...options);
  return { code, text: `${out}${err}` };
}

const file = (name: string, content: string, mode = 0o644): TarOptions => ({ name, content, mode });
const link = (name: string, linkname: string): TarOptions => ({ name, type: "2", linkname });
const push = (entries: readonly TarOptions[], config: Record<string, unknown>) =>
  stand.push([gzipLayer(tarOf(...entries))], "bases/any", { config });

const lean = [file("etc/passwd", "app:x:1000:1000::/:\n"), file("srv/certificates", "c")];
const full = [
  file("var/lib/dpkg/status", "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3\n\n"),
  file("usr/bin/su", "su", 0o4755),
  file("usr/bin/dash", "shell", 0o755),
  link("usr/bin/sh", "dash"),
  file("usr/bin/apt-get", "apt", 0o755),
  file("usr/bin/gcc-12", "gcc", 0o755),
  file("usr/local/bin/npm", "npm", 0o755),
];

describe("the card", () => {
  test("says what needless things are in an image, by its layers", async () => {
    const { code, text } = await score(await push(full, {}), "--json");
    expect(code).toBe(0);
    const [{ score: found }] = JSON.parse(text).images;
    const says = Object.fromEntries(found.checks.map((each: { name: string; says: string }) => [each.name, each.says]));
    expect(says).toMatchObject({
      user: "it starts as root",
      shell: "shell: /usr/bin/dash, /usr/bin/sh",
      "package-manager": "package manager: /usr/bin/apt-get, /usr/local/bin/npm",
      compiler: "compiler: /usr/bin/gcc-12",
      "set-id": "program with another's rights (set-id, capabilities): /usr/bin/su",
      packages: "1 packages of the system",
    });
    expect(found.byQuestion.needless).toEqual({ points: 4, of: 25 });
  });

  test("of an image with nothing needless", async () => {
    const { text } = await score(await push(lean, { User: "app" }));
    expect(text).toContain("Is nothing needless in it? 23 of 25");
    expect(text).toContain("no shell");
    expect(text).toContain("?   no database of packages that can be read");
  });

  test("as a table", async () => {
    const { text } = await score(await push(lean, { User: "app" }), "--markdown");
    expect(text).toContain("| shell | yes | 4 of 4 | no shell | layers |");
  });

  test("an image's word can't add to what stands in the table", async () => {
    const hostile = "https://x/a|b\n| signed | yes | 15 of 15 |";
    const { text } = await score(
      await push(lean, { Labels: { "org.opencontainers.image.source": hostile } }),
      "--markdown",
    );
    expect(text).not.toContain("\n| signed | yes");
  });
});

describe("what is asked for", () => {
  test("too few points are refused", async () => {
    const image = await push(lean, { User: "app" });
    expect((await score(image, "--minimum", "23")).code).toBe(0);
    const refused = await score(image, "--minimum", "24");
    expect(refused.code).toBe(1);
    expect(refused.text).toContain("has 23 points, and 24 are asked for");
  });

  test("what is required and not good, or unknown, is refused", async () => {
    const image = await push(lean, { User: "app" });
    expect((await score(image, "--require", "shell")).code).toBe(0);
    expect((await score(image, "--require", "packages")).code).toBe(1);
    expect((await score(image, "--require", "provenance")).text).toContain("provenance is required, and: no policy");
  });

  test("a slip of the hand is an error that says what there is", async () => {
    const { code, text } = await score("registry.test/a", "--require", "provenence");
    expect(code).toBe(2);
    expect(text).toContain("did you mean 'provenance'?");
    expect((await score("registry.test/a", "--minimum", "101")).code).toBe(2);
  });
});

test("a policy asks for points by question, of which an image's own word gives none", async () => {
  const image = await push(lean, {
    ...{ User: "1000", Labels: { "org.opencontainers.image.source": "https://github.com/acme/base" } },
  });
  const name = `${stand.server.host}/bases/any`;
  const key = generateKeyPair().publicKeyPem.trim().replaceAll(/^/gm, "      ");
  const asked = async (points: string, of = name) => {
    const file = join(stand.directory, "score.yaml");
    const base = `bases:\n  - { name: any, image: ${of}, approval: { signers: [approver], score: ${points} } }\n`;
    await writeFile(
      file,
      `version: 1\nname: acme\nserial: 1\nsigners:\n  approver:\n    publicKey: |\n${key}\n${base}`,
    );
    return score(image, "--policy", file);
  };
  // 5 points for where it says that its source is, and none that is proven.
  const open = await asked("{ open: 1 }");
  expect(open.text).toContain("linux/amd64 has 0 proven points for open (Is it built in the open?)");
  expect(open.code).toBe(1);
  const lacks = await asked("{ needless: 24 }");
  expect({ code: lacks.code, text: lacks.text }).toMatchObject({
    code: 1,
    text: expect.stringContaining("has 23 proven"),
  });
  expect((await asked("{ needless: 23, publisher: 10 }")).code).toBe(0);
  // Of another repository's bases nothing is asked here.
  expect((await asked("{ open: 1 }", `${name}2`)).code).toBe(0);
  expect((await asked("{ open: 21 }")).text).toContain("must not be more than 20");
});
