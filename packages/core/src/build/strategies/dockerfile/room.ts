import { createHash, randomBytes } from "node:crypto";
import { chmod, copyFile, lstat, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { describeError, InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { type ProcessResult, runProcess } from "@goldenpath/foundation/exec/run";
import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { type Egress, type OwnService, openEgress } from "../../sandbox/egress.ts";
import { realPaths, secretPaths } from "../../sandbox/gather.ts";
import { relayScript } from "../../sandbox/scripts.ts";
import { isInside } from "../../sandbox/view.ts";
import type { Workspace } from "../../workspace.ts";
import { roomScript, usersScript } from "./scripts.ts";

/**
 * As whom a builder is started: by root, by root through sudo, or by an ordinary user with subordinate numbers. In each
 * case it then runs in a user namespace, and so does everything that it starts.
 */
export type RoomWay = "root" | "sudo" | "user-namespace";

/** What stands before anything is known of the build. */
export interface RoomSite {
  workspace: Workspace;
  context: Context;
  way: RoomWay;
}

export interface RoomRun extends RoomSite {
  /** What starts them, as a shell script with the arguments CONTROL WORK, and the builder's own. */
  script: string;
  /** More for it to read, by name. */
  files?: Readonly<Record<string, string>>;
  /** What the builder gets to of ours, over the way out. */
  service?: RoomService;
  /** A file of each is mounted where a step asks for it. */
  secrets: ReadonlyMap<string, string>;
  /** Folders that no build has to see, besides the usual ones. */
  hidden: readonly string[];
  /** Of the builder, from where the room has what; undefined where the script waits for them ({@link handArguments}). */
  argumentsOf?(room: RoomFolders): readonly string[];
  onLine(line: string): void;
  /** Besides that of the context. */
  signal?: AbortSignal;
}

/** A registry of ours: the builder has its login, in a place that no step sees, and sends it over TLS alone. */
export interface RoomService extends OwnService {
  login: { username: string; password: string };
  /** Of its TLS, which signs itself. PEM. */
  certificate: string;
}

export interface RoomFolders {
  /** Files of ours. */
  control: string;
  /** Where the image goes. */
  result: string;
  /** By ID. */
  secretFiles: ReadonlyMap<string, string>;
}

/** A room whose builder has been started. */
export interface OpenRoom {
  folders: RoomFolders;
  /** When nothing runs in it any more, and its result is the caller's: what lies beside that may still be removed. */
  done: Promise<RoomResult>;
  /** When nothing of it is left. */
  ended: Promise<RoomResult>;
}

export interface RoomResult extends Pick<ProcessResult, "exitCode"> {
  way: RoomWay;
  /** The layout that it left. */
  layout: string;
  /** Hosts that the build was refused. */
  refused: ReadonlySet<string>;
}

/** Where in the room the way out listens. */
const relayPort = 3128;
export const proxyAddress = `http://127.0.0.1:${relayPort}`;
/** A build may print a lot; a log of this size is something gone wrong. */
const maxOutput = 256 * 1024 * 1024;
export const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Finds out how a builder is kept apart here, and places its programs: what can be done while images are fetched.
 * @param programs this invocation's own copies of them, by the names that they have in the room
 * @throws InfrastructureError `build-not-isolated`
 */
export async function prepareRoom(
  { workspace, context }: Omit<RoomSite, "way">,
  programs: Promise<Readonly<Record<string, string>>>,
): Promise<RoomSite> {
  const [way, paths] = await Promise.all([chooseWay(context), programs]);
  for (const [name, path] of Object.entries(paths)) await workspace.placeOwnProgram(path, name);
  return { workspace, context, way };
}

/**
 * Runs one build by a builder of its own, and returns when nothing of either is left. The builder and the build's steps
 * are in a user namespace whose users are nobody's on the machine, in PID, mount, IPC, UTS and network namespaces; of
 * the network they have a proxy that leads to no address of this machine and to no cloud's metadata; homes and what
 * the runner keeps are covered. The builder gets no login of the caller's: what it builds from lies in the room.
 * @throws as `runProcess`
 */
export async function buildInRoom(run: RoomRun): Promise<RoomResult> {
  return (await openRoom(run)).ended;
}

/** As {@link buildInRoom}, and returns as soon as the builder is started. One at a time in a workspace. */
export async function openRoom(run: RoomRun): Promise<OpenRoom> {
  const { workspace, context } = run;
  const { control } = workspace;
  const work = workspace.handover;
  for (const name of ["state", "run", "image"]) await mkdir(join(work, name), { recursive: true });
  await chmod(work, 0o711);
  const scripts = { "users.sh": usersScript, "room.sh": roomScript, "build.sh": run.script, "relay.mjs": relayScript };
  await copyAuthorities(control, context);
  const files = { ...scripts, ...run.files };
  for (const [name, text] of Object.entries(files)) await writeReadable(join(control, name), text);
  const folders = { control, result: join(work, "image"), secretFiles: await writeSecrets(control, run.secrets) };
  if (run.service !== undefined) await writeLogin(join(work, "run"), run.service);
  const hidden = await hiddenPaths(run);
  const egress = await openEgress(join(control, "out.sock"), context.env, context.ports, run.service);
  // By subordinate numbers alone, what starts the room is in its PID namespace, which shows all of them its arguments.
  const word = run.way === "user-namespace" ? undefined : randomBytes(16).toString("hex");
  const telling = Promise.withResolvers<RoomResult>();
  const onLine = (line: string): void => {
    if (word === undefined || !line.startsWith(word)) return void run.onLine(line);
    // Of any other end, the process itself says how it came.
    if (line !== `${word} 0`) return;
    opened.isTold = true;
    telling.resolve(describeRoom(run, folders, egress, 0));
  };
  const opened: Opened = { folders, hidden, egress, files: Object.keys(files), word, isTold: false };
  const ended = runRoom({ ...run, onLine }, opened);
  ended.then(telling.resolve, telling.reject);
  // Whoever waits for the end is told as well.
  telling.promise.catch(() => undefined);
  return { folders, done: telling.promise, ended };
}

function describeRoom(
  { way }: RoomSite,
  { result }: RoomFolders,
  { refused }: Egress,
  exitCode: ProcessResult["exitCode"],
): RoomResult {
  return { exitCode, way, layout: result, refused };
}

interface Opened {
  folders: RoomFolders;
  hidden: readonly string[];
  egress: Egress;
  /** Names of what was written for it. */
  files: readonly string[];
  /** By which it says that its result is there; undefined where it does not before it ends. */
  word: string | undefined;
  /** The result is the caller's already, and stays whatever comes after it. */
  isTold: boolean;
}

async function runRoom(run: RoomRun, opened: Opened): Promise<RoomResult> {
  const { folders, hidden, egress, files, word } = opened;
  const { workspace, context, way } = run;
  let ended: ProcessResult | undefined;
  try {
    const [program, args] = commandOf(way, workspace, { hidden, word }, [
      egress.socket,
      String(relayPort),
      ...(run.argumentsOf?.(folders) ?? []),
    ]);
    ended = await runProcess(program, args, {
      env: { PATH: systemPath },
      cwd: "/",
      holdInput: true,
      maxOutputBytes: maxOutput,
      signal: run.signal === undefined ? context.signal : AbortSignal.any([context.signal, run.signal]),
      onLine: run.onLine,
    });
    return describeRoom(run, folders, egress, ended.exitCode);
  } finally {
    await egress.close();
    // What a run writes is its own: another one in the same workspace finds nothing of it.
    const own = [...files, "mapped", "node", "authorities.pem", argumentsFile];
    await Promise.all(own.map((name) => rm(join(workspace.control, name), { force: true })));
    // Whoever was in the room could write to these, and they are there where it did not end by itself.
    const left = [
      join(workspace.control, "secrets"),
      ...(ended?.exitCode === 0 || opened.isTold ? [] : [folders.result]),
    ];
    const there = await Promise.all(left.map((path) => isThere(path)));
    if (there.includes(true)) await workspace.remove(...left);
  }
}

async function isThere(path: string): Promise<boolean> {
  const missing = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT";
  return lstat(path).then(
    () => true,
    (error: unknown) => !missing(error),
  );
}

/** In the control folder: an argument a line, in which a backslash is two, and the end of a line is a backslash and an n. */
const argumentsFile = "arguments";

/** Gives a script that waits for them the builder's arguments, at once. */
export async function handArguments({ control }: Workspace, args: readonly string[]): Promise<void> {
  const lines = args.map((each) => `${each.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n`);
  const written = join(control, `${argumentsFile}.new`);
  await writeReadable(written, lines.join(""));
  await rename(written, join(control, argumentsFile));
}

async function chooseWay({ signal }: Context): Promise<RoomWay> {
  const own = ["user-namespace", ["unshare", "--user", "--map-auto", "--map-root-user", "true"]] as const;
  const tries: readonly (readonly [RoomWay, readonly string[]])[] =
    process.geteuid?.() === 0
      ? // In a container root may lack the right to mount, and have numbers of its own all the same.
        [["root", ["unshare", "--mount", "--user", "true"]], own]
      : [["sudo", ["sudo", "-n", "unshare", "--mount", "--user", "true"]], own];
  const reasons: string[] = [];
  for (const [way, [program = "", ...args]] of tries) {
    const options = { env: { PATH: systemPath }, cwd: "/", signal, timeoutMs: 120_000 };
    const tried = await runProcess(program, args, options).catch((error: unknown) => {
      signal.throwIfAborted();
      return { exitCode: -1, stderr: error instanceof Error ? error.message : String(error) };
    });
    if (tried.exitCode === 0) return way;
    reasons.push(`${way}: ${tried.stderr.trim().split("\n").at(-1) || `exit code ${tried.exitCode}`}`);
  }
  throw new InfrastructureError(`the builder can't be kept apart from this machine (${reasons.join("; ")})`, {
    code: "build-not-isolated",
    safeToRetry: false,
    wayOut:
      "Build as root, as a user with passwordless sudo, or as one who may make user namespaces and has numbers in /etc/subuid and /etc/subgid (Debian and Ubuntu: apt-get install uidmap).",
  });
}

/** From all numbers above those that machines give to people, services and containers, 65536 that are this folder's. */
function firstUser(directory: string): number {
  const block = createHash("sha256").update(directory).digest().readUInt32BE() % 30_000;
  return 2_100_000_000 + block * 65_536;
}

function commandOf(
  way: RoomWay,
  workspace: Workspace,
  { hidden, word }: Pick<Opened, "hidden" | "word">,
  args: readonly string[],
): [string, string[]] {
  const { control, handover } = workspace;
  const isNested = way === "user-namespace";
  const apart = ["--mount", "--pid", "--mount-proc", "--net", "--ipc", "--uts", "--fork", "--kill-child=KILL"];
  const [program = "", ...start] = {
    root: ["unshare", "--mount"],
    sudo: ["sudo", "-n", "--", "unshare", "--mount"],
    "user-namespace": ["unshare", "--user", "--map-auto", "--map-root-user", ...apart],
  }[way];
  const owner = `${process.geteuid?.() ?? 0}:${process.getegid?.() ?? 0}`;
  return [
    program,
    [
      ...start,
      ...["--", "/bin/sh", join(control, "users.sh"), isNested ? "1" : "0", String(firstUser(control)), owner],
      ...[word ?? "-", process.execPath, control, handover, ...hidden, "--", ...args],
    ],
  ];
}

/** What is covered: homes, logins, the runner's folders; never what the room itself is in. */
async function hiddenPaths({ workspace, context, hidden }: RoomRun): Promise<string[]> {
  const { env } = context;
  const paths = await realPaths([...secretPaths(env, env["HOME"] || homedir()), ...hidden]);
  const outer = paths.filter((path) => !isInside(workspace.control, path));
  // What lies in a covered folder is not there any more.
  return outer.filter((path) => !outer.some((other) => other !== path && isInside(path, other)));
}

async function writeSecrets(control: string, secrets: ReadonlyMap<string, string>): Promise<Map<string, string>> {
  const folder = join(control, "secrets");
  await mkdir(folder, { mode: 0o700 });
  const files = new Map<string, string>();
  for (const [id, value] of secrets) {
    const file = join(folder, String(files.size));
    await writeFile(file, value, { flag: "wx", mode: 0o400 });
    files.set(id, file);
  }
  return files;
}

/** Where the room's DOCKER_CONFIG is. */
async function writeLogin(folder: string, { host, port, login }: RoomService): Promise<void> {
  const auth = Buffer.from(`${login.username}:${login.password}`).toString("base64");
  const text = stringifyJson({ auths: { [`${host}:${port}`]: { auth } } });
  await writeFile(join(folder, "config.json"), text, { flag: "wx", mode: 0o600 });
}

/** A company's own certificate authorities, for what ADD fetches: where they lie may be covered. */
async function copyAuthorities(control: string, { env }: Context): Promise<void> {
  const file = env["SSL_CERT_FILE"];
  if (file === undefined || file === "") return;
  const target = join(control, "authorities.pem");
  await copyFile(file, target).catch((error: unknown) => {
    throw new UserError(`SSL_CERT_FILE is '${file}': it can't be read (${describeError(error)})`, {
      code: "certificates-invalid",
      cause: error,
    });
  });
  await chmod(target, 0o644);
}

async function writeReadable(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flag: "wx", mode: 0o644 });
  await chmod(path, 0o644);
}
