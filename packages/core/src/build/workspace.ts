import { createHash, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import {
  chmod,
  copyFile,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  readlink,
  realpath,
  rmdir,
  stat,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { describeError, InfrastructureError } from "@goldenpath/foundation/errors";
import { runChecked, runProcess } from "@goldenpath/foundation/exec/run";
import type { Ports } from "@goldenpath/foundation/ports";
import type { Repository } from "@goldenpath/registry-client/oci/reference";

/** Who runs strangers' code. */
interface BuildUser {
  uid: number;
  gid: number;
}

/**
 * Where builds happen. The lifecycle puts the application and the layers into the image *at the paths they have here*,
 * so: the path must be the same for each build of a repository, or no two builds have the same digest; it must not be
 * below /tmp, over which a cluster mounts an empty folder; and each folder above must let others pass, since its mode
 * goes into the image, too. The CNB's own /workspace and /layers can't be made by an ordinary user.
 */
const buildRoot = "/var/tmp";

/** `nobody`, by number: it exists on every Linux, owns nothing, and is not a user whose files a build could want. */
const nobody: BuildUser = { uid: 65534, gid: 65534 };

/**
 * By number alone, above all that a machine gives to people, services and containers: files and processes of one build
 * are nobody else's, another build's least of all. Of the build's folder, which no other build has at the same time: a
 * rebuild has the same user, which a build may have written down.
 */
function ownUser(directory: string): BuildUser {
  const id = 1_900_000_000 + (createHash("sha256").update(directory).digest().readUInt32BE() % 100_000_000);
  return { uid: id, gid: id };
}

export interface Workspace {
  /**
   * Whom the lifecycle's own phases become where they are started as root, and whose the image's files are written as;
   * an ordinary user has no other than itself.
   */
  user: BuildUser;
  dropsTo: BuildUser | undefined;
  /** Who runs strangers' code: where there is root, a user that no other build has. */
  builder: BuildUser;
  /** The application, copied. */
  app: string;
  layers: string;
  /** The build user's home and temporary folder. HOME is never the caller's: that has logins in it. */
  home: string;
  temporary: string;
  /** What phases of the lifecycle write for the next ones. */
  handover: string;
  /** Below here nothing is the build user's to change (where that is another user). */
  control: string;
  buildpacks: string;
  platform: string;
  /** An empty folder, for what the lifecycle would else take from fixed places of this machine. */
  empty: string;
  /**
   * False where another build of the same repository holds the usual path, so that this image's digest is not a
   * rebuild's.
   */
  isUsualPath: boolean;
  /**
   * Gives paths to one of the build's users, whole; all that is written to in a build unless told. Never while
   * strangers' code runs: nothing may be swapped under it.
   */
  handOver(to: BuildUser, ...paths: string[]): Promise<void>;
  /** A copy of a program that the build's users can reach. */
  placeProgram(path: string, name: string): Promise<string>;
  /** As {@link placeProgram}, of a program that is this invocation's own copy already, where both can be one file. */
  placeOwnProgram(path: string, name: string): Promise<string>;
  /** The whole of it; or these paths of it, once nothing needs them any more. */
  remove(...paths: string[]): Promise<void>;
}

interface WorkspaceOptions {
  repository: Repository;
  ports: Ports;
  env: Readonly<Record<string, string | undefined>>;
  root?: string;
}

const slots = 16;

/**
 * Makes the private folder of one build, at a path that is the same for the next build of the same repository.
 * @throws InfrastructureError `build-directory-unsafe`, `build-directory-busy`, `build-directory-failed`
 */
export async function openWorkspace(options: WorkspaceOptions): Promise<Workspace> {
  const uid = process.geteuid?.() ?? -1;
  const gid = process.getegid?.() ?? -1;
  const parent = await openParent(options.root ?? buildRoot, uid);
  // Without the host: the same application in another registry is still built at the same path.
  const key = createHash("sha256").update(options.repository.name).digest("hex").slice(0, 12);
  const { directory, index } = await claimSlot(parent, key, options);
  const dropsTo = uid === 0 ? nobody : undefined;
  const user = dropsTo ?? { uid, gid };
  const path = (name: string): string => join(directory, name);
  const workspace: Workspace = {
    user,
    dropsTo,
    builder: uid === 0 ? ownUser(directory) : user,
    app: path("app"),
    layers: path("layers"),
    home: path("home"),
    temporary: path("tmp"),
    handover: path("handover"),
    control: path("control"),
    buildpacks: path("buildpacks"),
    platform: path("platform"),
    empty: path("empty"),
    isUsualPath: index === 0,
    async handOver(to, ...paths) {
      if (dropsTo === undefined) return;
      const chosen = paths.length > 0 ? paths : ["app", "layers", "home", "tmp", "handover"].map(path);
      // -h: a link itself, not what it leads to.
      await runChecked("chown", ["-R", "-h", `${to.uid}:${to.gid}`, "--", ...chosen], {
        env: { PATH: options.env["PATH"] },
      });
    },
    async placeProgram(program, name) {
      // The tool cache may be below a home that only its owner can enter, and a build does not see it.
      const target = path(`control/${name}`);
      await copyFile(program, target, constants.COPYFILE_FICLONE);
      await chmod(target, 0o755);
      return target;
    },
    async placeOwnProgram(program, name) {
      const target = path(`control/${name}`);
      const isOne = await link(program, target).then(
        () => true,
        () => false,
      );
      if (!isOne) return workspace.placeProgram(program, name);
      await chmod(target, 0o755);
      return target;
    },
    remove: (...paths) => removeTree(paths.length === 0 ? [directory] : paths, options.env),
  };
  try {
    const shared = [
      workspace.app,
      workspace.layers,
      workspace.control,
      workspace.buildpacks,
      workspace.platform,
      workspace.empty,
    ];
    for (const each of shared) await makeDirectory(each, 0o755);
    for (const each of [workspace.home, workspace.temporary, workspace.handover]) await makeDirectory(each, 0o700);
    await makeDirectory(join(workspace.platform, "env"), 0o755);
    return workspace;
  } catch (error) {
    await workspace.remove();
    throw failed(directory, error);
  }
}

/** What is left behind is removed by the next build of this repository; the outcome of this one stands. */
export async function closeWorkspace(workspace: Workspace, ports: Ports): Promise<void> {
  await workspace
    .remove()
    .catch((error: unknown) => ports.log.warning(`the build's folder could not be removed: ${describeError(error)}`));
}

/**
 * The folder of this user below `root`: one that somebody else made in advance could be theirs to change at any time.
 */
async function openParent(root: string, uid: number): Promise<string> {
  const parent = join(root, `goldenpath-${uid}`);
  const unsafe = (why: string): InfrastructureError =>
    new InfrastructureError(`builds would run in ${parent}, and ${why}`, {
      code: "build-directory-unsafe",
      wayOut: `Remove ${parent} if it is none of yours, and check the mode of ${root}.`,
      safeToRetry: false,
    });
  try {
    await mkdir(parent, { mode: 0o711 });
    await chmod(parent, 0o711);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw failed(parent, error);
  }
  const stats = await lstat(parent);
  if (!stats.isDirectory()) throw unsafe("it is not a folder");
  if (stats.uid !== uid) throw unsafe(`it belongs to the user ${stats.uid}`);
  if ((stats.mode & 0o022) !== 0) throw unsafe("others may write to it");
  if ((await realpath(parent)) !== parent) throw unsafe("a folder above it is a link");
  for (let above = parent; above !== dirname(above); above = dirname(above)) {
    if (((await stat(above)).mode & 0o001) === 0)
      throw unsafe(`${above} lets nobody else pass, which would then hold inside the image`);
  }
  return parent;
}

/** The first free place: usually always the same one. What a build that was killed left behind is removed. */
async function claimSlot(
  parent: string,
  key: string,
  options: WorkspaceOptions,
): Promise<{ directory: string; index: number }> {
  for (let index = 0; index < slots; index += 1) {
    const directory = join(parent, index === 0 ? key : `${key}-${index}`);
    if ((await claim(directory)) || ((await isAbandoned(directory)) && (await takeOver(directory, options)))) {
      if (index > 0) {
        options.ports.log.notice(
          "another build of this repository is running on this machine: paths inside this image differ, and so will its digest from a rebuild's",
        );
      }
      return { directory, index };
    }
  }
  throw new InfrastructureError(
    `${slots} builds of this repository are running on this machine already (${join(parent, key)})`,
    {
      code: "build-directory-busy",
      wayOut: "Wait for them, or remove those folders if no build is running.",
    },
  );
}

const ownerFile = "owner";

async function claim(directory: string): Promise<boolean> {
  try {
    await mkdir(directory, { mode: 0o711 });
    await chmod(directory, 0o711);
    await writeFile(join(directory, ownerFile), await describeProcess(process.pid), { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw failed(directory, error);
  }
}

/** Only one process at a time may remove what it holds for abandoned; it looks again once nobody else can. */
async function takeOver(directory: string, options: WorkspaceOptions): Promise<boolean> {
  const turn = `${directory}.takeover`;
  try {
    await mkdir(turn);
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw failed(turn, error);
  }
  try {
    if (!(await isAbandoned(directory))) return false;
    options.ports.log.debug(`removing ${directory}, which a build that is gone left behind`);
    await removeTree([directory], options.env);
    return await claim(directory);
  } finally {
    await rmdir(turn);
  }
}

async function isAbandoned(directory: string): Promise<boolean> {
  const owner = await readFile(join(directory, ownerFile), "utf8").catch(() => undefined);
  // Without an owner it is being made this moment. In another PID namespace (a container that shares the folder)
  // nothing can be said.
  const [pid, namespace] = owner?.split(" ") ?? [];
  if (owner === undefined || pid === undefined || namespace !== (await pidNamespace())) return false;
  return (await describeProcess(Number(pid)).catch(() => "gone")) !== owner;
}

/** A process by its number, its PID namespace and its start: numbers are used again. */
async function describeProcess(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  // proc(5): the name, in parentheses, may have anything in it; the start is the 22nd field, the 20th after the name.
  const started = text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  return `${pid} ${await pidNamespace()} ${started}`;
}

function pidNamespace(): Promise<string> {
  return readlink("/proc/self/ns/pid");
}

async function makeDirectory(path: string, mode: number): Promise<void> {
  await mkdir(path, { mode });
  // mkdir's mode goes through the umask.
  await chmod(path, mode);
}

/**
 * rm and not Node's own: something that strangers' code left running could swap a folder for a link while root removes
 * it, and GNU's rm does not follow. A build may leave folders that even their owner can't write to (Go's module cache),
 * unless that is root.
 */
async function removeTree(paths: readonly string[], { PATH }: WorkspaceOptions["env"]): Promise<void> {
  const remove = ["-rf", "--", ...paths];
  if ((await runProcess("rm", remove, { env: { PATH } })).exitCode === 0) return;
  await runProcess("chmod", ["-R", "u+rwX", "--", ...paths], { env: { PATH } });
  await runChecked("rm", remove, { env: { PATH } });
}

/**
 * A small file that the build user wrote: never through a link, never a device or a pipe.
 * @throws InfrastructureError `lifecycle-output-invalid`
 */
export async function readHandedOver(path: string, maxBytes = 1024 * 1024): Promise<string> {
  const invalid = (why: string, cause?: unknown): InfrastructureError =>
    new InfrastructureError(`the lifecycle's ${path} can't be used: ${why}`, {
      code: "lifecycle-output-invalid",
      cause,
    });
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      throw invalid(describeError(error), error);
    },
  );
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw invalid("it is not a file");
    if (stats.size > maxBytes) throw invalid(`it has ${stats.size} bytes`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

/** A file of ours for the build user to read; each under a name of its own. */
export async function writeControlFile(workspace: Workspace, name: string, text: string): Promise<string> {
  const path = join(workspace.control, `${name}-${randomBytes(4).toString("hex")}`);
  await writeReadable(path, text);
  return path;
}

/** User-provided variables, by the Platform API: one file each, the value without a line end. */
export async function writePlatformVariables(
  workspace: Workspace,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, value] of Object.entries(variables))
    await writeReadable(join(workspace.platform, "env", name), value);
}

async function writeReadable(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flag: "wx", mode: 0o644 });
  await chmod(path, 0o644);
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function failed(path: string, cause: unknown): InfrastructureError {
  if (cause instanceof InfrastructureError) return cause;
  return new InfrastructureError(`the build's folder ${path} can't be made: ${describeError(cause)}`, {
    code: "build-directory-failed",
    cause,
    wayOut: "Check that this user may write there and that there is room.",
  });
}
