import { parseJson } from "@goldenpath/foundation/text/json";
import { printable } from "@goldenpath/registry-client/answers";
import type { ProductAnswer } from "./products/product.ts";

/** ` (404: no such repository)`: one line of a server's text, and not long. */
export function describeAnswer({ status, text }: ProductAnswer): string {
  const said = printable(messageOf(text));
  return said === "" ? `(${status})` : `(${status}: ${said})`;
}

/** Artifactory's `{"errors":[{"status","message"}]}` and Nexus' `{"message"}`, or the text as it is. */
function messageOf(text: string): string {
  try {
    const json = parseJson(text) as { errors?: { message?: unknown }[]; message?: unknown } | null;
    const message = json?.errors?.[0]?.message ?? json?.message;
    return typeof message === "string" ? message : text;
  } catch {
    return text;
  }
}
