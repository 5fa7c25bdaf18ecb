import { chmod, mkdir, readdir, readFile, readlink, realpath, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { describeError, InfrastructureError } from "@goldenpath/foundation/errors";
import { type ProcessOptions, type ProcessResult, runProcess } from "@goldenpath/foundation/exec/run";
import type { Ports } from "@goldenpath/foundation/ports";
import type { Workspace } from "../workspace.ts";
import { type Egress, openEgress } from "./egress.ts";
import { gatherView } from "./gather.ts";
import { flagsOf, type Mount, parseMounts } from "./mounts.ts";
import { planRoot, type RoomRoot } from "./root.ts";
import { enterScript, relayScript, setupScript } from "./scripts.ts";
import { writeSkeleton } from "./skeleton.ts";
import { requireStraight } from "./straight.ts";
import { planView, type View, type ViewPart } from "./view.ts";

/**
 * How a build is kept apart: by root, by root through sudo, or in a user namespace of an ordinary user. The first one
 * that really works is taken.
 */
export type SandboxWay = "root" | "user-namespace" | "sudo";

export interface Sandbox {
  way: SandboxWay;
  /** For buildpacks: how the way out is told to programs that read none of the usual variables. */
  variables: Readonly<Record<string, string>>;
  /** Hosts that the build was refused. */
  refused: ReadonlySet<string>;
  /**
   * Runs a program in a room of its own, and returns when nothing of it is left.
   * @throws InfrastructureError as `runProcess`, and `build-left-processes`
   */
  run(command: readonly [string, ...string[]], options: RunOptions): Promise<ProcessResult>;
  /**
   * Runs a program of ours on what the build left, at the places and as the user that {@link RoomRoot} gives it, among
   * the machine's own files and in its network. For a sandbox with a root alone.
   */
  runOutside(command: readonly [string, ...string[]], options: OutsideOptions): Promise<ProcessResult>;
  close(): Promise<void>;
}

export interface RunOptions extends Pick<ProcessOptions, "signal" | "maxOutputBytes" | "onLine"> {
  env: Readonly<Record<string, string>>;
  cwd: string;
}

export interface OutsideOptions extends RunOptions {
  /** A variable that no list of processes shows. */
  secret: { name: string; value: string };
}

interface SandboxOptions {
  workspace: Workspace;
  env: Readonly<Record<string, string | undefined>>;
  ports: Ports;
  signal: AbortSignal;
  /** Folders that no build has to see, besides the usual ones. */
  secret: readonly string[];
  /** What strangers' code has for a root, instead of a view of this machine. */
  root?: RoomRoot;
  /** For tests: the ways that are tried. */
  ways?: readonly SandboxWay[];
}

/** Where in the room the way out listens. */
const relayPort = 3128;
/** A room that hangs is found out by it; on a machine that is busy one takes seconds. */
const probeTimeout = 120_000;

/**
 * A place for strangers' code: PID, mount, IPC, UTS and network namespaces of its own for each program, a root file
 * system of what it needs and nothing else, no capabilities and no way to get any, and of the network a proxy that
 * leads to no address of this machine and to no cloud's metadata. It is tried out before it is returned.
 * @throws InfrastructureError `build-not-isolated`: what each way said, and what to do
 */
export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { workspace, env, ports } = options;
  const directory = join(workspace.control, "sandbox");
  // Beside what is shown, which would show it in itself.
  const root = join(dirname(workspace.control), "room");
  await Promise.all([directory, root].map((path) => mkdir(path, { recursive: true })));
  const files = {
    "setup.sh": setupScript,
    "enter.sh": enterScript,
    "relay.mjs": relayScript,
    passwd: `root:x:0:0:root:/:/bin/sh\nbuild:x:${workspace.builder.uid}:${workspace.builder.gid}::${workspace.home}:/bin/sh\n`,
    group: `root:x:0:\nbuild:x:${workspace.builder.gid}:\n`,
  };
  // The umask may keep others out, and the build's user is another one.
  await chmod(directory, 0o755);
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(directory, name), text);
    await chmod(join(directory, name), 0o644);
  }
  const machine = await viewMachine(options);
  machine.parts.push(
    { mode: "ro", from: join(directory, "passwd"), to: "/etc/passwd" },
    { mode: "ro", from: join(directory, "group"), to: "/etc/group" },
  );
  // Before all that may lie in it: a checkout, or a program.
  machine.parts.unshift(
    options.root === undefined
      ? { mode: "rw", from: workspace.temporary, to: "/tmp" }
      : { mode: "mask", from: "", to: "/tmp" },
  );
  const egress = await openEgress(join(directory, "out.sock"), env, ports);
  const view =
    options.root === undefined
      ? machine
      : { path: machine.path, parts: [...machine.parts, ...(await planRoot(options.root))] };
  const room: Room = { options, directory, root, view, egress, skeletons: new Map() };
  try {
    const way = await chooseWay(room);
    return {
      way,
      variables: javaSettings(),
      refused: egress.refused,
      run: (command, run) => runInRoom(room, way, command, run),
      runOutside: (command, run) => runOutside(room, way, command, run),
      close: () => egress.close(),
    };
  } catch (error) {
    await egress.close();
    throw error;
  }
}

