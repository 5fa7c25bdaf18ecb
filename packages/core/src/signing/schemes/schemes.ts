import { key } from "./key.ts";
import { keyless } from "./keyless.ts";
import { keylessManifest } from "./keyless-manifest.ts";
import { kms } from "./kms.ts";
import { legacy } from "./legacy.ts";
import { legacyKeyless } from "./legacy-keyless.ts";
import { notation } from "./notation.ts";
import type { SigningScheme } from "./scheme.ts";

/** Every way of signing, by what decides. What the policy's schema and the gate know of signers is from here. */
export const schemes = [
  key,
  keyless,
  keylessManifest,
  kms,
  legacy,
  legacyKeyless,
  notation,
] as const satisfies readonly SigningScheme[];
