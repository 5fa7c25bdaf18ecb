import { delimiter, isAbsolute, join, parse } from "node:path";
import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { type ProcessOptions, type ProcessResult, runChecked, runProcess } from "@goldenpath/foundation/exec/run";
import type { Ports } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import { ensureWritableDirectory, sha256OfFile } from "./cache.ts";
import type { LockedTool, ToolPlatform } from "./lock.ts";
import { createTurns } from "./turns.ts";

type Env = Readonly<Record<string, string | undefined>>;

interface BuildOptions {
  platform: ToolPlatform;
  /** Go's own caches go below it where the user's can't be written. */
  cacheDirectory: string;
  ports: Ports;
  env: Env;
  signal?: AbortSignal;
}

const fetchTimeout = 20 * 60_000;
const compileTimeout = 60 * 60_000;
const fetchAttempts = 3;
const wayAround =
  "set GOLDENPATH_TOOL_MIRROR to a mirror that has the tool, or put the tool's version of the lock in PATH.";

/** The user's settings of Go that say where modules come from. All others are left out: they could change the bytes. */
const keptSettings = [
  "GOPROXY",
  "GONOPROXY",
  "GOPRIVATE",
  "GOSUMDB",
  "GONOSUMDB",
  "GOINSECURE",
  "GOVCS",
  "GOAUTH",
  "GOPATH",
  "GOMODCACHE",
  "GOCACHE",
] as const;
const keptVariables = [
  ...["PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"],
];

// A compiler uses every core, so there is one at a time; what waits for its turn can have its modules downloaded
// meanwhile.
const compileTurn = createTurns(1);
const fetchTurn = createTurns(2);

/**
 * Builds the tool from the Go module proxy into `output` and verifies both ends: the module's `h1:` before, the
 * binary's SHA-256 after. What it depends on is verified by Go, against the go.sum file of that module.
 * @throws InfrastructureError `go-missing`, `go-toolchain-unavailable`, `tool-source-unavailable`,
 *   `tool-source-mismatch`, `tool-build-failed`, `tool-mismatch`
 */
export async function buildTool(tool: LockedTool, output: string, options: BuildOptions): Promise<void> {
  const label = `${tool.name} ${tool.version}`;
  await compileTool(tool, output, options);
  const expected = tool.builds[options.platform];
  const actual = await sha256OfFile(output);
  if (expected !== undefined && actual === expected) return;
  throw new InfrastructureError(
    `The build of ${label} is not the one in the lock: its SHA-256 is ${actual}, expected ${expected ?? "(none known)"}. It was not run.`,
    {
      code: "tool-mismatch",
      wayOut: `Look whether the Go installation is changed or patched (${tool.toolchain} is needed); otherwise ${wayAround}`,
      safeToRetry: false,
    },
  );
}

/**
 * {@link buildTool} but for the end: what comes out is for the caller to hash. @throws as {@link buildTool}, without
 * `tool-mismatch`
 */
export async function compileTool(tool: LockedTool, output: string, options: BuildOptions): Promise<void> {
  const label = `${tool.name} ${tool.version}`;
  const { go, source, packages } = await fetchTurn(() => fetchSource(tool, label, options));
  await compileTurn(() => compile(tool, label, go, source, packages, output, options));
}

interface GoCommand {
  file: string;
  options: ProcessOptions;
}

