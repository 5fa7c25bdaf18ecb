import type { EvidencePiece } from "./schemes/scheme.ts";

/**
 * How cosign checks that a bundle in a file holds, and is about an image, without asking the image's registry or
 * anybody else; whose it is comes after it.
 */
export function cosignCheck({
  file,
  subject,
  predicateType,
}: Pick<EvidencePiece, "file" | "subject" | "predicateType">): [program: string, ...args: string[]] {
  const [algorithm = "", hex = ""] = subject.split(":");
  const about = ["--digest", hex, "--digestAlg", algorithm, "--type", predicateType];
  return ["cosign", "verify-blob-attestation", "--bundle", file, ...about];
}
