// Writes what is derived from the schemas in core (`--write`), or says where it differs: schemas/*.json, and the tables
// of docs/policy.md.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { policyJsonSchema } from "../packages/core/src/policy/policy-schema.ts";
import { stageResultJsonSchema } from "../packages/core/src/result.ts";

export const root = join(import.meta.dirname, "..");

interface JsonSchema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  format?: string;
  pattern?: string;
  description?: string;
  default?: unknown;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  required?: string[];
}

const begin = "<!-- generated from the schema: node scripts/schemas.ts --write -->";
const end = "<!-- end of the generated part -->";

/** Path from the root → what the file must be now. */
export function renderGeneratedFiles(): Map<string, string> {
  const docs = "docs/policy.md";
  return new Map([
    ["schemas/policy.v1.json", renderSchema(policyJsonSchema())],
    ["schemas/stage-result.v1.json", renderSchema(stageResultJsonSchema())],
    [docs, refreshPolicyDocs(readFileSync(join(root, docs), "utf8"))],
  ]);
}

function renderSchema(schema: object): string {
  return `${JSON.stringify(schema, null, 2)}\n`;
}

export function refreshPolicyDocs(text: string): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from === -1 || to === -1) throw new Error(`docs/policy.md has no generated part (${begin} … ${end})`);
  return `${text.slice(0, from + begin.length)}\n\n${renderPolicyTables()}\n\n${text.slice(to)}`;
}

export function renderPolicyTables(): string {
  // What two variants have alike is said once.
  return [...new Set(renderObject("", policyJsonSchema() as JsonSchema))].join("\n\n");
}

/**
 * A section for the object at `path`, and one for each object in it. `kind`: of several objects that may be there, the
 * one with this key and value.
 */
function renderObject(path: string, schema: JsonSchema, kind?: string): string[] {
  const heading = path === "" ? "### At the top" : `### \`${path}\`${kind === undefined ? "" : `, with \`${kind}\``}`;
  const rows: string[] = [];
  const below: string[] = [];
  for (const [key, value] of Object.entries(schema.properties ?? {})) {
    const needed = schema.required?.includes(key)
      ? "**required**"
      : value.default === undefined
        ? ""
        : `\`${JSON.stringify(value.default).replaceAll('"', "")}\``;
    rows.push(`| \`${key}\` | ${describeType(value)} | ${needed} | ${cell(value.description ?? "")} |`);
    const [inner, suffix] = innerObject(value);
    const here = `${path === "" ? "" : `${path}.`}${key}`;
    if (inner !== undefined) below.push(...renderObject(`${here}${suffix}`, inner));
    for (const [kind, variant] of variantsOf(value)) below.push(...renderObject(here, variant, kind));
    for (const [kind, variant] of variantsOf(value.items ?? {}))
      below.push(...renderObject(`${here}[]`, variant, kind));
    const named = typeof value.additionalProperties === "object" ? value.additionalProperties : {};
    for (const [kind, variant] of variantsOf(named)) below.push(...renderObject(`${here}.NAME`, variant, kind));
  }
  return [
    [heading, "", "| Key | Value | Default | What it says |", "| --- | --- | --- | --- |", ...rows].join("\n"),
    ...below,
  ];
}

function innerObject(schema: JsonSchema): [JsonSchema | undefined, string] {
  if (schema.properties !== undefined) return [schema, ""];
  const items = schema.items?.anyOf?.find(({ properties }) => properties !== undefined) ?? schema.items;
  if (items?.properties !== undefined) return [items, "[]"];
  // Of values of several kinds, the kind that has something in it.
  const kind = schema.anyOf?.map(innerObject).find(([inner]) => inner !== undefined);
  if (kind !== undefined) return kind;
  const named = schema.additionalProperties;
  return typeof named === "object" && named.properties !== undefined ? [named, ".NAME"] : [undefined, ""];
}

/** The objects of which one may be there, each with the key and the value that tell it apart. */
function variantsOf(schema: JsonSchema): [string, JsonSchema][] {
  return (schema.oneOf ?? []).flatMap((variant): [string, JsonSchema][] =>
    Object.entries(variant.properties ?? {})
      .filter(([, value]) => value.const !== undefined)
      .slice(0, 1)
      .map(([key, value]) => [`${key}: ${String(value.const)}`, variant]),
  );
}

function describeType(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(", ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(describeType).join(" or ");
  if (schema.items !== undefined && describeType(schema.items) === "map") return "list of maps";
  if (schema.items !== undefined) return `list of ${describeType(schema.items)}`;
  if (schema.properties !== undefined || schema.oneOf?.every(({ properties }) => properties !== undefined) === true)
    return "map";
  if (schema.additionalProperties !== undefined) return "map of names";
  if (schema.type === "integer") return "whole number";
  if (schema.type === "boolean") return "`true`, `false`";
  if (schema.format === "date") return "day, `YYYY-MM-DD`";
  if (schema.pattern === "^[1-9]\\d{0,4}[mhd]$") return "duration: `90m`, `12h`, `30d`";
  if (schema.pattern?.startsWith("^(sha256:")) return "digest";
  if (schema.pattern?.startsWith("@(sha256:")) return "image by digest";
  if (schema.pattern?.startsWith("^[a-z0-9]+(?:-")) return "name";
  return "text";
}

const cell = (text: string): string => text.replaceAll(/[|*]/g, "\\$&").replaceAll("\n", " ");

if (import.meta.main) {
  let stale = 0;
  for (const [name, fresh] of renderGeneratedFiles()) {
    const file = join(root, name);
    if (existsSync(file) && readFileSync(file, "utf8") === fresh) continue;
    if (process.argv.includes("--write")) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, fresh);
    } else {
      stale += 1;
      console.error(`${name} differs from the schemas in packages/core: node scripts/schemas.ts --write`);
    }
  }
  process.exitCode = stale === 0 ? 0 : 1;
}
