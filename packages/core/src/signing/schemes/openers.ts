import type { SchemeKind } from "./find.ts";
import { keyOpener } from "./key/open.ts";
import { keylessOpener } from "./keyless/open.ts";
import { kmsOpener } from "./kms/open.ts";
import { notationOpener } from "./notation/open.ts";
import type { SchemeOpener } from "./opener.ts";

/**
 * What signs, by scheme; a scheme whose evidence is only read has none. The verbs that sign load this, and no other:
 * whoever verifies has no code in it that could.
 */
export const openers = {
  key: keyOpener,
  keyless: keylessOpener,
  kms: kmsOpener,
  notation: notationOpener,
} satisfies Readonly<Partial<Record<SchemeKind, SchemeOpener>>>;
