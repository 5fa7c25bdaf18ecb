import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Exchange } from "./exchange.ts";

/** The registry answers, and after so many tries still not with anything that could be used. */
export function exhausted(
  { url, method }: Pick<Exchange, "url" | "method">,
  status: number,
  attempts: number,
): InfrastructureError {
  return new InfrastructureError(
    `registry ${url.host} answers ${status} to ${method} ${url.pathname} (tried ${times(attempts)})`,
    {
      code: "registry-error",
      attempts,
      wayOut:
        status === 429
          ? "The registry limits how often it is asked: log in for a higher limit, or run again later."
          : "Look at the registry's own status, and run again when it is well.",
    },
  );
}

export function unreachable({ url }: Pick<Exchange, "url">, error: unknown, attempts: number): InfrastructureError {
  return new InfrastructureError(
    `registry ${url.host} cannot be reached: ${describeCause(error)} (tried ${times(attempts)})`,
    {
      code: "registry-unreachable",
      attempts,
      cause: error,
      wayOut:
        "Check its name, that it runs, and that this machine may reach it (HTTPS_PROXY, NO_PROXY, NODE_EXTRA_CA_CERTS); then run again.",
    },
  );
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

/** The innermost cause says most: undici wraps the system's error, and Node.js bundles one per address. */
export function describeCause(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0 && error.message === "")
    return describeCause(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? describeCause(error.cause) : error.message || error.name;
}
