import type { CarriedBy } from "../signing/attach.ts";
import { buildFindingStatement, buildVerdictStatement, checkSignable } from "../signing/result-statements.ts";
import {
  type Attaching,
  attachAll,
  type Signing,
  signedImage,
  signingInputs,
  wholeImage,
  withSigning,
} from "./attachments.ts";
import { readStageResult } from "./results.ts";
import { lines, type Verb } from "./verb.ts";

const inputs = signingInputs({
  results: lines().refine(
    (results) => results.length > 0,
    "is required and was not given; a build is signed by attest",
  ),
});

/**
 * Signs what stages found and their verdicts, failures included, and attaches it all to the image and to its children.
 */
export const signVerb: Verb<typeof inputs> = {
  name: "sign",
  command: "sign",
  inputs,
  positional: "image",
  outputs: ["attestations"],
  run: (given, context) => withSigning("sign", given, context, (work) => signResults(work, given.results)),
};

/** Each result is read and held to the image and the policy before the first one is signed: all of them, or nothing. */
async function signResults(work: Signing, files: readonly string[]): Promise<[]> {
  const { image, policy, context } = work;
  const signed = signedImage(image);
  const signables = [];
  for (const file of files) {
    signables.push(checkSignable(await readStageResult(file, context.workingDirectory), file, signed, policy));
  }
  const target = wholeImage(image);
  await attachAll(
    work,
    signables.flatMap((signable, index): Attaching[] => [
      { target, statement: buildFindingStatement(signable, signed) },
      {
        target,
        statement: (earlier) => buildVerdictStatement(signable, signed, policy, findingOf(earlier[2 * index])),
      },
    ]),
  );
  return [];
}

function findingOf(carried: CarriedBy | undefined): CarriedBy {
  if (carried === undefined) throw new TypeError("a verdict without its finding");
  return carried;
}
