import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMessageConnection, type MessageConnection } from "vscode-jsonrpc/node";
import { policiesFolder, policyNames } from "../support/documented-policies.ts";

// What an editor gets of the policy's JSON Schema, from the language server that VS Code, Neovim and others start for
// YAML: which keys and values it offers, what it says of them, and what it marks as wrong.

const root = join(import.meta.dirname, "../..");
const schema = pathToFileURL(join(root, "schemas/policy.v1.json")).href;

interface Diagnostic {
  message: string;
  range: { start: { line: number } };
}

let program: ChildProcess;
let connection: MessageConnection;
const waiting = new Map<string, (found: Diagnostic[]) => void>();
let opened = 0;

beforeAll(async () => {
  program = spawn(join(root, "node_modules/.bin/yaml-language-server"), ["--stdio"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (program.stdout === null || program.stdin === null) throw new TypeError("no pipes");
  connection = createMessageConnection(program.stdout, program.stdin);
  connection.onNotification(
    "textDocument/publishDiagnostics",
    ({ uri, diagnostics }: { uri: string; diagnostics: Diagnostic[] }) => waiting.get(uri)?.(diagnostics),
  );
  // The store of schemas on the internet is not asked; what it is told here is what editors tell by default.
  const yaml = { validate: true, completion: true, hover: true, schemaStore: { enable: false } };
  connection.onRequest("workspace/configuration", ({ items }: { items: { section: string }[] }) =>
    items.map(({ section }) => (section === "yaml" ? yaml : {})),
  );
  connection.onRequest("client/registerCapability", () => null);
  connection.listen();
  const capabilities = {
    textDocument: { completion: { completionItem: { documentationFormat: ["markdown"] } }, hover: {} },
    workspace: { configuration: true, didChangeConfiguration: { dynamicRegistration: true } },
  };
  await connection.sendRequest("initialize", { processId: process.pid, rootUri: null, capabilities });
  await connection.sendNotification("initialized", {});
  await connection.sendNotification("workspace/didChangeConfiguration", { settings: { yaml } });
}, 60_000);

afterAll(async () => {
  const ended = once(program, "exit");
  await connection.sendRequest("shutdown");
  await connection.sendNotification("exit");
  await ended;
  connection.dispose();
});

/** Opens a policy and says what the server thinks of it; the schema is named by the file's first line, as ours do. */
async function open(text: string): Promise<{ uri: string; problems: string[] }> {
  const uri = `file:///policies/${opened++}/policy.yaml`;
  const found = new Promise<Diagnostic[]>((resolve) => waiting.set(uri, resolve));
  const document = { uri, languageId: "yaml", version: 1, text: `# yaml-language-server: $schema=${schema}\n${text}` };
  await connection.sendNotification("textDocument/didOpen", { textDocument: document });
  // Lines are told from 0, and the first one is the schema's.
  return { uri, problems: (await found).map(({ message, range }) => `${range.start.line}: ${message}`) };
}

/** What is offered where `|` stands. */
async function complete(text: string): Promise<string[]> {
  const before = text.slice(0, text.indexOf("|"));
  const { uri } = await open(text.replace("|", ""));
  const lines = before.split("\n");
  const position = { line: lines.length, character: lines.at(-1)?.length ?? 0 };
  const answer = await connection.sendRequest<{ items: { label: string }[] }>("textDocument/completion", {
    ...{ textDocument: { uri }, position },
  });
  return answer.items.map(({ label }) => label);
}

const head = "version: 1\nname: acme\nserial: 1\n";

describe("what is wrong is marked at its line", () => {
  test.each([
    ["an unknown key", `${head}scan:\n  failsOn: high\n`, /^5: Property failsOn is not allowed/m],
    ["an unknown value", `${head}scan:\n  failOn: terrible\n`, /^5: Value is not accepted/],
    ["a key of the first level", `${head}scans: {}\n`, /^4: Property scans is not allowed/],
    [
      "a rule that can't wait",
      `${head}enforceFrom:\n  gate.signer: 2027-01-01\n`,
      /^5: Value is not accepted\. Valid values: "base\.approved"/,
    ],
  ])("%s", async (_what, text, says) => {
    expect((await open(text)).problems.join("\n")).toMatch(says);
  });

  test.each(policyNames)("nothing in docs/policies/%s.yaml", async (name) => {
    const text = await readFile(join(policiesFolder, `${name}.yaml`), "utf8");
    // By the schema that lies here, and not by the published one that the file names.
    expect((await open(text.replace(/^# yaml-language-server:.*\n/, ""))).problems).toEqual([]);
  });
});

describe("what can be written is offered", () => {
  test("sections", async () => {
    expect(await complete(`${head}|`)).toEqual(
      expect.arrayContaining(["signers", "bases", "build", "scan", "exceptions", "environments"]),
    );
  });

  test("keys of a section, without those that are there", async () => {
    const offered = await complete(`${head}scan:\n  failOn: high\n  |\n`);
    expect(offered).toEqual(expect.arrayContaining(["onlyFixed", "refuse", "rescan", "databaseMaxAge"]));
    expect(offered).not.toContain("failOn");
  });

  test("values", async () => {
    expect(await complete(`${head}scan:\n  failOn: |\n`)).toEqual(
      expect.arrayContaining(["critical", "high", "medium", "low"]),
    );
    expect(await complete(`${head}build:\n  strategies:\n    - |\n`)).toEqual(
      expect.arrayContaining(["buildpacks", "dockerfile", "jib"]),
    );
  });

  test("keys of an entry in a list, and of an entry by name", async () => {
    expect(await complete(`${head}bases:\n  - name: run\n    |\n`)).toEqual(
      expect.arrayContaining(["image", "digests", "approval"]),
    );
    expect(await complete(`${head}environments:\n  production:\n    |\n`)).toEqual(
      expect.arrayContaining(["from", "to", "requires", "promoter"]),
    );
  });
});

test("what a key means is shown where it stands", async () => {
  const { uri } = await open(`${head}scan:\n  failOn: high\n`);
  const hover = await connection.sendRequest<{ contents: unknown }>("textDocument/hover", {
    ...{ textDocument: { uri }, position: { line: 5, character: 4 } },
  });
  expect(JSON.stringify(hover.contents)).toMatch(/severity/i);
});
