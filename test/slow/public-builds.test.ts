import { realpathSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type LanguageWorld, openLanguageWorld } from "../support/language-world.ts";
import { applications, findUnreached, openCheckouts, type PublicApplication } from "../support/public-applications.ts";
import { requireCommand, useTools } from "../support/tools.ts";

const tools = useTools("lifecycle", "launcher");
const checkouts = openCheckouts();
let world: LanguageWorld;
interface Row {
  application: string;
  outcome: "answers" | "refused" | "not had" | "failed";
  words: string;
  /** What it is made of can't be had from here, whatever came of it. */
  isApart: boolean;
}

/** What came of each, for the table. */
const rows: Row[] = [];

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  for (const name of ["apt-get", "dpkg-deb"]) await requireCommand(name, suite);
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  world = await openLanguageWorld("image", { ...programs, tools: Object.values(tools) });
});
afterAll(async () => {
  await world?.close();
  checkouts.close();
  const count = (outcome: string): number => rows.filter((row) => row.outcome === outcome).length;
  const sum = ["answers", "refused", "not had", "failed"].map((outcome) => `${count(outcome)} ${outcome}`).join(", ");
  console.log([...rows.map(render), `${rows.length} public applications by the example platform: ${sum}`].join("\n"));
});

function render({ application, outcome, words }: Row): string {
  return `${outcome.padEnd(9)} ${application.padEnd(66)} ${words}`;
}

/** Each by the example platform's builder image, and its container asked. */
describe.each(applications)("$repository $folder", (application) => {
  const name = `${application.repository} ${application.folder}`;

  // As they come: who ends it before its end, after an hour and more, has what there is.
  afterEach(() => {
    const last = rows.at(-1);
    if (last !== undefined) console.log(render(last));
  });

  test("is built by the example platform, and answers", async ({ skip }) => {
    const row: Row = { application: name, outcome: "failed", words: "", isApart: false };
    rows.push(row);
    const unreached = await findUnreached(application);
    row.isApart = unreached !== undefined;
    const checkout = await checkouts.checkOut(application);
    // One that is refused before anything is fetched is refused everywhere.
    const missing = application.refused === undefined ? unreached : undefined;
    const without = missing ?? ("without" in checkout ? checkout.without : undefined);
    if (without !== undefined || "without" in checkout) {
      Object.assign(row, { outcome: "not had", words: without });
      return skip(`can't be had from here: ${without}`);
    }
    const context = realpathSync(join(checkout.root, application.folder));
    const built = await world.build(context, undefined, application.env);
    const log = [...built.log, built.result.error?.message].join("\n");
    row.words = built.result.error?.message.split("\n").findLast((line) => /\w/.test(line)) ?? "";
    if (application.refused !== undefined) {
      expect(built.verdict).not.toBe("pass");
      expect(log).toContain(application.refused);
      Object.assign(row, { outcome: "refused", words: application.refused });
      return;
    }
    expect(built.verdict, log).toBe("pass");
    const image = built.outputs["image"] ?? "";
    row.words = await ask(image, application);
    row.outcome = "answers";
  });
});

async function ask(image: string, { run = {}, port, path = "/", text = "", isGrpc = false }: PublicApplication) {
  await world.docker.docker("pull", image);
  try {
    const asked = { variables: run, ...(port === undefined ? {} : { port }) };
    if (isGrpc) return await world.docker.askForGrpc(image, asked);
    const page = await world.docker.askForPage(image, { ...asked, path });
    expect(page).toMatchObject({ status: 200, text: expect.stringContaining(text) });
    return `200 ${page.text.replace(/\s+/g, " ").trim().slice(0, 60)}`;
  } finally {
    await world.docker.docker("rmi", "--force", image);
  }
}

test("of thirty and more whose packages can be had, nine in ten answer", () => {
  // Where only some were chosen to run, nothing is said of all.
  if (rows.length < applications.length) return;
  const tried = rows.filter(({ outcome, isApart }) => outcome !== "not had" && !isApart).length;
  expect(tried).toBeGreaterThanOrEqual(30);
  expect(rows.filter(({ outcome }) => outcome === "answers").length / tried).toBeGreaterThanOrEqual(0.9);
});
