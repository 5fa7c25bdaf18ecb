import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { UserError } from "@goldenpath/foundation/errors";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { quoteLine } from "@goldenpath/foundation/text/log";
import { selectBuildEnvironment } from "../environment.ts";
import { describeDaemon, describeIsolation, keepApart } from "../isolation.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { copySource, placeInCheckout } from "../source.ts";
import type { BuildJob } from "../strategies/runner.ts";
import { closeWorkspace, openWorkspace, type Workspace } from "../workspace.ts";
import { type BuildTool, type JavaCommand, renderCommand } from "./command.ts";
import { explainJavaFailure } from "./explain.ts";

/** Secrets that a build by Maven or Gradle takes, each by the file that it becomes in the build's home. */
const secretFiles: Readonly<Record<string, string>> = {
  "maven-settings": ".m2/settings.xml",
  "gradle-properties": ".gradle/gradle.properties",
};

/** How much of the output is kept for messages, in lines. */
const keptLines = 400;
/** A build may print a lot; a log of this size is something gone wrong. */
const maxOutput = 256 * 1024 * 1024;

export interface RoomCommand extends JavaCommand {
  /** Variables besides those that a build gets. */
  env?: Readonly<Record<string, string>>;
}

/** Where an application is built by Maven or Gradle. */
export interface JavaRoom {
  workspace: Workspace;
  /**
   * Runs it to its end, with its output in the log.
   * @throws UserError `java-build-failed`, `java-tool-missing`; InfrastructureError `java-dependencies-unreachable`
   */
  run(tool: BuildTool, command: RoomCommand): Promise<void>;
  /**
   * Nothing runs any more, and of the workspace only what was handed over is needed: the rest, with all that Maven or
   * Gradle fetched, is removed meanwhile.
   */
  leave(): void;
  /** Each a sentence of the result. */
  notes: string[];
}

interface RoomWork<Prepared, T> {
  /** What has to be there before anything runs, and needs no sandbox: it is done while that is made. */
  prepare(workspace: Workspace): Promise<Prepared>;
  body(room: JavaRoom, prepared: Prepared): Promise<T>;
  hasDaemon?: boolean;
}

/**
 * A copy of the application in a workspace, and a sandbox around whatever runs there: Maven, Gradle, their plugins and
 * extensions are strangers' code. It has no login, and nothing of the job but what {@link selectBuildEnvironment}
 * lets pass, the user's variables and the secrets that are given for it.
 */
export async function withJavaRoom<Prepared, T>(job: BuildJob, work: RoomWork<Prepared, T>): Promise<T> {
  const { plan, context } = job;
  const { ports, env } = context;
  requireKnownSecrets(job);
  const workspace = await openWorkspace({ repository: plan.repository, ports, env });
  const made: Made = {};
  try {
    const prepared = await furnish(job, workspace, made, work);
    const { sandbox } = made;
    return await work.body(
      {
        workspace,
        run: (tool, command) => runTool(job, workspace, sandbox, tool, command),
        leave() {
          const { app, layers, home, temporary } = workspace;
          // What could not be removed is removed again with the whole, which says so.
          made.left ??= workspace.remove(app, layers, home, temporary).catch(() => undefined);
        },
        notes: [
          ...(work.hasDaemon === true ? describeDaemon : describeIsolation(sandbox)),
          ...(workspace.isUsualPath
            ? []
            : ["built beside another build of this repository: paths inside of the image may differ from a rebuild's"]),
        ],
      },
      prepared,
    );
  } finally {
    await made.sandbox?.close();
    await made.guard?.close();
    await made.left;
    await closeWorkspace(workspace, ports);
  }
}

/** What ends with the room, as far as it was made. */
interface Made {
  sandbox?: Sandbox | undefined;
  guard?: Guard | undefined;
  left?: Promise<void>;
}

async function furnish<Prepared>(
  job: BuildJob,
  workspace: Workspace,
  made: Made,
  { prepare }: Pick<RoomWork<Prepared, unknown>, "prepare">,
): Promise<Prepared> {
  const { plan, source, context } = job;
  const prepared: Prepared[] = [];
  const steps = [
    async () => {
      const copied = await copySource(source, workspace.app, context.signal);
      context.ports.log.info(`copied ${copied.files} files (${copied.bytes} bytes) of the application`);
      made.guard = await writeSecrets(job, workspace);
    },
    async () => {
      made.sandbox = await keepApart(workspace, plan, source, context);
    },
    async () => {
      prepared.push(await prepare(workspace));
    },
  ];
  await mapConcurrently(steps.length, steps, (step) => step());
  await workspace.handOver(made.sandbox === undefined ? workspace.user : workspace.builder);
  return prepared[0] as Prepared;
}

