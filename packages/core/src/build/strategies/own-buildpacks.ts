import { isKnownError, PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatReference, type PinnedReference, parseReference } from "@goldenpath/registry-client/oci/reference";
import { stringify } from "smol-toml";
import { parsePinned } from "../pinned.ts";
import type { DeclaredBuildpack } from "../project.ts";
import { type Buildpack, buildpackId, buildpackVersion, formatBuildpack } from "./buildpack-names.ts";

/** A buildpack of an application's project.toml that its builder allows; `builder` stands for all of the builder's. */
export type OwnBuildpack =
  | ({ kind: "inline"; api: string; shell: string; script: string } & Buildpack)
  | { kind: "image"; reference: PinnedReference }
  | { kind: "known"; id: string; version: string | undefined }
  | { kind: "builder" };

/** What a builder of the policy lets applications bring. */
export interface Allowance {
  name: string;
  allowInline?: boolean | undefined;
  allowBuildpacks?: readonly string[] | undefined;
}

/** Where project.toml is, from the checkout's root. */
interface Where {
  file: string;
}

/**
 * The buildpacks that an application brings, in the order in which they are tried together; undefined where it brings
 * none, and what project.toml says about the builder's own is passed over. Locators are those of the project descriptor
 * (CNB specification, `pkg/buildpack/locator_type.go` of pack for what it leaves open); those that lead to something
 * which nobody pinned are refused, whatever the policy says.
 * @throws PolicyViolation of rule `build.buildpacks`
 * @throws UserError `project-invalid`
 */
export function planOwnBuildpacks(
  declared: readonly DeclaredBuildpack[],
  allowance: Allowance,
  where: Where,
): OwnBuildpack[] | undefined {
  if (declared.every((each) => each.script === undefined && isOfBuilder(each.uri))) return undefined;
  const own = declared.map((each) => ({ list: each.list, buildpack: planOne(each, allowance, where) }));
  const twice = declared.find(
    ({ id, script }, index) => script !== undefined && declared.findIndex((other) => other.id === id) !== index,
  );
  if (twice !== undefined) throw invalid(`has the buildpack '${twice.id ?? ""}' twice`, where, twice.line);
  const of = (list: DeclaredBuildpack["list"]): OwnBuildpack[] =>
    own.filter((each) => each.list === list).map(({ buildpack }) => buildpack);
  const group = of("group");
  // As pack: what is around the builder's buildpacks does not count beside a list that takes their place.
  return group.length > 0 ? group : [...of("pre"), { kind: "builder" }, ...of("post")];
}

/** A buildpack of project.toml, as a reader is told before anything is built. */
export interface ExplainedBuildpack {
  /** What it is, a few words. */
  buildpack: string;
  file: string;
  line?: number;
  /** Why a build would end with it; missing where it would not, or where no builder is known. */
  problem?: string;
  wayOut?: string;
}

/**
 * Every buildpack that an application brings besides the builder's, and what is against each of them: where
 * {@link planOwnBuildpacks} ends with the first.
 * @param allowance undefined without a policy: then nothing is against one that is well formed
 */
export function explainOwnBuildpacks(
  declared: readonly DeclaredBuildpack[],
  allowance: Allowance | undefined,
  where: Where,
): ExplainedBuildpack[] {
  return declared
    .filter(({ script, uri }) => script !== undefined || !isOfBuilder(uri))
    .map((each) => {
      const { id = "", uri = "", script, line } = each;
      const about = {
        buildpack: script === undefined ? uri : `inline buildpack ${id}`,
        file: where.file,
        ...(line === undefined ? {} : { line }),
      };
      // A script is read as far as it goes; of images, nobody without a policy can say which.
      if (allowance === undefined && script === undefined) return about;
      try {
        planOne(each, allowance ?? { name: "", allowInline: true }, where);
        return about;
      } catch (error) {
        if (!isKnownError(error)) throw error;
        return { ...about, problem: error.message, ...(error.wayOut === undefined ? {} : { wayOut: error.wayOut }) };
      }
    });
}

function isOfBuilder(uri: string | undefined): boolean {
  return uri === undefined || /^(?:from=builder|urn:cnb:builder)(?::|$)/.test(uri);
}

