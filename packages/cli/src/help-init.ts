import { flagOf, questions } from "@goldenpath/core/init/answers";

export const initHelp = `goldenpath init: a platform repository to begin with.

  goldenpath init DIR
      Writes the policy with its tests, the workflow that applications call, the one that checks a change of the policy, the one that makes a golden
      base of bases/golden, CODEOWNERS, an application's caller, and a README with the edits, secrets and clicks that remain. In a terminal it asks for what no option says; elsewhere that is an error.
      Files that are there and would change are left as they are, all of them, unless --force is given; it exits 1 then. Run again, it says what changed.
${questions
  .map(
    ({ name, ask, fallback }) =>
      `  ${flagOf(name)} TEXT${fallback === undefined ? " (required)" : ` (default: ${fallback({})})`}\n      ${ask}.`,
  )
  .join("\n")}
  --keys DIR
      Where \`goldenpath keys new\` has made policy.pub (and, to sign with keys, build.pub, base.pub, scan.pub, promote.pub and golden-base.pub). Without it their places are
      left to be filled in, and \`policy check\` says by which command.
  --base IMAGE, --builder IMAGE (default: Paketo's run-jammy-base and builder-jammy-base)
      The golden base, and the builder image that applications are built in. A tag is resolved once, and its digest written.
  --owner-id NUMBER
      The organisation's number. Without it GitHub is asked, with GITHUB_TOKEN.
  --goldenpath OWNER/REPO@COMMIT (default: goldenpath-ci/goldenpath at this checkout's commit)
      Which goldenpath the workflows run.
  --offline
      Ask no registry and no server.
  --dry-run
      Say what would be written, and write nothing.
  --force
      Replace files that are other than what is written.
`;
