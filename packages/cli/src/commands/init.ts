import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import {
  type Answers,
  findProblems,
  flagOf,
  parseAnswers,
  type Question,
  questions,
} from "@goldenpath/core/init/answers";
import { planFiles } from "@goldenpath/core/init/plan";
import { listRemaining } from "@goldenpath/core/init/readme-text";
import { UserError } from "@goldenpath/foundation/errors";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";
import { lookUp, readExamples } from "./init-lookup.ts";
import { type Change, compareFiles, writeFiles } from "./init-write.ts";

const flags = Object.fromEntries(
  questions.map(({ name }) => [flagOf(name).slice(2), { type: "string" } as const]),
) as Record<string, { type: "string" }>;
const others = {
  goldenpath: { type: "string" },
  "owner-id": { type: "string" },
  base: { type: "string", default: "docker.io/paketobuildpacks/run-jammy-base" },
  builder: { type: "string", default: "docker.io/paketobuildpacks/builder-jammy-base" },
  keys: { type: "string" },
  offline: { type: "boolean" },
  "dry-run": { type: "boolean" },
  force: { type: "boolean" },
} as const;

type Given = Partial<Record<keyof Answers, string>>;

/**
 * `goldenpath init DIR …`: asks what is left out, where a terminal can answer, and writes a platform repository. Exits
 * 1, and writes nothing, where that would change files that are there and nobody said `--force`.
 */
export async function runInit(args: readonly string[], output: Output): Promise<number> {
  const { values: parsed, positionals } = parseArgs({
    args: [...args],
    options: { ...flags, ...others },
    allowPositionals: true,
  });
  const values = parsed as Readonly<Record<string, string | boolean | undefined>>;
  const [folder, ...more] = positionals;
  if (folder === undefined || more.length > 0)
    throw new UserError("goldenpath init: expected one folder to write the platform repository into", {
      code: "arguments-invalid",
      wayOut: "See goldenpath init --help.",
    });
  const context = openContext();
  const answers = parseAnswers(await askMissing(readGiven(values), context.signal));
  const text = (name: keyof typeof others): string | undefined =>
    typeof values[name] === "string" ? values[name] : undefined;
  const given = {
    goldenpath: text("goldenpath"),
    "owner-id": text("owner-id"),
    base: text("base") ?? others.base.default,
    builder: text("builder") ?? others.builder.default,
    keys: text("keys"),
    offline: values["offline"] === true,
  };
  const { facts, notes } = await lookUp(answers, given, context);
  for (const note of notes) output.err(`note: ${note}\n`);
  const changes = await compareFiles(folder, planFiles(answers, facts, await readExamples()));
  output.out(changes.map(renderChange).join(""));
  const refused = changes.filter(({ change }) => change === "other");
  const isDryRun = values["dry-run"] === true;
  if (refused.length > 0 && values["force"] !== true) {
    output.err(
      `${refused.length} of these files are there and are other than this would write: nothing is written. --force replaces them\n`,
    );
    return exitCodes.fail;
  }
  if (!isDryRun) await writeFiles(folder, changes);
  const { edits, secrets, clicks } = listRemaining(answers, facts);
  output.out(
    `${isDryRun ? "dry run: nothing is written" : `written to ${folder}`}. What remains is in ${join(folder, "README.md")}: ${edits.length} edits, ${secrets.length} secrets, ${clicks.length} clicks.\n`,
  );
  return exitCodes.pass;
}

function readGiven(all: Readonly<Record<string, string | boolean | undefined>>): Given {
  return Object.fromEntries(
    questions.flatMap(({ name }) => {
      const value = all[flagOf(name).slice(2)];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  ) as Given;
}

/**
 * Without a terminal nobody is there to answer, and `parseAnswers` names what is missing. In one, what can't be is asked
 * again at once.
 */
async function askMissing(given: Given, signal: AbortSignal): Promise<Given> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return given;
  const answered = new Set(Object.keys(given) as (keyof Answers)[]);
  // What an option says nobody is asked about.
  if (findProblems(given, answered).length > 0) return given;
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  let answers = { ...given };
  try {
    for (const question of questions) {
      if (answered.has(question.name)) continue;
      answered.add(question.name);
      answers = await ask(question, answers, answered, (text) => reader.question(text, { signal }));
    }
  } finally {
    reader.close();
  }
  return answers;
}

async function ask(
  { name, ask: words, fallback }: Question,
  given: Given,
  answered: ReadonlySet<keyof Answers>,
  read: (text: string) => Promise<string>,
): Promise<Given> {
  const byDefault = fallback?.(given);
  const hint = byDefault === undefined ? "" : ` [${byDefault}]`;
  while (true) {
    const line = (await read(`${words}${hint}: `)).trim();
    const answers = line === "" ? given : { ...given, [name]: line };
    const problems =
      line === "" && byDefault === undefined ? ["it has to be answered"] : findProblems(answers, answered);
    if (problems.length === 0) return answers;
    process.stderr.write(`  ${problems.join("\n  ")}\n`);
  }
}

function renderChange({ path, change, lines }: Change): string {
  if (change === "other") return `change  ${path} (${lines.more} lines more, ${lines.fewer} fewer)\n`;
  return `${change === "new" ? "new   " : "same  "}  ${path}\n`;
}
