/** What JSON.stringify leaves as it is, and no terminal, editor or log should get; inside JSON such characters stand in strings alone, where they can be escaped. */
const unfit = /[[\u{7f}-\u{9f}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]--[\u{fe0e}\u{fe0f}]]/gv;

/**
 * A value as JSON that says the same and can be printed anywhere: what is unfit to be shown is escaped, and so is what a runner takes for a command (`##[`). Whoever parses
 * it gets what was put in.
 */
export function stringifyJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent)
    .replace(unfit, (character) =>
      Array.from({ length: character.length }, (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`).join(""),
    )
    .replaceAll("##[", "#\\u0023[");
}
