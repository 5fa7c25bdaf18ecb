/** What `goldenpath policy --help` prints. */
export const policyHelp = `goldenpath policy: check, publish and activate policies, and see to their exceptions.

  goldenpath policy check FILE
      Checks a policy, and prints its name, serial and digest.
  --previous FILE
      The policy that this one is to take the place of: it must have the same name, and a lower serial where the content differs.

  goldenpath policy publish FILE HOST/NAME
      Puts a policy into a registry, and prints its oci:// name, by digest.

  goldenpath policy activate POLICY --to HOST/FIRST/goldenpath-policy --key KEY
      Puts a policy in force for what is promoted to HOST/FIRST/…: stores it there, and points the tag in-force at it, signed. POLICY is a file,
      OWNER/REPO//PATH@COMMIT or oci://HOST/NAME@sha256:DIGEST. A serial that does not rise is refused.
  --to HOST/FIRST/goldenpath-policy
      Where.
  --alias HOST/FIRST/goldenpath-policy
      Another name by which promotions reach the same repository.
  --first
      That no policy was ever in force there. Without it, a pointer that is not there is an error: somebody may have taken it away.
  --key KEY
      The private key of the platform's signer: a file, env://NAME, or PEM. Not that of a stage.
  --key-passphrase TEXT
      Its passphrase, where it has one; else COSIGN_PASSWORD.
  --revoke SERIAL
      What was judged under this serial before counts for nothing from now on.
  --previous-signer FILE
      The public key that the pointer there was signed with, where the platform's key changes.
  --dry-run
      Say what would be in force, and write nothing.

  goldenpath policy exceptions FILE
      Says until when each exception holds, which of them end on one day, and which do nothing: that are over, that another one for the same
      overtakes, or that no given result needs.
  --results DIR
      A folder with result files of the stages that the policy judged, below it as well; may be given several times. Without any, nobody can say
      which exceptions are needed.
  --within DAYS (default: 14d)
      What ends in so many days is told apart.
  --propose OUT
      Writes the policy without the exceptions that do nothing, and with the next serial, to OUT, which may be FILE. No exception is made longer.
  --json
      Print JSON.

  goldenpath policy test POLICY [CASES…]
      Says what the policy refuses of cases that are written down, by the stages' own judges, and exits 1 where that is not what they expect.
      Without CASES, of each file beside the policy that ends in .cases.yaml.
  --json
      Print JSON.

  goldenpath policy diff OLD NEW
      Says in sentences what NEW lets in and shuts out besides OLD, each at its line of NEW: widening, narrowing, neither, or unknown. Each key is
      read on its own.
  --refuse-widening
      Exit 1 where anything is widening, or unknown. Without it, a change is never refused.
  --json
      Print JSON.

  goldenpath policy explain IMAGE --policy POLICY
      Says in sentences what each environment that the image's repository is of asks for, what of it is there and until when, how to get the rest,
      and what of that which is signed the stages would refuse under this policy.
  --environment NAME
      Only this one; may be repeated.
  --policy-signer KEY
      The platform's public key, where POLICY is the one in force.
  --json
      Print JSON.

  goldenpath policy impact NEW --policy OLD --environment NAME --images HOST/NAME…
      Judges each image that a tag of these repositories points at by both policies, on the evidence that is signed about it, and says which NEW
      would refuse and why, of which nothing signed tells, which would have to be judged again, and which it would let in. No layer is read.
      Exit 2 where an image can't be read.
  --policy-signer KEY
      The platform's public key, where OLD is the policy in force: what was withdrawn is heeded then.
  --refuse-falling
      Exit 1 where an image would be refused that is not now, or nothing signed tells whether it would.
  --json, --markdown
      Print JSON, or what stands in a comment.

  goldenpath policy signers OWNER/REPO@COMMIT --for OWNER
      Prints the policy's signers for goldenpath's stage workflows in that repository at that commit (or refs/tags/…, where nobody can move it), as they
      run for the repositories of OWNER.
  --owner-id NUMBER
      OWNER's number on GitHub. Without it, GitHub is asked with GITHUB_TOKEN or GH_TOKEN.
  --compact
      Those of golden-path-compact.yml: one for build, base and scan, and promote's.
  --stage NAME
      Only this one's: build, base, scan, judge or promote; may be repeated.
  --repository NAME (default: *, any of OWNER's), --ref REF (default: refs/heads/main)
      For what it may run; both may be repeated.
  --sigstore NAME (default: public)
      Which of the policy's sigstores their certificates are of.
  --server URL (default: https://github.com)
      The server, where that is one of your own.
  --json
      Print JSON.

  goldenpath policy trust notation FILE DIR
      Writes trustpolicy.json and the trust store of notation, for the policy's signers of kind notation: level strict, their identities, their
      authorities' certificates, those of timestamp authorities. The signers have to be of one trust store.
  --signer NAME
      Only this one; may be repeated. notation asks for one signature of any of them, and knows no stages.
  --scope HOST/NAME
      The repository that it is for; may be repeated. Default: all.

  goldenpath policy schema
      Prints the policy's JSON Schema.
`;
