import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";

// The kinds of text in a policy, each with what it says where something else stands there.

export const name = z
  .string()
  .regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, "expected lower case letters, digits and single hyphens")
  .max(63);

export const repositoryText = z
  .string()
  .refine((text) => isParsable(() => parseRepository(text)), "expected a repository, HOST/NAME, without tag or digest");

export const pinnedReference = z
  .string()
  .refine((text) => {
    try {
      return parseReference(text).digest !== undefined;
    } catch {
      return false;
    }
  }, "expected an image pinned by digest, HOST/NAME@sha256:…")
  .meta({ type: "string", pattern: "@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$" });

/** A tag that people set. Those that begin like a digest's are evidence, where registries have no list of referrers. */
export const tagName = z
  .string()
  .regex(
    /^(?!sha(?:256|512)-)[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/,
    "expected a tag such as stable, and not a digest's, such as sha256-…",
  );

export const prefixText = z
  .string()
  .refine(
    (text) => /^[A-Za-z0-9.-]+(?::\d+)?$/.test(text) || isParsable(() => parseRepository(text)),
    "expected a registry host or HOST/NAME, without tag or digest",
  );

export const digestText = z
  .custom<Digest>(isDigest, "expected sha256: and 64, or sha512: and 128, lowercase hexadecimal digits")
  .meta({ type: "string", pattern: "^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$" });

/** `90m`, `12h`, `30d` → milliseconds. */
export const duration = z
  .string()
  .regex(/^[1-9]\d{0,4}[mhd]$/, "expected a duration such as 90m, 12h or 30d")
  .transform(
    (text) => Number(text.slice(0, -1)) * { m: 60_000, h: 3_600_000, d: 86_400_000 }[text.slice(-1) as "m" | "h" | "d"],
  );

/** The last day on which something holds, in UTC, both ends included. */
export const day = z.iso.date("expected a day, YYYY-MM-DD");

/** Of one entry, where the policy's own `enforceFrom` is of a whole rule. */
export const ownDay = day.describe(
  "The first day (UTC) on which this refuses; until then it warns. Default: that of its rule in `enforceFrom`, or at once.",
);

/** Of a builder: no image says it, since an image's own dates are whatever its maker wrote. */
export const approvedDay = day.describe(
  "The day (UTC) on which its newest version was approved. `builderMaxAge` counts from it; set it with each new version.",
);

export const text = z.string().trim().min(1, "must not be empty");

/** A path of an image, in one way of writing it. */
export const basePath = z
  .string()
  .refine(
    (path) =>
      path.length > 1 &&
      path.startsWith("/") &&
      path
        .slice(1)
        .split("/")
        .every((part) => part !== "" && part !== "." && part !== ".."),
    "expected an absolute path such as /etc/nginx, without . or .. and without a slash at its end",
  )
  .meta({ type: "string", pattern: "^(/[^/]+)+$" });

export const workflowPattern = text.refine(
  (pattern) => pattern.includes("@"),
  "expected https://HOST/OWNER/REPO/.github/workflows/FILE@REF",
);

/** A destination, in which the source's own name may stand: HOST/vetted/{name}. */
export const destinationPattern = z.string().refine((pattern) => {
  const filled = pattern.replaceAll(/\{(?:name|owner)\}/g, "x").replace(/\/$/, "");
  return pattern.includes("/") && isParsable(() => parseRepository(filled));
}, "expected HOST/NAME or HOST/PARENT/, in which {name} and {owner} may stand");

export function isParsable(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}