/** With a root, nothing of a build lies among the machine's files: what it writes to is in the root alone. */
async function viewMachine({ workspace, env, secret, root }: SandboxOptions): Promise<View> {
  const { app, layers, home, temporary, handover } = workspace;
  return planView(
    await gatherView({
      env,
      home: env["HOME"] || homedir(),
      // The resolver's settings may be a link to where no build looks, and programs of ours look there.
      files: [process.execPath, ...(root === undefined ? [] : [await realpath("/etc/resolv.conf")])],
      readable: [workspace.control, workspace.buildpacks, workspace.platform, workspace.empty],
      writable: root === undefined ? [app, layers, home, temporary, handover] : [],
      secret,
    }),
  );
}

interface Room {
  options: SandboxOptions;
  directory: string;
  root: string;
  view: View;
  egress: Egress;
  /** What is copied to a room's root, by its kind. */
  skeletons: Map<RoomKind["kind"], Promise<string>>;
}

/** Once for all rooms of a kind: their parts are the same. */
async function makeSkeleton({ directory, skeletons }: Room, { kind, parts }: RoomKind): Promise<string> {
  const make = async (): Promise<string> => {
    const folder = join(directory, `root-${kind}`);
    await writeSkeleton(folder, parts, kind === "image" ? [".image"] : []);
    return folder;
  };
  const made = skeletons.get(kind) ?? make();
  skeletons.set(kind, made);
  return made;
}

async function chooseWay(room: Room): Promise<SandboxWay> {
  const { options } = room;
  const isRoot = process.geteuid?.() === 0;
  const ways = options.ways ?? (isRoot ? (["root"] as const) : (["user-namespace", "sudo"] as const));
  const reasons: string[] = [];
  for (const way of ways) {
    try {
      const env = { PATH: room.view.path.join(":") };
      const { exitCode, stderr } = await runInRoom(
        room,
        way,
        options.root?.probe ?? ["/bin/sh", "-c", "exit 0"],
        { env, cwd: "/", signal: options.signal },
        probeTimeout,
      );
      if (exitCode === 0) return way;
      reasons.push(`${way}: ${lastWords(stderr) || `exit code ${exitCode}`}`);
    } catch (error) {
      options.signal.throwIfAborted();
      reasons.push(`${way}: ${lastWords(describeError(error))}`);
    }
  }
  throw new InfrastructureError(`this build can't be kept apart from this machine (${reasons.join("; ")})`, {
    code: "build-not-isolated",
    safeToRetry: false,
    wayOut:
      "Build as root, as a user with passwordless sudo, or where a user may make namespaces (Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0), with util-linux and iproute2 installed. In a container of its own that ends with the job, have the policy's owners add host-unisolated to build.isolation: then the container is the wall.",
  });
}

async function runInRoom(
  room: Room,
  way: SandboxWay,
  command: readonly [string, ...string[]],
  { env, cwd, ...options }: RunOptions,
  timeoutMs?: number,
): Promise<ProcessResult> {
  const { directory, view, egress } = room;
  const image = room.options.root;
  // What the job's own environment says of proxies holds for the way out, and not in here.
  const inside = listVariables({ ...env, ...proxySettings(), PATH: image?.path ?? view.path.join(":") });
  const started =
    image === undefined
      ? [
          ...["/usr/bin/env", "-i", "-C", cwd, ...inside],
          ...["/bin/sh", "-c", 'umask 022; exec "$@"', "sh"],
          ...[process.execPath, join(directory, "relay.mjs"), egress.socket, String(relayPort), ...command],
        ]
      : ["/usr/bin/env", "-i", ...inside, ...enter(room, image, way, "/.image", "-"), ...command];
  const timeout = timeoutMs === undefined ? {} : { timeoutMs };
  return startRoom(room, { way, kind: image === undefined ? "plain" : "image", parts: view.parts }, started, {
    ...options,
    ...timeout,
  });
}

async function runOutside(
  room: Room,
  way: SandboxWay,
  command: readonly [string, ...string[]],
  { env, cwd, secret, ...options }: OutsideOptions,
): Promise<ProcessResult> {
  const image = room.options.root;
  if (image === undefined) throw new TypeError("without a root there are no places for what the build left");
  const parts = [...room.view.parts.filter(({ to }) => !to.startsWith("/.image/")), ...image.places];
  const inside = listVariables({ ...env, PATH: room.view.path.join(":") });
  const started = [
    ...["/usr/bin/env", "-i", "-C", cwd, ...inside],
    ...enter(room, image, way, "/", secret.name),
    ...command,
  ];
  return startRoom(room, { way, kind: "outside", parts }, started, { ...options, input: `${secret.value}\n` });
}