/** @throws InfrastructureError `go-missing`, `go-toolchain-unavailable` */
async function prepareGo(tool: LockedTool, options: BuildOptions): Promise<GoCommand> {
  const { env, platform } = options;
  const file = await findInPath("go", env);
  if (file === undefined) {
    throw new InfrastructureError(`${tool.name} ${tool.version} has to be built, and there is no Go in PATH`, {
      code: "go-missing",
      wayOut: `Install Go 1.21 or later (it fetches ${tool.toolchain} by itself), or ${wayAround}`,
      safeToRetry: false,
    });
  }
  const kept = Object.fromEntries(keptVariables.map((key) => [key, env[key]]));
  const asked = Object.fromEntries([...keptSettings, "GOENV"].map((key) => [key, env[key]]));
  // Outside any module, so that no go.mod of a checkout has a say.
  const cwd = parse(process.execPath).root;
  const bounds = { cwd, timeoutMs: fetchTimeout, ...(options.signal === undefined ? {} : { signal: options.signal }) };
  const answer = await runChecked(file, ["env", "-json", "GOVERSION", ...keptSettings], {
    ...bounds,
    env: { ...asked, ...kept, GOTOOLCHAIN: "local", GOFLAGS: "", GOWORK: "off" },
  });
  const { GOVERSION: version, ...settings } = parseJson(answer.stdout) as Record<string, string>;
  const [goos, goarch] = platform.split("-");
  const settled = {
    ...kept,
    ...settings,
    ...(await usableGoFolders(settings, options.cacheDirectory)),
    // Everything that decides about the bytes, so that neither `go env -w` nor the environment does.
    GOENV: "off",
    GOTOOLCHAIN: tool.toolchain,
    GO111MODULE: "on",
    GOWORK: "off",
    CGO_ENABLED: "0",
    GOOS: goos,
    GOARCH: goarch,
    GOAMD64: "v1",
    GOARM64: "v8.0",
    GOFIPS140: "off",
  };
  const command = { file, options: { ...bounds, env: settled } };
  if (version !== tool.toolchain) await fetchToolchain(tool, version ?? "unknown", command, options);
  return command;
}

/**
 * Go 1.21 and later fetch the toolchain that they are asked for, verified by the checksum database; older ones ignore
 * the question.
 */
async function fetchToolchain(
  tool: LockedTool,
  installed: string,
  go: GoCommand,
  options: BuildOptions,
): Promise<void> {
  const task = options.ports.progress.start(`Fetching the toolchain ${tool.toolchain}`);
  const result = await runProcess(go.file, ["env", "GOVERSION"], go.options).catch((error: unknown) => {
    task.failed();
    throw error;
  });
  const version = result.stdout.trim();
  if (result.exitCode === 0 && version === tool.toolchain) return task.done();
  task.failed();
  throw new InfrastructureError(
    `${tool.name} ${tool.version} is built with ${tool.toolchain}, and ${installed} at ${go.file} could not get that: ${result.stderr.trim() || `it stays ${version}`}`,
    { code: "go-toolchain-unavailable", wayOut: `Install Go ${tool.toolchain.slice(2)}, or ${wayAround}` },
  );
}

/**
 * Where Go keeps modules, compiled packages and (in GOPATH) what it knows of the checksum database: the user's folders
 * where they can be written, else folders below the tool cache.
 */
export async function usableGoFolders(
  settings: Readonly<Record<string, string>>,
  cacheDirectory: string,
): Promise<{ GOPATH: string; GOMODCACHE: string; GOCACHE: string }> {
  const usable = async (wanted: string | undefined, name: string): Promise<string> => {
    if (wanted !== undefined && isAbsolute(wanted)) {
      try {
        await ensureWritableDirectory(wanted);
        return wanted;
      } catch {
        // The fallback is the answer.
      }
    }
    const own = join(cacheDirectory, "go", name);
    await ensureWritableDirectory(own);
    return own;
  };
  return {
    // It may be a list, of which Go writes to the first.
    GOPATH: await usable(settings["GOPATH"]?.split(delimiter)[0], "path"),
    GOMODCACHE: await usable(settings["GOMODCACHE"], "mod"),
    GOCACHE: await usable(settings["GOCACHE"], "build"),
  };
}