function planOne(declared: DeclaredBuildpack, allowance: Allowance, where: Where): OwnBuildpack {
  const { uri, script, line } = declared;
  if (script !== undefined && uri !== undefined)
    throw invalid("has both a uri and a script, and only one of them can be the buildpack", where, line);
  if (script !== undefined) {
    if (allowance.allowInline !== true)
      throw notAllowed(`brings an inline buildpack, '${declared.id ?? ""}'`, allowance, where, line);
    return planInline(declared, where);
  }
  if (uri === "from=builder" || uri === "urn:cnb:builder") return { kind: "builder" };
  if (uri === undefined || isOfBuilder(uri)) {
    const [id = "", version] = uri?.replace(/^(?:from=builder|urn:cnb:builder):/, "").split("@", 2) ?? [
      declared.id,
      declared.version,
    ];
    checkName({ id, version }, where, line);
    return { kind: "known", id, version: version === "" ? undefined : version };
  }
  const reference = findAllowed(uri, allowance);
  if (reference === undefined) throw notAllowed(`brings the buildpack '${uri}'`, allowance, where, line);
  return { kind: "image", reference };
}

/** By its digest: a tag is somebody else's to move. */
function findAllowed(uri: string, { name, allowBuildpacks = [] }: Allowance): PinnedReference | undefined {
  const [, text = ""] = /^docker:\/\/\/?(.+@sha256:[0-9a-f]{64})$/.exec(uri) ?? [];
  if (text === "") return undefined;
  let asked: ReturnType<typeof parseReference>;
  try {
    asked = parseReference(text);
  } catch {
    return undefined;
  }
  return allowBuildpacks
    .map((each) => parsePinned(each, `buildpack of builder '${name}'`))
    .find((each) => each.registry === asked.registry && each.name === asked.name && each.digest === asked.digest);
}

function planInline({ id = "", version = "0.0.0", script, line }: DeclaredBuildpack, where: Where): OwnBuildpack {
  checkName({ id, version }, where, line);
  const { api = "", inline = "", shell = "/bin/sh" } = script ?? {};
  if (!/^\d{1,3}\.\d{1,3}$/.test(api))
    throw invalid(
      `has the inline buildpack '${id}' with api '${api}', and a Buildpack API such as 0.10 is expected`,
      where,
      line,
    );
  if (inline.trim() === "") throw invalid(`has the inline buildpack '${id}' without a script`, where, line);
  // It becomes the first line of a script.
  if (!/^\/[\w./-]+(?: [\w./-]+)?$/.test(shell))
    throw invalid(
      `has the inline buildpack '${id}' with the shell '${shell}', which is no program's path`,
      where,
      line,
    );
  return { kind: "inline", id, version, api, shell, script: inline };
}

function checkName({ id, version }: { id: string; version: string | undefined }, where: Where, line?: number): void {
  const isName = buildpackId.safeParse(id).success;
  if (isName && (version === undefined || version === "" || buildpackVersion.safeParse(version).success)) return;
  throw invalid(`has a buildpack '${id}', version '${version ?? ""}': that is no buildpack's name`, where, line);
}

const at = ({ file }: Where, line: number | undefined): string => (line === undefined ? file : `${file}:${line}`);

function invalid(why: string, where: Where, line: number | undefined): UserError {
  const message = `${at(where, line)} ${why}`;
  return new UserError(message, {
    code: "project-invalid",
    wayOut: "https://buildpacks.io/docs/reference/config/project-descriptor/ says what it may have.",
    places: [{ file: where.file, line, message }],
  });
}

function notAllowed(what: string, { name, allowInline, allowBuildpacks = [] }: Allowance, where: Where, line?: number) {
  const allowed = [
    "those that the builder has, by id",
    ...(allowInline === true ? ["inline ones"] : []),
    ...allowBuildpacks.map((each) => `docker://${formatReference(parsePinned(each, "a buildpack"))}`),
  ];
  const message = `${at(where, line)} ${what}, which builder '${name}' does not allow`;
  return new PolicyViolation(message, {
    code: "buildpacks-not-allowed",
    rule: "build.buildpacks",
    wayOut: `Take it out of the file, or have the policy's builder allow it (allowInline, allowBuildpacks). Allowed now: ${allowed.join("; ")}.`,
    places: [{ file: where.file, line, message }],
  });
}

/** A group of an `order.toml`. */
export type OrderGroup = readonly { id: string; version?: string | undefined; optional?: boolean | undefined }[];

/** What there is to choose from when the order is made. */
export interface Available {
  /** The builder's own groups. */
  groups: readonly OrderGroup[];
  /** All buildpacks of the builder, those in no group too. */
  known: readonly Buildpack[];
  /** Those of the images, in the order of {@link listOwnImages}. */
  images: readonly Buildpack[];
}

