import type { ExportedImage } from "./export-facts.ts";

/** One argument, as a POSIX shell takes it for nothing but itself. */
export function quote(argument: string): string {
  return /^[A-Za-z0-9_./:@=+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}

export const renderCommand = (argv: readonly string[]): string => argv.map(quote).join(" ");

/**
 * A script that checks all that is there with the field's own tools: it ends with an error where one says no, and where
 * something was not checked, which is no good word for it either. A second tool is asked where it is there.
 */
export function renderScript({ pieces }: Pick<ExportedImage, "pieces">): string {
  const checked = pieces.flatMap(({ checks, others }) => [
    ...checks.map(renderCommand),
    ...others.map((argv) => `if command -v ${quote(argv[0])} >/dev/null; then ${renderCommand(argv)}; fi`),
  ]);
  const unchecked = pieces.filter(({ checks }) => checks.length === 0);
  const lines = [
    ...checked,
    ...unchecked.map(({ file }) => `echo ${quote(`${file}: not checked, no tool of others reads it from a file`)} >&2`),
    ...(pieces.length === 0 ? [`echo ${quote("nothing that counts was signed about this image")} >&2`] : []),
    ...(unchecked.length > 0 || pieces.length === 0 ? ["exit 1"] : []),
  ];
  return ["#!/bin/sh", "set -eu", 'cd "$(dirname "$0")"', ...lines, ""].join("\n");
}
