export const adoptHelp = `goldenpath adopt: the first day of an organisation.

  goldenpath adopt OWNER --policy POLICY
      Every repository of an organisation or a person on GitHub (GITHUB_API_URL), at its default branch: which strategy would build it, which
      images its files name as a base, what the policy would refuse today, at file and line with what to write instead, and what is missing.
      Archived, disabled, empty and forked ones are listed apart. Needs GITHUB_TOKEN (contents: read), and writes nothing. Exits 1 where one
      would be refused, 2 where one could not be looked at.
  --policy POLICY
      The policy: a file, OWNER/REPO//PATH@COMMIT or oci://HOST/NAME@sha256:DIGEST.
  --policy-signer KEY
      The public key of the platform's signer, where POLICY is whichever is in force.
  --json, --markdown
      Print JSON, or a table for an issue or a job's summary.
`;
