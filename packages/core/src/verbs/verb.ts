import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import type { StageResult, Verdict } from "../result.ts";

/** What both doors (action and command line) have of a verb: its inputs, by the action's names, and the work. */
export interface Verb<Inputs extends z.ZodObject = z.ZodObject> {
  /** The action's folder: `enforce-golden-base`. */
  name: string;
  /** The command line's word: `enforce`. */
  command: string;
  inputs: Inputs;
  /** The input that the command line takes without its name. */
  positional?: Extract<keyof z.infer<Inputs>, string>;
  /** Names of outputs besides `verdict` and `result`. */
  outputs: readonly string[];
  /** The job's own logins are kept back until the verb opens them. */
  sealsIdentities?: true;
  run(inputs: z.infer<Inputs>, context: Context): Promise<VerbOutcome>;
  /** What it can be asked instead of doing its work. */
  question?: Question;
}

/** Asked by an input that is a switch: an answer is about no image, and so there is no stage's result. */
export interface Question<Inputs extends z.ZodObject = z.ZodObject> {
  /** The input that asks it. */
  input: string;
  /** Of the verb's inputs those that it goes by. */
  inputs: Inputs;
  ask(inputs: z.infer<Inputs>, context: Context): Promise<Answer>;
}

export interface Answer {
  /** As of {@link VerbOutcome}. */
  outputs: Record<string, string>;
  /** Markdown for the job summary. */
  summary: string;
  /** For a log. */
  lines: readonly string[];
  /** The same for a program. */
  document: object;
  /** Why the verb could not do its work. */
  error?: unknown;
}

export interface VerbOutcome {
  verdict: Verdict;
  result: StageResult;
  /** Values of the verb's `outputs`; an output without a value is the empty string. */
  outputs: Record<string, string>;
  /** Markdown for the job summary. */
  summary: string;
  /** False where the verdict must not fail the step (`mode: audit`). Default true. */
  enforced?: boolean;
}

/**
 * Inputs arrive as text, as the runner and a shell have them; these turn text into values. The empty string is "not
 * given".
 */
export const optionalText = () =>
  z
    .string()
    .trim()
    .optional()
    .transform((value) => (value === undefined || value === "" ? undefined : value));
export const requiredText = () => z.string().trim().min(1, "is required and was not given");
/** What nobody may see: it is masked before a verb runs, and no message repeats it. */
export const secretText = () => optionalText().meta({ secret: true });
/** One value a line; empty lines and lines that start with # are passed over. */
export const lines = () =>
  z
    .string()
    .default("")
    .transform((value) =>
      value
        .split(/\r?\n/)
        .map((line) => line.trim())
        .filter((line) => line !== "" && !line.startsWith("#")),
    );
const toMap =
  (isSecret: boolean) =>
  (entries: readonly string[], context: z.RefinementCtx): Record<string, string> => {
    const map: Record<string, string> = {};
    for (const entry of entries) {
      const at = entry.indexOf("=");
      if (at <= 0) {
        // Of secrets as well: what is no pair may be one whole.
        context.addIssue({
          code: "custom",
          message: isSecret ? "a line is not ID=VALUE" : `'${entry}' is not KEY=VALUE`,
        });
        continue;
      }
      map[entry.slice(0, at)] = entry.slice(at + 1);
    }
    return map;
  };
/** `key=value` lines, as in the docker actions. */
export const keyValues = (isSecret = false) => lines().transform(toMap(isSecret));
/** The same, each key once: a line may come out of another line's value, and the later one would win. */
export const distinctKeyValues = () =>
  lines()
    .superRefine((entries, context) => {
      const keys = new Set<string>();
      for (const [key = ""] of entries.map((entry) => entry.split("=", 1))) {
        if (keys.has(key)) context.addIssue({ code: "custom", message: `it has '${key}' twice` });
        keys.add(key);
      }
    })
    .transform(toMap(false));
/** Labels of runners by platform: `{"linux/arm64": "ubuntu-24.04-arm", "linux/amd64": ["self-hosted", "x64"]}`. */
export type RunnerLabels = Readonly<Record<string, string | string[]>>;
const runnerLabels = z.record(z.string(), z.union([z.string(), z.array(z.string())]));
export const jsonLabels = () =>
  optionalText().transform((value, context): RunnerLabels => {
    if (value === undefined) return {};
    try {
      return runnerLabels.parse(parseJson(value));
    } catch {
      context.addIssue({ code: "custom", message: "expected a JSON object, each value a label or a list of labels" });
      return z.NEVER;
    }
  });
/** `ID=value` lines of which nobody may see a value. */
export const secretValues = () => keyValues(true).meta({ secret: true, pairs: true });
/** YAML 1.2's booleans, as @actions/core reads them. */
export const flag = (fallback: boolean) =>
  z
    .string()
    .default(String(fallback))
    .transform((value, context) => {
      const trimmed = value.trim();
      if (trimmed === "") return fallback;
      if (/^(?:true|True|TRUE)$/.test(trimmed)) return true;
      if (/^(?:false|False|FALSE)$/.test(trimmed)) return false;
      context.addIssue({ code: "custom", message: "expected true or false" });
      return z.NEVER;
    })
    .meta({ flag: true });
export const choice = <const T extends readonly [string, ...string[]]>(values: T, fallback: T[number]) =>
  z
    .string()
    .default(fallback)
    .transform((value, context): T[number] => {
      const trimmed = value.trim();
      if (trimmed === "") return fallback;
      if ((values as readonly string[]).includes(trimmed)) return trimmed;
      context.addIssue({ code: "custom", message: `expected one of ${values.join(", ")}` });
      return z.NEVER;
    });

/** Names of the inputs of which their schema says this. */
export function inputsThatAre(fact: "secret" | "pairs" | "flag", { shape }: z.ZodObject): string[] {
  return Object.entries(shape).flatMap(([name, schema]) =>
    (schema as z.ZodType).meta()?.[fact] === true ? [name] : [],
  );
}

/** Inputs that every verb has. */
export const commonInputs = {
  policy: requiredText(),
  "policy-signer": optionalText(),
  "result-dir": optionalText(),
};

/**
 * Raw text by input name → one typed, frozen object.
 * @throws UserError `input-invalid` that names each input, its value and what is allowed
 */
export function parseInputs<Inputs extends z.ZodObject>(
  schema: Inputs,
  raw: Readonly<Record<string, string | undefined>>,
): Readonly<z.infer<Inputs>> {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return Object.freeze(parsed.data);
  const secret = inputsThatAre("secret", schema);
  const problems = parsed.error.issues.map((issue) => {
    const name = String(issue.path[0] ?? "");
    const value = raw[name];
    if (value === undefined || value.trim() === "")
      return `input '${name}' ${issue.message.startsWith("is required") ? issue.message : "is required and was not given"}`;
    return `input '${name}' is '${secret.includes(name) ? "***" : value}': ${issue.message}`;
  });
  throw new UserError(problems.join("\n"), {
    code: "input-invalid",
    wayOut: "The inputs and what they take: `goldenpath COMMAND --help`, or the action's README.",
  });
}
