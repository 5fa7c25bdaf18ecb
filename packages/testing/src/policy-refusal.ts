import { parsePolicy } from "@goldenpath/core/policy/parse";
import { UserError } from "@goldenpath/foundation/errors";
import { expect } from "vitest";
import { samplePolicyText } from "./policy.ts";

export const parseText = (text: string) => parsePolicy(new TextEncoder().encode(text), "p.yaml");

/** The sample with one part replaced; a part that is not there would make the test prove nothing. */
export function sampleWith(from: string, to: string): string {
  if (!samplePolicyText.includes(from)) throw new Error(`the sample has no '${from}'`);
  return samplePolicyText.replace(from, to);
}

export function refusalOf(text: string | Uint8Array): UserError {
  try {
    parsePolicy(typeof text === "string" ? new TextEncoder().encode(text) : text, "p.yaml");
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("the policy was accepted");
}

/** What, the sample's part, what stands there instead, where the message points (a part of the new text), the message. */
export type PlacedCase = [what: string, from: string, to: string, place: string, message: string];

/** The first problem of the sample with one part replaced, and how it has to begin for it to point at `place`. */
export function placedRefusal(
  from: string,
  to: string,
  place: string,
): { error: UserError; problem: string; at: string } {
  const text = sampleWith(from, to);
  const error = refusalOf(text);
  const problem = error.message.split("\n")[1] ?? "";
  return { error, problem, at: place === "" ? "p.yaml:" : `p.yaml:${placeOf(text, from, to, place)}: ` };
}

/** Where `place` stands in the new text: in the replaced part if it is there, else at its last place before that part. */
function placeOf(text: string, from: string, to: string, place: string): string {
  const start = samplePolicyText.indexOf(from);
  const inside = to.indexOf(place) === -1 ? -1 : start + to.lastIndexOf(place);
  const before = text.slice(0, start).lastIndexOf(place);
  const offset = inside !== -1 ? inside : before !== -1 ? before : text.indexOf(place);
  if (offset === -1) throw new Error(`'${place}' is nowhere`);
  return position(text, offset);
}

/** `LINE:COLUMN`, both from 1. */
function position(text: string, offset: number): string {
  const before = text.slice(0, offset);
  return `${before.split("\n").length}:${before.length - before.lastIndexOf("\n")}`;
}

/** Holds each case to the place and the message of its first problem. */
export function expectPlaced([, from, to, place, message]: PlacedCase): void {
  const { error, problem, at } = placedRefusal(from, to, place);
  expect(error.code).toBe("policy-invalid");
  expect(problem).toContain(message);
  expect(problem.startsWith(at), `${problem} is at ${at}`).toBe(true);
  expect(error.wayOut).toContain("docs/policy.md");
}