/** Removes a build's home when this process ends, however it does. */
interface Guard {
  close(): Promise<void>;
}

/**
 * The workspace of a process that was killed stays until the next build of the repository: with a program beside that
 * has its input from here, and outlives this by one `rm`, no secret stays in it. The whole home goes, by its name in a
 * folder that the build can't write to: a build could have put a link in any place below.
 */
async function writeSecrets({ options, context }: BuildJob, { home }: Workspace): Promise<Guard | undefined> {
  const given = Object.entries(secretFiles).flatMap(([id, file]) => {
    const secret = options.secrets.get(id);
    return secret === undefined ? [] : [{ path: join(home, file), value: secret.value }];
  });
  if (given.length === 0) return undefined;
  const { PATH } = context.env;
  const closing = new AbortController();
  const ended = runProcess("/bin/sh", ["-c", 'cat >/dev/null; rm -rf -- "$1"', "sh", home], {
    ...{ env: { PATH }, cwd: "/", holdInput: true, signal: closing.signal },
  }).catch(() => undefined);
  for (const { path, value } of given) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, value, { mode: 0o600 });
  }
  return {
    async close() {
      closing.abort();
      await ended;
    },
  };
}

function requireKnownSecrets({ options: { secrets }, plan }: BuildJob): void {
  const unknown = [...secrets.keys()].find((id) => !Object.hasOwn(secretFiles, id));
  if (unknown === undefined) return;
  throw new UserError(
    `input 'secrets' has '${unknown}', and strategy '${plan.strategy.strategy}' takes ${Object.keys(secretFiles).join(" and ")}`,
    { code: "input-invalid", wayOut: "Give the build's repositories and their logins as one of these files." },
  );
}

async function runTool(
  job: BuildJob,
  workspace: Workspace,
  sandbox: Sandbox | undefined,
  tool: BuildTool,
  { env = {}, ...what }: RoomCommand,
): Promise<void> {
  const { source, context } = job;
  const lines: string[] = [];
  const options = {
    env: { ...toolEnvironment(job, workspace, sandbox), ...env },
    cwd: workspace.app,
    signal: context.signal,
    maxOutputBytes: maxOutput,
    onLine: (line: string) => {
      const quoted = quoteLine(line);
      context.ports.log.info(quoted);
      lines.push(quoted.slice(2));
      if (lines.length > keptLines) lines.shift();
    },
  };
  // A Java that the job's environment names and the room does not show would be in the way of the one that it does.
  const script = 'umask 022; [ -x "$JAVA_HOME/bin/java" ] || unset JAVA_HOME; exec "$@"';
  const command = ["-c", script, "sh", ...renderCommand(tool, what)];
  const { dropsTo } = workspace;
  const { exitCode } = await context.ports.group(`${tool.name} ${what.goals[0]}`, () =>
    sandbox === undefined
      ? runProcess("/bin/sh", command, {
          ...options,
          ...(dropsTo === undefined ? {} : { uid: dropsTo.uid, gid: dropsTo.gid }),
        })
      : sandbox.run(["/bin/sh", ...command], options),
  );
  if (exitCode === 0) return;
  const inCheckout = placeInCheckout(source, context);
  throw explainJavaFailure({ tool, exitCode, lines, directory: workspace.app, inCheckout });
}

/** Without any login. What the user gives for Java comes on top of what leads Java to the way out, and to its home. */
function toolEnvironment(job: BuildJob, workspace: Workspace, sandbox: Sandbox | undefined): Record<string, string> {
  const { env } = job.context;
  const own = { ...job.source.project.env, ...job.variables };
  const { process, platform } = selectBuildEnvironment(env, own, sandbox !== undefined);
  const java = [
    sandbox?.variables["JAVA_TOOL_OPTIONS"],
    // By itself Java takes its user's entry in the system's list, which need not have one.
    `-Duser.home=${workspace.home}`,
    own["JAVA_TOOL_OPTIONS"],
  ];
  return {
    ...process,
    ...platform,
    ...(env["JAVA_HOME"] === undefined ? {} : { JAVA_HOME: own["JAVA_HOME"] ?? env["JAVA_HOME"] }),
    HOME: workspace.home,
    TMPDIR: workspace.temporary,
    JAVA_TOOL_OPTIONS: java.filter((each) => each !== undefined && each !== "").join(" "),
  };
}
