export const adoptHelp = `goldenpath adopt: the first day of an organisation.

  goldenpath adopt OWNER --policy POLICY
      Every repository of an organisation or a person on GitHub (GITHUB_API_URL), at its default branch: which strategy would build it, which
      images its files name as a base, what the policy would refuse today, at file and line with what to write instead, and what is missing.
      Archived, disabled, empty and forked ones are listed apart. Needs GITHUB_TOKEN (contents: read), and writes nothing there. Exits 1 where one
      would be refused, 2 where one could not be looked at, or a caller could not be proposed.
  --policy POLICY
      The policy: a file, OWNER/REPO//PATH@COMMIT or oci://HOST/NAME@sha256:DIGEST.
  --policy-signer KEY
      The public key of the platform's signer, where POLICY is whichever is in force.
  --output FILE
      Writes the report, as JSON. Where FILE is a report of the same owner and policy that is not older than a day, what it knows is not asked
      for again: so a run goes on that GitHub's limit has ended.
  --open --caller FILE
      Proposes FILE (that which goldenpath init writes, with the platform repository's commit filled in) as .github/workflows/golden-path.yml to
      each repository that the policy has nothing against: a branch goldenpath/adopt, and one pull request. Run again, it brings an open one up
      to date, and leaves alone what somebody closed, changed beside it, or has in its place. The token may write contents, pull requests and
      workflows.
  --rings FILE --ring N
      Only to those of the first N rings (default 1) of FILE, a list of lists of repositories in YAML: - [acme/try], then - [acme/*].
  --reopen
      Proposes anew what somebody closed.
  --json, --markdown
      Print JSON, or a table for an issue or a job's summary.
`;