export function listOwnImages(own: readonly OwnBuildpack[]): PinnedReference[] {
  return own.flatMap((each) => (each.kind === "image" ? [each.reference] : []));
}

/**
 * `order.toml` with the application's buildpacks, each of them required as by pack.
 * @throws UserError `project-invalid`: the builder has none of that name, or has one of an inline buildpack's
 */
export function renderOwnOrder(own: readonly OwnBuildpack[], { groups, known, images }: Available): string {
  const left = [...images];
  const order = own.reduce<OrderGroup[]>(
    (sofar, each) => {
      if (each.kind === "builder") return sofar.flatMap((one) => groups.map((group) => [...one, ...group]));
      const { id, version } = each.kind === "image" ? requireNext(left) : findKnown(each, known);
      return sofar.map((one) => [...one, { id, version }]);
    },
    [[]],
  );
  return `${stringify({ order: order.map((group) => ({ group })) })}\n`;
}

function requireNext(left: Buildpack[]): Buildpack {
  const next = left.shift();
  if (next === undefined) throw new TypeError("each image has a buildpack");
  return next;
}

/**
 * @param known the builder's buildpacks
 * @throws UserError `project-invalid`
 */
export function findKnown(
  asked: Exclude<OwnBuildpack, { kind: "builder" | "image" }>,
  known: readonly Buildpack[],
): Buildpack {
  const same = known.filter(({ id }) => id === asked.id);
  const refuse = (why: string): UserError =>
    new UserError(`project.toml: ${why}`, {
      code: "project-invalid",
      wayOut: `Name another one. The builder has: ${known.map(formatBuildpack).join(", ")}.`,
    });
  if (asked.kind === "inline") {
    // Else a script could take the place of one that the policy governs, under its name.
    if (same.length > 0) throw refuse(`the inline buildpack '${asked.id}' has the id of one that the builder has`);
    return asked;
  }
  const [found, ...others] = asked.version === undefined ? same : same.filter((each) => each.version === asked.version);
  if (found === undefined)
    throw refuse(`the builder has no buildpack '${asked.id}'${asked.version === undefined ? "" : ` ${asked.version}`}`);
  if (others.length > 0) throw refuse(`the builder has several versions of '${asked.id}', and the file names none`);
  return found;
}

/** The two files' text of an inline buildpack, and one that says what it is: by path in its folder. */
export function renderInline({ id, version, api, shell, script }: Extract<OwnBuildpack, { kind: "inline" }>) {
  return {
    "buildpack.toml": `${stringify({ api, buildpack: { id, version }, stacks: [{ id: "*" }] })}\n`,
    "bin/detect": `#!${shell}\nexit 0\n`,
    "bin/build": `#!${shell}\n\n${script}\n`,
  };
}

/** The same for pack, as the group of a project descriptor. `images` are in it by digest. */
export function renderDescriptor(own: readonly OwnBuildpack[], known: readonly Buildpack[]): string {
  const group = own.map((each) => {
    if (each.kind === "builder") return { uri: "from=builder" };
    if (each.kind === "image") return { uri: `docker://${formatReference(each.reference)}` };
    const { id, version } = findKnown(each, known);
    if (each.kind === "known") return { uri: `urn:cnb:builder:${id}@${version}` };
    return { id, version, script: { api: each.api, shell: each.shell, inline: each.script } };
  });
  return `${stringify({ _: { "schema-version": "0.2" }, io: { buildpacks: group.length === 0 ? {} : { group } } })}\n`;
}

/** Inline buildpacks as tools of the result, each by the digest of its script. */
export function describeInline(own: readonly OwnBuildpack[]): { name: string; version: string; sha256: string }[] {
  return own.flatMap((each) =>
    each.kind === "inline"
      ? [
          {
            name: `inline buildpack ${each.id}`,
            version: each.version,
            sha256: digestHex(digestOf(renderInline(each)["bin/build"])),
          },
        ]
      : [],
  );
}

/** For the result. */
export function describeOwn(own: readonly OwnBuildpack[]): string {
  const names = own.flatMap((each) => {
    if (each.kind === "builder") return ["the builder's own"];
    if (each.kind === "image") return [formatReference(each.reference)];
    if (each.kind === "inline") return [`${formatBuildpack(each)}, a script`];
    return [each.version === undefined ? each.id : formatBuildpack({ id: each.id, version: each.version })];
  });
  return `buildpacks by project.toml, which the policy allows: ${names.join("; ")}`;
}
