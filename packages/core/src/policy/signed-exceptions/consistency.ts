import { isWithin, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { checkOutsider, type Inconsistency } from "../inconsistency.ts";
import type { Policy } from "../schema.ts";

/**
 * Whoever judges an image could otherwise set aside what he finds, and whoever may push images could hide that an
 * exception was withdrawn.
 */
export function checkSignedExceptions({ signedExceptions, signers, environments }: Policy): Inconsistency[] {
  if (signedExceptions === undefined) return [];
  const repository = parseRepository(signedExceptions.repository);
  const ofImages = Object.entries(environments).flatMap(([name, { from, to }]) =>
    [...from, ...to].some((prefix) => isWithin(repository, prefix))
      ? [
          {
            path: ["signedExceptions", "repository"],
            message: `lies where environment '${name}' has its images: whoever may push those could hide that an exception was withdrawn`,
          },
        ]
      : [],
  );
  const ofSigners = signedExceptions.signers.flatMap(({ signer }, index) =>
    checkOutsider(signer, ["signedExceptions", "signers", index, "signer"], { signers, environments }),
  );
  return [...ofImages, ...ofSigners];
}