/** Downloads the tool's module, checks it against the lock, and downloads what its main package needs. */
async function fetchSource(
  tool: LockedTool,
  label: string,
  options: BuildOptions,
): Promise<{ go: GoCommand; source: string; packages: number }> {
  options.signal?.throwIfAborted();
  const go = await prepareGo(tool, options);
  const task = options.ports.progress.start(`Fetching the source of ${label}`, { unit: "items" });
  try {
    const source = await downloadModule(tool, label, go);
    task.advance(1);
    const dependencies = await retried(() =>
      runChecked(go.file, ["list", "-deps", "-f", "{{.ImportPath}}", tool.package], {
        ...go.options,
        cwd: source,
        onLine: (line) => {
          if (line.startsWith("go: downloading ")) task.advance(1);
        },
      }),
    ).catch((error: unknown) => {
      throw asToolError(error, "tool-source-unavailable", `What ${label} is built from can't be downloaded`);
    });
    task.done();
    return { go, source, packages: dependencies.stdout.split("\n").filter((line) => line !== "").length };
  } catch (error) {
    task.failed();
    throw error;
  }
}

async function downloadModule(tool: LockedTool, label: string, go: GoCommand): Promise<string> {
  const { path, version, sum } = tool.module;
  // Not `go install`: it asks for the list of versions, which some proxies refuse, and it ignores the module's own
  // replace directives.
  const result = await retried(async () => {
    const run = await runProcess(go.file, ["mod", "download", "-json", `${path}@${version}`], go.options);
    if (run.exitCode === 0) return run;
    throw new InfrastructureError(`go mod download ${path}@${version}: ${moduleError(run)}`, {
      code: "process-failed",
    });
  }).catch((error: unknown) => {
    throw asToolError(error, "tool-source-unavailable", `The source of ${label} can't be downloaded`);
  });
  const answer = parseJson(result.stdout) as { Dir?: string; Sum?: string };
  if (answer.Sum !== sum) {
    throw new InfrastructureError(
      `The source of ${label} is not the one in the lock: ${path}@${version} has ${answer.Sum ?? "no sum"}, expected ${sum}. It was not built.`,
      {
        code: "tool-source-mismatch",
        wayOut: "Find out what GOPROXY serves there; 'go clean -modcache' forgets it.",
        safeToRetry: false,
      },
    );
  }
  if (answer.Dir === undefined) {
    throw new InfrastructureError(`go mod download named no folder for ${path}@${version}`, {
      code: "tool-source-unavailable",
    });
  }
  return answer.Dir;
}

async function compile(
  tool: LockedTool,
  label: string,
  go: GoCommand,
  source: string,
  packages: number,
  output: string,
  options: BuildOptions,
): Promise<void> {
  options.signal?.throwIfAborted();
  const task = options.ports.progress.start(`Building ${label}`, { unit: "items", amount: packages });
  const flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", `-ldflags=${tool.ldflags}`];
  try {
    await runChecked(go.file, ["build", "-v", ...flags, "-o", output, tool.package], {
      ...go.options,
      cwd: source,
      timeoutMs: compileTimeout,
      // -v names each package as it is compiled; those that Go has compiled before are not named.
      onLine: (line, stream) => {
        if (stream === "stderr" && /^[^\s#:]+$/.test(line)) task.advance(1);
      },
    });
    task.done();
  } catch (error) {
    task.failed();
    throw asToolError(error, "tool-build-failed", `${label} can't be built`);
  }
}

/** With -json the reason is in the answer, and standard error is empty. */
function moduleError(run: ProcessResult): string {
  try {
    const { Error: reason } = parseJson(run.stdout) as { Error?: unknown };
    if (typeof reason === "string") return reason;
  } catch {
    // Not even JSON: what it printed is all there is.
  }
  return run.stderr.trim() || run.stdout.trim();
}

/** The module proxy is the network: Go itself tries only once. */
async function retried<T>(body: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await body();
    } catch (error) {
      if (attempt >= fetchAttempts || !(error instanceof InfrastructureError) || error.code !== "process-failed")
        throw error;
    }
  }
}

function asToolError(error: unknown, code: ErrorCode, what: string): unknown {
  if (!isKnownError(error) || (error.code !== "process-failed" && error.code !== "process-timeout")) return error;
  return new InfrastructureError(`${what}: ${error.message}`, {
    code,
    wayOut: `Look whether this machine reaches GOPROXY and has disk space, or ${wayAround}`,
    attempts: code === "tool-build-failed" ? 1 : fetchAttempts,
    cause: error,
  });
}
