import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";

/**
 * The same error, saying besides what has been done and what has not: whoever reads it has to know what is in vetted
 * now.
 */
export function addState(error: unknown, state: string): unknown {
  const message = error instanceof Error ? `${error.message}; ${state}` : state;
  if (error instanceof InfrastructureError) {
    const { code, attempts, safeToRetry, wayOut } = error;
    const hint = wayOut ?? (safeToRetry ? "Run the promotion again: it goes on from there." : undefined);
    return new InfrastructureError(message, {
      code,
      attempts,
      safeToRetry,
      cause: error,
      ...(hint === undefined ? {} : { wayOut: hint }),
    });
  }
  if (error instanceof UserError)
    return new UserError(message, {
      code: error.code,
      cause: error,
      ...(error.wayOut === undefined ? {} : { wayOut: error.wayOut }),
    });
  return error;
}
