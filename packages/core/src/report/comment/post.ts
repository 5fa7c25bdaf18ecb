import { addPart, asksForWork, isNewer, type Part } from "./part.ts";
import { markOutdated, maxCommentLength, renderComment } from "./render.ts";
import { isOurs, readParts } from "./state.ts";

/** A comment of the pull request that begins with the marker and is of the author that this job writes as. */
export interface OwnComment {
  id: number;
  body: string;
  url: string;
}

/** A pull request, to whoever comments on it. All of it may fail, as the network does. */
export interface PullRequestDoor {
  /** The commit of its head, now. */
  readHead(): Promise<string>;
  /** All comments on it whose body `accepts`, by the author that this job writes as, the oldest first. */
  listComments(accepts: (body: string) => boolean): Promise<OwnComment[]>;
  /** `too-long` where the body is refused for its length. */
  create(body: string): Promise<OwnComment | "too-long">;
  /** `gone` where there is no such comment any more. */
  update(id: number, body: string): Promise<OwnComment | "too-long" | "gone">;
  /** A comment that is gone already is none the less removed. */
  remove(id: number): Promise<void>;
  /** Milliseconds. */
  wait(time: number): Promise<void>;
}

export const commentModes = ["auto", "always", "never"] as const;
export type CommentMode = (typeof commentModes)[number];

export type Posted =
  | { outcome: "written"; url: string }
  /** `auto`, and there is neither something to do nor a comment. */
  | { outcome: "nothing-to-say" }
  /** The pull request has another head by now: its own run tells it. */
  | { outcome: "outdated"; head: string }
  /** Others wrote each time. */
  | { outcome: "contended"; url: string };

/** Who loses every time has five others before it, or something that edits the comment each time. */
const rounds = 6;
/** How long another job may take from reading the comment to writing it, for its write to be noticed here. */
const settleTime = 2_000;

/**
 * Writes a job's parts into the one comment of its pull request, all of them at once: however many images a stranger's
 * run tells of, they cost as much as one. GitHub has no condition for an edit, so that of two jobs at once the one that
 * writes last could undo the other's: each looks again after a while whether its parts are there, and writes once more
 * where they are not. Where the head moved meanwhile, an older commit's comment says so, since its write may have come
 * after the newer one's job had looked. Where two jobs made a comment each, the older one stays and has the parts of both.
 * @param commit that all parts are of
 * @param random of [0, 1), which tells two jobs apart that began at once
 */
export async function postParts(
  door: PullRequestDoor,
  commit: string,
  parts: readonly Part[],
  mode: Exclude<CommentMode, "never">,
  random: () => number = Math.random,
): Promise<Posted> {
  let url = "";
  let limit = maxCommentLength;
  for (let round = 0; round < rounds; round++) {
    const [kept, ...spare] = await door.listComments(isOurs);
    // After the list: what a newer commit's job has written by then is not written over.
    const head = await door.readHead();
    if (head !== commit) return { outcome: "outdated", head };
    if (kept === undefined && mode === "auto" && !parts.some(asksForWork)) return { outcome: "nothing-to-say" };
    const known = [kept, ...spare].flatMap((comment) => readParts(comment?.body ?? ""));
    const ofHead = known.filter((part) => part.commit === head);
    const body = renderComment([...ofHead, ...parts].reduce<Part[]>(addPart, []), limit);
    const written =
      kept === undefined ? await door.create(body) : kept.body === body ? kept : await door.update(kept.id, body);
    if (written === "too-long") {
      limit = Math.floor(body.length / 2);
      continue;
    }
    if (written === "gone") continue;
    url = written.url;
    for (const { id } of spare) await door.remove(id);
    await door.wait(settleTime * (1 + random() * round));
    const headNow = await door.readHead();
    const now = await door.listComments(isOurs);
    // Somebody took it away on purpose: it is not for a program to insist.
    if (now[0] === undefined) return { outcome: "written", url };
    if (headNow !== commit) {
      if (readParts(now[0].body).some((part) => part.commit === commit))
        await door.update(now[0].id, markOutdated(now[0].body));
      return { outcome: "outdated", head: headNow };
    }
    // Of very many images a comment has no room for all that pass.
    const isThere = parts.every((part) => !holds(body, part) || holds(now[0]?.body ?? "", part));
    if (now.length === 1 && isThere) return { outcome: "written", url: now[0].url };
  }
  return { outcome: "contended", url };
}

/** True where the part, or what a newer run says of its commit in its place, is in the comment. */
function holds(body: string, part: Part): boolean {
  return readParts(body).some(
    ({ key, commit, run }) => key === part.key && commit === part.commit && !isNewer(part.run, run),
  );
}
