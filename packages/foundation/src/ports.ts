/**
 * What core asks of its surroundings. The runner and the terminal each have an implementation; tests use {@link
 * silentPorts}.
 */
export interface Ports {
  log: Log;
  progress: Progress;
  /** From now on this value must not be readable in any output. Call it before the value can reach one. */
  mask(secret: string): void;
  /** Runs `body` under a heading that a log can fold. */
  group<T>(title: string, body: () => Promise<T>): Promise<T>;
}

export interface Log {
  debug(message: string): void;
  info(message: string): void;
  notice(message: string): void;
  warning(message: string): void;
  error(message: string): void;
}

/** Long work reports here; an implementation decides how often that becomes visible. */
export interface Progress {
  start(label: string, total?: ProgressTotal): ProgressTask;
}

export interface ProgressTotal {
  amount?: number;
  unit: "bytes" | "items";
}

export interface ProgressTask {
  /** `amount` is what has been done since the last call, not since the start. */
  advance(amount: number): void;
  done(summary?: string): void;
  failed(summary?: string): void;
}

/**
 * The facts about the run that only its surroundings know: on GitHub from `GITHUB_*`, elsewhere from the checkout or
 * from flags.
 */
export interface RunFacts {
  /** `https://github.com/acme/shop`; absent where the source is not known. */
  sourceRepository?: string;
  /** 40 hex digits. */
  sourceCommit?: string;
  sourceRef?: string;
  /** The repository's branch that the others are compared with; absent where the run doesn't say. */
  defaultBranch?: string;
  /**
   * Who runs this: the URI of the workflow (`https://github.com/acme/platform/.github/workflows/x.yml@refs/…`) or
   * `local`.
   */
  builderId: string;
  /** The event that started the run: `push`. */
  event?: string;
  /** The URI of the workflow that the event started: where that calls another, not the one that runs. */
  callerId?: string;
  runId?: string;
  runAttempt?: number;
  runUrl?: string;
}

/** Logins that a job makes for itself by proving who it is, besides those of `docker login`. */
export interface RegistryIdentities {
  /** The login for a registry's host; undefined where there is no identity for it, or as long as none may be used. */
  find(registry: string): Promise<{ username: string; password: string } | undefined>;
  /** From now on they may be used. Before that, no token is asked for anywhere. */
  open(): void;
}

/** Everything a verb gets besides its inputs. */
export interface Context {
  ports: Ports;
  run: RunFacts;
  /** Where relative paths of inputs start. */
  workingDirectory: string;
  /**
   * The repository's checkout, where the surroundings have one: an application to build is in it, whatever links it is
   * named by.
   */
  checkout?: string;
  /** A private, existing directory for this invocation; removed by the door. */
  temporaryDirectory: string;
  /** What the process was started with; the only environment core reads. */
  env: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  now(): Date;
  identities?: RegistryIdentities;
}

const nothing = (): void => undefined;

export function silentPorts(): Ports {
  return {
    log: { debug: nothing, info: nothing, notice: nothing, warning: nothing, error: nothing },
    progress: { start: () => ({ advance: nothing, done: nothing, failed: nothing }) },
    mask: nothing,
    group: (_title, body) => body(),
  };
}
