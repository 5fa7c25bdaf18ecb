export const fleetHelp = `goldenpath fleet: what is there for the policy's environments, all images together.

  goldenpath fleet find CVE-… | pkg:TYPE/NAME@RANGE [HOST/NAME…] --policy POLICY
      Which images have a package or a vulnerability, by their signed SBOMs and scans alone: no layer is read and no scanner asked. What
      all comes with the base is listed for a rebase; the rest by owner, at the file and line of the source where those can be read.
      A vulnerability is looked for in the newest signed scan of each image, a package in its SBOM: 'pkg:npm/lodash@<4.17.21',
      'pkg:deb/debian/openssl@>=3.0,<3.0.17||3.1.0'. Exits 2 where an image could not be looked at, which may have it.

  goldenpath fleet scan [HOST/NAME…] --policy POLICY (--key KEY | --signer KIND | --dry-run)
      Scans all that was promoted again, from signed SBOMs and with the same data, and signs each verdict as the scan stage's, with the day
      from which on a failure counts (scan.rescan of the policy): deployments and rollbacks go by it. Exits 1 where something is refused
      now, 2 where an image could not be looked at.
  --key KEY, --signer KIND, --key-passphrase TEXT
      Who signs, as for sign: one of those who speak for stage scan.
  --dry-run
      Sign nothing, and write no issues.
  --scanner NAMES, --database DIR
      As for scan.
  --html FILE
      Write a page: by strategy, base, owner and age, and what is to be mended where.
  --issues
      Write an issue of each owner into each source repository on GitHub, with GITHUB_TOKEN, and close those of what is mended. Never into
      forks, nor for sources of another server.
  --issues-in OWNER/REPO
      The same, all in one repository: one issue of each owner.

  goldenpath fleet prune [HOST/NAME…] --policy POLICY --running FILE
      What may go. Takes nothing away. Kept is what runs, what a rollback may go to, what has evidence in its years, and that of which
      nobody says how it came in. Exits 2 where something could not be looked at.
  --running FILE
      What runs, an image a line: HOST/NAME@DIGEST, DIGEST or HOST/NAME:TAG. Other registries' images may be among them, and are
      counted; one that should be there and is not is an error.
  --rollbacks N
      The newest images of each repository and environment that a rollback may go to. Default: 3.
  --evidence-years N
      How long evidence of what was let in is kept. Default: 10.
  --rules harbor|ecr|gar|acr|ghcr --out DIR
      Write rules by which the registry keeps what stays: for POST /api/v2.0/retentions of Harbor, put-lifecycle-policy of ECR,
      set-cleanup-policies of Artifact Registry; locks for Azure Container Registry, inputs of actions/delete-package-versions for GitHub.
      Not while something could not be looked at.

  goldenpath fleet rebase [HOST/NAME…] --policy POLICY
      In which waves images go to the newest approved version of their base, by layers, signed promotions and what is in quarantine alone:
      canaries first (rollout of the policy's builder of kind rebase), nothing new as long as one that was begun is not in vetted, and a
      pause between waves. Exits 1 where a canary can't be rebased, 2 where something could not be looked at.
  --run
      Rebase what is due, into quarantine. What becomes of it there is for attest, the other stages, and promote.
  --base NAME
      Only what stands on this base.
  --tag NAME
      Only what this tag points at, and no other tag is to move. May be repeated. Default: every tag.
  --leave HOST/NAME
      A repository, or a folder of them, to be left as it is. May be repeated.
  --quarantine HOST/NAME
      Below which rebased images go. Default: the environment's first \`from\`.

  HOST/NAME…, --repositories FILE
      The repositories, or a file with one a line. Default: those below environments.*.to that the registry's catalogue lists.
  --may-be-empty HOST/NAME
      An entry of environments.*.to below which the catalogue may list nothing. Without it that is an error. May be repeated.
  --policy POLICY
      The policy: a file, OWNER/REPO//PATH@COMMIT or oci://HOST/NAME@sha256:DIGEST.
  --policy-signer KEY
      Who says which policy is in force, as for promote.
  --environment NAME
      Only what is there for this environment.
  --checkouts DIR
      Source repositories as DIR/OWNER/NAME, those of another server than GITHUB_SERVER_URL as DIR/HOST/OWNER/NAME. Others are read on
      GitHub at the commit that was built, with GITHUB_TOKEN.
  --json
      Print JSON.
`;
