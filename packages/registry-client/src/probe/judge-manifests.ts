import type { ProbeFacts, Seen } from "./facts.ts";
import { manifestKinds } from "./facts.ts";
import {
  describeSeen,
  isGood,
  isTelling,
  judgeStored,
  judgeWrong,
  unknown,
  type Verdict,
  withHeaders,
} from "./verdicts.ts";

/** Id, title, and what it comes to; undefined where nothing was asked. */
type Row = [id: string, title: string, verdict: Verdict | undefined];

const kindTitles: Record<(typeof manifestKinds)[number], [title: string, no: string]> = {
  "oci-image": ["OCI image manifests", "images can't be pushed"],
  "oci-index": ["OCI indexes", "images for several platforms can't be promoted into it"],
  "oci-artifact": ["OCI manifests with an artifactType", "evidence can't be attached"],
  "docker-image": ["Docker image manifests", "images made by Docker can't be promoted as they are"],
  "docker-list": ["Docker manifest lists", "Docker's images for several platforms can't be promoted as they are"],
};

export function judgeManifests({ manifests }: ProbeFacts): Row[] {
  return [
    ...manifestKinds.map((kind): Row => {
      const [title, no] = kindTitles[kind];
      const stored = manifests?.kinds[kind];
      return [`manifest-${kind}`, title, stored && judgeStored(stored, { yes: "", no })];
    }),
    [
      "manifest-4mib",
      "manifests of 4 MiB",
      manifests?.large && judgeStored(manifests.large, { yes: "", no: "large indexes and evidence lists may not fit" }),
    ],
    ["manifest-digest", "digest of a manifest checked", manifests?.wrongDigest && judgeWrong(manifests.wrongDigest)],
    [
      "manifest-blobs",
      "manifest refused while a blob is missing",
      manifests?.missingBlob && judgeMissing(manifests.missingBlob.answer),
    ],
    [
      "conditional-get",
      "conditional read of a manifest",
      manifests?.notModified && judgeNotModified(manifests.notModified),
    ],
  ];
}

function judgeMissing(answer: Seen): Verdict {
  const seen = describeSeen(answer);
  if (isGood(answer))
    return {
      answer: "no",
      seen,
      consequence: "only the order of a push keeps images whole: goldenpath sends the manifest last",
    };
  return isTelling(answer)
    ? { answer: "yes", seen, consequence: "no image that lacks a layer is taken" }
    : unknown(seen);
}

function judgeNotModified({ etag, answer }: NonNullable<NonNullable<ProbeFacts["manifests"]>["notModified"]>): Verdict {
  const no = "whoever asks again for a manifest that it has gets it in full";
  if (answer === undefined || etag === undefined)
    return { answer: "no", seen: "GET of a manifest, no ETag", consequence: no };
  const seen = describeSeen(answer);
  if (answer.status === 304) return { answer: "yes", seen, consequence: "" };
  return isTelling(answer) ? { answer: "no", seen, consequence: no } : unknown(seen);
}

export function judgeReferrers({ referrers }: ProbeFacts): Row[] {
  if (referrers === undefined) return titled(undefined, undefined, undefined, undefined);
  const { push, list, isIndex, isListed, filtered } = referrers;
  const api = judgeReferrersApi(list, isIndex);
  if (push === undefined) return titled(api, undefined, undefined, undefined);
  return titled(
    api,
    isGood(push) ? judgeSubject(push, api.answer === "yes") : unknown(describeSeen(push)),
    isGood(push) ? judgeListed(list, api, isListed === true) : unknown(describeSeen(push)),
    filtered === undefined || api.answer !== "yes"
      ? { ...unknown("no referrers API"), answer: api.answer === "no" ? "no" : "unknown" }
      : judgeFilter(filtered),
  );
}

function titled(...[api, subject, listed, filter]: (Verdict | undefined)[]): Row[] {
  return [
    ["referrers-api", "referrers API", api],
    ["oci-subject", "OCI-Subject on push", subject],
    ["referrers-listed", "pushed referrers listed", listed],
    ["referrers-filter", "referrers by artifact type", filter],
  ];
}

function judgeReferrersApi(list: Seen, isIndex: boolean): Verdict {
  const seen = withHeaders(list, "content-type");
  if (list.status === 200)
    return isIndex
      ? { answer: "yes", seen, consequence: "evidence is found by the API" }
      : { answer: "no", seen: `${seen}, and no index`, consequence: "evidence goes under the fallback tag" };
  // A registry that has the API, and not the repository, may say so; one without it says 404 to everything.
  if (list.status === 404 && /^NAME_(?:UNKNOWN|INVALID)/.test(list.problem ?? ""))
    return unknown(`${seen}: there is no such repository`);
  return isTelling(list)
    ? { answer: "no", seen, consequence: "evidence goes under the fallback tag, sha256-<digest>" }
    : unknown(seen);
}

function judgeSubject(push: Seen, hasApi: boolean): Verdict {
  const seen = withHeaders(push, "oci-subject");
  if (push.headers["oci-subject"] !== undefined)
    return { answer: "yes", seen, consequence: "no fallback tag is written" };
  return {
    answer: "no",
    seen: `${seen}, no OCI-Subject`,
    consequence: hasApi
      ? "a fallback tag is written beside the API"
      : "a fallback tag is written for each image with evidence",
  };
}

function judgeListed(list: Seen, api: Verdict, isListed: boolean): Verdict {
  const seen = describeSeen(list);
  if (api.answer === "unknown") return unknown(seen);
  if (isListed) return { answer: "yes", seen, consequence: "no fallback is needed" };
  return {
    answer: "no",
    seen: api.answer === "yes" ? `${seen}, without what was pushed` : seen,
    consequence:
      api.answer === "yes"
        ? "the list can't be relied on: the fallback tag is read as well"
        : "the fallback tag is needed",
  };
}