/** Starts what follows as the root's own user. */
function enter(room: Room, { user }: RoomRoot, way: SandboxWay, root: string, secret: string): string[] {
  const { builder } = room.options.workspace;
  const ids = [builder.uid, builder.gid, user.uid, user.gid].map(String);
  return ["/bin/sh", join(room.directory, "enter.sh"), isNested(way), ...ids, root, secret];
}

function isNested(way: SandboxWay): "0" | "1" {
  return way === "user-namespace" ? "1" : "0";
}

function listVariables(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

interface RoomKind {
  way: SandboxWay;
  kind: "plain" | "image" | "outside";
  parts: readonly ViewPart[];
}

async function startRoom(
  room: Room,
  what: RoomKind,
  command: readonly string[],
  options: Omit<ProcessOptions, "env">,
): Promise<ProcessResult> {
  const { directory, root, egress } = room;
  const { way, kind, parts } = what;
  const { uid, gid } = room.options.workspace.builder;
  await requireStraight(parts);
  const skeleton = await makeSkeleton(room, what);
  const mounts = parseMounts(await readFile("/proc/self/mountinfo", "utf8"));
  const mark = join(directory, "namespace");
  await rm(mark, { force: true });
  const network = kind === "outside" ? [] : ["--net"];
  const namespaces = ["--mount", "--pid", "--ipc", "--uts", ...network, "--fork", "--kill-child=KILL"];
  const launcher = {
    root: ["unshare", ...namespaces],
    sudo: ["sudo", "-n", "--", "unshare", ...namespaces],
    "user-namespace": ["unshare", "--user", "--map-root-user", ...namespaces],
  }[way];
  const [program = "", ...args] = [
    ...launcher,
    ...["--", "/bin/sh", join(directory, "setup.sh")],
    ...[root, String(uid), String(gid), isNested(way), mark, skeleton],
    ...[kind, process.execPath, join(directory, "relay.mjs"), egress.socket, String(relayPort)],
    ...(await Promise.all(parts.map(async (part) => [await modeOf(part, mounts), part.from, part.to]))).flat(),
    ...["--", ...command],
  ];
  try {
    return await runProcess(program, args, {
      ...options,
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      cwd: "/",
      holdInput: true,
    });
  } finally {
    await requireEmpty(mark);
  }
}

/** By its flags a part is mounted at once; otherwise each mount in it is looked at when it is there. */
async function modeOf({ mode, from }: ViewPart, mounts: readonly Mount[]): Promise<string> {
  if (mode !== "ro") return mode;
  const real = await realpath(from).catch(() => undefined);
  const flags = real === from ? flagsOf(mounts, from) : undefined;
  return flags === undefined ? mode : `${mode}:${flags}`;
}

function proxySettings(): Record<string, string> {
  const out = `http://127.0.0.1:${relayPort}`;
  const names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
  const none = "localhost,127.0.0.1,::1";
  return {
    ...Object.fromEntries(
      names.flatMap((name) => [
        [name, out],
        [name.toLowerCase(), out],
      ]),
    ),
    NO_PROXY: none,
    no_proxy: none,
  };
}

/** Java reads no variables of proxies. */
function javaSettings(): Record<string, string> {
  const java = ["http", "https"].flatMap((scheme) => [
    `-D${scheme}.proxyHost=127.0.0.1`,
    `-D${scheme}.proxyPort=${relayPort}`,
  ]);
  return { JAVA_TOOL_OPTIONS: `${java.join(" ")} -Dhttp.nonProxyHosts=localhost|127.0.0.1` };
}

/**
 * The kernel ends what is in a PID namespace with its first process, before that one is gone for whoever waits. Looked
 * at all the same, by what each process says it is in: what is not dead could still write into the layers.
 * @throws InfrastructureError `build-left-processes`
 */
async function requireEmpty(mark: string): Promise<void> {
  const namespace = (await readFile(mark, "utf8").catch(() => "")).trim();
  if (namespace === "") return;
  let left: string[] = [];
  for (let round = 0; round < 50; round += 1) {
    left = [];
    for (const pid of await readdir("/proc")) {
      if (!/^\d+$/.test(pid)) continue;
      const link = await readlink(`/proc/${pid}/ns/pid`).catch(() => undefined);
      if (link === namespace) left.push(pid);
    }
    if (left.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new InfrastructureError(
    `the build left ${left.length} processes that do not end (${left.slice(0, 10).join(", ")})`,
    {
      code: "build-left-processes",
      safeToRetry: false,
      wayOut:
        "Find out what of the build hangs in the kernel (an unreachable network file system?), and build on another machine.",
    },
  );
}

/** mount(8) says what failed, and below that where one could look for more, which is no cause. */
function lastWords(text: string): string {
  const lines = text.split("\n").map((line) => line.trim());
  return lines
    .filter((line) => line !== "" && !line.startsWith("dmesg(1)"))
    .slice(-3)
    .join(" ");
}
