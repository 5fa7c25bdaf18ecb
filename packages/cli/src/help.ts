import { readFileSync } from "node:fs";
import { join } from "node:path";
import { stageRows } from "@goldenpath/core/stages";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { parse } from "yaml";
import { adoptHelp } from "./help-adopt.ts";
import { exceptionHelp } from "./help-exception.ts";
import { fleetHelp } from "./help-fleet.ts";
import { initHelp } from "./help-init.ts";
import { policyHelp } from "./help-policy.ts";

export function renderHelp(): string {
  return `goldenpath takes a commit to a vetted, signed image.

${stageRows.map(({ command, summary }) => `  goldenpath ${command.padEnd(9)} ${summary}`).join("\n")}

  goldenpath init DIR                              write a platform repository: policy, tests, workflows, what remains to do
  goldenpath adopt OWNER --policy POLICY           every repository of an owner on GitHub, and what the policy would say of it today
  goldenpath policy check FILE [--previous FILE]   check a policy, and whether it may follow the one before it
  goldenpath policy publish FILE HOST/NAME         put it into a registry, and print its oci:// name
  goldenpath policy activate POLICY --to HOST/NAME --key KEY
                                                   put it in force for what is promoted there
  goldenpath policy exceptions FILE [--results DIR] until when its exceptions hold, and which do nothing; --propose writes the change
  goldenpath policy test POLICY [CASES…]           run the cases that are kept beside a policy, and say which differ
  goldenpath policy diff OLD NEW                   what a change of the policy lets in and shuts out
  goldenpath policy explain IMAGE --policy POLICY  in sentences what an image would need
  goldenpath policy impact NEW --policy OLD --environment NAME --images HOST/NAME…
                                                   which images a changed policy would refuse, before it is in force
  goldenpath policy signers OWNER/REPO@COMMIT --for OWNER
                                                   the signers that stand for goldenpath's stages there, to be pasted into a policy
  goldenpath policy trust notation FILE DIR        what the Notary Project's notation verifies by, from the policy
  goldenpath policy trust sigstore POLICY [NAME]   whom the policy's Sigstores trust at this moment, and by which root
  goldenpath policy schema                         its JSON Schema
  goldenpath base of IMAGE|HOST/NAME… --policy POLICY
                                                   which approved base each image stands on, and which are behind
  goldenpath base check DIR --policy POLICY [--fix]
                                                   the images that a folder's files name, held to the policy before anything is built
  goldenpath base approve IMAGE --policy POLICY --end-of-life DAY --role ROLE --key KEY
                                                   scan and score an image, and sign that applications may stand on it
  goldenpath base tag NAME --policy POLICY         point the floating tag of a base at its newest approved version
  goldenpath base rebase IMAGE --to HOST/NAME:TAG --policy POLICY
                                                   put an image on another version of its base, without a build
  goldenpath base score IMAGE [--policy POLICY]    what speaks for an image as a base: publisher, updates, openness, nothing needless
  goldenpath withdraw IMAGE --to HOST/NAME --reason TEXT --owner TEXT --key KEY
                                                   take back an image, a base or a signer's word; --undo lifts it
  goldenpath exception grant --policy POLICY --repository HOST/NAME --rule RULE …
                                                   sign an exception beside the policy
  goldenpath exception list --policy POLICY --repository HOST/NAME
                                                   what is signed for images of a repository, and what does not count
  goldenpath exception withdraw ID --policy POLICY --repository HOST/NAME
                                                   take one back
  goldenpath evidence export IMAGE --policy POLICY write all that was signed about it into a folder, with how to check it
  goldenpath evidence attach IMAGE --policy POLICY put beside it what was signed elsewhere: bundles, GitHub's attestations
  goldenpath evidence list HOST/NAME… --environment NAME --policy POLICY
                                                   what was let into an environment, by what exceptions, and what was taken back
  goldenpath fleet find CVE-… | pkg:TYPE/NAME@RANGE --policy POLICY
                                                   which images have it, by signed SBOMs: what to rebase, and what to mend where
  goldenpath fleet scan --policy POLICY --key KEY  scan all that was promoted again, sign from when on it counts, tell owners
  goldenpath fleet prune --policy POLICY --running FILE
                                                   what may go: nothing that runs, no rollback target, no evidence in its years
  goldenpath fleet rebase --policy POLICY [--run]  in which waves images go to the newest version of their base; rebase what is due
  goldenpath import IMAGE --to HOST/NAME:TAG       let a vendor's image into quarantine, signed, until a day
  goldenpath import --propose HOST/NAME…           what is newer than what was imported there
  goldenpath data mirror [oci://HOST/NAME] --policy POLICY --key KEY
                                                   put the scanners' vulnerability data into a registry, signed, for scans to take it from
  goldenpath keys new DIR [NAME…]                  make a key pair for each stage
  goldenpath tools [list|prefetch] [NAME…]         the external tools: from where, which version
  goldenpath tools publish oci://HOST/NAME         put them into a registry, for runners to get them from
  goldenpath registry serve [--port N] [--dir DIR] [--log]
                                                   the embedded OCI registry, on localhost
  goldenpath registry probe URL [--write] [--quarantine IMAGE]
                                                   what a registry serves, how it holds, who can read quarantine

  goldenpath COMMAND --help                        what a command takes
  goldenpath --version                             which goldenpath this is

The verbs take the actions' inputs as options: goldenpath scan --help. They exit 0 on pass, 1 on fail (the policy says no) and 2 on error.
`;
}