function judgeFilter(filtered: Seen): Verdict {
  const seen = withHeaders(filtered, "oci-filters-applied");
  if (!isGood(filtered)) return unknown(seen);
  return filtered.headers["oci-filters-applied"] === undefined
    ? { answer: "no", seen, consequence: "the whole list is read; goldenpath does not filter by it" }
    : { answer: "yes", seen, consequence: "" };
}

export function judgeTags({ tags, conditions, write }: ProbeFacts): Row[] {
  return [
    ["tags", "list of tags", tags && judgeTagList(tags, write)],
    ["tags-pages", "list of tags in pages (?n=)", tags && judgePages(tags)],
    ["immutable-tags", "tags that don't move", tags?.move && judgeMove(tags.move)],
    [
      "if-match",
      "compare-and-set: If-Match on a tag",
      conditions && judgeCondition(conditions, conditions.wrongMatch, tags?.move),
    ],
    [
      "if-none-match",
      "compare-and-set: If-None-Match on a tag",
      conditions && judgeCondition(conditions, conditions.noneMatch, tags?.move),
    ],
  ];
}

function judgeTagList({ list, found, set }: NonNullable<ProbeFacts["tags"]>, write: boolean): Verdict {
  const seen = describeSeen(list);
  if (!isGood(list)) {
    if (!write && list.status === 404) return unknown(`${seen}: there may be no such repository`);
    return isTelling(list) ? { answer: "no", seen, consequence: "tags can't be listed" } : unknown(seen);
  }
  if (found < set)
    return {
      answer: "no",
      seen: `${seen}, with ${found} of ${set} tags that were set`,
      consequence: "the list lags behind, or is not whole",
    };
  return { answer: "yes", seen, consequence: "" };
}

function judgePages({
  page,
  firstPage,
  pages = 0,
  pagesFound = 0,
  set,
  list,
}: NonNullable<ProbeFacts["tags"]>): Verdict {
  if (page === undefined) return unknown(describeSeen(list));
  const seen = withHeaders(page, "link");
  if (!isGood(page))
    return isTelling(page) ? { answer: "no", seen, consequence: "long lists come in one piece" } : unknown(seen);
  if (firstPage !== undefined && firstPage > 1)
    return {
      answer: "no",
      seen: `${seen}, ${firstPage} tags where one was asked for`,
      consequence: "lists come in one piece",
    };
  // With a single tag in it there is no second page to be seen.
  if (set < 2 && pages < 2) return unknown(`${seen}: too few tags to tell`);
  if (pagesFound === set && pages > 1)
    return { answer: "yes", seen: `${describeSeen(page)}, ${pages} pages by Link`, consequence: "" };
  if (pages < 2)
    return {
      answer: "no",
      seen: `${seen}, one tag and no Link to the rest`,
      consequence: "a list that is cut short looks whole",
      isFinding: true,
    };
  return unknown(`${seen}, ${pages} pages with ${pagesFound} of ${set} tags`);
}

function judgeMove({ first, second, shows }: NonNullable<NonNullable<ProbeFacts["tags"]>["move"]>): Verdict {
  const seen = describeSeen(second);
  if (!isGood(first)) return unknown(describeSeen(first));
  if (isGood(second) && shows === "second")
    return { answer: "no", seen, consequence: "who may push may move tags: deploy by digest" };
  if (isGood(second))
    return {
      answer: "no",
      seen: `${seen}, and the tag shows ${shows === "first" ? "the first manifest still" : "neither manifest"}`,
      consequence: "a tag that was set is not to be relied on",
      isFinding: true,
    };
  // 403 to the second of two equal requests is about the tag, not about the right to push.
  const isRefused = second.status !== undefined && second.status < 500 && ![401, 408, 429].includes(second.status);
  return isRefused && shows === "first"
    ? { answer: "yes", seen, consequence: "a release tag stays what it was: choose a new one for each promotion" }
    : unknown(seen);
}

function judgeCondition(
  conditions: NonNullable<ProbeFacts["conditions"]>,
  refused: Seen,
  move: NonNullable<ProbeFacts["tags"]>["move"],
): Verdict {
  const { create, isUnmoved, rightMatch, wrongMatch } = conditions;
  const seen = describeSeen(refused);
  const no = "a tag is looked at just before it is set: two promotions at once can race";
  if (isGood(refused)) return { answer: "no", seen: `${seen}: ignored`, consequence: no };
  if (refused.status !== 412) return unknown(`${seen}: refused, and not for the condition (412)`);
  // Harbor says 412 to whoever moves an immutable tag, with or without a condition.
  if (move?.second.status === 412)
    return unknown(`${seen}: but so is a move without a condition, ${describeSeen(move.second)}`);
  if (!isUnmoved && isGood(wrongMatch) === false && isGood(conditions.noneMatch) === false)
    return { answer: "no", seen: `${seen}, and the tag has moved`, consequence: no, isFinding: true };
  if (refused === wrongMatch && rightMatch !== undefined && rightMatch.status === 412)
    return {
      answer: "no",
      seen: `${seen}, and the right one is refused as well: ${describeSeen(rightMatch)}`,
      consequence: "no tag can be moved with a condition",
    };
  if (refused === conditions.noneMatch && create.status === 412)
    return {
      answer: "no",
      seen: `${seen}, and so is a new tag: ${describeSeen(create)}`,
      consequence: "no tag can be made with a condition",
    };
  if (refused === wrongMatch && conditions.etag === undefined)
    return { answer: "yes", seen: `${seen}, but no ETag is sent to compare with`, consequence: no };
  return { answer: "yes", seen, consequence: "a tag that somebody else has set is never overwritten" };
}
