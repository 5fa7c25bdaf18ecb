/**
 * Every rule that can say no, and what it refuses; the table of `docs/policy.md` is written from it. Policies, results
 * and exceptions name rules: a rule keeps its name within a major version. Sources import the type alone, so that no
 * bundle carries the sentences.
 */
export const rules = {
  "policy.not-in-force":
    "a promotion under another policy than the one that is in force at its destination: an older one, one that nobody has put in force, another content under the same serial, somebody else's",
  "policy.pointer-missing": "a promotion to a place, and the use of a policy from one, where no policy is in force",
  "policy.pointer-invalid":
    "the same where what says so is not signed by the platform's signer, was made for another place, or can't be understood",
  "stage.job":
    "a step that judges, signs or promotes (enforce-golden-base, scan, attest, sign, verify, promote) in a runner's job that has built: what a build ran could have changed that machine",
  "build.command-files":
    "a build during which somebody wrote to the files that a step tells the runner by (`GITHUB_OUTPUT`, `GITHUB_ENV`, …)",
  "build.image":
    "an image of elsewhere without a provenance that a builder of the policy takes, or an import that counts, or of a source that is not in `build.sources`",
  "build.images":
    "a Dockerfile that uses an image which is neither an approved base nor in the `images` of its builder",
  "build.downloads":
    "a Dockerfile that fetches a URL which is not below one of the `downloads` of its builder, or without a checksum",
  "build.builder":
    "a build with a builder whose `until` is over, or whose approval is older than `build.builderMaxAge`",
  "build.buildpacks":
    "a build of an application whose project.toml brings buildpacks that its builder does not allow (`allowInline`, `allowBuildpacks`); and a build by pack in a builder image that has extensions which are not in its `allowExtensions`",
  "build.environment": "a build that would run where `build.isolation` does not allow one",
  "build.quarantine": "a build that would push to a repository which the policy promotes to",
  "build.reproducible": "a build that was asked to be the same twice, and is not",
  "build.strategy": "a build by a strategy that is not in `build.strategies`",
  "base.approved":
    "an image whose first layers are those of no approved base, or that has no layers; and a build on a base whose `until` is over",
  "base.approval":
    "an image on a version of a base that counts by signed approvals (`bases[].approval`), where none is signed by whom the policy names, it can't be read, it is of another image, or it was withdrawn",
  "base.behind":
    "an image on a version of a base whose approval is older than that of the newest by more than `bases[].approval.maxBehind`, once `grace` is over",
  "base.forbidden": "an image on a base of `forbiddenBases`, or, with its `lineage`, on one that was built on it",
  "base.build-image":
    "an image on one that a builder of the policy builds in, or that says of itself to be one, or that is approved to build in alone",
  "base.expired":
    "an image on a base whose `until` is over, or whose signed approval has reached its end of life or `bases[].approval.maxAge`, once `grace` is over",
  "base.label-contradicts":
    "an image whose buildpacks label can't be read, or says that the run image ends elsewhere than its base does",
  "base.layer-contradicts": "an image with a layer, whosever it is, whose content is not what its config says",
  "base.changed":
    "an image with a layer that removes, replaces or overwrites a path of its base, or gives rights to it, where neither its content shows that it is harmless nor `bases[].mayChange` lists it",
  "base.root-user":
    "an image that starts as root, or as a user of which nobody can tell, where `images.refuse` has root-user",
  "base.secret":
    "an image with a login or a private key in a layer above its base, in an environment variable or in its history, where `images.refuse` has secrets",
  "base.credential":
    "an image with a private key or a token, told by its form, in a text file of a layer above its base, where `images.refuse` has credentials",
  "base.package-cache":
    "an image with a package manager's cache in a layer above its base, where `images.refuse` has package-caches",
  "base.committed":
    "an image with a layer that, by its history, was made of a running container, where `images.refuse` has committed",
  "base.missing": "an image without something that `images.mustHave` lists",
  "base.rule":
    "an image of which the expression of one of the policy's `rules` of stage base is not true, or can't be decided",
  "scan.severity": "a vulnerability of `scan.failOn` or above; with `scan.onlyFixed`, only one that a version fixes",
  "scan.malicious":
    "a package that is known to be malicious (an advisory `MAL-…` of OSV, or a scanner's word), at any severity and under any policy",
  "scan.gate": "a vulnerability that meets all conditions of an entry of `scan.refuse`",
  "scan.rule":
    "an image of which the expression of one of the policy's `rules` of stage scan is not true, or can't be decided",
  "scan.package": "an image with a package of `scan.packages`, vulnerable or not",
  "scan.license":
    "an image with a package under a licence of `scan.licenses.refuse`, or, unless `unknown` is `pass`, under one that nobody says",
  "scan.sbom":
    "an image whose SBOM does not say when and by what it was made, or of fewer of its packages what `scan.sbom` asks for",
  "scan.vex":
    "an image with a VEX document by one of `scan.vex.signers` that can't be understood, or with a statement of theirs that concerns nothing which was found, unless `scan.vex.unmatched` is `tell`",
  "scan.report":
    "an image without the report that a reporter of `scan.reports` has to make of it, or with one of theirs that can't be taken: of another image, empty, cut off, of a tool that failed, older than `maxAge`",
  "scan.blind-spot":
    "an image in which a scan can't see what it should: no package at all, an operating system without its packages, packages of a distribution or version that is not said or that the vulnerability data does not know, the package databases of two systems; unless `scan.allowBlindSpots` has its kind",
  "scan.database-age":
    "vulnerability data that is older than `scan.databaseMaxAge`, from the future, or of unknown age",
  "gate.origin":
    "an image outside of the repositories that the environment takes images `from` or, at the destination, puts them `to`",
  "gate.withdrawn":
    "an image that the platform's signer has withdrawn (`goldenpath withdraw`), or one that stands on a withdrawn base, or, by what its base stage has signed, on one by the approval of nobody whose word still counts",
  "gate.missing":
    "an image for which a required stage has said nothing that counts, and an index without an image that runs",
  "gate.signer":
    "a statement that is signed, but by a signer whose word does not count for the stage, or by a key that is not in the policy",
  "gate.failed": "an image for which the newest verdict of a required stage is `FAILED`",
  "gate.incomplete": "a verdict without the findings that it rests on, and a build without its SBOM",
  "gate.layers":
    "a finding of the base stage that does not name exactly the layers that the image has, so that one may not have been read",
  "gate.malformed": "a statement of a required stage that is rightly signed and can't be understood",
  "gate.policy-serial": "a verdict made under another policy, or another version of it, than the policy accepts",
  "gate.finding":
    "an image with a finding, by what its scan stage has signed, that meets all conditions of an entry of the environment's `refuse`; one whose findings were closed by the VEX of a signer that the policy does not take, whose word has ended or that was withdrawn; whose signed scan does not tell its findings; or one that has, by what its base stage has signed, what the environment's `images.refuse` names, or of which that does not tell",
  "gate.rule":
    "an image of which the expression of one of the policy's `rules` of stage gate is not true, or can't be decided",
  "gate.stale": "a verdict or a provenance older than the requirement's `maxAge`",
  "gate.future": "a verdict or a provenance whose time has not come yet",
  "gate.exception":
    "a verdict that rests on an exception whose last day is over, or that was granted to another repository",
  "gate.repository":
    "a verdict about the image in another repository, where what its stage said depends on that: by a rule of the policy's own that asks for `image.repository`, or by `failOnlyOn: new`",
  "gate.deferred":
    "a verdict that passed with warnings, of a rule that refuses by now: its day in `enforceFrom` has come, or the policy of now gives it none",
  "gate.environment": "an image that was promoted, but not into the environment that the requirement names",
  "gate.builder":
    "a build of another type than this gate knows, by a strategy that is not in `build.strategies`, or by no builder of the policy; a promoted image of whose build nothing is there, where one of elsewhere may be it",
  "gate.import": "an image that was imported until a day which is over",
  "gate.source":
    "a build from a repository that is not in `build.sources`, of a ref, by a builder or caller, or in an event that its entry there does not take, or from no commit",
  "gate.destination":
    "an image that the `to` of its source in `build.sources` does not let become what it is promoted to",
  "gate.build-environment": "a build that ran elsewhere than `build.isolation` allows",
  "promote.destination":
    "a promotion to a repository that is not under the environment's `to`, or to where the policy in force is said",
  "promote.evidence-label": "evidence whose referrer says that it holds another kind of statement than is signed in it",
  "promote.tag-moves-back":
    "moving a tag to an image of an earlier run than the one that it points at, or of which that can't be told, unless `allow-tag-rollback` says so",
  "report.failed": "nothing by itself: the report shows a stage whose newest signed verdict is `FAILED`",
  "report.missing": "nothing by itself: the report shows a stage for which nothing is signed that counts",
} as const satisfies Record<string, string>;

export type Rule = keyof typeof rules;