/** Help of the commands that are not verbs. */
const commandHelp = {
  init: initHelp,
  adopt: adoptHelp,
  exception: exceptionHelp,
  fleet: fleetHelp,
  policy: policyHelp,
  base: `goldenpath base: what to build on.

  goldenpath base of IMAGE|HOST/NAME… --policy POLICY
      Says by layers which approved base each image stands on, whether that is its newest version, how many are newer, and whether it has ended. HOST/NAME
      without a tag is all of the repository's tags. Exits 1 where one stands on none, or on one that has ended, and 2 where one can't be looked at.

  goldenpath base check DIR --policy POLICY
      Reads which images the files of a folder name (Dockerfiles, compose and bake files, project.toml, pom.xml, build.gradle, workflows), asks no
      registry (but for bases that count by signed approvals), and says at file and line what the policy does not have, with what to write instead. Exits 1 where an image that was built so would be
      refused; a tag that should be a digest, and what only runs beside the application, is a warning.
  --fix
      Write the digests to pin into the files. A name that is put together from variables is left to you.

  goldenpath base score IMAGE
      Answers four questions on an image, for each platform, with what each answer rests on, and 0 to 100 points: is its publisher reputable, is it
      updated regularly, is it built in the open, is nothing needless in it. What nobody can tell gives no points. docs/policy.md has the table.
  --policy POLICY
      Whose signatures count, and which repositories are the policy's own.
  --policy-signer KEY
      The public key of the platform's signer, where POLICY is whichever is in force.
  --minimum POINTS
      Exit 1 where a platform has fewer.
  --require CHECK
      Exit 1 where this is not a yes, such as provenance or compiler; may be given several times.
  --json, --markdown
      Print JSON, or a table for a summary.

  goldenpath base approve IMAGE --policy POLICY --end-of-life DAY --role ROLE
      Scans the image by the policy's scan, scores it, looks for what the policy's images refuses, and says what that came to. Where nothing is against
      it, signs that it is approved, beside it: under a policy whose base has approval, that is what counts. An image to build in is approved the same
      way. The same again adds nothing. Exits 1, and signs nothing, where something is against it.
  --policy POLICY, --policy-signer KEY
      The policy, and the public key of the platform's signer where POLICY is whichever is in force.
  --end-of-life YYYY-MM-DD, or such as 90d
      The last day (UTC) on which images may stand on it, or builds run in it; or how long from today.
  --role ROLE
      run-only, build-only or both: what it is for.
  --notes TEXT
      For people; they are signed as well.
  --minimum POINTS, --require CHECK
      As of score: signs nothing where a platform does not have that.
  --tag
      Then point the floating tag of its base at the newest approved version, as base tag does.
  --images HOST/NAME
      Then list what stands on an older version there; may be given several times, or be catalogue: all below environments.*.to.
  --database DIR
      Vulnerability data for the scan, as of goldenpath scan.
  --signer KIND (default: key)
      How it is signed: key, kms or keyless.
  --key KEY, --key-passphrase TEXT
      The private key (a file, env://NAME, or PEM; with kms its URI), and its passphrase where it has one; else COSIGN_PASSWORD.

  goldenpath base tag NAME --policy POLICY
      Points the floating tag of a base or builder of the policy (approval.tag) at its newest version that is approved, not withdrawn and not over, wherever it
      points now. A version that no other tag points at is kept under one of its own. Exits 1, and leaves the tag, where no version is left.
  --dry-run
      Say where it would go, and set nothing.

  goldenpath base rebase IMAGE --to HOST/NAME:TAG --policy POLICY
      Puts the layers of an image, of an index of each of its images, on another version of the base that they stand on, in the registry, without a build or a
      daemon; labels of buildpacks and annotations go along.
      Exits 1, and pushes nothing, where the new version lacks something of the old one, or something else is against it (docs/rebase.md). The result is
      another image, without evidence.
  --onto DIGEST
      The version. Default: the newest that is approved, not withdrawn and not over.
  --dry-run
      Say what is against it, and push nothing.
`,
  withdraw: `goldenpath withdraw: take back what was let through, in the pointer to the policy in force.

  goldenpath withdraw IMAGE --to HOST/FIRST/goldenpath-policy --reason TEXT --owner TEXT --key KEY
      No gate lets the image through any more that reads the policy in force: by its digest (HOST/NAME@sha256:…), wherever it is, and of an index each
      of its images as well.
  --base DIGEST
      Instead of IMAGE: whatever stands on this base of the policy, by a signed finding or provenance. Its floating tag (approval.tag) goes back to the
      newest version that is approved still, and what stands on it is listed. Where no version is left, or something can't be looked at, the base is
      withdrawn all the same, and the exit code says so: 1 or 2.
  --images HOST/NAME
      For --base: where to look what stands on it; may be given several times. Default: what the registries' catalogues list below environments.*.to.
  --signer NAME
      Instead of IMAGE: what this signer of the policy has signed, from --from on. Where nobody else says when that was, all of it.
  --from TIME
      For --signer: a time in UTC, such as 2026-11-03T00:00:00Z.
  --to HOST/FIRST/goldenpath-policy
      Where the policy is in force.
  --reason TEXT
      Why; refusals repeat it.
  --owner TEXT
      Who answers for it.
  --key KEY
      The private key of the platform's signer: a file, env://NAME, or PEM.
  --key-passphrase TEXT
      Its passphrase, where it has one; else COSIGN_PASSWORD.
  --undo
      Lift it, with a reason and an owner as well.
  --unseen
      Withdraw by the digest alone what can't be looked up: an image that is gone, a base that has left the policy.
  --dry-run
      Say what would be withdrawn, and write nothing.
`,
  evidence: `goldenpath evidence: what was signed about an image, for somebody else to check.

  goldenpath evidence export IMAGE --policy POLICY
      Writes a folder for the image's digest, and one for each image of an index: what its signers by this policy signed, the SBOM and findings
      in files of their own, the keys and trusted roots, the policy, a page (index.html), and a script of commands of cosign and others that check
      it all without a network and without goldenpath (check.sh).
  --out DIR (default: ./goldenpath-evidence)
      Where. A folder of an export before gives way to the new one.

  goldenpath evidence attach IMAGE --policy POLICY
      Puts beside the image what counts under the policy of what was signed elsewhere, so that every later step reads it and a promotion takes it
      along. Says of the rest why it counts for nothing, and attaches none of it.
  --bundle FILE (may be given several times)
      A Sigstore bundle; a file that ends in .jsonl has one a line, as \`gh attestation download\` leaves them.
  --from-api OWNER/REPO
      What GitHub keeps as attestations of this repository for the image, by GITHUB_TOKEN (or GH_TOKEN).

  goldenpath evidence list HOST/NAME… --policy POLICY --environment NAME
      What happened to an environment, the oldest first: each image that its promoter let in, who approved that where it was recorded, the exceptions
      that it was let in by, tags that moved back, and what was withdrawn or lifted (where the policy is one in force). Before that, whatever the
      period, each image that is there and that no promotion accounts for. Of the images that a tag points at: registries list nothing else.
  --from DAY, --to DAY (UTC, both included)
      All of it, unless told.
  --json, --csv
      For a program, or a spreadsheet.

  --policy-signer FILE
      The public key that the policy in force is signed with, for a POLICY of in-force://.
`,
  import: `goldenpath import: images that the path has not built.

  goldenpath import IMAGE --policy POLICY --to HOST/NAME:TAG --reason TEXT --owner TEXT --until DAY --key KEY
      Copies a vendor's image into quarantine byte for byte, and signs there what it is, why, for whom and until when. IMAGE is resolved once, and is
      judged, scanned and promoted as every other from there on. After its last day nothing promotes it any more.
  --policy POLICY
      The policy: its build.sources have oci://HOST/NAME of the image, and a builder of kind image has the signer under import.
  --policy-signer KEY
      The public key of the platform's signer, where POLICY is whichever is in force.
  --to HOST/NAME:TAG
      Where, in quarantine; may be given several times, all in one repository.
  --reason TEXT, --owner TEXT, --until YYYY-MM-DD
      Why it is let in, who answers for it, and the last day (UTC) on which it counts.
  --key KEY
      The private key of who imports: a file, env://NAME, or PEM. Not that of a stage.
  --key-passphrase TEXT
      Its passphrase, where it has one; else COSIGN_PASSWORD.

  goldenpath import --propose HOST/NAME… --policy POLICY
      Looks where what was imported into these repositories was taken from, and says what is newer: a tag that moved, a higher version of the same
      kind, an import that ends within 14 days. Nothing is imported.

  --json
      Print JSON.
`,
  data: `goldenpath data: the vulnerability data that scans go by.

  goldenpath data mirror [oci://HOST/NAME] --policy POLICY --key KEY
      Fetches the newest data of the policy's scanners from their publishers, and puts it into a registry as one signed artifact each, which scans
      under that policy take it from. Data that is no newer is signed again: it still is the newest. Older data never takes the place of newer.
      Without oci://HOST/NAME, the policy's scan.data.repository.
  --policy POLICY
      The policy: its scan.data names who signs the data.
  --policy-signer KEY
      The public key of the platform's signer, where POLICY is whichever is in force.
  --scanner NAME (default: the policy's scan.scanners, and kev where its scan.data.kev is true)
      Whose data; may be given several times: grype, osv-scanner, trivy, kev (CISA's list of what is known to be exploited).
  --ecosystem NAME
      For osv-scanner, of which ecosystems, as OSV calls them (Debian, npm, Maven); may be given several times.
  --source SCANNER=URL
      Where a scanner's data is fetched from instead of its publisher; may be given several times.
  --keep N (default: 14)
      How many artifacts of each scanner stay; the oldest are deleted, where the registry does that.
  --signer KIND (default: key)
      How it is signed: key, kms or keyless.
  --key KEY
      The private key: a file, env://NAME, or PEM; with kms its URI. Not that of a stage.
  --key-passphrase TEXT
      Its passphrase, where it has one; else COSIGN_PASSWORD.
  --json
      Print JSON.
`,
  keys: `goldenpath keys: keys to sign with.

  goldenpath keys new DIR [NAME…]
      Makes a key pair for each name, NAME.key and NAME.pub; without names one for each stage. A key that is there is never overwritten.
`,
  tools: `goldenpath tools: the external tools that the verbs use.

  goldenpath tools list [NAME…]
      Prints which program each tool would be, from where, and why not from a source before it. Exits 2 where a tool comes from nowhere.

  goldenpath tools prefetch [NAME…]
      Downloads and checks the tools now; without names all of them.

  goldenpath tools publish oci://HOST/NAME[:TAG] [NAME…]
      Puts the tools into a registry as one artifact, for all platforms of the lock, and prints what GOLDENPATH_TOOL_MIRROR is to be. Only what
      the lock can verify gets there, and nothing before all of it is at hand.
  --platform OS-ARCH
      Only for this platform, such as linux-amd64; may be given several times.

  --json
      Print JSON.
`,
  registry: `goldenpath registry: the embedded OCI registry, and a look at anybody's.

  goldenpath registry serve
      Serves until it is interrupted, on localhost alone, and prints HOST:PORT.
  --port N (default: 5000)
      The port; 0 for any that is free.
  --dir DIR
      Where the content is kept. Without it, in memory, and gone at the end.
  --log
      Print a line for each request.

  goldenpath registry probe URL
      Says what a registry serves, how it holds, and whether production can read quarantine. URL is HOST[:PORT][/PREFIX], or the same with
      https:// or http:// before it. Exits 1 where production can read quarantine or the registry takes or gives wrong bytes, and 2 where it
      could not be found out.
  --write
      Write as well, in a repository of its own, PREFIX/goldenpath-probe-ID, and clean up in the end. Without it, what reading can't tell is unknown.
  --repository NAME
      The repository to ask about, and to write in, instead: the whole name in this registry.
  --clients N (default: 4)
      How many clients ask at once, to see how it holds; 1 to 64.
  --duration TIME (default: 10s)
      For how long at most, such as 500ms, 30s, 5m (10m at most); 0s for not at all.
  --max-requests N (default: 10000)
      The requests that the clients send at most, together.
  --max-bytes SIZE (default: 256MiB)
      The bytes that they move at most, such as 64KiB, 10MiB, 1GiB.
  --quarantine HOST/NAME[:TAG][@DIGEST]
      An image in quarantine: try to read it as production would.
  --pull-config DIR
      The Docker config directory with the logins that production pulls with. Without it, as nobody alone.
  --vetted HOST/NAME[:TAG][@DIGEST]
      An image that production does pull: it shows that those logins are good.
  --plain-http
      Speak plain http to the hosts that are named here; localhost is spoken to so in any case.
  --ca FILE
      Certificates in PEM that are trusted for those hosts besides the usual ones.
  --skip-verify
      Do not check those hosts' certificates.
  --json
      Print JSON: docs/registry-probe.md.
`,
} as const;

