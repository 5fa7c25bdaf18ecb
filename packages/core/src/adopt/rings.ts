import { UserError } from "@goldenpath/foundation/errors";
import { z } from "zod";
import { readStrictYaml } from "../policy/yaml.ts";
import type { AdoptRow } from "./facts.ts";

const pattern = z
  .string()
  .regex(/^[A-Za-z\d][\w-]*\/[\w.*-]+$/, "expected OWNER/NAME, where * stands for any characters of the name");
const ringsSchema = z.array(z.array(pattern).min(1)).min(1);
export type Rings = z.infer<typeof ringsSchema>;

/**
 * Text of a file → rings: a YAML list of lists of repositories, the first ring first.
 * @throws UserError `input-invalid`
 */
export function readRings(text: string, where: string): Rings {
  const wrong = (why: string): UserError =>
    new UserError(`${where} is no list of rings: ${why}`, {
      code: "input-invalid",
      wayOut: "Write a list of lists of repositories in YAML, the first ring first: - [acme/try]\\n- [acme/*]",
    });
  const read = readStrictYaml(text);
  if ("problems" in read) {
    const [{ line, column, message } = { line: 1, column: 1, message: "it can't be read" }] = read.problems;
    throw wrong(`line ${line}, column ${column}: ${message}`);
  }
  const parsed = ringsSchema.safeParse(read.yaml.value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw wrong(`${issue?.path.join(".") || "at the top"}: ${issue?.message ?? "it can't be read"}`);
}

/** The ring of a repository, from 1: the first that names it; undefined: none does. Without rings all are in the first. */
export function findRing({ repository }: Pick<AdoptRow, "repository">, rings: Rings | undefined): number | undefined {
  if (rings === undefined) return 1;
  const at = rings.findIndex((ring) => ring.some((each) => isNamed(repository, each)));
  return at === -1 ? undefined : at + 1;
}

/**
 * As GitHub has names: in any case of their letters. Each part between two `*` is taken where it comes first, so that
 * a name is read once: as a regular expression, each `*` more would multiply the time.
 */
function isNamed(repository: string, name: string): boolean {
  const text = repository.toLowerCase();
  const [first = "", ...parts] = name.toLowerCase().split("*");
  const last = parts.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
