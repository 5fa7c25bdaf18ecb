// The words that scripts and policies rely on, as documentation: docs/errors.md, and the table of rules in
// docs/policy.md.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Fact, factTypes, stageFacts } from "../packages/core/src/policy/custom-rules/facts.ts";
import { type ErrorCode, errorCodes } from "../packages/foundation/src/error-codes.ts";
import { rules } from "../packages/foundation/src/rules.ts";

const root = join(import.meta.dirname, "..");

/**
 * Whoever runs the actions or the command line meets these; what the others throw is met in a checkout of this project.
 */
export const productFolders = ["packages"];
export const otherFolders = ["examples", "scripts"];

const kinds = { UserError: "user", PolicyViolation: "policy", InfrastructureError: "infrastructure" } as const;
type Kind = (typeof kinds)[keyof typeof kinds];

/** The sources below `folders`, without tests, what is generated, and the tables of words themselves. */
export function readSources(folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts") && !path.endsWith(".test.ts"))
      .filter(
        (path) =>
          !/(?:^|\/)(?:node_modules|out|dist)\//.test(path) &&
          !/foundation\/src\/(?:error-codes|rules)\.ts$/.test(path),
      )
      .map((path) => readFileSync(join(root, folder, path), "utf8")),
  );
}

/**
 * Words that are only compared with, in an `if` or in a list to look an error up in: whoever asks for a code does not
 * throw it.
 */
const askedFor = /[!=]==? "[a-z-]+"|: readonly ErrorCode\[\] = \[[^\]]*\]|\[(?:"[a-z-]+"(?:, )?)+\]\.includes/g;

/** The codes of `codes` that stand in one of the sources as something else than a comparison. */
export function findThrown(sources: readonly string[], codes: readonly string[]): Set<string> {
  const thrown = new Set<string>();
  for (const source of sources) {
    const said = source.replaceAll(askedFor, "");
    for (const code of codes) if (said.includes(`"${code}"`)) thrown.add(code);
  }
  return thrown;
}

/** Each code with the kinds of error that are made with it, where the sources name both in one expression. */
export function findKinds(sources: readonly string[]): Map<string, Set<Kind>> {
  const made =
    /new (?<name>UserError|PolicyViolation|InfrastructureError)\((?:(?!new [A-Z]\w*Error\(|new PolicyViolation\().)*?\bcode: "(?<code>[a-z-]+)"/gs;
  const found = new Map<string, Set<Kind>>();
  for (const source of sources) {
    for (const { groups } of source.matchAll(made)) {
      const code = groups?.["code"] ?? "";
      found.set(code, (found.get(code) ?? new Set()).add(kinds[groups?.["name"] as keyof typeof kinds]));
    }
  }
  return found;
}

const cell = (text: string): string => text.replaceAll("|", "\\|");

function renderCodes(codes: readonly string[], kindsOf: Map<string, Set<Kind>>): string {
  const rows = codes.map((code) => {
    const kind = [...(kindsOf.get(code) ?? [])].toSorted().reverse().join(", ");
    return `| \`${code}\` | ${kind} | ${cell(errorCodes[code as ErrorCode])} |`;
  });
  return ["| Code | Kind | When it comes |", "| --- | --- | --- |", ...rows].join("\n");
}

/** docs/errors.md as the table of codes has it now. */
export function renderErrorDocs(): string {
  const product = readSources(productFolders);
  const codes = Object.keys(errorCodes);
  const thrown = findThrown(product, codes);
  return `# Errors

<!-- generated from packages/foundation/src/error-codes.ts: node scripts/docs.ts --write -->

What can't be done ends with a code, which stays the same within a major version, a message that names what is wrong, and most often a way out. The code is in
the result's \`error.code\`, and in brackets behind the message. Codes are for scripts; messages may change.

A **user** error needs a change of an input, a file or a setting: running again does not help. An **infrastructure** error is about the surroundings (a registry, a network, a
tool): the message says what was tried and how often. Both end with exit code 2 and verdict \`error\`, which says nothing about the image. A **policy** violation is a no, with
exit code 1 and verdict \`fail\`; its rule is one of [those of the policy](policy.md#rules). Where no kind is given, the code is chosen apart from the error that has it.

${renderCodes(
  codes.filter((code) => thrown.has(code)),
  findKinds(product),
)}

## In a checkout of this project

The demo, the example of a golden platform and the scripts have some of their own:

${renderCodes(
  codes.filter((code) => !thrown.has(code)),
  findKinds(readSources(otherFolders)),
)}
`;
}

const begin = "<!-- generated from packages/foundation/src/rules.ts: node scripts/docs.ts --write -->";
const end = "<!-- end of the rules -->";

/** docs/policy.md with its table of rules as the sources have them now. */
export function refreshRules(text: string): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from === -1 || to === -1) throw new Error(`docs/policy.md has no table of rules (${begin} … ${end})`);
  const rows = Object.entries(rules).map(([rule, refuses]) => `| \`${rule}\` | ${cell(refuses)} |`);
  const table = ["| Rule | Refuses |", "| --- | --- |", ...rows].join("\n");
  return `${text.slice(0, from + begin.length)}\n\n${table}\n\n${text.slice(to)}`;
}

const factsBegin =
  "<!-- generated from packages/core/src/policy/custom-rules/facts.ts: node scripts/docs.ts --write -->";
const factsEnd = "<!-- end of the facts -->";

/** docs/rules.md with what rules can ask for as the table of facts has it now. */
export function refreshFacts(text: string): string {
  const from = text.indexOf(factsBegin);
  const to = text.indexOf(factsEnd);
  if (from === -1 || to === -1) throw new Error(`docs/rules.md has no table of facts (${factsBegin} … ${factsEnd})`);
  const table = (facts: Readonly<Record<string, Fact>>): string[] => [
    "| Name | Type | What it is |",
    "| --- | --- | --- |",
    ...Object.entries(facts).map(
      ([name, { type, says, isOptional }]) =>
        `| \`${name}\` | \`${type.replace("google.protobuf.Timestamp", "timestamp")}\` | ${cell(says)}${isOptional === true ? "; *may be missing*" : ""} |`,
    ),
    "",
  ];
  const parts = [
    ...Object.entries(stageFacts).flatMap(([stage, facts]) => [`### Stage ${stage}`, "", ...table(facts)]),
    ...Object.entries(factTypes).flatMap(([name, fields]) => [`### ${name}`, "", ...table(fields)]),
  ];
  return `${text.slice(0, from + factsBegin.length)}\n\n${parts.join("\n")}\n${text.slice(to)}`;
}
