import { UserError } from "@goldenpath/foundation/errors";

/** What a build may be told besides what is built and where to, each by its input's name. */
export const optionNames = ["env", "module", "file", "target", "build-args", "secrets", "engine"] as const;
export type OptionName = (typeof optionNames)[number];

/** A value that a build may use and nobody may read afterwards. It is masked before anything has it. */
export interface Secret {
  value: string;
}

/** By the names and conventions of docker/build-push-action, where that has them. */
export interface BuildOptions {
  /** The folder of the application in the context, where its build needs the whole of that: a module of Maven. */
  module: string | undefined;
  /** What says how it is built, in the context: a Dockerfile. */
  file: string | undefined;
  /** The stage that is built, of several. */
  target: string | undefined;
  buildArgs: Readonly<Record<string, string>>;
  /** By ID: what a step mounts. */
  secrets: ReadonlyMap<string, Secret>;
  /** Which of a strategy's programs builds; `auto`: the most isolated one that this machine has. */
  engine: string;
}

export const noOptions: BuildOptions = {
  module: undefined,
  file: undefined,
  target: undefined,
  buildArgs: {},
  secrets: new Map(),
  engine: "auto",
};

interface Taker {
  name: string;
  takes: readonly OptionName[];
  engines: readonly string[];
}

/**
 * Whether a strategy takes what it is told. What it would leave unread was meant to have an effect.
 * @throws UserError `input-invalid`
 */
export function requireTaken(
  { name, takes, engines }: Taker,
  { module, file, target, buildArgs, secrets, engine }: BuildOptions,
  variables: Readonly<Record<string, string>>,
): void {
  const given: Readonly<Record<OptionName, boolean>> = {
    env: Object.keys(variables).length > 0,
    module: module !== undefined,
    file: file !== undefined,
    target: target !== undefined,
    "build-args": Object.keys(buildArgs).length > 0,
    secrets: secrets.size > 0,
    engine: engine !== "auto",
  };
  const stray = optionNames.filter((option) => given[option] && !takes.includes(option));
  if (stray.length > 0) {
    throw new UserError(
      `input '${stray.join("', '")}' is given, and strategy '${name}' does not take it (it takes: ${takes.join(", ") || "none of these"})`,
      { code: "input-invalid", wayOut: "Leave it out, or choose the strategy that takes it by the input 'strategy'." },
    );
  }
  if (engine !== "auto" && !engines.includes(engine)) {
    throw new UserError(
      `input 'engine' is '${engine}', and strategy '${name}' has the engines auto, ${engines.join(", ")}`,
      { code: "input-invalid", wayOut: "Name one of them, or leave the input out." },
    );
  }
}
