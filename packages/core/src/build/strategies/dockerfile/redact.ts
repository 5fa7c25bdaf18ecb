/** Whatever a step prints of a secret is not shown, and is in no message. */
export function createRedactor(secrets: readonly string[]): (line: string) => string {
  const parts = secrets.flatMap((secret) => [secret, ...secret.split(/\r?\n/)]).filter((part) => part.trim() !== "");
  const longestFirst = [...new Set(parts)].sort((one, other) => other.length - one.length);
  return (line) => longestFirst.reduce((text, part) => text.replaceAll(part, "***"), line);
}
