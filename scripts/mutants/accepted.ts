import type { Accepted } from "./survivors.ts";

const times = "packages/core/src/signing/signer-times.ts";

const described = [
  "From when its word counts: what is signed earlier does not.",
  "Until when its word counts: what is signed then or later does not. Where nobody but the signer says when that was, nothing of it counts from then on.",
];

export const accepted: readonly Accepted[] = [
  ...described.map((text) => ({
    file: times,
    line: text.startsWith("From") ? `from: time(${JSON.stringify(text)}),` : `${JSON.stringify(text)},`,
    mutator: "StringLiteral",
    original: JSON.stringify(text),
    replacement: '""',
    reason: "a field's description, which the policy's reference shows and nothing decides by",
  })),
  {
    file: times,
    line: 'return Number.isNaN(time.getTime()) ? "a time that can\'t be read" : time.toISOString().replace(/\\.000Z$/, "Z");',
    mutator: "Regex",
    original: "/\\.000Z$/",
    replacement: "/\\.000Z/",
    reason: "it is the same: what toISOString gives has that at its end alone",
  },
  {
    file: "packages/core/src/gate/match-source.ts",
    line: 'const component = components[index] ?? "";',
    mutator: "StringLiteral",
    original: '""',
    replacement: '"Stryker was here!"',
    reason: "it is never taken: there are as many components as wanted ones",
  },
];
