import type { Accepted } from "./survivors.ts";

const described = "a field's description, which the policy's reference shows and nothing decides by";
const times = "packages/core/src/signing/signer-times.ts";

export const accepted: readonly Accepted[] = [
  ...[
    '"From when its word counts: what is signed earlier does not."',
    '"Until when its word counts: what is signed then or later does not. Where nobody but the signer says when that was, nothing of it counts from then on."',
  ].map((original) => ({ file: times, mutator: "StringLiteral", original, replacement: '""', reason: described })),
];
