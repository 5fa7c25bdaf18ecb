import type { ExportedImage } from "./export-facts.ts";

/** One argument, as a POSIX shell takes it for nothing but itself. */
export function quote(argument: string): string {
  return /^[A-Za-z0-9_./:@=+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}

/** A script that checks all that is there with the field's own tools: it ends with an error where one says no. */
export function renderScript({ pieces }: Pick<ExportedImage, "pieces">): string {
  const lines = pieces.flatMap(({ file, checks }) =>
    checks.length === 0
      ? [`echo ${quote(`${file}: no other tool reads it`)} >&2`]
      : checks.map((argv) => argv.map(quote).join(" ")),
  );
  return ["#!/bin/sh", "set -eu", 'cd "$(dirname "$0")"', ...lines, ""].join("\n");
}
