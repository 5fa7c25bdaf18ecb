import type { ProbeFacts, Seen, Stored } from "./facts.ts";
import { judgeManifests, judgeReferrers, judgeTags } from "./judge-manifests.ts";
import {
  describeKept,
  describeSeen,
  isGood,
  isTelling,
  judgeStored,
  judgeWrong,
  type ProbeAnswer,
  unknown,
  type Verdict,
  withHeaders,
} from "./verdicts.ts";

/** One thing that a registry serves, or does not. */
export interface ProbeCheck {
  /** Stable, for scripts: `mount`, `referrers-api`, … */
  id: string;
  title: string;
  answer: ProbeAnswer;
  /** What was seen: request, status and header. */
  seen: string;
  /** What it means for goldenpath. */
  consequence: string;
  /** The registry does what no registry may: takes or gives wrong bytes. */
  isFinding: boolean;
}

const needsWrite = "needs --write";
const needsImage = "needs --write, or a repository with an image in it (--repository)";
/** For what was not asked although writing was allowed. */
const notReached = "not asked: something that it rests on does not work";

/** What the facts come to, check by check, in the order in which they are shown. Pure. */
export function judgeProbe(facts: ProbeFacts): ProbeCheck[] {
  const check = (id: string, title: string, verdict: Verdict | undefined, whenNotAsked = needsWrite): ProbeCheck => ({
    id,
    title,
    isFinding: false,
    ...(verdict ?? unknown(facts.write ? notReached : whenNotAsked)),
  });
  const { blobs, deletion } = facts;
  const of = judgeManifests(facts);
  const referrers = judgeReferrers(facts);
  const tag = judgeTags(facts);
  return [
    check("version", "version endpoint", judgeVersion(facts)),
    check("login", "login", judgeLogin(facts), "not asked"),
    check("upload", "upload of a blob", blobs && judgeUpload(blobs.upload)),
    check("upload-single", "upload in one request (POST ?digest=)", blobs?.single && judgeSingle(blobs.single)),
    check("upload-chunks", "upload in chunks (PATCH)", blobs?.chunks && judgeChunks(blobs.chunks)),
    check("upload-resume", "resume of an upload", blobs?.chunks && judgeResume(blobs.chunks)),
    check(
      "upload-cancel",
      "cancel of an upload",
      blobs?.cancel && judgeGone(blobs.cancel, "uploads that were given up are left to the registry's own cleaning"),
    ),
    check("blob-digest", "digest of a blob checked", blobs?.wrongBytes && judgeWrong(blobs.wrongBytes)),
    check("mount", "mount from another repository", blobs?.mount && judgeMount(blobs.mount)),
    check("range", "ranges of a blob", facts.range && judgeRange(facts.range), needsImage),
    check("redirect", "blobs from another host", facts.range && judgeRedirect(facts.range), needsImage),
    check("sha512", "sha512", judgeSha512(facts)),
    ...of.map(([id, title, verdict]) => check(id, title, verdict)),
    ...referrers.map(([id, title, verdict]) => check(id, title, verdict)),
    ...tag.map(([id, title, verdict]) => check(id, title, verdict)),
    check("delete-tag", "deletion of a tag", deletion?.tag && judgeGone(deletion.tag, "tags can't be taken away")),
    check(
      "delete-manifest",
      "deletion of a manifest",
      deletion?.manifest && judgeGone(deletion.manifest, "what was promoted can't be taken back there"),
    ),
    check(
      "delete-blob",
      "deletion of a blob",
      deletion?.blob && judgeGone(deletion.blob, "the registry's own cleaning frees the space"),
    ),
  ];
}

function judgeVersion({ version }: ProbeFacts): Verdict {
  const seen = withHeaders(version, "docker-distribution-api-version");
  if (version.status === 200 || version.status === 401)
    return { answer: "yes", seen, consequence: "it speaks the distribution API" };
  return version.status === undefined || version.status >= 500 || version.status === 429
    ? unknown(seen)
    : { answer: "no", seen, consequence: "it may be no registry, or not at this address" };
}

function judgeLogin({ version, logins, login }: ProbeFacts): Verdict {
  const kinds = logins.map(({ scheme, realm, service }) =>
    [
      scheme,
      ...(realm === undefined ? [] : [`realm ${realm}`]),
      ...(service === undefined ? [] : [`service ${service}`]),
    ].join(" "),
  );
  const seen = [
    kinds.length === 0 ? "none asked for" : kinds.join("; "),
    ...(login === undefined ? [] : [`with yours ${describeSeen(login)}`]),
  ].join(", ");
  if (version.status === 200)
    return {
      answer: "no",
      seen,
      consequence: "nobody has to log in for the version endpoint; single repositories may ask all the same",
    };
  if (version.status !== 401) return unknown(seen);
  if (logins.some(({ scheme }) => scheme === "bearer" || scheme === "basic")) {
    const isIn = login?.status === 200;
    return {
      answer: "yes",
      seen,
      consequence: isIn ? "your login is taken" : "nobody is logged in here, or the login is not taken",
    };
  }
  return {
    answer: "yes",
    seen,
    consequence: "goldenpath knows Bearer and Basic, and neither is offered",
    isFinding: true,
  };
}

function judgeUpload(upload: Stored): Verdict {
  return judgeStored(upload, {
    yes: "images can be pushed",
    no: "nothing can be pushed: the rest of this was not asked",
  });
}

