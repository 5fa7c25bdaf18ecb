import type { ErrorCode } from "./error-codes.ts";
import type { Rule } from "./rules.ts";
import { cleanText } from "./text/clean.ts";

/**
 * The three ways in which work ends other than well. A door (action or CLI) turns them into a verdict and an exit code:
 * `PolicyViolation` is verdict `fail` (exit 1); `UserError` and `InfrastructureError` are verdict `error` (exit 2), as
 * is anything unexpected.
 */
export interface ErrorDetails {
  /** Stable, kebab-case, for scripts and tests: `policy-invalid`, `registry-unreachable`, … */
  code: ErrorCode;
  /** What to do about it, one imperative sentence. */
  wayOut?: string;
  cause?: unknown;
  /** Where in the application's files it is, for who shows it there; the message says the same in words. */
  places?: readonly SourcePlace[];
}

/** A place in the checkout, and what is wrong there. */
export interface SourcePlace {
  /** From the checkout's root, with `/` in between. */
  file: string;
  /** From 1. */
  line?: number | undefined;
  message: string;
}

abstract class GoldenpathError extends Error {
  readonly code: ErrorCode;
  readonly wayOut: string | undefined;
  readonly places: readonly SourcePlace[];

  constructor(message: string, details: ErrorDetails) {
    // A message is put together from names, answers and files that are strangers': here none of it gets past unclean.
    super(cleanText(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = details.code;
    this.wayOut = details.wayOut === undefined ? undefined : cleanText(details.wayOut);
    this.places = details.places ?? [];
  }
}

/**
 * Bad input: names the input, the value and what is allowed. The caller has to change something; trying again does not
 * help.
 */
export class UserError extends GoldenpathError {}

/** A rule of the policy says no. Thrown only where there is no stage result to carry the violation. */
export class PolicyViolation extends GoldenpathError {
  readonly rule: Rule;

  constructor(message: string, details: ErrorDetails & { rule: Rule }) {
    super(message, details);
    this.rule = details.rule;
  }
}

/**
 * The surroundings failed: a registry, a network, a tool. Says what was tried, how often, and whether running again is
 * safe.
 */
export class InfrastructureError extends GoldenpathError {
  readonly attempts: number;
  readonly safeToRetry: boolean;

  constructor(message: string, details: ErrorDetails & { attempts?: number; safeToRetry?: boolean }) {
    super(message, details);
    this.attempts = details.attempts ?? 1;
    this.safeToRetry = details.safeToRetry ?? true;
  }
}

export function isKnownError(error: unknown): error is UserError | PolicyViolation | InfrastructureError {
  return error instanceof GoldenpathError;
}

/** One readable line for any thrown value, with its way out when it has one. */
export function describeError(error: unknown): string {
  if (isKnownError(error)) return error.wayOut === undefined ? error.message : `${error.message}\n  → ${error.wayOut}`;
  return cleanText(error instanceof Error ? error.message : String(error));
}
