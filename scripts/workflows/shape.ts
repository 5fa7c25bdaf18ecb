/**
 * A part of a workflow as it is written. A key that begins with `#` is no key: its text is the comment before the key
 * it names, `#` alone before the whole.
 */
export interface Mapping {
  [key: string]: Value;
}
export type Value = string | number | boolean | Value[] | Mapping;

export interface Input {
  description: string;
  /** What an absent input is taken for; an input without one is required. */
  default?: string | boolean;
}
export type Inputs = Readonly<Record<string, Input>>;

export interface Output {
  description: string;
  value: string;
}

export const stageNames = ["build", "base", "scan", "promote"] as const;
export type StageName = (typeof stageNames)[number];
/**
 * Whoever has a workflow, and so an identity and a key, of its own: a stage, what judges for the first three, or what puts
 * images on another version of their base.
 */
export type SignerName = StageName | "judge" | "rebase";

/** One stage's workflow; what all of them have in common is added as it is rendered. */
export interface StageRow {
  name: SignerName;
  comment: string;
  inputs: Inputs;
  /** Secrets besides the stage's key and its passphrase. */
  logins: Readonly<Record<string, string>>;
  outputs: Readonly<Record<string, Output>>;
  jobs(place: Place): Readonly<Record<string, Mapping>>;
}

/** Where the workflows run, as far as that changes what they say. */
export interface Place {
  /** Of its files, in the project. GitHub runs only what is in `.github/workflows`. */
  folder: string;
  /** The first steps of a job: what has to hold before anything is fetched. */
  guard: readonly Mapping[];
  /** Steps by which a job gets goldenpath's actions; none where they are reached without. */
  fetch: readonly Mapping[];
  /** What names another of goldenpath's workflows in a job. */
  workflow(file: string): string;
  /** What names one of goldenpath's actions in a step. */
  action(name: string): string;
  /** By which files go from one job to another, each with its commit and, beside it, its version. */
  artifacts: { upload: string; download: string };
  /** What more an upload takes there. */
  upload: Mapping;
  /** How its stages sign, unless a caller says otherwise: where its server's tokens are taken by no authority, by keys. */
  signer: "keyless" | "key";
  /** More for a job that has keys or tokens. */
  guarded: Mapping;
  /** The called workflow's own coordinates, `OWNER/REPO/PATH@REF`. */
  workflowRef(file: string): string;
}

/** As it stands in the YAML: in a string of its own it would look like a mistake for a template. */
export const expression = (text: string): string => `\${{ ${text} }}`;
export const fromInput = (name: string): string => expression(`inputs.${name}`);
export const fromSecret = (name: string): string => expression(`secrets.${name}`);