function judgeSingle(single: Stored): Verdict {
  const seen = describeSeen(single.answer);
  const no = "an upload takes two requests, which is how goldenpath does it";
  // 202 is the beginning of an upload: the bytes were passed over, as the specification allows.
  if (single.answer.status === 202)
    return { answer: "no", seen: `${seen}, which only begins an upload`, consequence: no };
  return judgeStored(single, { yes: "small blobs could go in one request", no });
}

function judgeChunks(chunks: NonNullable<NonNullable<ProbeFacts["blobs"]>["chunks"]>): Verdict {
  const { end, second, first, start } = chunks;
  const no = "an upload goes as one stream, and starts again from the beginning when it breaks";
  const least = start.headers["oci-chunk-min-length"];
  const told = least === undefined ? "" : `, chunks of ${least} bytes at least`;
  if (end !== undefined) {
    const verdict = judgeStored(end, { yes: "a broken upload need not start again", no });
    return { ...verdict, seen: `${verdict.seen}${told}` };
  }
  const last = second ?? first;
  if (last === undefined) return unknown(isGood(start) ? `not tried${told}` : describeSeen(start));
  return isTelling(last) ? { answer: "no", seen: describeSeen(last), consequence: no } : unknown(describeSeen(last));
}

function judgeResume({ first, status, size }: NonNullable<NonNullable<ProbeFacts["blobs"]>["chunks"]>): Verdict {
  const no = "an upload that breaks starts again from the beginning";
  if (first === undefined || !isGood(first))
    return { answer: "no", seen: first === undefined ? "no chunk was taken" : describeSeen(first), consequence: no };
  if (status === undefined) return unknown("");
  const seen = withHeaders(status, "range");
  if (!isGood(status)) return isTelling(status) ? { answer: "no", seen, consequence: no } : unknown(seen);
  const told = /^(?:bytes=)?0-(\d{1,15})$/.exec(status.headers["range"] ?? "")?.[1];
  if (told === undefined) return { answer: "no", seen: `${seen}, no Range`, consequence: no };
  return Number(told) === size - 1
    ? { answer: "yes", seen, consequence: "an upload that breaks goes on from where the registry has it" }
    : {
        answer: "no",
        seen: `${seen}, after ${size} bytes`,
        consequence: "it tells another offset than it has",
        isFinding: true,
      };
}

/** A thing that was deleted, and what asking for it gave afterwards. */
function judgeGone({ answer, after }: { answer: Seen; after: Seen }, no: string): Verdict {
  const seen = describeSeen(answer);
  if (!isGood(answer)) return isTelling(answer) ? { answer: "no", seen, consequence: no } : unknown(seen);
  // Olareg 0.1.2 answers 400 for an upload that is no more.
  const isGone =
    after.status === 404 || after.status === 410 || after.problem?.startsWith("BLOB_UPLOAD_UNKNOWN") === true;
  if (isGone) return { answer: "yes", seen, consequence: "" };
  return isGood(after)
    ? { answer: "no", seen: `${seen}, and it is there still`, consequence: no }
    : unknown(`${seen}, then ${describeSeen(after)}`);
}

function judgeMount(mount: NonNullable<NonNullable<ProbeFacts["blobs"]>["mount"]>): Verdict {
  const { source, answer, kept } = mount;
  if (answer === undefined)
    return unknown(`${describeSeen(source.answer)}: nothing could be put into a second repository to mount from`);
  const seen = describeSeen(answer);
  if (answer.status === 201)
    return kept === "right"
      ? { answer: "yes", seen, consequence: "promotion inside this registry moves no layers" }
      : {
          answer: "no",
          seen: `${seen}${describeKept(kept ?? "unknown")}`,
          consequence: "it says mounted, and the blob is not there",
          isFinding: true,
        };
  const consequence = "promotion inside this registry sends every layer again";
  if (answer.status === 202) return { answer: "no", seen: `${seen}, which begins an upload`, consequence };
  return isTelling(answer) || answer.status === 403 ? { answer: "no", seen, consequence } : unknown(seen);
}

function judgeRange({ answer, bytes }: NonNullable<ProbeFacts["range"]>): Verdict {
  const seen = withHeaders(answer, "content-range");
  const consequence = "a download that breaks starts again from the beginning";
  switch (bytes) {
    case "range":
      return { answer: "yes", seen, consequence: "a download that breaks goes on" };
    case "whole":
      return { answer: "no", seen: `${seen}, the whole blob: ignored`, consequence };
    case "other":
      return {
        answer: "no",
        seen: `${seen}, and other bytes than asked for`,
        consequence: "what is resumed would be wrong",
        isFinding: true,
      };
    case "none":
      return answer.status !== undefined && answer.status >= 400 && isTelling(answer)
        ? { answer: "no", seen, consequence }
        : unknown(seen);
  }
}

function judgeRedirect({ answer, redirectedTo }: NonNullable<ProbeFacts["range"]>): Verdict {
  if (!isGood(answer)) return unknown(describeSeen(answer));
  return redirectedTo === undefined
    ? {
        answer: "no",
        seen: "the registry's own host gave the bytes",
        consequence: "runners need to reach this host alone",
      }
    : {
        answer: "yes",
        seen: `the bytes came from ${redirectedTo}`,
        consequence: `runners need to reach ${redirectedTo} as well`,
      };
}

function judgeSha512({ blobs, manifests }: ProbeFacts): Verdict | undefined {
  if (blobs?.sha512 === undefined) return undefined;
  const consequences = {
    yes: "images with sha512 digests can be promoted",
    no: "images with sha512 digests can't be promoted into it",
  };
  const blob = judgeStored(blobs.sha512, consequences);
  if (blob.answer !== "yes" || manifests?.sha512 === undefined) return blob;
  return judgeStored(manifests.sha512, consequences);
}