/** The commands that are not verbs. */
export type PlainCommand = keyof typeof commandHelp;

export function isPlainCommand(command: string): command is PlainCommand {
  return Object.hasOwn(commandHelp, command);
}

export const plainCommands: readonly string[] = Object.keys(commandHelp);

export function renderCommandHelp(command: PlainCommand): string {
  return commandHelp[command];
}

/** Where a verb on the command line leaves its files; in an action it is the runner's temporary directory. */
const defaultResultDirectory = "./goldenpath-results";

interface ActionInputs {
  description: string;
  inputs: Record<string, { description: string; required?: boolean; default?: string }>;
}

/** A verb's options, from its action's own documentation. */
export function renderVerbHelp(verb: Verb): string {
  const file = join(import.meta.dirname, "../../../actions", verb.name, "action.yml");
  const action = parse(readFileSync(file, "utf8")) as ActionInputs;
  const options = Object.entries(action.inputs).map(([name, input]) => {
    if (name === "result-dir")
      return `  --result-dir (default: ${defaultResultDirectory})\n      Directory for the files that it leaves, the result among them.`;
    const fallback = input.required === true ? " (required)" : input.default ? ` (default: ${input.default})` : "";
    return `  --${name}${fallback}\n      ${input.description}`;
  });
  return `goldenpath ${verb.command}: ${action.description}.

${options.join("\n")}${
  verb.outputs.includes("html") ? "\n  --open\n      Show the page that it leaves (report.html) in the browser." : ""
}
  --json
      Print the result and the outputs as JSON.
  --verbose
      Log what helps to find a fault as well.
  --quiet
      Log warnings and errors alone.

An option that is given more than once is a list, where the action takes one value a line.
`;
}
