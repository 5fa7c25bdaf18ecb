import type { ImageConfig } from "@goldenpath/registry-client/oci/manifest";

/** What an image's config says of how it was made and how it starts: its maker's own word. */
export type ImageHabits = Pick<ImageConfig, "config" | "history">;

/** As which user an image starts; `unknown` where nobody can tell. */
export type StartUser = "root" | "other" | "unknown";

/**
 * A number is a user ID whatever a name may say, and nothing is root, as runtimes have it. A name is looked up in the
 * image's own list.
 * @param passwd the image's etc/passwd, where it is known
 */
export function findStartUser(user: string | undefined, passwd: Uint8Array | undefined): StartUser {
  const name = user?.split(":")[0] ?? "";
  if (name === "") return "root";
  if (/^[+-]?\d+$/.test(name)) return userOf(Number(name));
  if (passwd === undefined) return name === "root" ? "root" : "unknown";
  const ids = Buffer.from(passwd)
    .toString("utf8")
    .split("\n")
    .map((line) => trimAsGo(line).split(":"))
    .filter(([each]) => each === name)
    .map(([, , id = ""]) => id);
  if (ids.length === 0) return name === "root" ? "root" : "unknown";
  const users = ids.map((id) => (/^\d+$/.test(id) ? userOf(Number(id)) : "unknown"));
  return users.find((each) => each === "unknown") ?? users.find((each) => each === "root") ?? "other";
}

/**
 * Runtimes are written in Go, which takes Unicode's white space off both ends of a line (strings.TrimSpace), U+0085 among
 * it: a line that only begins as another user's is then the first of that name.
 */
function trimAsGo(line: string): string {
  return line.replaceAll(/^[\s\u0085]+|(?<![\s\u0085])[\s\u0085]+$/g, "");
}

/** Some runtimes cut a number beyond these off to 32 bits, and start 4294967296 as root (CVE-2024-40635). */
const largestUser = 2 ** 31 - 1;

function userOf(id: number): StartUser {
  const isKnown = id >= 0 && id <= largestUser;
  if (!isKnown) return "unknown";
  return id === 0 ? "root" : "other";
}

/** How builders write that a layer was made, in the history of the config. Compared with the start of `created_by`. */
const builderWords: readonly RegExp[] = [
  /^(?:\|\d+ .*)?\/bin\/(?:ba|da|a|k|z)?sh (?:-\w*o \w+ |-\w+ )*-\w*c\b/s,
  /^(?:cmd|powershell|pwsh)\b/i,
  /^(?:RUN|COPY|ADD|WORKDIR|FROM|ENV|USER|LABEL|CMD|ENTRYPOINT|VOLUME|EXPOSE|ARG|SHELL|HEALTHCHECK|STOPSIGNAL)\b/,
  /#\(nop\)/,
  /^(?:Buildpacks?|Application|Software Bill-of-Materials|Launch|Launcher|Process-types|Slice|Run image|Layer: )/i,
  /^(?:bazel|ko|jib|crane|kaniko|nix|apko|melange|umoci|mmdebstrap|debuerreotype|rules_oci|goldenpath|gcr\.io|buildah)\b/i,
];

/** Of BuildKit, of buildah, of an import: others' comments are whoever's who made the image. */
const builderComment = /^(?:buildkit\.|debuerreotype |FROM |Imported from )/;

/**
 * The layers that `docker commit` or one of its kin made of a container, by the history in the config: for such a layer
 * it has the container's command where a builder writes its instruction. `docker commit` of a container that ran a
 * shell's command can't be told from `RUN` of Docker's old builder.
 * @param ownLayers how many layers lie above the base: the last entries are theirs, and a base need not have any
 * @returns the commands, in the history's order
 */
export function findCommitted({ history }: ImageHabits, ownLayers: number): string[] {
  if (ownLayers === 0) return [];
  const own = history?.filter((each) => each.empty_layer !== true).slice(-ownLayers);
  const commands = own?.flatMap(({ created_by: by = "", comment = "" }) => {
    if (by.trim() === "" || builderComment.test(comment)) return [];
    return builderWords.some((word) => word.test(by)) ? [] : [by];
  });
  return commands ?? [];
}

const secretName =
  /(?:^|_)(?:TOKEN|(?:PG)?PASSWORD|PASSWD|PASSPHRASE|PASS|SECRET|API_?KEY|ACCESS_KEY|PRIVATE_KEY|SECRET_KEY(?:_BASE)?|CREDENTIALS?)$|_PWD$/i;
/** Of a value that only says where a secret is, or that none is there. */
const harmlessValue = /^(?:(?:\/[\w.-]+)+|\$\{?\w+\}?|true|false|none|null|x+|\*+|)$/i;

/** `postgres://user:password@host`: all quantifiers have an end, so that no text takes long. */
export const loginInUrl = /:\/\/[^/\s:@]{0,256}:[^@/\s]{1,1024}@/;

/**
 * A builder writes the arguments' number and values before the command, BuildKit after the instruction's name; it need
 * not be a shell's, and what a shell is given is its own, and no argument. BuildKit writes ENV and ARG out as well. A key
 * has several lines.
 */
const runArguments =
  /^(?:RUN )?\|\d+ (.*?)(?= \/bin\/| \/(?:\S*\/)?(?:(?:ba|da|a|k|z)?sh|env) | cmd | (?:powershell|pwsh)(?:\.exe)? |$)/s;

/**
 * Names of variables in the config, and of build arguments in the history, that have a secret by their name. Values are
 * never told.
 */
export function findSecretVariables({ config, history }: ImageHabits): { name: string; where: string }[] {
  const found = new Map<string, { name: string; where: string }>();
  const look = (text: string, where: string): void => {
    const at = text.indexOf("=");
    const name = at === -1 ? "" : text.slice(0, at);
    const value = text.slice(at + 1).replace(/^(["'])(.*)\1$/, "$2");
    if (name !== "" && (loginInUrl.test(value) || (secretName.test(name) && !harmlessValue.test(value))))
      found.set(`${where} ${name}`, { name, where });
  };
  for (const each of config?.Env ?? []) look(each, "environment variable");
  for (const { created_by: by = "" } of history ?? []) {
    const values = runArguments.exec(by)?.[1] ?? /^(?:ENV|ARG) (.*)/s.exec(by)?.[1] ?? "";
    // A name begins where no word goes on: else each letter of a long one would be tried.
    for (const [each] of values.matchAll(/(?<!\w)\w+=(?:"[^"]*"|'[^']*'|\S*)/g)) look(each, "history's argument");
  }
  return [...found.values()];
}
