/** What `goldenpath exception --help` prints. */
export const exceptionHelp = `goldenpath exception: exceptions as signed documents beside the policy, by whom its signedExceptions name.

  goldenpath exception grant --policy POLICY --repository HOST/NAME --rule RULE --reason TEXT --owner TEXT --expires YYYY-MM-DD --key KEY
      Signs that a rule is set aside for images of a repository, and puts it where the stages look. Neither the policy nor its serial changes: the stage
      that refused runs again, and what the others have signed still counts. Prints the exception's ID. What would count for nothing is not signed.
  --vulnerability ID, --package NAME, --license ID, --gate NAME, --file PATH
      What it is set aside for, as in the policy's exceptions; rules of the base stage are for the repository.
  --ticket TEXT
      Where it was asked for. It is told with the reason.
  --starts YYYY-MM-DD (default: today)
      The first day (UTC) on which it holds.

  goldenpath exception withdraw ID --policy POLICY --repository HOST/NAME --reason TEXT --key KEY
      Signs that an exception holds no more. A verdict that rests on it stays until it is too old: goldenpath withdraw takes back the image.

  goldenpath exception list --policy POLICY --repository HOST/NAME
      What is signed for images of a repository, and why what does not count does not.
  --json
      Print JSON.

  --policy POLICY, --policy-signer KEY
      The policy, and the public key of the platform's signer where POLICY is whichever is in force.
  --signer KIND (default: key)
      How it is signed: key, kms or keyless.
  --key KEY, --key-passphrase TEXT
      The private key (a file, env://NAME, or PEM; with kms its URI), and its passphrase where it has one; else COSIGN_PASSWORD.
`;
